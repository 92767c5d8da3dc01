#!/usr/bin/env python3
"""Reports as they come out of a process. check.py TEST --programs DIR --moat COMMAND --docs REPORTS.md"""
import argparse
import json
import os
import pathlib
import pty
import re
import shutil
import signal
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True

VIOLATIONS = {  # case of cases.c -> moat's name, the sanitizer's first line (None: moat's own name)
    "overflow": ("heap-buffer-overflow", r"heap-buffer-overflow on address 0x7f1200000030 at pc 0x"),
    "overflow-unsized": ("heap-buffer-overflow", r"heap-buffer-overflow on address 0x7f1200000040 at pc 0x"),
    "underflow": ("heap-buffer-overflow", r"heap-buffer-overflow on address 0x7f1200000010 at pc 0x"),
    "double-free": ("double-free", r"attempting double-free on 0x7f1200000018 in thread T0:$"),
    "bad-free": ("bad-free", r"attempting free on address which was not malloc\(\)-ed: 0x1000 in thread T0:$"),
    "write-after-free": ("heap-use-after-free", r"heap-use-after-free on address 0x7f120000001d at pc 0x"),
    "mismatch": ("alloc-dealloc-mismatch", r"alloc-dealloc-mismatch \(malloc vs delete\[\]\) on 0x7f1200000018$"),
    "metadata": ("heap-metadata-corruption", r"heap-metadata-corruption on address 0xf+ at pc 0x"),
    "given": ("heap-buffer-overflow", r"heap-buffer-overflow on address 0x7f1200000030 at pc 0x"),
    "given-freed": ("heap-use-after-free", r"heap-use-after-free on address 0x7f1200000018 at pc 0x"),
    "panic": ("panic", r"panic on address 0x0 at pc 0x"),
    "memory": ("out-of-memory", r"out-of-memory on address 0x0 at pc 0x"),
    "read-past": ("heap-buffer-overflow", r"heap-buffer-overflow on address 0x7f1200000036 at pc 0x"),
    "write-before": ("heap-buffer-overflow", r"heap-buffer-overflow on address 0x7f1200000017 at pc 0x"),
    "write-freed": ("heap-use-after-free", r"heap-use-after-free on address 0x7f120000001b at pc 0x"),
    "access-freed": ("heap-use-after-free", r"heap-use-after-free on address 0x7f120000001b at pc 0x"),
    "wild": ("wild-access", r"SEGV on unknown address 0x123 \(pc 0x[0-9a-f]+ bp 0x[0-9a-f]+ sp 0x[0-9a-f]+ T0\)$"),
}
FAULTS = ("read-past", "write-before", "write-freed", "access-freed", "wild")
FRAME = re.compile(r"^ *#(\d+) 0x[0-9a-f]+(?: \((/.*|\[vdso\])\+0x[0-9a-f]+\)|  \(<unknown module>\)|)( \(BuildId: [0-9a-f]{8,40}\))?$")
args = None


def expect(what, message, text=""):
    if not what:
        sys.exit(f"{message}\n{text}")


