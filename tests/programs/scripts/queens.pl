% Queens, assertions, atoms that are collected, strings, finite domains, threads.
:- use_module(library(clpfd)).
:- use_module(library(assoc)).
:- dynamic fact/2.

queens(N, Queens) :- numlist(1, N, Numbers), permutation_safe(Numbers, [], Queens).
permutation_safe([], Queens, Queens).
permutation_safe(Left, Placed, Queens) :- select(Q, Left, Rest), safe(Q, 1, Placed), permutation_safe(Rest, [Q|Placed], Queens).
safe(_, _, []).
safe(Q, D, [P|Ps]) :- Q =\= P + D, Q =\= P - D, D1 is D + 1, safe(Q, D1, Ps).

puzzle([S,E,N,D,M,O,R,Y]) :-
    Vars = [S,E,N,D,M,O,R,Y], Vars ins 0..9, all_different(Vars),
    S*1000 + E*100 + N*10 + D + M*1000 + O*100 + R*10 + E #= M*10000 + O*1000 + N*100 + E*10 + Y,
    M #\= 0, S #\= 0, label(Vars).

main :-
    queens(10, Q), print(Q), nl,
    findall(X, queens(6, X), All), length(All, Solutions), print(Solutions), nl,
    puzzle(P), print(P), nl,
    forall(between(1, 30000, I), (K is I * 7919 mod 10007, atom_concat(key, K, A), assertz(fact(A, I)))),
    aggregate_all(count, fact(_, _), Facts), print(Facts), nl,
    findall(A-I, fact(A, I), Pairs), msort(Pairs, Sorted), nth1(100, Sorted, Hundredth), print(Hundredth), nl,
    retractall(fact(_, _)), garbage_collect_atoms, garbage_collect,
    numlist(1, 20000, L), foldl([N0,T0,T1]>>put_assoc(N0, T0, N0, T1), L, t, Tree), assoc_to_values(Tree, Vs),
    sum_list(Vs, Sum), print(Sum), nl,
    Big is 3 ** 4000 mod (2 ** 127 - 1), print(Big), nl,
    findall(Id, (between(1, 4, T), thread_create(work(T), Id)), Ids),
    maplist([Id1,S1]>>thread_join(Id1, S1), Ids, Status), print(Status), nl,
    catch(deep(100000), E, (print(E), nl)).

work(T) :- numlist(1, 20000, L), maplist({T}/[X,Y]>>(Y is X * T), L, M), sum_list(M, S), thread_exit(S).
deep(0) :- throw(bottom).
deep(N) :- N1 is N - 1, deep(N1), true.
