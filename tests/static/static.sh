#!/bin/sh
# Links a program statically with libmoat.a, looks where its allocation routines come from, and runs it.
# static.sh COMPILER SOURCE LIBRARY INCLUDE
set -eu
compiler=$1 source=$2 library=$3 include=$4
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

if [ "$(ar t "$library" | wc -l)" -ne 1 ]; then
    echo "libmoat.a has more than one member"
    exit 1
fi
standard=-std=gnu11
case $source in *.cc) standard=-std=gnu++17 ;; esac # clang's default knows no aligned new
"$compiler" "$standard" -O1 -fno-builtin-malloc -static -Wl,-Map="$dir/map" -I"$include" -o "$dir/program" "$source" "$library"

# In the map's list of members taken, libc's and libstdc++'s own allocators must not appear.
if sed '/^Memory Configuration/,$d' "$dir/map" | grep -E '\((malloc|new_op[a-z]*|del_op[a-z]*)\.o\)'; then
    echo "libc's or libstdc++'s allocator was linked in"
    exit 1
fi

nm "$dir/program" >"$dir/symbols"
missing=0
for name in malloc calloc realloc free memalign aligned_alloc posix_memalign malloc_usable_size _Znwm _ZdlPv; do
    count=$(grep -c " [TW] $name\$" "$dir/symbols" || true)
    if [ "$count" -ne 1 ]; then
        echo "$name: $count definitions in the static program, want 1"
        missing=1
    fi
done
if grep -E ' [tTdDbB] (_int_malloc|_int_free|main_arena)$' "$dir/symbols"; then
    echo "glibc's heap is in the static program"
    missing=1
fi
# mo_report_last is for debuggers.
if grep -E ' [TDBW] (mo_|sodium_|crypto_|randombytes)' "$dir/symbols" | grep -v ' mo_report_last$'; then
    echo "internal symbols are global in libmoat.a"
    missing=1
fi
[ $missing -eq 0 ]
"$dir/program"
