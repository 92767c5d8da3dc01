"""Debuggers, tracers and fuzzers: what looks into other processes, and what it starts."""
from harness import case


@case("strace", "strace", "gcc")
def strace(t):
    """Traces a program with forks and threads, decodes its calls, injects faults."""
    t.run("gcc", "-O1", t.setup.script("traced.c"), "-o", "traced", "-lpthread")
    names = "trace=openat,write,read,clone,clone3,wait4,pipe2,exit_group"
    addresses = ((r"0x[0-9a-f]{5,}", "ADDRESS"), (r"(?<![\w.])\d{3,}(?![\w.])", "N"))
    # The library's own reads at start are not the program's; so only what goes to its own files is shown.
    t.run("strace", "-f", "-qq", "-e", names, "-P", "result", "./traced", normalise=addresses)
    t.run("strace", "-f", "-c", "-o", "summary", "-e", "trace=write", "./traced")
    t.run("strace", "-o", "log", "-e", "inject=write:error=ENOSPC:when=3+", "./traced", status=1)
    t.ignore("^(summary|log)$", "hold times and addresses")


@case("valgrind", "valgrind", "gcc")
def valgrind(t):
    """Runs a program, whose malloc is then valgrind's, under memcheck, and one with moat in it under two tools."""
    t.run("gcc", "-g", "-O0", t.setup.script("debuggee.c"), "-o", "debuggee")
    # This valgrind is older than mseal, and says so at length.
    newer = (r"(?m)^--\d+-- .*(unhandled amd64-linux syscall|own handler|READ|consider this a bug|it at http).*\n", "")
    numbers = ((r"==\d+==", "==N=="), (r"0x[0-9A-Fa-f]+", "ADDRESS"), newer)
    # memcheck takes seconds to keep books of moat's reservation, 1 TiB of addresses; here it is 1 GiB.
    small = {"MOAT_OPTIONS": "heap_reserve=1G"}
    t.run("valgrind", "-q", "--leak-check=full", "--error-exitcode=9", "./debuggee", normalise=numbers, env=small)
    t.run("valgrind", "-q", "--tool=none", "gzip", "-nc", t.input("small.xml"), normalise=numbers)
    t.run("valgrind", "-q", "--tool=cachegrind", "--cachegrind-out-file=/dev/null", "./debuggee", keep_err=False)


@case("afl", "afl-fuzz", "afl-clang-fast", "afl-showmap")
def afl(t):
    """Fuzzes a parser for 3,000 executions in persistent mode, measures the coverage of its corpus."""
    env = {
        "AFL_NO_UI": "1",
        "AFL_I_DONT_CARE_ABOUT_MISSING_CRASHES": "1",
        "AFL_SKIP_CPUFREQ": "1",
        "AFL_NO_AFFINITY": "1",
        "AFL_BENCH_JUST_ONE": "1",
        "AFL_TRY_AFFINITY": "1",
    }
    t.run("afl-clang-fast", "-O1", t.setup.script("fuzzed.c"), "-o", "fuzzed", env={"AFL_QUIET": "1"}, keep_err=False)
    t.shell("mkdir in; for i in 1 22 333; do echo \"key=$i;\" >in/$i; done; printf 'k=(1);' >in/4")
    t.run(
        "afl-fuzz",
        "-s",
        "7",
        "-E",
        "3000",
        "-V",
        "60",
        "-i",
        "in",
        "-o",
        "out",
        "--",
        "./fuzzed",
        env=env,
        keep_out=False,
    )
    t.shell("sed -n 's/^\\(corpus_found\\|saved_hangs\\|run_time\\) .*/\\1/p' out/default/fuzzer_stats; ls out/default")
    for name in ("1", "4"):
        t.shell(f"afl-showmap -q -o map{name} -- ./fuzzed <in/{name}")
    t.ignore("^out/", "what is found depends on timing")
