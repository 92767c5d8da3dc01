#!/bin/bash
# Every lint fails on what it is there for, and passes on its repaired twin.
# self.sh ROOT COMPILER LIBRARY
set -euo pipefail
lint=$1/tests/lint compiler=$2 library=$3
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
mkdir -p src/base src/os src/api tests docs scripts
cp "$1/.clang-format" .
cp "$1/src/README.md" src/
cp "$1/src/api/exports.map" src/api/
printf 'int a;\n' >src/base/a.c
printf '#!/bin/sh\ntrue\n' >scripts/good
chmod +x scripts/good

bad=0
# expect pass|fail WHAT LINT ARGS...
expect()
{
    local want=$1 what=$2 got=pass
    shift 2
    "$lint/$1.sh" "$dir" "${@:2}" >log 2>&1 || got=fail
    if [ $got != "$want" ]; then
        echo "$1: $what: wanted $want, got $got"
        cat log
        bad=1
    fi
    rm -f log
}

expect pass "nothing wrong" layers
printf '#include "os/os.h"\n' >src/base/b.h
expect fail "base includes os" layers
mv src/base/b.h src/os/b.h
expect pass "os includes os" layers
mkdir src/new
expect fail "a folder that is not in the table" layers
rmdir src/new

expect pass "nothing wrong" words
printf '/* %s later */\n' TODO >src/base/b.c
expect fail "a bare word" words
printf '/* %s(#12) later */\n' TODO >src/base/b.c
expect pass "one with an issue" words

expect pass "nothing wrong" length
seq 501 | sed 's/.*/int a&;/' >src/base/b.c
expect fail "501 lines" length
printf '/* %0120d */\n' 1 >src/base/b.c
expect fail "a long line" length
rm src/base/b.c

expect pass "nothing wrong" format
printf 'int  a ;\n' >src/base/b.c
expect fail "spaces" format
rm src/base/b.c

expect pass "nothing wrong" scripts
# shellcheck disable=SC2016 # the script under test expands it
printf '#!/bin/sh\nrm $1\n' >scripts/bad
expect fail "not executable, and no quotes" scripts
chmod +x scripts/bad
expect fail "no quotes" scripts
printf '#!/bin/sh\nif\n' >scripts/bad
expect fail "no syntax" scripts
rm scripts/bad

mkdir -p tests/attack
cp "$1"/tests/attack/{catalogue,measure,mutations}.py tests/attack/
mv src some_of_src
cp -r "$1/hardening.md" "$1/src" .
expect pass "the table as it is" attacks
sed -i '/^| P4 | .underflow_gap./d' hardening.md
expect fail "an attack without a row" attacks
cp "$1/hardening.md" .
sed -i 's/payload_clear(p, end);/payload_clear(p, p);/' src/front/hot.h
expect fail "a mutation that fits nothing" attacks
rm -r tests/attack hardening.md src
mv some_of_src src

cp -r "$1/packaging" "$1/include" "$1/LICENSE" .
touch CMakeLists.txt
expect pass "the packages as they are" packaging
echo 'PKG_VERSION:=0.0.7' >>packaging/openwrt/moat/Makefile
expect fail "a version of its own" packaging
sed -i '$d' packaging/openwrt/moat/Makefile
echo '# @MOAT_UNKNOWN@' >>packaging/openwrt/moat/Makefile
expect fail "what packaging/dist does not know" packaging
rm -r packaging include LICENSE CMakeLists.txt

expect pass "the library" exports "$library"
cp src/api/exports.map map
sed -i '/^    malloc;/d' src/api/exports.map
expect fail "exported, not listed" exports "$library"
sed 's/^    malloc;/&\n    moat_missing;/' map >src/api/exports.map
expect fail "listed, not exported" exports "$library"

expect pass "the library" binary "$library"
make_library()
{
    printf '%s\n' "$1" >bad.c
    shift
    "$compiler" -shared -fPIC -O1 -Wl,-soname,libmoat.so.0 -o bad.so bad.c "$@"
    rm bad.c
}
# shellcheck disable=SC2054 # the commas are the linker's
good=(-Wl,-z,now -Wl,-z,relro)
if [ "$(uname -m)" = x86_64 ]; then
    make_library 'int a;' "${good[@]}"
    expect fail "no .text.rare" binary bad.so
    echo 'int f1(int a) { return a; }' | "$compiler" -x c -c -fPIC -o src/os/code.c.o - # of .text.rare
    good+=("-Wl,-T,$1/cmake/order.ld" src/os/code.c.o)
fi
make_library 'int a;' "${good[@]}"
expect pass "an empty library" binary bad.so
make_library 'int a;' -Wl,-z,lazy
expect fail "no -z now" binary bad.so
make_library 'int a;' "${good[@]}" -Wl,-z,execstack
expect fail "an executable stack" binary bad.so
make_library 'char *strdup(const char *); char *f(const char *s) { return strdup(s); }' "${good[@]}"
expect fail "calls strdup" binary bad.so
make_library 'static __thread int v; int *f(void) { return &v; }' "${good[@]}"
expect fail "dynamic TLS" binary bad.so
make_library 'static __thread char v[300]; char *f(void) { return v; }' "${good[@]}" -ftls-model=initial-exec
expect fail "much TLS" binary bad.so
make_library 'double sin(double); double f(double x) { return sin(x); }' "${good[@]}" -lm
expect fail "needs libm" binary bad.so
make_library 'const char a[200000] = { 1 };' "${good[@]}"
expect fail "too large" binary bad.so
if [ "$(uname -m)" = x86_64 ]; then
    make_library '__asm__(".text\n.skip 65536");' "${good[@]}"
    expect fail "much code before .text.rare" binary bad.so
    make_library '__asm__(".text\n.skip 60000");' "${good[@]}"
    expect pass "less of it" binary bad.so
    rm src/os/code.c.o
fi

printf 'the page\n' >docs/OPTIONS.md
printf '#!/bin/sh\necho the page\n' >moat
chmod +x moat
expect pass "the same" options "$dir/moat"
printf '#!/bin/sh\necho another page\n' >moat
expect fail "another" options "$dir/moat"

mkdir -p tools src/diag man
cp "$1/src/api/exports.map" src/api/
cp "$1"/tools/moat*.[c1] tools/
cp "$1/src/diag/options.def" src/diag/
"$1/scripts/man" conf "$1/docs/OPTIONS.md" >man/moat.conf.5
"$1/scripts/man" api "$1/include/moat/moat.h" >man/moat.3
expect pass "the pages" man "$dir/man"
sed 's/moat_purge/moat_purged/' "$1/include/moat/moat.h" >moat.h
"$1/scripts/man" api moat.h >man/moat.3
expect fail "a function is not told of" man "$dir/man"
"$1/scripts/man" api "$1/include/moat/moat.h" >man/moat.3
echo '.NOSUCH' >>tools/moat.1
expect fail "bad roff" man "$dir/man"
exit $bad
