" Global commands, substitution, sorting, registers, undo and writing in ex mode.
set nomore undolevels=1000 encoding=utf-8
%s/\(\w\+\) \(\w\+\)/\2 \1/
write one.txt
g/shard/move 0
g/slab.*guard/copy $
v/e/delete
write two.txt
sort n
write three.txt
%s/[aeiou]\+/<&>/g
undo
g/^1/normal A end
1,2000join
write four.txt
earlier 3
write five.txt
quit!
