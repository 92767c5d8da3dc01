#!/bin/sh
# A musl system whose malloc is moat, as docs/EMBEDDED.md says: programs are built by plain musl-gcc, with no word of moat.
# musl_system.sh BUILD: of moat, for musl. It works on a copy of musl's folder.
set -eu
build=$1
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

specs=$(sed -n 's/.*-specs "\(.*\)"$/\1/p' "$(command -v musl-gcc)")
musl=$(dirname "$specs")
cp -r "$musl" "$dir/lib"
sed "s|-L$musl|-L$dir/lib|; s|$musl/\([A-Za-z]*crt[0-9in]\.o\)|$dir/lib/\1|g" "$specs" >"$dir/specs"
compile() # SOURCE WORD...
{
    gcc -O0 -fno-builtin -w -o "$dir/program" "$@" -specs "$dir/specs"
}

# From here on as in docs/EMBEDDED.md, with $dir/lib for musl's folder. Static programs:
cp "$build/libmoat.a" "$dir/lib"
mv "$dir/lib/libc.a" "$dir/lib/libmusl.a"
echo "EXTERN(malloc) GROUP(libmoat.a libmusl.a)" >"$dir/lib/libc.a"

# Dynamic ones:
cp "$build/libmoat.so.0" "$dir/lib"
ln -s libmoat.so.0 "$dir/lib/libmoat.so"
printf '\n*lib:\n--push-state --no-as-needed -lmoat --pop-state -lc\n' | sed -i '1r /dev/stdin' "$dir/specs"

cat >"$dir/twice.c" <<END
#include <stdlib.h>
int main(int argc, char **argv)
{
    char *p = malloc(40);
    free(p);
    if (argc > 1)
        free(p);
    return 0;
}
END
# It names no routine that allocates: getline does.
cat >"$dir/other.c" <<END
#include <stdio.h>
void free(void *);
int main(int argc, char **argv)
{
    FILE *f = fopen(argv[0], "r");
    char *line = NULL;
    size_t n = 0;
    if (f == NULL || getline(&line, &n, f) < 1 || fclose(f) != 0)
        return 1;
    free(line);
    if (argc > 1)
        free(line);
    return 0;
}
END

fail()
{
    echo "$*"
    [ ! -e "$dir/said" ] || cat "$dir/said"
    exit 1
}

try() # TEXT: the program's ends are right, and with a second free it ends by a report
{
    "$dir/program" || fail "$1: failed"
    if "$dir/program" again 2>"$dir/said"; then fail "$1: a double free passed"; fi
    grep -q "moat: double-free: " "$dir/said" || fail "$1: a double free was not reported"
}

for name in twice other; do
    compile -static "$dir/$name.c" "-Wl,-Map=$dir/map"
    nm "$dir/program" >"$dir/symbols"
    for routine in malloc calloc realloc free memalign aligned_alloc posix_memalign malloc_usable_size mo_report_last; do
        count=$(grep -c " [TWDB] $routine\$" "$dir/symbols" || true)
        [ "$count" -eq 1 ] || fail "$name: $count definitions of $routine, want 1"
    done
    if grep -E 'libmusl\.a\((|lite_|libc_)(malloc|calloc|realloc|free|aligned_alloc|memalign|malloc_usable_size)\.lo\)' \
        "$dir/map"; then fail "$name: musl's malloc was linked in"; fi
    try "static $name"
done
compile "$dir/twice.c"
readelf -d "$dir/program" | grep -q 'NEEDED.*\[libmoat\.so\.0\]' || fail "libmoat.so.0 is not needed"
export LD_LIBRARY_PATH="$dir/lib"
try "dynamic twice"
