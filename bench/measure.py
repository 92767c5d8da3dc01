"""Allocators side by side: which there are, and what one run of a program under one of them uses."""
import hashlib
import os
import pathlib
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path.insert(0, str(ROOT / "tests" / "programs"))

import packages  # noqa: E402

SCUDO = "/usr/lib/llvm-19/lib/clang/19/lib/linux/libclang_rt.scudo_standalone-{machine}.so"
DISLOCATOR = "/usr/lib/afl/libdislocator.so"
RUN_SECONDS = 900
KILLED = 128 + 9


class Allocator:
    """A name, the library to preload (None: the C library's own) and variables for it. fragile: it is no fault when a
    workload is too much for it."""

    def __init__(self, name, path=None, variables=(), package=None, fragile=False):
        self.name, self.path, self.variables, self.package = name, path, list(variables), package
        self.fragile = fragile

    def environment(self):
        """What the launcher adds to the environment of the program, and of nothing else."""
        preload = [f"LD_PRELOAD={self.path}"] if self.path else []
        return preload + self.variables


def system_library(name):
    """The path of a library of the system, by its soname; None when it is not there."""
    for directory in sorted(pathlib.Path("/usr/lib").glob("*-linux-gnu*")):
        if (directory / name).exists():
            return str(directory / name)
    return None


def here(path):
    return path if os.path.exists(path) else None


def all_allocators(moat):
    """Every allocator that is known, in the order of the tables. moat: path of libmoat.so, or None."""
    return [
        Allocator("glibc"),
        Allocator("glibc2"),  # the same again: what it differs by is noise
        Allocator("moat", moat, package="moat"),
        Allocator("moat-strict", moat, ["MOAT_OPTIONS=profile=strict"], package="moat"),
        Allocator("moat-embedded", moat, ["MOAT_OPTIONS=profile=embedded"], package="moat"),
        Allocator("scudo", here(SCUDO.format(machine=os.uname().machine)), package="libclang-rt-19-dev"),
        Allocator("jemalloc", system_library("libjemalloc.so.2"), package="libjemalloc2"),
        Allocator("mimalloc", system_library("libmimalloc.so.2.0"), package="libmimalloc2.0"),
        Allocator("tcmalloc", system_library("libtcmalloc_minimal.so.4"), package="libtcmalloc-minimal4"),
        # two mappings for each allocation: only small programs get through, and slowly
        Allocator("libdislocator", here(DISLOCATOR), ["AFL_ALIGNED_ALLOC=1"], package="afl++", fragile=True),
    ]


def add_options(parser, json=True):
    """The options that compare, startup and performance share."""
    parser.add_argument(
        "more",
        nargs="*",
        metavar="NAME=PATH[,VARIABLE=VALUE]",
        help="further allocators, preloaded from PATH, with a variable set for them",
    )
    parser.add_argument("--moat", metavar="PATH", help="libmoat.so (default: the newest under build/)")
    parser.add_argument("--bin", metavar="DIR", help="where the workloads were built (default: build/*/bench/bin)")
    parser.add_argument("--allocators", metavar="A,B", help="only these; glibc, the baseline, is always among them")
    if json:
        parser.add_argument("--json", metavar="FILE", help="write every single figure there")


def choose(args):
    """The allocators to compare. Those asked for by name must be here; of the others it is said when they are not."""
    # Absolute: the programs run in a directory of their own, where another path would preload nothing.
    moat = os.path.abspath(args.moat) if args.moat else packages.built_library(ROOT)
    wanted = args.allocators.split(",") if args.allocators else None
    lacking = {a.package for a in all_allocators(moat) if a.name in (wanted or ()) and not a.path} - {None, "moat"}
    if lacking:
        packages.install(sorted(lacking))
    known = all_allocators(moat)
    for word in args.more:
        name, _, rest = word.partition("=")
        path, *variables = rest.split(",")
        if not os.path.isfile(path) or not all("=" in v for v in variables):
            sys.exit(f"{word}: NAME=PATH[,VARIABLE=VALUE] of a library is wanted")
        known.append(Allocator(name, os.path.abspath(path), variables))
    unknown = set(wanted or ()) - {a.name for a in known}
    if unknown:
        sys.exit("no such allocator: " + ", ".join(sorted(unknown)))
    chosen = []
    for allocator in known:
        if (
            wanted
            and allocator.name not in wanted + ["glibc"]
            and allocator.name not in [w.split("=")[0] for w in args.more]
        ):
            continue
        if allocator.package and not allocator.path:
            told = f"{allocator.name} is not here: " + (
                "build it, or name it with --moat"
                if allocator.package == "moat"
                else "apt-get install " + allocator.package
            )
            if wanted or allocator.package == "moat":
                sys.exit(told)
            print(told, file=sys.stderr)
            continue
        chosen.append(allocator)
    for allocator in chosen:
        prove_preload(allocator)
    return chosen


