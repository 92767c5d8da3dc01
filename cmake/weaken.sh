#!/bin/sh
# Compiles, then makes the C++ personality routine weak in the object: weaken.sh OBJCOPY COMPILER ARGUMENT...
set -eu
objcopy=$1
shift
"$@"
while [ $# -gt 1 ]; do
    [ "$1" != -o ] || "$objcopy" --weaken-symbol=__gxx_personality_v0 "$2"
    shift
done
