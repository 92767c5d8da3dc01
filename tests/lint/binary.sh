#!/bin/bash
# What libmoat.so is as a binary: small, needing libc only, calling nothing that allocates, all of it read-only after
# start, thread-local storage by the initial-exec model.
# binary.sh ROOT LIBRARY [NAME KIB]; NAME and KIB: of another library than libmoat.so, with more text
set -euo pipefail
library=$2 own=${3:-libmoat.so} kib=${4:-160}
bad=0
complain()
{
    echo "$own: $*"
    bad=1
}

limit=$((kib * 1024))
stripped=$(mktemp)
trap 'rm -f "$stripped"' EXIT
strip -o "$stripped" "$library"
text=$(size "$stripped" | awk 'NR == 2 { print $1 }')
[ "$text" -le $limit ] || complain "$text bytes of text, at most $limit"

dynamic=$(readelf -dW "$library")
while IFS= read -r needed; do
    case $needed in
    libc.so.* | libc.so | libc.musl-*.so.* | ld-linux*.so.* | ld-musl-*.so.*) ;;
    *) complain "needs $needed, wants libc only" ;;
    esac
done < <(sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' <<<"$dynamic")
grep -qF "soname: [$own.0]" <<<"$dynamic" || complain "its soname is not $own.0"
grep -q 'BIND_NOW' <<<"$dynamic" || complain "not linked with -z now"
if grep -q 'TEXTREL' <<<"$dynamic"; then complain "has text relocations"; fi
if grep -qE '\((RPATH|RUNPATH)\)' <<<"$dynamic"; then complain "has an rpath"; fi
segments=$(readelf -lW "$library")
grep -q 'GNU_RELRO' <<<"$segments" || complain "not linked with -z relro"
if grep 'GNU_STACK' <<<"$segments" | grep -q 'E'; then
    if grep 'GNU_STACK' <<<"$segments" | grep -qE ' RWE '; then complain "asks for an executable stack"; fi
fi
# On x86-64 what starts and the hot path run lies in the first 64 KiB of the code, before .text.rare: see cmake/order.ld.
if [ "$own" = libmoat.so ] && readelf -h "$library" | grep -q 'X86-64'; then
    first=$(awk '$1 == "LOAD" && /R E/ { print $3; exit }' <<<"$segments")
    rare=$(readelf -SW "$library" | sed -n 's/.* \.text\.rare *PROGBITS *\([0-9a-f]*\) .*/0x\1/p')
    if [ -z "$rare" ]; then
        complain "no .text.rare"
    elif [ $((rare - first)) -gt 65536 ]; then
        complain "$((rare - first)) bytes of code before .text.rare, at most 65536"
    fi
fi

# A little static TLS only: a library that is loaded late shares 1,664 bytes of it with all others.
tls=$(($(awk '$1 == "TLS" { size = $6 } END { print size ? size : 0 }' <<<"$segments"))) # 0x...: awk may not know hex
[ "$tls" -le 256 ] || complain "$tls bytes of thread-local storage, at most 256"

# pthread_setspecific is not in the list: it is the one hook for a thread's end, and it allocates only for a process's
# 33rd key and later ones, which its caller expects.
# Each would come back to malloc, or may. What has to be used beyond that is named in `allowed`, with the reason.
allocates='malloc|calloc|realloc|free|reallocarray|memalign|aligned_alloc|posix_memalign|valloc|strdup|strndup|asprintf|vasprintf'
allocates+='|v?f?printf|v?dprintf|__[a-z]*printf_chk|perror|puts|fopen.*|fdopen.*|freopen.*|open_memstream|getline|getdelim'
allocates+='|dlopen|dlsym|dlvsym|dladdr|dl_iterate_phdr|atexit|__cxa_atexit|pthread_create'
allocates+='|setenv|putenv|unsetenv|qsort|opendir|scandir|getaddrinfo|syslog|backtrace.*|regcomp|setlocale|__tls_get_addr'
allocates+='|__assert_fail|__errno_location_r|fputs|fwrite|fputc|putc'
declare -A allowed=(
    [pthread_create]="option stats=/PATH:SECONDS starts its thread before main and in forked children, outside of malloc"
    [fprintf]="malloc_info writes to the stream of its caller"
    [fputs]="malloc_info writes to the stream of its caller"
    [fputc]="gcc makes it of malloc_info's fprintf"
    [putc]="gcc makes it of malloc_info's fprintf"
    [fwrite]="gcc makes it of malloc_info's fprintf"
    [dlopen]="operator new, about to throw, looks for a C++ runtime that came later"
    [dlsym]="operator new, about to throw, looks for a C++ runtime that came later"
)
while IFS= read -r name; do
    if grep -qxE "$allocates" <<<"$name" && [ -z "${allowed[$name]:-}" ]; then
        complain "calls $name, which may allocate"
    fi
done < <(nm -D --undefined-only "$library" | awk '{ sub(/@.*/, "", $NF); print $NF }' | sort -u)
exit $bad
