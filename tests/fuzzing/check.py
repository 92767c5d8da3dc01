#!/usr/bin/env python3
"""libmoat-fuzz.so: leaks, epochs, fill, places that allocate much, replay. check.py TEST PROGRAM PLAIN-LIBRARY"""
import json
import os
import re
import subprocess
import sys

test, program, plain = sys.argv[1:4]


def run(case, options, library=None, **more):
    env = {k: v for k, v in os.environ.items() if not k.startswith(("MOAT_", "LD_PRELOAD", "__AFL"))}
    env.update(more, MOAT_OPTIONS=options)
    if library:
        env["LD_PRELOAD"] = library
    p = subprocess.run([program, case], env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    return p.returncode, p.stdout, p.stderr


def expect(what, *shown):
    if not what:
        sys.exit("\n".join(str(s) for s in shown))


def wants(case, options, status, pattern="", **more):
    got = run(case, options, **more)
    expect(got[0] == status and re.search(pattern, got[2]) and (pattern or not got[2]), case, options, *got)
    return got


def test_leaks():
    for options in ("", "sample_rate=0", "seed=3 align=natural", "guards=mprotect", "profile=strict"):
        stack = options in ("", "seed=3 align=natural", "guards=mprotect")
        wants("leak-none", f"detect_leaks=1 {options}", 0)
        for case, amount in (("small", "3 chunks of 72 bytes in all"), ("large", "1 chunk of 300000 bytes"),
                             ("zero", "1 chunk of 0 bytes"), ("chain", "3 chunks of 144 bytes"),
                             ("ring", "2 chunks of 96 bytes")):
            out = wants(f"leak-{case}", f"detect_leaks=1 {options}", 23,
                        rf"^==\d+== moat: memory-leak: nothing points to {amount}.* at the end of the process\n")
            expect(out[1] == "printed\n", "stdio was not written", out)
            expect(("#0 0x" in out[2]) == (stack and case != "large"), case, options, out[2])
            expect(out[2].count("reached from chunks") == {"chain": 1 + stack, "ring": 1}.get(case, 0), case, out[2])
    wants("leak-small", "", 0)  # not asked for
    wants("leak-small", "detect_leaks=1 leak_exitcode=0", 0, "moat: going on\n$")
    wants("leak-small", "detect_leaks=1 leak_exitcode=7", 7, "moat: exiting\n$")


def test_forms():
    out = wants("leak-chain", "detect_leaks=1 report=asan", 23, r"==\d+==ERROR: LeakSanitizer: detected memory leaks\n")
    expect(re.search(r"Direct leak of 48 byte\(s\) in 1 object\(s\) allocated from:\n    #0 0x", out[2]), out[2])
    expect(out[2].count("Indirect leak of 48") == 2, out[2])
    expect(re.search(r"SUMMARY: AddressSanitizer: 144 byte\(s\) leaked in 3 allocation\(s\).\n$", out[2]), out[2])
    leak = json.loads(wants("leak-chain", "detect_leaks=1 report=json", 23, "^{")[2])
    expect(leak["bug"] == "memory-leak" and leak["bytes"] == 144 and leak["count"] == 3, leak)
    expect([x["indirect"] for x in leak["leaks"]] == [False, True, True], leak)
    expect(all(f["module"] for x in leak["leaks"] for f in x["allocated"]["frames"]), leak)


def test_epochs():
    # with the leaks reported and gone on from; in an epoch without a look for leaks those are not counted
    got = run("epochs", "detect_leaks=1 leak_exitcode=0")
    expect(got[0] == 0 and got[2].count("at the end of the epoch") == 3, *got)
    expect(run("epochs", "")[0] == 3, "leaks are counted that nobody looked for")
    wants("epochs", "detect_leaks=1", 23, "1 chunk of 50 bytes at the end of the epoch")
    wants("late-write", "sample_rate=0", -6, "heap-use-after-free")


def test_threads():
    wants("churned", "detect_leaks=1", 0)
    for options in ("", "sample_rate=0"):
        wants("two-search", f"detect_leaks=1 {options}", 0)
    wants("stacks", "detect_leaks=1", 0)
    wants("signals", "detect_leaks=1", 0)
    wants("deaf", "detect_leaks=1", 23, "1 chunk of 50 bytes.* at the end of the process")


def test_places():
    wants("read-only", "detect_leaks=1", 0)
    wants("many-guards", "detect_leaks=1", 0)
    for case in ("held-file", "closed-stderr"):
        out = wants(case, "detect_leaks=1", 23, "3 chunks of 72 bytes in all")
        expect(out[1] == "printed\n", "stdio was not written", out)
    wants("renewed", "detect_leaks=1 leak_exitcode=0", 0, "1 chunk of 10485760 bytes.* at the end of the epoch")


def test_options():
    wants("filled", "max_malloc_fill_size=80 malloc_fill_byte=0x5a", 0)
    expect(run("filled", "")[0] == 1, "filled without the option")
    wants("hot", "sample_hot=4", 0)
    expect(run("hot", "")[1] == "4 640 4\n", "places pass without the option")
    expect(run("hot", "", __AFL_PERSISTENT="1")[1] == "4 34 4\n", "AFL++'s variable counts for nothing")
    expect(run("hot", "sample_hot=0", __AFL_PERSISTENT="1")[1] == "4 640 4\n", "MOAT_OPTIONS does not win")
    for value, report in ((0, ""), (1, "heap-buffer-overflow"), (2, "heap-buffer-overflow")):  # as asan's numbers
        wants("hot-read", f"handle_segv={value} sample_left=0", -11, report)
    line = "moat: detect_leaks, fill, sample_hot and sample_forked need libmoat-fuzz.so\n"
    for option in ("detect_leaks=1", "max_malloc_fill_size=1", "max_free_fill_size=1", "sample_hot=1", "sample_forked=1"):
        p = subprocess.run(["true"], env={"LD_PRELOAD": plain, "MOAT_OPTIONS": option}, capture_output=True, text=True,
                           check=True)
        expect(p.stderr == line, option, p.stderr)


def test_hot():
    for more in ("", " guards=mprotect align=natural malloc_context_size=0"):
        options = "sample_hot=4 seed=7" + more
        wants("hot-read", options + " sample_left=0", -11, "heap-buffer-overflow: a read at")
        wants("hot-write", options + " sample_left=0", -6, "heap-buffer-overflow: free found a changed header before")
        wants("hot-write", options + " sample_left=100", -11, "heap-buffer-overflow: a write at")
        wants("hot-twice", options, -6, "double-free: free")
        for case, finder in (("reused", "malloc"), ("epoch", "epoch"), ("exit", "exit")):
            wants(f"hot-{case}", options, -6, f"heap-use-after-free: {finder} found")
        wants("hot-many", options, 0)
        # without the option each is met at the access
        for case in ("reused", "epoch", "exit"):
            wants(f"hot-{case}", "seed=7" + more, -11, "heap-use-after-free: a read at")


def test_forks():
    # By 64 children: near, that is, against the guard before it, each chunk lies in one of four; what is freed is closed
    # in the first and the ninth, and always where few of them allocate.
    # but for a few chunks that the C library has
    for options, many in (("sample_forked=4 sample_left=0", 17384), ("sample_left=0", 32384)):
        before, own = map(int, run("before-forks", options)[1].split())
        expect(abs(before - many) <= 64 and own == 1000, "before the first child", options, before, own)
    out = run("forks", "seed=5 sample_forked=4 max_free_fill_size=30 free_fill_byte=7")[1]
    lines = [[int(n) for n in line.split()] for line in out.splitlines()]
    expect(len(lines) == 9 and all(x[0] in (0, 32) for x in lines), "64 children are not alike", out)
    expect(all(sum(x[0] == 32 for x in lines[i : i + 4]) == 1 for i in range(6)), "a chunk does not change sides", out)
    expect(all(x[1:] == ([30, -1, 1, 1] if i % 8 == 0 else [0, 7, 1, 1]) for i, x in enumerate(lines)), out)


def test_depot():
    kib = [int(run("hot-live", f"sample_bytes=256M malloc_context_size={n}")[1]) for n in (0, 16)]
    expect(0 < kib[0] and kib[1] - kib[0] < 1024, "20,000 stacks that are the same", kib)
    # the first chunk's stack was kept, the last one's found no room
    err = run("hot-stacks", "sample_hot=1")[2]
    expect(err.count("double-free: free found") == 2 and err.count("allocated by") == 1, err)


def test_replay():
    sums = {seed: {run("replay", f"seed={seed} sample_hot=4")[1] for _ in range(3)} for seed in (1, 2)}
    expect(all(len(s) == 1 for s in sums.values()), "one seed, different runs", sums)
    expect(sums[1] != sums[2], "two seeds, one run", sums)


globals()[f"test_{test}"]()
