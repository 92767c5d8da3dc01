#!/bin/bash
# The man pages are good roff, moat(3) has every function that the library exports, moat.conf(5) every option, and
# moat(1) every command.
# man.sh ROOT DIR, which has the pages that the build writes
set -euo pipefail
root=$1 dir=$2 bad=0
for page in "$root/tools/moat.1" "$dir/moat.3" "$dir/moat.conf.5"; do
    said=$(groff -ww -z -man -Tutf8 "$page" 2>&1)
    if [ -n "$said" ]; then
        echo "$said"
        bad=1
    fi
done

# wanted PAGE PATTERN-BEFORE NAME...
wanted()
{
    local page=$1 before=$2 name
    shift 2
    for name; do
        if ! grep -qE "$before$name\b" "$page"; then
            echo "$page does not say $name"
            bad=1
        fi
    done
}
mapfile -t functions < <(sed -n 's/^ *\(moat_[a-z_]*\);$/\1/p' "$root/src/api/exports.map")
mapfile -t options < <(sed -n 's/^OPTION_[A-Z]*(\([a-z_]*\),.*/\1/p' "$root/src/diag/options.def")
mapfile -t commands < <(sed -n 's/^int moat_\([a-z]*\)_main(.*/\1/p' "$root"/tools/*.c)
if [ ${#functions[@]} -lt 10 ] || [ ${#options[@]} -lt 20 ] || [ ${#commands[@]} -lt 3 ]; then
    echo "no names found"
    exit 1
fi
wanted "$dir/moat.3" '\\fB[^(]*' "${functions[@]}"
wanted "$dir/moat.conf.5" '^\.B ' "${options[@]}"
wanted "$root/tools/moat.1" '^\.SS "moat ' "${commands[@]}"
exit $bad
