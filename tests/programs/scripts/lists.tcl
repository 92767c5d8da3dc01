# Lists, dictionaries, strings, regular expressions, coroutines, interpreters and exceptions.
set seed 12345
proc draw {n} { global seed; set seed [expr {($seed * 1103515245 + 12345) & 0x7fffffff}]; expr {($seed >> 8) % $n} }
set rows {}
for {set i 0} {$i < 30000} {incr i} { lappend rows [list $i n[draw 4000] [string repeat x [draw 60]]] }
set sorted [lsort -integer -index 0 [lsort -index 1 $rows]]
puts [lindex $sorted 77]
set by {}
foreach row $rows { dict lappend by [lindex $row 1] [lindex $row 0] }
puts "[dict size $by] [llength [dict get $by n17]]"
set text ""
dict for {k v} $by { append text "$k=[join $v +]," }
puts "[string length $text] [regexp -all {n1\d+=} $text] [string length [regsub -all {(\d+)\+(\d+)} $text {\2-\1}]]"
proc numbers {n} { yield; for {set i 0} {$i < $n} {incr i} { yield $i }; return -1 }
for {set k 0} {$k < 300} {incr k} { coroutine c$k numbers 20 }
set sum 0
for {set i 0} {$i < 20} {incr i} { for {set k 0} {$k < 300} {incr k} { incr sum [c$k] } }
puts $sum
for {set i 0} {$i < 30} {incr i} {
    set inner [interp create]
    $inner eval { proc f {x} { if {$x > 50} { error "deep" }; f [incr x] } }
    if {[catch { $inner eval { f 0 } } message]} { append seen $message }
    interp delete $inner
}
puts [string length $seen]
set packed [zlib compress $text 9]
puts [expr {[zlib decompress $packed] eq $text}]
puts [expr {2 ** 3000 % 1000000007}]
puts [string length [encoding convertto unicode [string map {a ä n ñ} $text]]]
