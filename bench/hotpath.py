"""Instructions of single calls, counted exactly by tests/budget, and the size of the library."""
import subprocess
import sys

import measure

FIGURES = ("instructions", "branches", "locked", "inner", "system")
NAMES = ("instructions", "conditional branches", "locked operations", "inner calls", "system calls")


def budget():
    """The counter and its subject, of the newest build that has them; None elsewhere than on x86-64."""
    built = measure.ROOT.glob("build/*/tests/budget/budget")
    found = sorted(built, key=lambda p: ("release" in p.parts, p.stat().st_mtime))
    return (found[-1], found[-1].parent / "budget_subject") if found else None


def rows(text):
    """routine -> size -> figure -> [median, mean], of the lines that budget --show prints."""
    table = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            routine, size, *numbers = line.split()
            pairs = zip(numbers[::2], numbers[1::2])
            table.setdefault(routine, {})[size] = {f: [int(a), float(b)] for f, (a, b) in zip(FIGURES, pairs)}
    return table


def count(allocators):
    tools = budget()
    if not tools:
        print("no instruction counts: build the tests (-DMOAT_TESTS=ON, x86-64)", file=sys.stderr)
        return {}
    results = {}
    for allocator in allocators:
        command = [str(tool) for tool in (tools[0], "--show", tools[1])] + ([allocator.path] if allocator.path else [])
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            results[allocator.name] = rows(done.stdout)
        else:
            print(f"no instruction counts of {allocator.name}: {done.stderr}", file=sys.stderr)
    return results


def text_bytes(path):
    """Code and read-only data, as size counts them: what it would be stripped of is not in it."""
    measure.need_tool("size")
    lines = subprocess.run(["size", path], capture_output=True, text=True, check=True).stdout.splitlines()
    return int(lines[1].split()[0])


def tables(results):
    """Each allocator's pair of 32 bytes, then all of moat's calls."""
    pairs = []
    for name, routines in results.items():
        cells = [name]
        for f in FIGURES:
            m, r = routines["malloc"]["32"][f], routines["free"]["32"][f]
            cells.append(f"{m[0]} + {r[0]} ({m[1] + r[1]:.1f})" if f == "instructions" else f"{m[0]} + {r[0]}")
        pairs.append(cells)
    text = measure.table(["32 bytes", *NAMES], pairs)
    if "moat" in results:
        sizes = list(results["moat"]["malloc"])
        calls = [
            [routine] + ["{0} ({1:.0f})".format(*by_size[s]["instructions"]) for s in sizes]
            for routine, by_size in results["moat"].items()
        ]
        text += "\n\n" + measure.table(["moat, instructions", *(s + " B" for s in sizes)], calls)
    return text
