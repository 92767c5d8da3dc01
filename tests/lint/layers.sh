#!/bin/bash
# A file of src/ includes only its own layer and those above it in the table of src/README.md.
# layers.sh ROOT
set -euo pipefail
cd "$1/src"

# The first column of the table, in its order: `base/`, `os/`, ...
# shellcheck disable=SC2016 # the backquotes are markdown's
mapfile -t layers < <(sed -n 's/^| `\([a-z]*\)\/` |.*/\1/p' README.md)
[ ${#layers[@]} -ge 2 ] || { echo "src/README.md has no table of layers"; exit 1; }
declare -A rank
for i in "${!layers[@]}"; do
    rank[${layers[i]}]=$i
done

bad=0
for dir in */; do
    dir=${dir%/}
    if [ -z "${rank[$dir]:-}" ]; then
        echo "src/$dir is not in the table of src/README.md"
        bad=1
    fi
done
while IFS=: read -r file line text; do
    from=${file%%/*}
    # "diag/report.h" names its layer, "private.h" is the file's own.
    [[ $text =~ ^[^\"]*\"([^\"/]*)/[^\"]*\" ]] || continue
    to=${BASH_REMATCH[1]}
    [ "$to" = moat ] && continue
    if [ -z "${rank[$to]:-}" ]; then
        echo "src/$file:$line: includes $to/, which is no layer"
        bad=1
    elif [ "${rank[$to]}" -gt "${rank[${from}]:-0}" ]; then
        echo "src/$file:$line: $from/ includes $to/, a layer above it"
        bad=1
    fi
done < <(grep -rnE '^[[:space:]]*#[[:space:]]*include[[:space:]]*"' --include='*.[ch]' --include='*.cc' --include='*.def' .  |
    sed 's/^\.\///')
exit $bad
