#!/bin/bash
# The table of attacks in hardening.md names every attack of the catalogue: tests/attack/table --write makes it. Every
# mutation that tests/attack/prove makes fits the source.
# attacks.sh ROOT
set -euo pipefail
python3 -B - "$1" <<'END'
import pathlib
import re
import sys

root = pathlib.Path(sys.argv[1])
sys.path.insert(0, str(root / "tests" / "attack"))
import catalogue  # noqa: E402
import mutations  # noqa: E402

found = re.search(r"<!-- attack table -->(.*?)<!-- end of attack table -->", (root / "hardening.md").read_text(), re.S)
if not found:
    sys.exit("hardening.md has no markers for the table of attacks")
named = set()
for row in found[1].splitlines():
    cells = [cell.strip() for cell in row.split("|")]
    if len(cells) > 4:
        named |= {(cells[1], cells[2].strip("`"), attack) for attack in re.findall(r"`([^`]*)`", cells[3])}
wanted = {(c.promise, c.program, c.name + (f" ({c.options})" if c.options and c.options not in c.name else ""))
          for c in catalogue.CASES if not c.twin and not c.measure}
for promise, program, attack in sorted(wanted - named):
    print(f"hardening.md does not name {promise} {program} {attack}: tests/attack/table --write")
for promise, program, attack in sorted(named - wanted):
    print(f"hardening.md names {promise} {program} {attack}, which the catalogue does not have")
misfits = 0
for number, mutation in enumerate(mutations.MUTATIONS, 1):
    try:
        mutation.mutated(root)
    except (ValueError, OSError) as why:
        print(f"tests/attack/mutations.py, {number} ({mutation.promise}, {mutation.what}): {why}")
        misfits += 1
sys.exit(wanted != named or misfits > 0)
END
