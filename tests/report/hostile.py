#!/usr/bin/env python3
"""Reports where things go wrong around them. hostile.py TEST --programs DIR --moat COMMAND --docs REPORTS.md"""
import os
import pathlib
import signal
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import check  # noqa: E402
from check import expect, start  # noqa: E402

REPORT = "moat: double-free: free was called again"


def hostile(what, options="", **more):
    return start([check.args.programs / "report_hostile", what], options, **more)


def reported(what, options="", count=1, **more):
    """It ends by SIGABRT, with so many whole reports."""
    status, out, err, pid = hostile(what, options, **more)
    expect(status == -signal.SIGABRT, f"{what}: status {status}", out + err)
    expect(err.count("moat: double-free") == count, f"{what}: not {count} reports", err)
    expect("    next: " in err and err.endswith("moat: aborting\n"), f"{what}: cut", err)
    return out, err, pid


def test_left_by_a_jump():
    for what, count in (("jump-warning", 1), ("jump-warning-thread", 1), ("jump-abort", 2), ("jump-abort-thread", 2),
                        ("end-in-warning", 1), ("end-in-report", 2), ("free-in-callback", 2), ("join-in-abort", 2)):
        reported(what, "foreign=warn", count)


def test_stderr():
    for what in ("no-reader", "full"):
        status, out, err, _ = hostile(what)
        expect(status == -signal.SIGABRT, f"{what}: status {status}", out + err)
        status, out, err, _ = hostile(f"{what}-warning", "foreign=warn")
        expect((status, out) == (0, "lived\n"), f"{what}-warning: status {status}", out + err)
    for what in ("slow", "slow-nonblocking"):
        status, out, err, _ = hostile(what)
        expect(status == -signal.SIGABRT, f"{what}: status {status}", out + err)
        expect(out.startswith("." * 3900) and "moat: double-free" in out and out.endswith("moat: aborting\n"), what, out)


def test_log_refused():
    with tempfile.TemporaryDirectory() as folder:
        prefix = pathlib.Path(folder) / "log"
        # A pipe that nobody reads, a folder, a file that is full from the start, a name that is too long.
        options = f"log_path={prefix}"
        made = []

        def before():
            made[0](f"{prefix}.{os.getpid()}")
        for make in (os.mkfifo, os.mkdir, lambda p: os.link(__file__, p), lambda p: os.symlink("/dev/null", p)):
            made[:] = [make]
            _, _, pid = reported("plain", options, preexec_fn=before)
            expect(os.path.lexists(f"{prefix}.{pid}"), "the file was not there")
        reported("file-limit", options)


def test_long_paths():
    """What must be there is, however much room the frames of three stacks would take."""
    with tempfile.TemporaryDirectory() as folder:
        place = pathlib.Path(folder)
        for name in ("a" * 200, "b" * 200):
            place = place / name
        place.mkdir(parents=True)
        program = place / "report_cases"
        program.write_bytes((check.args.programs / "report_cases").read_bytes())
        program.chmod(0o755)
        for form, wanted in (("text", ("    stack:", "    allocated by ", "    freed by ", "    next: ", "moat: the fault")),
                             ("asan", ("freed by thread", "previously allocated by", "SUMMARY: AddressSanitizer: heap-use",
                                       "==ABORTING\n"))):
            status, out, err, _ = start([program, "write-freed", "40"], f"report={form}")
            expect(status == -signal.SIGSEGV, f"{form}: status {status}", out + err)
            for words in wanted:
                expect(words in err, f"{form}: no {words}", err)
            expect(err.count(str(program)) >= 6, f"{form}: no frames", err)
        _, _, err, _ = start([program, "write-freed", "40"], "report=json")
        report = check.parse_json(err)
        for stack in (report["stack"], report["chunk"]["allocated"], report["chunk"]["freed"]):
            expect(len(stack["frames"]) >= 2 and stack["frames"][-1]["module"] == str(program), "json", err)


def test_sandbox():
    for what in ("no-ioctl", "no-open"):
        status, out, err, _ = hostile(what)
        expect(status in (-signal.SIGSYS, -signal.SIGABRT), f"{what}: status {status}", out + err)
        expect("moat: double-free" in err and "    evidence: " in err, f"{what}: lost", err)


def test_smashed_stack():
    # The more there is above main's frame, the more of what libc keeps there is gone.
    for pad in (0, 3000, 12000, 100000):
        status, out, err, _ = hostile("smashed", env={"PAD": "x" * pad})
        expect(status == -signal.SIGABRT, f"{pad}: status {status}", out + err)
        expect("moat: double-free" in err and err.endswith("moat: aborting\n"), f"{pad}: cut", err)


def test_faults_of_the_programs_own():
    for size in ("small", "large"):
        for options in ("", "handle_segv=late sample_rate=1000"):
            status, out, err, _ = hostile(f"barrier-{size}", options)
            expect((status, out, err) == (0, "lived\n", ""), f"{size} {options}: status {status}", out + err)
            status, out, err, _ = hostile(f"own-guard-{size}", options)
            expect((status, out, err) == (-signal.SIGSEGV, "", ""), f"own guard {size} {options}: {status}", out + err)


if __name__ == "__main__":
    check.main(globals())
