#!/bin/sh
# Installs into an empty prefix and uses what is there: pkg-config, the CMake package, the man page, the command.
# install.sh CMAKE BUILD-DIR SOURCE-DIR COMPILER
set -eu
cmake=$1 build=$2 here=$3 compiler=$4
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
"$cmake" --install "$build" --prefix "$dir/usr" >"$dir/log"

lib=$(dirname "$(find "$dir/usr" -name libmoat.a)")
for file in include/moat/moat.h bin/moat share/man/man1/moat.1; do
    if [ ! -e "$dir/usr/$file" ]; then
        echo "not installed: $file"
        exit 1
    fi
done
for file in libmoat.so libmoat.so.0 libmoat-checked.so.0 libmoat.a libmoat-checked.a libmoat-checked.wrap pkgconfig/moat.pc cmake/moat/moat-config.cmake; do
    if [ ! -e "$lib/$file" ]; then
        echo "not installed: $file"
        exit 1
    fi
done

# The prefix of the .pc file is the configured one: pkg-config is told where it is now.
PKG_CONFIG_PATH="$lib/pkgconfig"
export PKG_CONFIG_PATH
flags=$(pkg-config --define-variable=prefix="$dir/usr" --define-variable=libdir="$lib" \
    --define-variable=includedir="$dir/usr/include" --cflags --libs moat)
# shellcheck disable=SC2086 # the flags are words
"$compiler" -o "$dir/by-pkg-config" "$here/program.c" $flags -Wl,-rpath,"$lib"
"$dir/by-pkg-config"

mkdir "$dir/use"
cat >"$dir/use/CMakeLists.txt" <<END
cmake_minimum_required(VERSION 3.25)
project(use LANGUAGES C)
find_package(moat REQUIRED)
add_executable(shared $here/program.c)
target_link_libraries(shared PRIVATE moat::moat)
add_executable(static $here/program.c)
target_link_libraries(static PRIVATE moat::static)
target_link_options(static PRIVATE -static)
END
"$cmake" -G Ninja -S "$dir/use" -B "$dir/use/build" -DCMAKE_PREFIX_PATH="$dir/usr" -DCMAKE_C_COMPILER="$compiler" \
    >"$dir/log" 2>&1 || { cat "$dir/log"; exit 1; }
"$cmake" --build "$dir/use/build" >"$dir/log" 2>&1 || { cat "$dir/log"; exit 1; }
"$dir/use/build/shared"
"$dir/use/build/static"
echo '#include <stddef.h>' >"$dir/header.c"
echo '#include <moat/moat.h>' >>"$dir/header.c"
"$compiler" -std=c99 -pedantic-errors -Wall -Werror -fsyntax-only -I"$dir/usr/include" "$dir/header.c"
"$dir/usr/bin/moat" run -- true
"$dir/usr/bin/moat" run --checked -- true
"$compiler" -static -o "$dir/checked" "$here/program.c" -I"$dir/usr/include" -L"$lib" -Wl,@"$lib/libmoat-checked.wrap" \
    -lmoat-checked
"$dir/checked"
