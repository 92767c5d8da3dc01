# Globbing with qualifiers, associative arrays, parameter flags, subshells, functions. usage: globs.zsh TREE FILE
setopt extended_glob
cd $1
files=(**/*.(h|py)(.N))
print -r -- ${#files} ${(j:,:)${(@o)files:t}[0]}
print -rl -- ${(u)${files[@]:e}} **/[a-c]*.h(.Lk+4N) | cksum
typeset -A count
while read -r number key rest; do
    (( count[${key:0:3}] += number % 10, n++ ))
    lines+=("${(U)rest}")
    (( n < 6000 )) || break
done <$2
for key in ${(ok)count}; do print -r -- $key ${count[$key]}; done
print -r -- ${#lines} | cat
print -r -- "${(j:+:)lines}" | cksum
repeat 40; do ( x=("${lines[@]:$((RANDOM * 0)):200}"); print -r -- ${#x} ${${x[3]}//[A-M]/_} ); done | sort | uniq -c
walk() { (( $1 )) || return 0; local here="$2.$1"; walk $(( $1 - 1 )) $here; print -r -- ${#here} }
walk 150 root | cksum
print -r -- ${${(s: :)"$(head -500 $2)"}[5]} ${(q)lines[7]}
