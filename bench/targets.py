"""What moat is to reach, and what the results say it does."""
import statistics

import cells
import measure
import processes
import shapes

CROSS_THREAD = ("larson", "ring", "server")
FLAT = 1.1  # the last third of a curve over the third before it
KEEPS = 0.9  # of the throughput of two threads
DEFAULT_MAX_MAP_COUNT = 65530


class Row:
    """reached: a text; good: whether that is enough, None where it was not measured."""

    def __init__(self, figure, target, reached="not measured", good=None):
        self.figure, self.target, self.reached, self.good = figure, target, reached, good

    def cells(self):
        return [self.figure, self.target, self.reached, {True: "yes", False: "**no**", None: "-"}[self.good]]


def at_most(figure, target, value, limit, unit=""):
    return Row(figure, target) if value is None else Row(figure, target, f"{value:.2f}{unit}", value <= limit)


def speed(results):
    found = results["cells"]
    yield at_most("time, geometric mean over all workloads", "at most 1.00 of glibc's", mean(found, "moat"), 1)
    worst = [(r, w) for w, row in found.items() if (r := cells.ratio(row, "moat", "cpu"))]
    if worst:
        above = sum(r > 1.5 for r, _ in worst)
        text = f"{max(worst)[0]:.2f} ({max(worst)[1]}); {above} of {len(worst)} above"
        yield Row("time, worst workload", "at most 1.5", text, max(worst)[0] <= 1.5)
    yield at_most("time, against scudo", "at most 0.65", mean(found, "moat", "scudo"), 0.65)
    yield at_most("time, profile strict", "at most 1.25", mean(found, "moat-strict"), 1.25)
    if "glibc2" in cells.names_of(found):
        yield Row("glibc against itself: the noise", "", f"{mean(found, 'glibc2'):.2f}")
    for name in CROSS_THREAD:
        yield at_most(f"time, cross-thread frees: {name}", "at most 0.9", one(found, name), 0.9)
    yield at_most("time, repeated large buffers", "at most 1.3", one(found, "large"), 1.3)


def one(found, workload):
    return cells.ratio(found.get(workload, {}), "moat", "cpu")


def mean(found, name, base="glibc"):
    return cells.mean_ratio(found, name, "cpu", base)


def instructions(results):
    routines = results.get("hot", {}).get("moat")
    if not routines:
        return
    of = {f: [routines[r]["32"][f] for r in ("malloc", "free")] for f in routines["malloc"]["32"]}
    (m, m_mean), (f, f_mean) = of["instructions"]
    figure = "malloc and free of 32 bytes: "
    yield Row(figure + "instructions", "at most 80 + 100", f"{m} + {f}", m <= 80 and f <= 100)
    (bm, _), (bf, _) = of["branches"]
    yield Row(figure + "conditional branches", "at most 6 + 8", f"{bm} + {bf}", bm <= 6 and bf <= 8)
    (lm, _), (lf, _) = of["locked"]
    yield Row(figure + "locked operations", "0", str(lm + lf), lm + lf == 0)
    (im, _), (inner, _) = of["inner"]
    yield Row(figure + "inner calls", "0", str(im + inner), im + inner == 0)
    yield at_most(figure + "mean with what is deferred", "at most 234", m_mean + f_mean, 234)


def flat(curve):
    """The mean of the last third over the mean of the one before: starting up is in the first."""
    third = len(curve) // 3
    if third < 5:
        return None
    middle, last = (statistics.mean(kib for _, kib in part) for part in (curve[third : 2 * third], curve[2 * third :]))
    return last / middle


def behaviour(results):
    for name in CROSS_THREAD:
        curve = results.get("curves", {}).get(name, {}).get("moat")
        target = f"flat: last third at most {FLAT} of the second"
        yield at_most(f"RSS over time: {name}", target, flat(curve or []), FLAT)
    tails = results.get("tails", {})
    for routine in ("malloc", "free"):
        if "moat" in tails:
            ours, theirs = (shapes.quantile(tails[n][routine], 0.999) for n in ("moat", "glibc"))
            text = f"{ours:.0f} ns, glibc {theirs:.0f} ns"
            yield Row(f"99.9th percentile of {routine}", "no worse than glibc's", text, ours <= theirs)
    threads = results.get("threads", {}).get("moat")
    if threads:
        base = shapes.wall(threads, 2)
        kept = {n: base / shapes.wall(threads, n) for n in (*shapes.THREADS[2:], shapes.STRESS_THREADS)}
        text = ", ".join(f"{n}: {k:.2f}" for n, k in kept.items())
        yield Row("throughput past the cores, 2 threads = 1", "does not fall", text, min(kept.values()) >= KEEPS)


def process(results):
    found = results.get("processes")
    if not found or "moat" not in found["start_us"]:
        return
    ours, base = processes.Medians(found, "moat"), processes.Medians(found, "glibc")
    over = ours.start - base.start
    yield Row("start, wall", "at most 150 us over glibc", f"{over:+.0f} us", over <= 150)
    yield at_most("fork + exit with 3,000 live chunks", "at most 1.3 of glibc's", ours.fork / base.fork, 1.3)
    memory = ours.memory - base.memory
    yield Row("idle: RSS and page tables", "at most 300 KiB over glibc", f"{memory:+d} KiB", memory <= 300)
    starts = found["starts_in_64_mib"]["moat"]
    yield Row("RLIMIT_AS of 64 MiB", "starts", "starts" if starts else "does not start", starts)


def memory(results):
    yield at_most(
        "peak RSS, geometric mean", "at most 1.15 of glibc's", cells.mean_ratio(results["cells"], "moat", "rss"), 1.15
    )
    found = results.get("memory")
    ours = found and found["allocators"].get("moat")
    if not ours:
        return
    if ours["wide"]:
        live, rss, _ = ours["wide"]["twentieth"]
        most, left = 1.3 * live + 2048, ours["wide"]["empty"][1]
        burst = f"burst of {found['burst_mib']} MiB: "
        text = f"{rss / 1024:.0f} MiB for {live / 1024:.0f} MiB"
        yield Row(burst + "RSS with 5% live", "at most 1.3 of it + 2 MiB", text, rss <= most)
        yield Row(burst + "RSS with nothing live", "at most 4 MiB", f"{left / 1024:.1f} MiB", left <= 4096)
    if ours["waste"]:
        waste = shapes.overhead(ours["waste"], header=8) * 100
        yield at_most("waste beside the header of 8 bytes", "at most 12.5%", waste, 12.5, "%")
    if ours["heap"]:
        mappings = ours["heap"]["Mappings"]
        figure = f"mappings of a heap of {found['heap_mib'] / 1024:g} GiB"
        yield Row(figure, "under 32,765 at 16 GiB", f"{mappings:,}", mappings < DEFAULT_MAX_MAP_COUNT // 2)


def size(results):
    text = results["about"].get("text_bytes")
    if text:
        yield at_most("text of libmoat.so", "at most 160 KiB", text / 1024, 160, " KiB")


def rows(results):
    return [row for part in (speed, instructions, behaviour, process, memory, size) for row in part(results)]


def table(results):
    found = rows(results)
    met = sum(row.good is True for row in found)
    judged = sum(row.good is not None for row in found)
    text = measure.table(["figure", "target", "reached", "met"], [row.cells() for row in found])
    return f"{met} of {judged} targets are met.\n\n" + text.replace("---:", "---")
