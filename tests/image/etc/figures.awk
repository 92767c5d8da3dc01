# What all processes take, in KiB: awk -f figures.awk /proc/[0-9]*/smaps_rollup /proc/[0-9]*/status /proc/meminfo
/^Pss:/ { pss += $2 }
/^Anonymous:/ { anonymous += $2 }
/^VmPTE:/ { tables += $2; processes++ }
/^(MemTotal|MemFree|MemAvailable|AnonPages|PageTables|Slab|KernelStack|Committed_AS|CommitLimit):/ { print "meminfo", $1, $2 }
END { print "sum processes:", processes; print "sum pss:", pss; print "sum anonymous:", anonymous; print "sum tables:", tables }