def start(command, options="", env=(), **more):
    """Runs it; (status, standard output, standard error)."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("MOAT_", "LD_", "NO_COLOR"))}
    clean.update(env)
    if options:
        clean["MOAT_OPTIONS"] = options
    more.setdefault("stderr", subprocess.PIPE)
    with subprocess.Popen([str(c) for c in command], env=clean, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          **more) as process:
        out, err = process.communicate(timeout=60)
    return process.returncode, out.decode(errors="replace"), (err or b"").decode(errors="replace"), process.pid


def case(kind, options):
    status, out, err, pid = start([args.programs / "report_cases", kind], options)
    wanted = -signal.SIGSEGV if kind in FAULTS else -signal.SIGABRT
    expect(status == wanted and not out, f"{kind}: status {status}, wanted {wanted}", out + err)
    return err, pid


def program(kind, state, options="", env=(), fast=False, **more):
    name = "report_program_fast" if fast else "report_program"
    return start([args.programs / name, kind, state], options, env=env, **more)


def documented_keys():
    """Path of each key -> set of its types, from the table in docs/REPORTS.md."""
    table = args.docs.read_text().partition("\n| key | type | meaning |\n")[2]
    rows = re.findall(r"^\| `([a-z_.\[\]]+)` \| ([a-z, ]+) \|", table, re.MULTILINE)
    expect(len(rows) > 20, "docs/REPORTS.md has no table of keys")
    return {path: set(types.replace(",", "").split()) for path, types in rows}


def kind_of(value):
    return {str: "text", int: "number", bool: "boolean", dict: "object", list: "list", type(None): "null"}[type(value)]


def flatten(value, path=""):
    """Every (path, type) in a value of JSON."""
    if path:
        yield path, kind_of(value)
    if isinstance(value, dict):
        for k, v in value.items():
            yield from flatten(v, f"{path}.{k}" if path else k)
    if isinstance(value, list):
        for v in value:
            yield from flatten(v, path + "[]")


def parse_json(text):
    """The one line that a JSON report is; a key that comes twice is an error."""
    def once(pairs):
        expect(len({k for k, _ in pairs}) == len(pairs), "a key comes twice", text)
        return dict(pairs)
    lines = text.split("\n")
    expect(len(lines) == 2 and lines[1] == "", "not one line", text)
    return json.loads(lines[0], object_pairs_hook=once)


def test_json():
    keys, seen = documented_keys(), {}
    for kind, (bug, _) in VIOLATIONS.items():
        text, pid = case(kind, "report=json")
        report = parse_json(text)
        expect((report["bug"], report["severity"], report["schema"]) == (bug, "error", 1), f"{kind}: wrong bug", text)
        expect(report["process"] == report["thread"] == report["stack"]["thread"] == pid, f"{kind}: wrong process", text)
        expect(len(report["stack"]["frames"]) >= 2, f"{kind}: no stack", text)
        for path, found in flatten(report):
            path = re.sub(r"^chunk\.(allocated|freed)\.", "stack.", path)
            expect(found in keys.get(path, ()), f"{kind}: {path} is {found}, docs/REPORTS.md says {keys.get(path)}", text)
            seen.setdefault(path, set()).add(found)
        missing = {p for p in keys if "." not in p and "[" not in p} - set(report)
        expect(not missing, f"{kind}: without {missing}", text)
    # Every key and every type that is documented has been seen.
    for path, types in keys.items():
        unseen = types - seen.get(path, set()) - {"null" if path.endswith((".offset", ".build_id", ".module")) else ""}
        expect(not unseen, f"docs/REPORTS.md: {path} was never {unseen}")
    report = parse_json(case("write-before", "report=json")[0])
    expect((report["access"], report["offset"], report["action"]) == ("write", -1, None), "wrong access", report)
    report = parse_json(case("given", "report=json")[0])
    expect([report[k] for k in ("action", "access", "length", "available", "other")] ==
           ["memcpy", "write", 40, 20, "0x1230"], "not what was given", report)
    expect(report["chunk"]["freed"]["thread"] == report["thread"] + 1, "wrong thread of the free", report)


def test_json_escapes():
    with tempfile.TemporaryDirectory() as folder:
        strange = pathlib.Path(folder) / 'a "quoted\\" \x01 näme'
        strange.write_bytes((args.programs / "report_cases").read_bytes())
        strange.chmod(0o755)
        _, _, err, _ = start([strange, "strange"], "report=json")
    report = parse_json(err)
    expect(report["action"] == '"\\' and report["evidence"].startswith("\x01\x02"), "badly escaped", err)
    modules = {f["module"] for f in report["stack"]["frames"]}
    expect(any(m and 'a "quoted\\" \x01' in m for m in modules), f"the module's name is lost: {modules}", err)
    expect(len(err) < 32768, "longer than its buffer")


def test_asan():
    for kind, (bug, first) in VIOLATIONS.items():
        text, pid = case(kind, "report=asan")
        lines = text.split("\n")
        expect(lines[0] == "=" * 65, f"{kind}: no line of =", text)
        expect(re.match(rf"=={pid}==ERROR: AddressSanitizer: {first}", lines[1]), f"{kind}: first line", text)
        at = next(i for i, line in enumerate(lines) if line.startswith("    #0 "))
        header = "\n".join(lines[2:at])
        if bug.startswith("heap-") and kind != "metadata":
            access = "READ" if kind in ("read-past", "given-freed") else "WRITE"
            size = 40 if kind == "given" else 1
            expect(re.fullmatch(rf"{access} of size {size} at 0x[0-9a-f]+ thread T0", header), f"{kind}: no access line", text)
        if kind == "wild":
            expect(header == f"=={pid}==The signal is caused by a WRITE memory access.", f"{kind}: no access line", text)
        stack = lines[at:lines.index("", at)]
        expect(len(stack) >= 2 and all(FRAME.match(line) for line in stack), f"{kind}: frames", text)
        expect([int(FRAME.match(line)[1]) for line in stack] == list(range(len(stack))), f"{kind}: numbers", text)
        name = "SEGV" if kind == "wild" else bug
        expect(re.search(rf"^SUMMARY: AddressSanitizer: {name} \(/.*report_cases\+0x[0-9a-f]+\)$", text, re.MULTILINE),
               f"{kind}: no summary", text)
        expect(lines[-2:] == [f"=={pid}==ABORTING", ""], f"{kind}: no end", text)
    text, pid = case("write-freed", "report=asan")
    expect(re.search(r"^0x7f120000001b is located 3 bytes inside of 24-byte region \[0x7f1200000018,0x7f1200000030\)\n"
                     rf"freed by thread T{pid + 1} here:\n(    #.*\n)+\n"
                     r"previously allocated by thread T0 here:\n(    #.*\n)+\n", text, re.MULTILINE), "kept stacks", text)
    text, _ = case("overflow", "report=asan")
    expect("0x7f1200000030 is located 0 bytes after 24-byte region" in text, "region", text)
    text, _ = case("write-before", "report=asan")
    expect("0x7f1200000017 is located 1 bytes before 24-byte region" in text, "region", text)


def test_text():
    for kind, (bug, _) in VIOLATIONS.items():
        text, pid = case(kind, "")
        lines = text.strip().split("\n")
        expect(all(line.startswith(f"=={pid}== ") for line in lines), f"{kind}: a line without its process", text)
        expect(f"== moat: {bug}: " in lines[0], f"{kind}: first line", text)
        expect(lines[-1].endswith("the fault takes its course" if kind in FAULTS else "moat: aborting"), f"{kind}: end", text)
        expect("    stack" in text and re.search(r"#1 0x[0-9a-f]+ \(/.*\+0x[0-9a-f]+\)", text), f"{kind}: stack", text)
        expect(re.search(r"    module: /.*report_cases \(BuildId: [0-9a-f]{40}\)", text), f"{kind}: build id", text)
        expect("    usually: " in text and "    next: " in text, f"{kind}: what it means", text)


def test_programs():
    for kind, bug in (("overflow", "heap-buffer-overflow"), ("double-free", "double-free"), ("bad-free", "bad-free")):
        for state in ("plain", "handler", "tiny", "environment"):
            status, out, err, _ = program(kind, state)
            expect(status == -signal.SIGABRT and not out, f"{kind} {state}: status {status}", out + err)
            expect(err.count("== moat: ") == 2 and f" moat: {bug}: free " in err, f"{kind} {state}", err)
    status, out, err, _ = program("none", "plain")
    expect((status, out, err) == (0, "", ""), f"no bug: status {status}", out + err)


def test_threads():
    for form, mark in (("text", "moat: double-free: free"), ("json", '"bug":"double-free"'), ("asan", "ERROR: Addr")):
        for _ in range(5):
            status, _, err, _ = program("double-free", "threads", f"report={form}")
            expect(status == -signal.SIGABRT and err.count(mark) == 1, f"{form}: status {status}", err)
            if form == "json":
                parse_json(err)


def test_log_path():
    with tempfile.TemporaryDirectory() as folder:
        prefix = f"{folder}/log"
        for form in ("text", "json", "asan"):
            for state in ("plain", "closed"):
                status, out, err, pid = program("overflow", state, f"report={form} log_path={prefix}")
                expect(status == -signal.SIGABRT and not out + err, f"{state}: status {status}", out + err)
                log = pathlib.Path(f"{prefix}.{pid}")
                expect("heap-buffer-overflow" in log.read_text(), f"{state}: nothing in {log}")
                expect(log.stat().st_mode & 0o777 == 0o600, "others may read it")
                if form == "json":
                    parse_json(log.read_text())
        # What can't be written to is not followed, and the report is not lost.
        _, _, err, _ = program("overflow", "plain", "log_path=/nonexistent/folder/log")
        expect("moat: heap-buffer-overflow" in err, "lost", err)
    status, out, err, _ = program("overflow", "closed")
    expect(status == -signal.SIGABRT and not out + err, f"closed: status {status}", out + err)


def test_endings():
    status, _, err, _ = program("overflow", "plain", "abort_on_error=no")
    expect(status == 1 and err.endswith("moat: exiting\n"), f"status {status}", err)
    status, _, err, _ = program("overflow", "plain", "abort_on_error=0,exitcode=77")
    expect(status == 77, f"status {status}", err)
    status, _, err, _ = program("overflow", "plain", "exitcode=77")
    expect(status == -signal.SIGABRT, f"status {status}", err)
    status, _, err, _ = start([args.programs / "report_cases", "wild"], "abort_on_error=no exitcode=3")
    expect(status == 3 and err.endswith("moat: exiting\n"), f"status {status}", err)


def test_callback():
    status, out, err, _ = program("overflow", "callback")
    expect(status == -signal.SIGABRT and out == "callback heap-buffer-overflow ends\n", f"status {status}", out + err)
    status, out, err, _ = program("overflow", "no-callback")
    expect(status == -signal.SIGABRT and out == "", f"status {status}", out + err)
    status, out, err, _ = program("double-free", "plain", env={"HOOK": "1"})
    expect(status == -signal.SIGABRT and out == "hook double-free\n", f"status {status}", out + err)
    status, out, err, _ = program("double-free", "callback", "report=json", env={"HOOK": "1"})
    expect(out == "callback double-free ends\nhook double-free\n", f"status {status}", out + err)


def test_warnings():
    mismatch = "delete[] of 0x7f1200000018: it came from malloc"
    foreign = "free of 0x1000: it is in none of moat's mappings"

    def start_cases(options):
        return start([args.programs / "report_cases", "warnings"], options)

    _, _, err, _ = start_cases("color=always")
    expect(err == f"moat: {mismatch}\nmoat: {foreign}\n", "text", err)
    for status, options in ((0, ""), (4, " abort_on_error=no exitcode=4")):
        with tempfile.TemporaryDirectory() as folder:
            ended, out, err, pid = start_cases(f"report=json log_path={folder}/log{options}")
            expect(ended == status and not out + err, f"status {ended}", out + err)
            lines = pathlib.Path(f"{folder}/log.{pid}").read_text().splitlines(keepends=True)
        reports = [parse_json(line) for line in lines]
        expect([(r["severity"], r["bug"]) for r in reports] ==
               [("warning", "alloc-dealloc-mismatch"), ("warning", "bad-free"), ("error", "double-free")][:len(reports)] and
               len(reports) == (3 if status else 2), "reports", "".join(lines))
        expect(all(len(r["stack"]["frames"]) >= 2 and r["stack"]["frames"][0]["module"] for r in reports), "no stack")
        expect(reports[0]["chunk"]["requested"] == 24 and reports[1]["chunk"] is None, "chunks", "".join(lines))
    _, _, err, pid = start_cases("report=asan")
    expect(err.count(f"=={pid}==WARNING: AddressSanitizer: ") == 2 and f"=={pid}==HINT: moat: free of 0x1000" in err,
           "asan", err)
    expect("    #1 0x" in err and not any(word in err for word in ("ERROR", "SUMMARY", "ABORTING")), "asan", err)
    # In a whole program, from several threads, in a handler, with its callback told.
    for state, count in (("plain", 1), ("handler", 1), ("tiny", 1), ("threads", 1)):
        status, _, err, _ = program("foreign", state, "foreign=warn report=json")
        lines = err.splitlines(keepends=True)
        expect(status == 0 and len(lines) >= count, f"{state}: status {status}", err)
        expect(all(parse_json(line)["severity"] == "warning" for line in lines), state, err)
    status, out, err, _ = program("foreign", "callback", "foreign=warn")
    told = out.count("callback bad-free goes on\n")
    expect(status == told > 0 and err.count("moat: free of 0x") == told, f"status {status}", out + err)


def on_terminal(options, env=()):
    ours, theirs = pty.openpty()
    status, _, _, _ = program("overflow", "plain", options, env=env, stderr=theirs)
    os.close(theirs)
    text = b""
    try:
        while part := os.read(ours, 4096):
            text += part
    except OSError:  # the other end is closed
        pass
    os.close(ours)
    expect(status == -signal.SIGABRT, f"status {status}", text)
    return text.decode()


def test_color():
    red = re.compile(r"^\x1b\[1;31m==\d+== moat: heap-buffer-overflow:.*\x1b\[0m$", re.MULTILINE)
    expect(red.search(on_terminal("").replace("\r", "")), "no colour on a terminal")
    expect("\x1b" not in on_terminal("", {"NO_COLOR": "1"}), "colour in spite of NO_COLOR")
    expect("\x1b" not in on_terminal("color=never"), "colour in spite of color=never")
    expect("\x1b" not in on_terminal("report=json") and "\x1b" not in on_terminal("report=asan"), "colour for tools")
    expect("\x1b" not in program("overflow", "plain")[2], "colour in a pipe")
    expect(red.search(program("overflow", "plain", "color=always")[2]), "no colour in spite of color=always")

def marked_lines():
    """Function -> line, of the calls that program.c marks."""
    source = pathlib.Path(__file__).with_name("program.c").read_text().split("\n")
    marks = {m[1]: n for n, line in enumerate(source, 1) if (m := re.search(r"/\* line: (\w+) \*/", line))}
    expect(len(marks) == 4, "program.c has lost its marks")
    return marks


def tools():
    llvm = [t for t in ("llvm-symbolizer", "llvm-symbolizer-14") if shutil.which(t)]
    expect(shutil.which("addr2line") and llvm, "addr2line and llvm-symbolizer are not both installed")
    return ["addr2line", llvm[0]]


def symbolized(text, tool, *, binary=False):
    with tempfile.NamedTemporaryFile() as file:
        file.write(text if binary else text.encode())
        file.flush()
        status, out, err, _ = start([args.moat, "symbolize", "--tool", tool, file.name])
    expect(status == 0, f"moat symbolize: status {status}", err)
    return out, err


def frames_in_text(text):
    return re.findall(r"#(\d+) 0x[0-9a-f]+ in (\S+) \S*/program\.c:(\d+) \(/", text)


def test_symbolize_text():
    marks = marked_lines()
    for tool in tools():
        for form, fast in (("text", False), ("asan", True)):
            report = program("overflow", "plain", f"report={form}", fast=fast)[2]
            out, err = symbolized("a line before\n" + report, tool)
            expect(not err and out.startswith("a line before\n"), f"{form}: {err}", out)
            ours = [(name, int(line)) for _, name, line in frames_in_text(out)]
            for name, line in marks.items():
                expect((name, line) in ours, f"{form} {tool}: {name} at line {line} is missing", out)
            expect([n for n, _ in ours][:3] == ["innermost", "middle", "compare"], f"{form}: order", out)
            numbers = [int(n) for n in re.findall(r"^\D*(?:\d+==)?\s*#(\d+) ", out, re.MULTILINE)]
            expect(numbers == list(range(len(numbers))), f"{form}: numbers {numbers}", out)
            # Nothing else has changed.
            plain = re.sub(r"#\d+ (0x[0-9a-f]+) in .* (\(/.*\))", r"#N \1 \2", out.partition("\n")[2])
            lines = [line for line in plain.split("\n") if "#N" not in line]
            expect(lines == [line for line in report.split("\n") if not re.search(r" #\d+ 0x", line)], form, out)


def test_symbolize_json():
    marks = marked_lines()
    for tool in tools():
        report = program("double-free", "plain", "report=json", fast=True)[2]
        out, err = symbolized(report, tool)
        frames = parse_json(out)["stack"]["frames"]
        found = {(f.get("function"), f.get("line")) for f in frames}
        expect(set(marks.items()) <= found and not err, f"{tool}: {found}", out)
        expect(all(f["file"].endswith("/program.c") for f in frames[:3]), "files", out)
        for f in frames:
            for key in ("function", "file", "line"):
                f.pop(key, None)
        expect(frames == parse_json(report)["stack"]["frames"], "another key has changed", out)


def test_symbolize_builds():
    """A program that has been built again, or is gone, is named; its frames stay as they are."""
    report = program("overflow", "plain")[2]
    name = str(args.programs / "report_program")
    with tempfile.TemporaryDirectory() as folder:
        other = pathlib.Path(folder) / "program"
        moved = report.replace(name + "+", f"{other}+").replace(name + " (", f"{other} (")
        out, err = symbolized(moved, "addr2line")
        expect(err.count("can't be read here") == 1 and "innermost" not in out, "gone", out + err)
        other.write_bytes((args.programs / "report_program_fast").read_bytes())
        out, err = symbolized(moved, "addr2line")
        expect(err.count("is another build") == 1 and "innermost" not in out, "another build", out + err)
        other.write_bytes((args.programs / "report_program").read_bytes())
        out, err = symbolized(moved, "addr2line")
        expect(not err and " in innermost /" in out, "the same build", out + err)


def test_symbolize_core():
    """gdb's line of docs/REPORTS.md shows the report, and `moat symbolize` finds it between the bytes of a core file."""
    line = re.search(r"^    gdb -batch -ex '(.*)' PROGRAM CORE$", args.docs.read_text(), re.MULTILINE)
    expect(line, "docs/REPORTS.md has no line for gdb")
    name = args.programs / "report_program"
    for form, mark in (("text", "moat: heap-buffer-overflow: free"), ("json", '{"moat":"'), ("asan", "SUMMARY: Addr")):
        _, out, err, _ = start(["gdb", "-nx", "-batch", "-ex", "run", "-ex", line[1], "--args", name, "overflow", "plain"],
                               f"report={form}", env={"DEBUGINFOD_URLS": ""}, stderr=subprocess.DEVNULL)
        expect(mark in out, f"{form}: gdb does not show it", out + err)
        report = program("overflow", "plain", f"report={form}")[2]
        # Before it what the library itself holds of such texts.
        bytes_ = b"\x7fELF\0\1==\0== moat: aborting\n\0{\"moat\":\"0.1.0\",\"schema\":1,\"process\":\0==12\0"
        out, err = symbolized(bytes_ + report.encode() + b"\0==13== moat: no part of it\n", "addr2line", binary=True)
        expect(mark in out and " innermost " in out.replace('"', " ") and "no part" not in out, form, out + err)
        if form == "json":
            parse_json(out)


def test_symbolize_refusals():
    status, out, err, _ = start([args.moat, "symbolize", "/nonexistent"])
    expect(status == 1 and not out and "No such file" in err, f"status {status}", out + err)
    status, out, err, _ = start([args.moat, "symbolize"])
    expect(status == 2 and "which report?" in err, f"status {status}", out + err)
    status, out, err, _ = start([args.moat, "symbolize", args.moat])
    expect(status == 1 and "holds no report" in err, f"status {status}", out + err)
    status, out, err, _ = start([args.moat, "symbolize", "-"], env={"PATH": "/nonexistent"})
    expect(status == 1 and "install one" in err, f"status {status}", out + err)
    status, out, err, _ = start([args.moat, "symbolize", "-"])
    expect((status, out, err) == (0, "", ""), f"nothing: status {status}", out + err)


def main(tests):
    global args
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("test")
    for name in ("programs", "moat", "docs"):
        parser.add_argument(f"--{name}", type=pathlib.Path, required=True)
    args = parser.parse_args()
    tests[f"test_{args.test}"]()


if __name__ == "__main__":
    main(globals())
