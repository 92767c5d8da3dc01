#!/bin/bash
# Every name that libmoat-checked.so checks is called by functions.c.
# names.sh EXPORTS OBJECT...
set -euo pipefail
names=$(sed -n 's/^ *\([a-z_0-9]*\);.*/\1/p' "$1" | sort)
shift
missing=$(comm -23 <(echo "$names") <(nm --undefined-only "$@" | awk '{ print $2 }' | sort -u))
[ -z "$missing" ] || echo "no test calls:" "$missing"
[ -n "$names" ] && [ -z "$missing" ]
