#!/bin/sh
# Builds the library for musl with Debian's musl-gcc and runs a program with it, linked and static; and every checked
# function, linked, preloaded and static.
# musl.sh CMAKE SOURCE-DIR
set -eu
cmake=$1 source=$2
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

# musl-gcc sees musl's headers only, and Debian has the kernel's among glibc's: they are put aside for it.
mkdir "$dir/kernel"
ln -s /usr/include/linux /usr/include/asm-generic "$dir/kernel"
ln -s "/usr/include/$(gcc -print-multiarch)/asm" "$dir/kernel"

# There is no C++ compiler for musl here, but moat's one C++ file needs no header that knows the libc.
"$cmake" -G Ninja -S "$source" -B "$dir/build" -DCMAKE_C_COMPILER=musl-gcc -DMOAT_TESTS=OFF \
    -DCMAKE_C_FLAGS="-idirafter $dir/kernel" >"$dir/log" 2>&1 ||
    { cat "$dir/log"; exit 1; }
"$cmake" --build "$dir/build" --target moat moat_static moat_checked moat_checked_static >"$dir/log" 2>&1 || { cat "$dir/log"; exit 1; }

if readelf -d "$dir/build/libmoat.so" | grep NEEDED | grep -v '\[libc.so\]'; then
    echo "the musl build needs more than musl"
    exit 1
fi
musl-gcc -O1 -static -I"$source/include" -o "$dir/static" "$source/tests/static/program.c" "$dir/build/libmoat.a"
"$dir/static"
musl-gcc -O1 -I"$source/include" -o "$dir/dynamic" "$source/tests/static/program.c" -L"$dir/build" -lmoat \
    -Wl,-rpath,"$dir/build"
"$dir/dynamic"
sh "$source/tests/static/musl_system.sh" "$dir/build"

checked()
{
    musl-gcc -O0 -fno-builtin -w -D_GNU_SOURCE -idirafter "$dir/kernel" -o "$dir/$1" "$source"/tests/checked/main.c \
        "$source"/tests/checked/functions.c "$source"/tests/checked/sized.c "$2" "$3" "$4"
}
# Linked, static, and preloaded: then what musl has not is at first in a library of functions that do nothing.
sed -n 's/^ *\([a-z_0-9]*\);.*/\1/p' "$source/src/checked/exports.map" | sort >"$dir/names"
interpreter=$(readelf -l "$dir/dynamic" | sed -n 's/.*program interpreter: \(.*\)]$/\1/p') # the same file as musl's libc
nm -D --defined-only "$interpreter" | awk '{ print $3 }' | sort >"$dir/musl"
comm -23 "$dir/names" "$dir/musl" | sed 's/.*/void &(void) {}/' >"$dir/nothing.c"
musl-gcc -w -fno-builtin -shared -fPIC -o "$dir/libnothing.so" "$dir/nothing.c"
checked linked -L"$dir/build" -lmoat-checked -Wl,-rpath,"$dir/build"
checked preloaded -L"$dir" -lnothing -Wl,-rpath,"$dir"
checked fixed -static "-Wl,@$dir/build/libmoat-checked.wrap" "$dir/build/libmoat-checked.a"
for kind in freed huge; do
    "$dir/linked" "$kind"
    "$dir/fixed" "$kind"
    LD_PRELOAD="$dir/build/libmoat-checked.so" "$dir/preloaded" "$kind"
done
cat >"$dir/over.c" <<END
#include <stdlib.h>
#include <string.h>
int main(int argc, char **argv)
{
    return memcpy(malloc(100 + argc), argv[0] - 50, 102) == NULL;
}
END
musl-gcc -O0 -fno-builtin -w -o "$dir/over" "$dir/over.c"
"$dir/over"
if LD_PRELOAD="$dir/build/libmoat-checked.so" "$dir/over" 2>"$dir/log" ||
    ! grep -q "moat: heap-buffer-overflow: memcpy writes 102 bytes" "$dir/log"; then
    echo "preloaded for musl it let an overflow pass"
    cat "$dir/log"
    exit 1
fi
