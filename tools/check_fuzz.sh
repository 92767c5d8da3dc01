#!/bin/bash
# A short campaign: `moat fuzz` finds the planted overflow, underflow, read after free and double free of fuzz/examples, and
# `moat triage` tells them apart.
# check_fuzz.sh MOAT ROOT
set -euo pipefail
moat=$1 root=$2
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
fail()
{
    echo "$*"
    tail -40 log 2>/dev/null || true
    exit 1
}

target()
{
    AFL_QUIET=1 afl-clang-fast -g -O1 -fno-builtin '-DONLY="afhi"' "$@" "$root/fuzz/examples/planted.c" >log 2>&1 ||
        fail "the target does not compile"
}
target -o planted
target -DPERSISTENT -o persistent

mkdir corpus
printf 'a\002xyf\002xyh\002xyi\002xy' >corpus/right
AFL_NO_AFFINITY=1 "$moat" fuzz -i corpus -o found -x "$root/fuzz/examples/planted.dict" -V 8 --afl -s --afl 7 \
    -- ./persistent >log 2>&1 || fail "moat fuzz ends by $?"
grep -q "align=natural" found/moat-options || fail "the corpus was not found to do with align=natural"
"$moat" triage found -- ./planted @@ >triaged 2>log
cat triaged
[ "$(wc -l <triaged)" -eq 4 ] || fail "not four bugs"
grep -qE '^double-free in free: free_twice planted\.c:[0-9]+ < parse .*inputs?, found/main/crashes/' triaged ||
    fail "no double free"
grep -qE '^heap-buffer-overflow write: write_past planted\.c:[0-9]+ < parse ' triaged || fail "no overflow"
grep -qE '^heap-use-after-free read: read_freed planted\.c:[0-9]+ < parse ' triaged || fail "no read after free"
grep -qE '^heap-buffer-overflow read: read_before planted\.c:[0-9]+ < parse ' triaged || fail "no read before a chunk"
grep -qE '4 distinct bugs, 0 inputs without a crash$' log || fail "triage counts otherwise"

# A persistent harness with epochs: what it loses is found, in the run that loses it, and told from the rest. No run
# differs from another of the same input.
echo 'fun: main' >deny
AFL_LLVM_DENYLIST=$dir/deny AFL_QUIET=1 afl-clang-fast -g -O1 -fno-builtin -I "$root/include" \
    -o harness "$root/fuzz/examples/harness.c" >log 2>&1 ||
    fail "the harness does not compile"
cc -g -O1 -fno-builtin -I "$root/include" -o once "$root/fuzz/examples/harness.c" || fail "nor without AFL++"
printf 'a b' | ./once || fail "it does not run without moat"
mkdir words
printf 'some !' >words/one
printf 'some words' >words/two
AFL_NO_AFFINITY=1 "$moat" fuzz -i words -o kept -V 3 --option detect_leaks=1 --option leak_exitcode=0 --afl -s --afl 7 \
    -- ./harness >log 2>&1 || fail "moat fuzz ends by $?"
grep -qE "^stability +: 100.00%" kept/main/fuzzer_stats || fail "not every run of the harness was stable"
rm words/one
echo 'bang=" !"' >dict
AFL_NO_AFFINITY=1 "$moat" fuzz -i words -o lost -x dict -V 6 --option detect_leaks=1 --afl -s --afl 7 -- ./harness \
    >log 2>&1 || fail "moat fuzz ends by $?"
"$moat" triage lost -- ./once >triaged 2>log
cat triaged
grep -qE '^memory-leak at the end: add harness\.c:[0-9]+ < parse ' triaged || fail "no leak"

# By the fork server no run differs from another of the same input. (In persistent mode AFL++'s own loop does.)
AFL_NO_AFFINITY=1 "$moat" fuzz -i corpus -o forked -V 3 --afl -s --afl 7 -- ./planted @@ >log 2>&1 ||
    fail "moat fuzz ends by $?"
grep -qE "^stability +: 100.00%" forked/main/fuzzer_stats || fail "not every run was stable"

# A target that must have multiples of 16 is noticed.
cat >aligned.c <<'EOF'
#include <stdlib.h>
int main(void)
{
    char *volatile p = malloc(13);
    if ((size_t)p % 16 != 0)
        abort();
    free(p);
    return 0;
}
EOF
cc -O0 -o aligned aligned.c
PATH=/nowhere "$moat" fuzz -i corpus -o other -- ./aligned >log 2>&1 && fail "without afl-fuzz it succeeded"
grep -q 'multiples of 16' log || fail "a target that needs alignment was not noticed"
if grep -q 'align=' other/moat-options; then fail "and was given another"; fi
grep -q 'install AFL++' log || fail "a missing afl-fuzz was not named"

# Without moat's report the signal is the kind; what does not crash is counted.
printf 'int main(void)\n{\n    __builtin_trap();\n}\n' >trap.c
cc -O0 -o trap trap.c
"$moat" triage corpus -- ./trap >triaged 2>log
[ "$(cat triaged)" = "SIGILL without a report: no stack (1 input, corpus/right)" ] || fail "a trap: $(cat triaged)"
"$moat" triage corpus -- true >triaged 2>log
if [ -s triaged ]; then fail "what does not crash: $(cat triaged)"; fi
grep -q '1 inputs, 0 distinct bugs, 1 inputs without a crash' log || fail "what does not crash is not counted"
if "$moat" triage nowhere -- true >log 2>&1; then fail "a folder that is not there"; fi
if "$moat" fuzz >log 2>&1; then fail "no target"; fi
if "$moat" fuzz --option nonsense=1 -- true >log 2>&1; then fail "an unknown option"; fi
