#!/bin/bash
# No bare TODO, FIXME or XXX: what is left to do is in the issues, so the word must come with one: TODO(#12).
# words.sh ROOT
set -euo pipefail
cd "$1"
dirs=()
for dir in src include tests tools fuzz bench examples bindings packaging scripts cmake docs; do
    [ -d "$dir" ] && dirs+=("$dir")
done
if grep -rnwE '(TODO|FIXME|XXX)' "${dirs[@]}" --include='*' | grep -vE '(TODO|FIXME|XXX)\(#[0-9]+\)' |
    grep -v '^tests/lint/'; then
    exit 1
fi
