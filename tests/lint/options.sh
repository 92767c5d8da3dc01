#!/bin/bash
# docs/OPTIONS.md is what `moat options --markdown` writes.
# options.sh ROOT COMMAND
set -euo pipefail
if ! "$2" options --markdown | diff -u "$1/docs/OPTIONS.md" -; then
    echo "docs/OPTIONS.md is out of date: moat options --markdown >docs/OPTIONS.md"
    exit 1
fi
