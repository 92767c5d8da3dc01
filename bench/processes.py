"""What a process costs under each allocator: start to end, idle memory, fork and exit, a small address space."""
import statistics
import sys

import measure

BLOCK = 20  # runs of one allocator before the next has its turn
FORKS = 100
IDLE_RUNS = 21  # where the loader puts things moves resident memory by some pages
FORK_ROUNDS = 5
SMALL_ADDRESS_SPACE = 64 << 20


def run(launch, allocator, argv, directory, times=1):
    samples = measure.run(launch, allocator, argv, directory, times=times)
    if any(sample.status for sample in samples):
        sys.exit(f"{argv[0]} under {allocator.name} failed: {samples[-1].error}")
    return samples


def starts(bin_, allocators, directory, runs):
    """A process that does nothing: name of a figure -> allocator -> list. Wall and CPU time in microseconds (on a busy
    machine the latter is steadier), and page faults, which are most of both."""
    found = {figure: {a.name: [] for a in allocators} for figure in ("start_us", "start_cpu_us", "start_faults")}
    while len(found["start_us"]["glibc"]) < runs:
        for allocator in allocators:
            got = run(bin_ / "launch", allocator, [str(bin_ / "empty")], directory, times=min(BLOCK, runs))
            found["start_us"][allocator.name] += [round(sample.wall * 1e6, 1) for sample in got]
            found["start_cpu_us"][allocator.name] += [round(sample.cpu * 1e6) for sample in got]
            found["start_faults"][allocator.name] += [sample.faults for sample in got]
    return found


def idle(bin_, allocators, directory):
    """What is in /proc/self/status, in KiB, and the number of mappings: allocator -> name -> list."""
    weights = {a.name: {} for a in allocators}
    for _ in range(IDLE_RUNS):
        for allocator in allocators:
            sample = run(bin_ / "launch", allocator, [str(bin_ / "idle")], directory)[-1]
            for line in sample.output.read_text().splitlines():
                field, value = line.split(":")
                weights[allocator.name].setdefault(field, []).append(int(value.split()[0]))
    return weights


def forks(bin_, allocators, directory):
    """Wall time of fork and exit with 3,000 live chunks, in microseconds: allocator -> list."""
    times = {a.name: [] for a in allocators}
    for _ in range(FORK_ROUNDS):
        for allocator in allocators:
            sample = run(bin_ / "launch", allocator, [str(bin_ / "forks"), str(FORKS)], directory)[-1]
            times[allocator.name] += [int(line) / 1000 for line in sample.output.read_text().split()]
    return times


def in_small_address_space(bin_, allocators, directory):
    """Whether a process starts, allocates and ends well with RLIMIT_AS of 64 MiB: allocator -> bool."""
    limit = ["prlimit", f"--as={SMALL_ADDRESS_SPACE}", "env"]
    found = {}
    for allocator in allocators:
        # the limit holds from before the library is loaded
        argv = [*limit, *allocator.environment(), str(bin_ / "empty")]
        sample = measure.run(bin_ / "launch", measure.Allocator("plain"), argv, directory)[-1]
        found[allocator.name] = sample.status == 0
    return found


def measure_all(bin_, allocators, directory, runs):
    """Of the allocators, and of an empty library that is preloaded as they are."""
    allocators = [*allocators, measure.Allocator("an empty library", bin_ / "libnothing.so")]
    return {
        "runs": runs,
        **starts(bin_, allocators, directory, runs),
        "idle_kib": idle(bin_, allocators, directory),
        "fork_us": forks(bin_, allocators, directory),
        "starts_in_64_mib": in_small_address_space(bin_, allocators, directory),
    }


class Medians:
    """What the tables show of one allocator."""

    def __init__(self, results, name):
        self.start = statistics.median(results["start_us"][name])
        self.cpu = statistics.median(results["start_cpu_us"][name]) if "start_cpu_us" in results else 0
        self.faults = statistics.median(results["start_faults"][name]) if "start_faults" in results else 0
        self.fork = statistics.median(results["fork_us"][name])
        self.idle = {f: round(statistics.median(v)) for f, v in results["idle_kib"][name].items()}
        self.memory = self.idle["VmRSS"] + self.idle["VmPTE"]


HEAD = [
    "allocator",
    "start us",
    "over glibc",
    "CPU us",
    "to glibc",
    "page faults",
    "RSS KiB",
    "of it anonymous",
    "page tables KiB",
    "RSS + tables over glibc",
    "mappings",
    "fork + exit us",
    "to glibc",
    "starts in 64 MiB",
]


def table(results):
    base, rows = Medians(results, "glibc"), []
    for name in results["start_us"]:
        m = Medians(results, name)
        rows.append(
            [
                name,
                f"{m.start:.0f}",
                f"{m.start - base.start:+.0f}",
                *((f"{m.cpu:.0f}", f"{m.cpu / base.cpu:.2f}", f"{m.faults:.0f}") if base.cpu else ("", "", "")),
                *(str(m.idle[f]) for f in ("VmRSS", "RssAnon", "VmPTE")),
                f"{m.memory - base.memory:+d}",
                str(m.idle["Mappings"]),
                f"{m.fork:.0f}",
                f"{m.fork / base.fork:.2f}",
                "yes" if results["starts_in_64_mib"][name] else "no",
            ]
        )
    told = f"Medians: {results['runs']} starts, {FORKS * FORK_ROUNDS} forks, {IDLE_RUNS} idle processes, interleaved."
    return told + "\n\n" + measure.table(HEAD, rows)
