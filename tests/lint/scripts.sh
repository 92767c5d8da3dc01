#!/bin/bash
# Shell scripts are executable, parse, and shellcheck has nothing to say.
# scripts.sh ROOT
set -euo pipefail
cd "$1"
bad=0
scripts=()
while IFS= read -r file; do
    case $(head -c 64 "$file" | head -n 1 | tr -d '\0') in
    '#!/bin/sh'*) sh -n "$file" || bad=1 ;;
    '#!/bin/bash'* | '#!/usr/bin/env bash'*) bash -n "$file" || bad=1 ;;
    *) continue ;;
    esac
    scripts+=("$file")
    if [ ! -x "$file" ]; then
        echo "$file is not executable"
        bad=1
    fi
done < <(find scripts tests tools fuzz bench packaging .ci -type f ! -name '*.[ch]' ! -name '*.cc' -size -200k 2>/dev/null)
[ ${#scripts[@]} -gt 0 ] || { echo "no scripts found"; exit 1; }
shellcheck "${scripts[@]}" || bad=1
exit $bad
