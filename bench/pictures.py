"""Pictures of results, drawn by gnuplot: SVG files that a browser shows in place."""
import subprocess

import cells
import measure

COLOURS = {
    "glibc": "#555555",
    "glibc2": "#aaaaaa",
    "moat": "#c0392b",
    "moat-strict": "#e67e22",
    "moat-embedded": "#8e44ad",
    "scudo": "#2980b9",
    "jemalloc": "#27ae60",
    "mimalloc": "#16a085",
    "tcmalloc": "#b7950b",
    "libdislocator": "#2c3e50",
    "eager": "#c0392b",
    "delay": "#2980b9",
    "lazy": "#27ae60",
}
OTHER_COLOURS = ("#d35400", "#7f8c8d", "#6c3483", "#117a65")


def colour(name):
    return COLOURS.get(name) or OTHER_COLOURS[sum(name.encode()) % len(OTHER_COLOURS)]


def data(series):
    """Named data blocks and the names of the blocks."""
    blocks = [f"$d{i} << end\n" + "\n".join(rows) + "\nend" for i, (_, rows) in enumerate(series)]
    return "\n".join(blocks)


def plots(series, columns, style):
    return "plot " + ", ".join(
        f'$d{i} using {columns} with {style.format(i=i + 1)} linecolor rgb "{colour(name)}" title "{name}"'
        for i, (name, _) in enumerate(series)
    )


def draw(path, width, height, commands):
    script = (
        f'set terminal svg size {width},{height} font "sans,11" background "#ffffff"\nset output "{path}"\n'
        'set grid linecolor rgb "#dddddd"\nset key outside right top\n' + commands
    )
    done = subprocess.run([measure.need_tool("gnuplot")], input=script, capture_output=True, text=True, check=False)
    if done.returncode != 0 or "error" in done.stderr or not path.exists():
        raise RuntimeError(f"{path.name}: {done.stderr}")


def ratio_picture(path, results, field, label):
    """A column of points for each workload, one for each allocator; the line is glibc."""
    workloads = list(results)
    series = []
    for name in cells.names_of(results):
        rows = [f"{i} {r:.4f}" for i, w in enumerate(workloads) if (r := cells.ratio(results[w], name, field))]
        if rows:
            series.append((name, rows))
    tics = ", ".join(f'"{w}" {i}' for i, w in enumerate(workloads))
    commands = (
        f'{data(series)}\nset logscale y 2\nset format y "%g"\nset ylabel "{label}, glibc = 1"\n'
        f"set xtics rotate by 45 right ({tics})\nset xrange [-0.5:{len(workloads) - 0.5}]\n"
        'set arrow from graph 0, first 1 to graph 1, first 1 nohead linecolor rgb "#555555"\n'
    )
    draw(path, 1100, 480, commands + plots(series, "1:2", "points pointtype {i} pointsize 0.7"))


def curves_picture(path, curves):
    """A panel for each workload: resident memory over time."""
    lines = [f"set multiplot layout {(len(curves) + 1) // 2},2"]
    for workload, by_name in curves.items():
        series = [(n, [f"{ms / 1000:.3f} {kib / 1024:.2f}" for ms, kib in thin(c)]) for n, c in by_name.items() if c]
        lines += [data(series), f'set title "{workload}"\nset xlabel "s"\nset ylabel "MiB"\nset yrange [0:*]']
        lines.append(plots(series, "1:2", "lines linewidth 1.3"))
    draw(path, 1100, 260 * ((len(curves) + 1) // 2), "\n".join(lines) + "\nunset multiplot\n")


def thin(curve, most=250):
    """Fewer points: of each stretch the highest."""
    step = -(-len(curve) // most)
    return [max(curve[i : i + step], key=lambda point: point[1]) for i in range(0, len(curve), step)]


def tails_picture(path, tails):
    """How many calls take longer than how long."""
    lines = ["set multiplot layout 1,2\nset logscale xy\nset format x \"%.0e\"\nset xrange [0.5:1e-6]"]
    lines.append('set xlabel "part of the calls that take longer"\nset ylabel "ns"')
    for routine in ("malloc", "free"):
        series = [
            (name, [f"{1 - q:.8f} {max(ns, 1):.1f}" for q, ns in by_routine[routine] if q < 1])
            for name, by_routine in tails.items()
        ]
        lines += [data(series), f'set title "{routine}"', plots(series, "1:2", "lines linewidth 1.3")]
    draw(path, 1100, 420, "\n".join(lines) + "\nunset multiplot\n")


def threads_picture(path, threads, wall):
    base = wall(threads["glibc"], 1)
    series = [(name, [f"{n} {base / wall(by, n):.4f}" for n in by]) for name, by in threads.items() if by]
    commands = 'set logscale x 2\nset xlabel "threads"\nset ylabel "throughput, glibc with one thread = 1"\n'
    style = "linespoints pointtype {i} pointsize 0.7"
    draw(path, 900, 420, data(series) + "\n" + commands + plots(series, "1:2", style))
