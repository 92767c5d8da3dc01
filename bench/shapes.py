"""Tails, threads and memory: what a whole program's time and peak do not show."""
import statistics
import sys

import measure

THREADS = (1, 2, 4, 8, 16)
STRESS_THREADS = 256
TAIL_ROUNDS = 3
QUANTILES = (0.5, 0.99, 0.999)


def output(bin_, allocator, argv, directory, limit=measure.RUN_SECONDS):
    """What a workload prints, as lists of words; None when it failed."""
    sample = measure.run(bin_ / "launch", allocator, [str(bin_ / argv[0]), *map(str, argv[1:])], directory, limit=limit)
    if sample[-1].status != 0:
        print(f"{' '.join(map(str, argv))} under {allocator.name}: status {sample[-1].status}", file=sys.stderr)
        return None
    return [line.split() for line in sample[-1].output.read_text().splitlines()]


def tails(bin_, allocators, directory, scale, rounds=TAIL_ROUNDS):
    """Quantiles of single calls in ns, the median of the rounds: allocator -> routine -> list of (quantile, ns)."""
    seen = {}
    for _ in range(rounds):
        for allocator in allocators:
            for name, quantile, ns in output(bin_, allocator, ["latency", scale], directory) or ():
                by_quantile = seen.setdefault(allocator.name, {}).setdefault(name, {})
                by_quantile.setdefault(float(quantile), []).append(float(ns))
    return {
        allocator: {name: [(q, statistics.median(ns)) for q, ns in points.items()] for name, points in routines.items()}
        for allocator, routines in seen.items()
    }


def quantile(points, wanted):
    """The first of the points at or above the wanted quantile."""
    return next(ns for q, ns in points if q >= wanted - 1e-9)


def tail_table(results):
    rows = []
    for name, routines in results.items():
        cells = [f"{quantile(routines[r], q):.0f}" for r in ("malloc", "free") for q in QUANTILES]
        rows.append([name, *cells, f"{routines['clock'][0][1]:.0f}"])
    head = [f"{r} {q * 100:g}%" for r in ("malloc", "free") for q in QUANTILES]
    return measure.table(["allocator, ns", *head, "clock, subtracted"], rows)


def threads(bin_, allocators, directory, scale, rounds):
    """Wall seconds and peak KiB of the same work by more and more threads: allocator -> threads -> list of (s, KiB)."""
    found = {a.name: {} for a in allocators}
    for _ in range(rounds):
        for n in (*THREADS, STRESS_THREADS):
            for allocator in allocators:
                argv = [str(bin_ / "threads"), str(scale), str(n)]
                sample = measure.run(bin_ / "launch", allocator, argv, directory)[-1]
                if sample.status == 0:
                    found[allocator.name].setdefault(str(n), []).append((sample.wall, sample.rss))
    return found


def wall(by_threads, n):
    return statistics.median(s for s, _ in by_threads[str(n)])


def thread_table(results):
    """Throughput relative to glibc's with one thread, and the peak with the most threads."""
    base = wall(results["glibc"], 1)
    rows = []
    for name, by_threads in results.items():
        columns = (*THREADS, STRESS_THREADS)
        cells = [f"{base / wall(by_threads, n):.2f}" if str(n) in by_threads else "-" for n in columns]
        peak = [kib for _, kib in by_threads.get(str(STRESS_THREADS), [])]
        rows.append([name, *cells, f"{statistics.median(peak) / 1024:.0f} MiB" if peak else "-"])
    head = [f"{n} thread{'s' * (n > 1)}" for n in (*THREADS, STRESS_THREADS)]
    return measure.table(["throughput", *head, f"peak RSS, {STRESS_THREADS}"], rows)


def memory(bin_, allocators, directory, burst_mib, heap_mib):
    """After bursts, in large heaps, per byte asked for: allocator -> what is measured -> lines of numbers."""
    found = {}
    for allocator in allocators:
        wide = output(bin_, allocator, ["drain", burst_mib, 16, 1 << 20], directory)
        small = output(bin_, allocator, ["drain", burst_mib // 4, 16, 1024], directory)
        heap = output(bin_, allocator, ["heap", heap_mib], directory)
        waste = output(bin_, allocator, ["waste", 4], directory)
        found[allocator.name] = {
            "wide": {words[0]: [int(w) for w in words[1:]] for words in wide or ()},
            "small": {words[0]: [int(w) for w in words[1:]] for words in small or ()},
            "heap": {words[0].rstrip(":"): int(words[1]) for words in heap or ()},
            "waste": [[int(w) for w in words] for words in waste or ()],
        }
    return {"burst_mib": burst_mib, "heap_mib": heap_mib, "allocators": found}


def overhead(lines, header=0):
    """The mean over all sizes of resident bytes past those asked for, less `header` for each, as part of these."""
    return statistics.mean((kib * 1024 - n * (size + header)) / (n * size) for size, kib, n in lines)


def burst_cells(drain):
    if not drain:
        return ["-"] * 3
    live, rss, pages = drain["twentieth"]
    full = drain["full"][1] / drain["full"][0]
    return [f"{full:.2f}", f"{rss / live:.2f} ({pages / live:.2f})", str(drain["empty"][1])]


def memory_table(results):
    rows = []
    for name, m in results["allocators"].items():
        heap = m["heap"]
        rows.append(
            [
                name,
                *burst_cells(m["wide"]),
                *burst_cells(m["small"]),
                f"{overhead(m['waste']) * 100:.1f}%" if m["waste"] else "-",
                *(str(heap.get(f, "-")) for f in ("Mappings", "VmPTE")),
            ]
        )
    head = ["full", "5% live (pages)", "empty KiB"] * 2
    return measure.table(["allocator", *head, "overhead", "mappings", "page tables KiB"], rows)
