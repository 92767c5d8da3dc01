"""The cells of a comparison: every workload under every allocator, interleaved, output checked."""
import collections
import hashlib
import pathlib
import shutil
import statistics
import sys
import tempfile

import measure
import inputs as generated
import packages
import programs

FIELDS = ("cpu", "wall", "rss", "faults")
UNITS = {"cpu": "s", "wall": "s", "rss": "KiB", "faults": "count", "calls": "count", "curve": "ms, KiB"}
SLOWEST = 8  # times glibc's wall time: a fragile allocator that takes longer is stopped and not run again
SHORTEST_LIMIT = 4  # seconds
CURVE_MS = 10
CALLS_SCALE = 5  # percent of the micro workloads' operations, as each system call costs tens of microseconds there
MEMORY_CALLS = ("mmap", "munmap", "mremap", "mprotect", "madvise", "process_madvise", "brk")
OTHER_CALLS = ("futex", "sched_yield", "getrandom", "membarrier")  # that allocators make
ALL = {w.name: w for w in programs.MICRO + programs.PROGRAMS}


class Cells:
    """Runs cells in directories of its own, which `close` removes."""

    def __init__(self, bin_, allocators, scale=100):
        self.bin, self.allocators, self.scale = bin_, allocators, scale
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="moat-bench-"))
        self.inputs = generated.Inputs(self.root / "inputs", measure.ROOT / "tests" / "data")
        self.failures = []  # texts; those of fragile allocators are not among them

    def close(self):
        shutil.rmtree(self.root, ignore_errors=True)

    def once(self, workload, allocator, scale=None, **more):
        """One run in an empty directory of the same name; the sample, its digest including the kept files."""
        directory = self.root / "run"
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir()
        if workload.prepare:
            workload.prepare(self.inputs, directory)
        if workload in programs.MICRO:
            argv = workload.argv(self.bin, scale or self.scale)
        else:
            argv = workload.argv(self.inputs)
        stdin = workload.stdin(self.inputs) if workload.stdin else None
        launch = self.bin / "launch"
        sample = measure.run(launch, allocator, argv, directory, stdin=stdin, env=workload.env, **more)[-1]
        kept = b"".join((directory / name).read_bytes() for name in workload.keep if (directory / name).exists())
        sample.digest = hashlib.sha256(kept + sample.digest.encode()).hexdigest()
        return sample

    def wrong(self, sample, expected):
        """Why a sample does not count; None when it does."""
        if sample.late:
            return "too slow"
        if sample.status != 0:
            return f"status {sample.status}"
        return "another output" if expected and sample.digest != expected else None

    def row(self, workload, rounds):
        """All rounds of one workload: allocator -> samples, or the text of why there are none."""
        samples = {a.name: [] for a in self.allocators}
        expected, limit = None, SHORTEST_LIMIT
        for number in range(rounds):
            turn = number % len(self.allocators)  # whoever runs after a heavy one should not always be the same
            for allocator in self.allocators[turn:] + self.allocators[:turn]:
                if isinstance(samples[allocator.name], str):
                    continue
                sample = self.once(workload, allocator, limit=limit if allocator.fragile else measure.RUN_SECONDS)
                why = self.wrong(sample, expected)
                if why:
                    samples[allocator.name] = why
                    if not allocator.fragile:
                        self.failures.append(f"{workload.name} under {allocator.name}: {why}\n{sample.error}")
                    continue
                samples[allocator.name].append(sample)
                if expected is None:  # glibc's, as it is the first
                    expected, limit = sample.digest, max(SHORTEST_LIMIT, SLOWEST * sample.wall)
        return samples

    def compare(self, workloads, rounds):
        """workload -> allocator -> field -> figures, or the text of why there are none."""
        results = {}
        for workload in workloads:
            packages.need(workload.needs)
            print(f"{workload.name}...", file=sys.stderr, flush=True)
            row = self.row(workload, rounds)
            if isinstance(row["glibc"], str):
                sys.exit("without a baseline nothing can be compared: " + self.failures[-1])
            results[workload.name] = {
                name: got if isinstance(got, str) else {f: [getattr(s, f) for s in got] for f in FIELDS}
                for name, got in row.items()
            }
        return results

    def curves(self, workloads, allocators):
        """Resident memory over time: workload -> allocator -> list of (ms, KiB)."""
        results = {}
        for workload in workloads:
            packages.need(workload.needs)
            print(f"{workload.name} over time...", file=sys.stderr, flush=True)
            results[workload.name] = {}
            for allocator in allocators:
                sample = self.once(workload, allocator, every_ms=CURVE_MS)
                if not self.wrong(sample, None):
                    results[workload.name][allocator.name] = sample.curve
        return results

    def calls(self, workloads, allocators):
        """Those that an allocator makes, by name, counted by strace: workload -> allocator -> {name: count}."""
        results = {}
        summary = self.root / "calls"
        for workload in workloads:
            packages.need(workload.needs)
            print(f"system calls of {workload.name}...", file=sys.stderr, flush=True)
            results[workload.name] = {}
            for allocator in allocators:
                variables = [word for v in allocator.environment() for word in ("-E", v)]
                traced = "trace=" + ",".join(MEMORY_CALLS + OTHER_CALLS)
                what = ["-c", "-U", "name,calls", "-e", traced, "-o", str(summary)]
                # --seccomp-bpf: all other calls run without a stop
                wrap = ["strace", "-f", "-q", "--seccomp-bpf", *what, *variables, "--"]
                sample = self.once(workload, allocator, scale=CALLS_SCALE, wrap=wrap)
                if not self.wrong(sample, None):
                    results[workload.name][allocator.name] = call_counts(summary.read_text())
        return results