def prove_preload(allocator):
    """A library that the loader refuses would be measured as glibc."""
    env = dict(v.split("=", 1) for v in allocator.environment()) | {"PATH": packages.PATH}
    maps = subprocess.run(["cat", "/proc/self/maps"], env=env, capture_output=True, text=True, check=False).stdout
    if allocator.path and os.path.realpath(allocator.path) not in maps:
        sys.exit(f"{allocator.name}: {allocator.path} is not preloaded")


# Programs that measure, by the Debian package that holds each.
TOOLS = {"strace": "strace", "gnuplot": "gnuplot-nox", "size": "binutils"}


def need_tool(name):
    """The path of a program that measures; installed when it is missing."""
    if not packages.find(name):
        packages.install([TOOLS[name]])
    return packages.find(name) or sys.exit(f"{name} is missing: apt-get install {TOOLS[name]}")


def binaries(given):
    """The directory with the built workloads."""
    places = (
        [pathlib.Path(given)]
        if given
        else sorted(ROOT.glob("build/*/bench/bin"), key=lambda p: ("release" in p.parts, p.stat().st_mtime))
    )
    for place in reversed(places):
        if (place / "launch").exists():
            return place.resolve()
    sys.exit("no workloads: cmake -S bench -B /tmp/bench && cmake --build /tmp/bench, then --bin /tmp/bench/bin")


class Sample:
    """What one run used."""

    def __init__(self, line):
        wall, user, system, rss, minor, major, status = (int(word) for word in line.split())
        self.wall, self.cpu, self.rss = wall / 1e9, (user + system) / 1e6, rss
        self.faults, self.status = minor + major, status
        self.digest = self.output = self.error = None
        self.late = False  # killed, as it took longer than it may
        self.curve = []  # (ms, KiB)


BASE_ENVIRONMENT = {"PATH": packages.PATH, "LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "0"}


def run(launch, allocator, argv, directory, stdin=None, times=1, env=None, limit=RUN_SECONDS, every_ms=0, wrap=()):
    """Runs argv `times` times; returns the samples, the last with a digest of standard output.

    limit: seconds until a run is killed. every_ms: takes the curve of resident memory. wrap: a program and its
    arguments that start argv and do the preloading themselves."""
    figures, out, err, curve = (directory / name for name in (".figures", ".stdout", ".stderr", ".curve"))
    for file in (figures, curve):
        file.unlink(missing_ok=True)
    options = ["-o", str(figures), "-n", str(times), "-l", str(max(1, round(limit)))]
    if every_ms:
        options += ["-m", str(every_ms), "-r", str(curve)]
    if not wrap:
        options += [word for variable in allocator.environment() for word in ("-e", variable)]
    with open(out, "wb") as o, open(err, "wb") as e, open(stdin or os.devnull, "rb") as i:
        launcher = subprocess.Popen(
            [str(launch), *options, "--", *wrap, *argv],
            cwd=directory,
            env=BASE_ENVIRONMENT | {"HOME": str(directory), "TMPDIR": str(directory)} | (env or {}),
            stdin=i,
            stdout=o,
            stderr=e,
        )
        try:
            launcher.wait((limit + 30) * times)
        finally:
            if launcher.returncode is None:
                launcher.terminate()  # not kill: it ends what it has started
                launcher.wait()
    if launcher.returncode != 0:
        sys.exit(f"{launch} failed: {err.read_text(errors='replace')}")
    samples = [Sample(line) for line in figures.read_text().splitlines()]
    last = samples[-1]
    last.digest = hashlib.sha256(out.read_bytes()).hexdigest()
    last.error = err.read_text(errors="replace")[-600:]
    last.output = out
    last.late = last.status == KILLED and last.wall >= limit
    if every_ms:
        last.curve = [tuple(map(float, line.split())) for line in curve.read_text().splitlines()]
    return samples


def geometric_mean(values):
    return statistics.geometric_mean(values) if values else float("nan")


def table(head, rows):
    """A Markdown table; the first column to the left, the others to the right."""
    lines = ["| " + " | ".join(head) + " |", "| --- |" + " ---: |" * (len(head) - 1)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])
