"""The table of what ran: one row for each case, as Markdown."""
import pathlib
import platform
import re

HEAD = """# Real programs under moat

Made by `tests/programs/run --all --profile production --profile strict --table docs/PROGRAMS.md`, and
again with `--checked --profile strict`, which is libmoat-checked.so with sources checked too; do not edit. Each
case runs once without moat and once with each profile. `same`: standard output, standard error, exit status and every
file left behind were the same, and a library could be loaded into each program. What a case does is in
`tests/programs/cases_*.py`; what is left out of its comparison, and why, is there too.

"""
SUITE_HEAD = """# Test suites of programs under moat

Made by `tests/programs/suites --profile production --profile strict --table docs/SUITES.md`; do not edit. Suites that
Debian ships, each unit a process of its own. `same`: every test that passes each time without moat passes with it too.
Python's small objects come from malloc (`PYTHONMALLOC=malloc`). Units of which no test passes on the machine without
moat either (they want privileges, a bus or a network) are left out.

"""
SUITE_COLUMNS = ("unit", "version", "tests without moat", "production", "strict")
CHECKED = ", checked"
COLUMNS = ("case", "version", "what it does", "production", "strict", "strict" + CHECKED)


def cell(case, differences):
    """What the table says of one run."""
    if differences:
        return "**differs**"
    return "same, its own bug reported" if case.finds else "same"


def findings(cases):
    """The bugs of the programs themselves: what moat says of them, and what is known."""
    found = [case for case in cases if case.finds]
    if not found:
        return ""
    text = (
        "\n## Bugs of the programs\n\n"
        "What moat reports here is true. The case demands each report, leaves it out of the comparison, and runs with "
        "the option that lets the program go on.\n"
    )
    for case in found:
        text += f"\n### {case.name}\n\n{case.finds.why} Option: `{case.finds.options}`.\n\n"
        text += "".join(f"    moat: {report}\n" for report in case.finds.reports)
    return text


def old_rows(path, columns):
    """Rows of the file as it is, by their first column."""
    if not path.exists():
        return {}
    rows = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if (
            line.startswith("| ")
            and len(cells) == len(columns)
            and cells[0] not in (columns[0], "---")
        ):
            rows[cells[0]] = cells
    return rows


def write(path, cases, verdicts):
    """verdicts: {(case, profile): text}. Rows of cases that did not run now stay as they were."""
    path, cases = pathlib.Path(path), list(cases)
    old = old_rows(path, COLUMNS)
    rows = []
    for case in cases:
        before = old.get(case.name, [""] * len(COLUMNS))
        cells = [verdicts.get((case.name, profile), before[3 + n]) for n, profile in enumerate(COLUMNS[3:])]
        if any(cells):
            now = any((case.name, profile) in verdicts for profile in COLUMNS[3:])
            rows.append([case.name, case.version() if now else before[1], case.what, *(c or "not run" for c in cells)])
    same = [f"under `{name}` {sum(row[3 + n].startswith('same') for row in rows)}" for n, name in enumerate(COLUMNS[3:])]
    lines = [COLUMNS, ("---",) * len(COLUMNS), *rows]
    text = HEAD + f"{system()}: {len(rows)} cases, the same {', '.join(same)}.\n\n"
    path.write_text(
        text + "".join("| " + " | ".join(line) + " |\n" for line in lines) + findings(cases), encoding="utf-8"
    )


def write_suites(path, rows):
    """rows: {unit: cells}. Rows of units that did not run now stay as they were."""
    path = pathlib.Path(path)
    old = old_rows(path, SUITE_COLUMNS)
    for name, cells in rows.items():
        before = old.get(name, cells)
        rows[name] = [cell or before[n] or "not run" for n, cell in enumerate(cells)]
    lines = [SUITE_COLUMNS, ("---",) * len(SUITE_COLUMNS), *(old | rows).values()]
    tests = sum(int(n) for line in lines[2:] for n in re.findall(r"(\d+) passed", line[2]))
    text = SUITE_HEAD + f"{system()}: {len(lines) - 2} units, {tests} tests that pass without moat.\n\n"
    new = path.with_name(path.name + ".new")  # so that nobody reads half of it
    new.write_text(text + "".join("| " + " | ".join(line) + " |\n" for line in lines), encoding="utf-8")
    new.rename(path)


def system():
    """The distribution, kernel and processor, as far as they matter to a reader."""
    name = re.search(r'^PRETTY_NAME="(.*)"', pathlib.Path("/etc/os-release").read_text(encoding="utf-8"), re.M)
    kernel = ".".join(platform.release().split(".")[:2])
    return f"{name[1] if name else 'Linux'}, kernel {kernel}, {platform.machine()}, {' '.join(platform.libc_ver())}"