def call_counts(text):
    """The table that strace -c -U name,calls writes."""
    counts = collections.Counter()
    for line in text.splitlines():
        words = line.split()
        if len(words) == 2 and words[1].isdigit() and words[0] != "total":
            counts[words[0]] += int(words[1])
    return dict(counts)


def known(row, name):
    return isinstance(row.get(name), dict)


def ratio(row, name, field, base="glibc"):
    """Median against median; None where one of both failed."""
    if not known(row, name) or not known(row, base):
        return None
    below = statistics.median(row[base][field])
    return statistics.median(row[name][field]) / below if below else None


def mean_ratio(results, name, field, base="glibc"):
    """The geometric mean over all workloads where both are known; None when there is none."""
    found = [r for row in results.values() if (r := ratio(row, name, field, base))]
    return measure.geometric_mean(found) if found else None


def shown(row, name, field):
    r = ratio(row, name, field)
    if r is not None:
        return f"{r:.2f}"
    why = row.get(name, "-")
    return f"over {SLOWEST}" if why == "too slow" else why if isinstance(why, str) else "-"


def choose(words):
    """The workloads of a list of names, `micro` and `programs` among them; None when one is not known."""
    named = {name: [w] for name, w in ALL.items()} | {"micro": programs.MICRO, "programs": programs.PROGRAMS}
    if any(word not in named for word in words):
        return None
    return [w for word in words for w in named[word]]


def names_of(results):
    """The allocators of results but for the baseline, in their order."""
    return [name for name in next(iter(results.values())) if name != "glibc"]


def ratios(results, field, unit, divisor=1):
    """A table of ratios to glibc, whose own column is absolute."""
    names = names_of(results)
    rows = []
    for workload, row in results.items():
        absolute = unit.format(statistics.median(row["glibc"][field]) / divisor)
        rows.append([workload, absolute] + [shown(row, n, field) for n in names])
    for label, base in (("geometric mean", "glibc"), ("against scudo", "scudo")):
        if base == "glibc" or base in names:
            means = [mean_ratio(results, n, field, base) for n in names]
            rows.append([f"**{label}**", ""] + [f"**{m:.2f}**" if m else "-" for m in means])
    return measure.table(["workload", "glibc", *names], rows)


def call_table(results):
    """System calls for memory, and the others that allocators make."""
    names = list(dict.fromkeys(name for row in results.values() for name in row))
    rows = []
    for workload, row in results.items():
        cells = []
        for name in names:
            counts = row.get(name)
            memory, others = (sum((counts or {}).get(c, 0) for c in of) for of in (MEMORY_CALLS, OTHER_CALLS))
            cells.append("-" if counts is None else f"{memory} + {others}")
        rows.append([workload, *cells])
    return measure.table(["workload", *names], rows)
