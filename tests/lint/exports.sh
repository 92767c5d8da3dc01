#!/bin/bash
# libmoat.so exports what src/api/exports.map lists: nothing more, and all that is meant for this word size.
# exports.sh ROOT LIBRARY [LIST]...; libmoat-checked.so exports those of a second list, too, libmoat-fuzz.so of a third
set -euo pipefail
root=$1 library=$2
lists=("$root/src/api/exports.map" "${@:3}")
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

nm -D --defined-only "$library" | awk '{ print $NF }' | sort -u >"$dir/exported"
names='s/^ *\([A-Za-z_0-9]*\);.*/\1/p'
sed -n "$names" "${lists[@]}" | sort -u >"$dir/listed"
if [ "$(readelf -h "$library" | grep -c ELF64)" -eq 1 ]; then
    sed '/32-bit/d' "${lists[@]}" | sed -n "$names" | sort -u >"$dir/wanted"
else
    sed '/^    _Zn[wa]m/d; /^    _Zd[la]Pvm/d' "${lists[@]}" | sed -n "$names" | sort -u >"$dir/wanted"
fi

bad=0
while IFS= read -r name; do
    echo "exported, but not in src/api/exports.map: $name"
    bad=1
done < <(comm -23 "$dir/exported" "$dir/listed")
while IFS= read -r name; do
    echo "in src/api/exports.map, but not exported: $name"
    bad=1
done < <(comm -13 "$dir/exported" "$dir/wanted")
exit $bad
