#!/bin/bash
# clang-format would change nothing. With a second argument `fix`, it changes what it would.
# format.sh ROOT [fix]
#
# clang-format takes `class` for C++'s keyword in C files too and spaces it accordingly, so it is shown a word
# of the same length in its place.
set -euo pipefail
cd "$1"
formatted=$(mktemp -d)
trap 'rm -rf "$formatted"' EXIT

mapfile -t files < <(find src include tests tools fuzz bench examples -type f \
    \( -name '*.c' -o -name '*.h' -o -name '*.cc' -o -name '*.hpp' \) 2>/dev/null | sort)
[ ${#files[@]} -gt 0 ] || { echo "no sources found"; exit 1; }
mapfile -t c_files < <(printf '%s\n' "${files[@]}" | grep '\.[ch]$')
cp --parents .clang-format "${files[@]}" "$formatted"
(
    cd "$formatted"
    sed -i 's/\<class\>/kLaSs/g' "${c_files[@]}"
    clang-format -i "${files[@]}"
    sed -i 's/\<kLaSs\>/class/g' "${c_files[@]}"
)

bad=0
for file in "${files[@]}"; do
    cmp -s "$file" "$formatted/$file" && continue
    if [ "${2:-}" = fix ]; then
        cat "$formatted/$file" >"$file"
    else
        diff -u --label "$file" --label "$file, formatted" "$file" "$formatted/$file" | head -40 || true
        bad=1
    fi
done
[ $bad -eq 0 ] || echo "tests/lint/format.sh . fix: formats all of it"
exit $bad
