#!/bin/bash
# Source files have at most 500 lines, those of C and C++ at most 120 columns.
# length.sh ROOT
set -euo pipefail
cd "$1"
mapfile -t files < <(find src include tests tools fuzz bench examples bindings scripts cmake CMakeLists.txt -type f \
    \( -name '*.c' -o -name '*.h' -o -name '*.cc' -o -name '*.hpp' -o -name '*.py' -o -name '*.sh' -o -name '*.cmake' \
    -o -name CMakeLists.txt -o -path 'scripts/*' \) 2>/dev/null)
[ ${#files[@]} -gt 0 ] || { echo "no sources found"; exit 1; }
LC_ALL=C.UTF-8 awk '
    FNR == 501 { print FILENAME ": more than 500 lines"; bad = 1 }
    length > 120 && FILENAME ~ /\.(c|h|cc|hpp)$/ { print FILENAME ":" FNR ": " length " columns, at most 120"; bad = 1 }
    END { exit bad }' "${files[@]}"
