#!/usr/bin/env python3
"""What the heap shows of itself. check.py TEST --programs DIR --moat COMMAND"""
import argparse
import contextlib
import json
import os
import pathlib
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree

sys.dont_write_bytecode = True
args = None


def expect(what, message, text=""):
    if not what:
        sys.exit(f"{message}\n{text}")


def environment(options):
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("MOAT_", "LD_"))}
    return {**clean, "MOAT_OPTIONS": options}


def run(*command, options="", **more):
    """(status, standard output, standard error)"""
    done = subprocess.run([str(c) for c in command], env=environment(options), stdin=subprocess.DEVNULL,
                          capture_output=True, timeout=120, **more)
    return done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")


def moat(*words):
    return run(args.moat, *words)


@contextlib.contextmanager
def process(*command, options=""):
    """A process that has said its first line, which comes with it; ended at last."""
    with subprocess.Popen([str(c) for c in command], env=environment(options), stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as p:
        try:
            yield p, p.stdout.readline().decode()
        finally:
            p.kill()


def program(*words):
    return [args.programs / "sight_program", *words]


def install(command, *packages):
    """What a test needs and Debian has."""
    if shutil.which(command):
        return
    sudo = [] if os.geteuid() == 0 else ["sudo", "-n"]
    apt = [*sudo, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-o", "DPkg::Lock::Timeout=300"]
    get = [*apt, "install", "-y", "-qq", "--no-install-recommends", *packages]
    if subprocess.run(get, capture_output=True, check=False).returncode != 0:
        subprocess.run([*apt, "update", "-qq"], check=True, capture_output=True)
        subprocess.run(get, check=True, capture_output=True)
    expect(shutil.which(command), f"no {command} after installing {packages}")


def wait_for(what, message, seconds=20):
    end = time.monotonic() + seconds
    while not what():
        expect(time.monotonic() < end, message)
        time.sleep(0.05)


EXACT = """allocated_bytes live_chunks cached_bytes quarantined_bytes large_bytes large_chunks slabs_bytes open_slabs
    purged_slabs active_bytes retained_bytes reserved_bytes shards size_classes thread_caches frees guards""".split()


def compare(inside, outside):
    for name in EXACT:
        expect(inside[name] == outside[name], f"{name}: {inside[name]} from inside, {outside[name]} from outside")
    expect(inside["classes"] == outside["classes"] and inside["by_shard"] == outside["by_shard"], "classes or shards")
    off = abs(inside["requested_bytes"] / outside["requested_bytes"] - 1)
    expect(off < 0.02, f"requested: {off:.3f} off")


def test_from_outside():
    """moat top --json says of a process what it says itself, in every profile, and of a static one."""
    for binary in "sight_program", "sight_static":
        for profile in "production", "strict", "embedded":
            with process(args.programs / binary, "look", options=f"profile={profile}") as (p, line):
                inside = json.loads(line)
                status, out, err = moat("top", "--once", "--json", p.pid)
                expect(status == 0, "moat top failed", err)
                compare(inside, json.loads(out))
                expect(inside["large_chunks"] == 7 and inside["live_chunks"] > 13000, "not what was allocated", line)
                expect(json.loads(out)["profile"] == inside["profile"] == profile, "another profile")


def test_requested():
    """What was asked for is exact from inside: the difference of two sizes that one class serves."""
    sums = []
    for form in range(3):
        status, out, err = run(*program("form", str(form)), options="sample_rate=0")
        expect(status == 0, "failed", err)
        found = re.search(r'requested_bytes"?[: ]+(\d+)', out.split("gauge\nmoat_requested", 1)[-1]
                          if form == 2 else out)
        found = re.search(r"^moat_requested_bytes (\d+)$", out, re.M) if form == 2 else found
        sums.append(int(found.group(1)))
    want = sum(i * 37 % 1500 for i in range(20000) if i % 3) + 7 * 300000
    for s in sums:
        expect(0 <= s - want < 40000, f"{s} requested, the program's own {want}")  # and what libc has


def test_top_text():
    with process(*program("look")) as (p, _):
        status, out, err = moat("top", "-n", "2", "-d", "0.1", p.pid)
        expect(status == 0 and out.count("profile production") == 2, "not two looks", out + err)
        for word in "resident", "fragmentation", "frees", "quarantined", "guards", "up to", "shard":
            expect(word in out, f"no {word}", out)


def test_map():
    with process(*program("look")) as (p, line):
        status, out, err = moat("map", p.pid)
        expect(status == 0, "moat map failed", err)
        svg = xml.etree.ElementTree.fromstring(out)
        expect(svg.tag.endswith("}svg"), "no SVG", svg.tag)
        # malloc(0)'s slab counts as closed here, and not at all there
        expect(f"{json.loads(line)['open_slabs']} open" in out, "another number of open slabs", out[:600])
        guards = next(e.get("d") for e in svg if e.get("stroke") == "#d22")
        expect(guards.count("M") == json.loads(line)["open_slabs"], "not a guard for each slab")
        with tempfile.TemporaryDirectory() as folder:
            expect(moat("map", "-o", f"{folder}/m.svg", p.pid)[0] == 0, "-o failed")
            xml.etree.ElementTree.parse(f"{folder}/m.svg")
        status, _, err = moat("map", "-o", "/nonexistent/m.svg", p.pid)
        expect(status == 1 and "No such file" in err, "an output that can't be", err)


def test_refusals():
    """Each that can't be looked at is told why."""
    for words, status, text in [(("top",), 2, "which process"), (("top", "x"), 1, "'x' is not the number"),
                                (("top", "--jsn", "1"), 2, "unrecognized option '--jsn'"),
                                (("top", "-d", "0", "1"), 2, "-d: '0' is no number"),
                                (("top", "-n", "1x", "1"), 2, "-n: '1x' is no number"),
                                (("map",), 2, "which process"), (("map", "4194305"), 1, "there is no process 4194305"),
                                (("top", "--once", "-3"), 2, "invalid option")]:
        got, out, err = moat(*words)
        expect(got == status and text in err and not out, f"moat {words}: {got}", err)
    with process("/bin/sh", "-c", "echo; read x") as (p, _):
        expect("moat is not its malloc" in moat("top", p.pid)[2], "a process without moat")
    child = subprocess.Popen(["true"], stdin=subprocess.DEVNULL)
    wait_for(lambda: pathlib.Path(f"/proc/{child.pid}/stat").read_text().split(") ")[1][0] == "Z", "no zombie")
    expect("it has no memory" in moat("top", child.pid)[2], "a zombie")
    child.wait()


def test_permission():
    with process(*program("look")) as (p, _):
        if os.geteuid() == 0:
            with tempfile.TemporaryDirectory() as folder:
                os.chmod(folder, 0o755)
                shutil.copy(args.moat, f"{folder}/moat")
                status, out, err = run("setpriv", "--reuid=65534", "--clear-groups", f"{folder}/moat", "top", p.pid)
        else:
            status, out, err = moat("top", 1)
        expect(status == 1 and "ptrace permission is needed" in err and not out, "looked at another's process", err)


def test_hostile():
    """Lies are refused or shown as they are; they neither crash nor hang the command."""
    fake = args.programs / "sight_fake"
    cases = [("layout", 1), ("magic", 1), ("cycle", 1), ("huge", 1), ("wild", 1), ("plain", 1)]
    for mode, seed in cases + [("random", n) for n in range(8)]:
        with process(fake, mode, seed) as (p, _):
            for words in ("top", "--once", "--json"), ("map",):
                status, out, err = moat(*words, p.pid)
                expect(status in (0, 1), f"{mode} {seed}: {words} ended by {status}", err)
                expect("\033" not in out + err, f"{mode}: a name that a terminal obeys", out + err)
                if mode == "layout":
                    expect("another version of moat" in err, "the layout is not compared", err)
                if mode in ("magic",):
                    expect(status == 1, "taken for moat", out)
                if status == 0 and words == ("map",):
                    xml.etree.ElementTree.fromstring(out)
                if status == 0 and "--json" in words:
                    json.loads(out)
                if mode in ("cycle", "huge", "plain"):
                    expect(status == 0, f"{mode}: refused", err)


def test_changing():
    """A process that goes on meanwhile, and one that dies."""
    with process(*program("busy")) as (p, _):
        status, out, err = moat("top", "-n", "40", "-d", "0.01", "--json", p.pid)
        expect(status == 0, "failed on a busy process", err)
        for line in out.splitlines():
            figures = json.loads(line)
            expect(10000 < figures["live_chunks"] < 30000, "not what is live", line)
        with subprocess.Popen([str(args.moat), "top", "-d", "0.01", str(p.pid)], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE) as top:
            top.stdout.readline()  # it has had its first look
            p.kill()
            p.wait()
            _, err = top.communicate(timeout=20)
            expect(top.returncode == 0 and b"has ended" in err, f"{top.returncode}", err.decode())


def test_openmetrics():
    """promtool and a strict parser of OpenMetrics read the text; both forms hold what the JSON form does."""
    install("promtool", "prometheus")
    status, out, err = run(*program("form", "2"))
    expect(status == 0 and out.endswith("# EOF\n"), "no OpenMetrics text", out + err)
    check = subprocess.run(["promtool", "check", "metrics"], input=out.encode(), capture_output=True, check=False)
    expect(check.returncode == 0 and not check.stderr, "promtool", (check.stdout + check.stderr).decode())
    # By OpenMetrics: HELP and TYPE of a family come before its samples, which stand together; EOF is last.
    family, seen = None, set()
    for line in out.splitlines()[:-1]:
        kind = re.fullmatch(r"# (HELP|TYPE) (moat_[a-z_]+) (.+)", line)
        sample = re.fullmatch(r'(moat_[a-z_]+)(\{(slot|shard)="\d+"\})? \d+', line)
        expect(kind or sample, "a line of another form", line)
        if kind and kind.group(1) == "HELP":
            family = kind.group(2)
            expect(family not in seen, "a family in two parts", line)
            seen.add(family)
        expect((kind.group(2) if kind else sample.group(1)) == family, "out of its family", line)
    figures = json.loads(run(*program("form", "1"))[1])
    expect({f"moat_{k}" for k, v in figures.items() if isinstance(v, int) and k != "process"} <= seen, "not all figures")
    expect({"moat_class_live", "moat_class_quarantined", "moat_shard_taken_bytes"} <= seen, "no classes or shards")


def test_file():
    """stats=/PATH:SECONDS: whole whenever it is looked at, at exit too, and the process ends at once."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "a.prom"
        with process(*program("busy"), options=f"stats={path}:1") as (p, _):
            expect(len(os.listdir(f"/proc/{p.pid}/task")) == 2, "no thread")
            wait_for(path.exists, "no file")
            before, ends = path.stat().st_ino, time.monotonic() + 2.5
            while time.monotonic() < ends:
                expect(path.read_text().endswith("# EOF\n"), "a part of a file")
            expect(path.stat().st_ino != before, "it is not written again")
            expect(path.stat().st_mode & 0o777 == 0o644, "not for others to read")
        path.unlink(missing_ok=True)
        for leftover in pathlib.Path(folder).iterdir():
            leftover.unlink()  # of the killed one, perhaps
        start = time.monotonic()
        status, _, err = run(*program("form", "0"), options=f"stats={folder}/%p.prom:86400")
        expect(status == 0 and time.monotonic() - start < 5, "exit waits", err)
        expect([f.suffix for f in pathlib.Path(folder).iterdir()] == [".prom"], "not one file", str(os.listdir(folder)))
        expect(run(*program("form", "0"), options="stats=/nonexistent/a.prom:1")[0] == 0, "a path that can't be")
        _, _, err = run(*program("form", "0"), options="stats=exti")
        expect("stats=exti: allowed are off, exit, /PATH:SECONDS" in err, "misspelt", err)


def test_file_and_fork():
    """A child leaves the file to its parent; a daemon, whose parent has left, goes on with it; with %p each has its own."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "a.prom"
        expect(run(*program("children"), options=f"stats={path}:3600")[0] == 0, "failed")
        live = int(re.search(r"^moat_live_chunks (\d+)$", path.read_text(), re.M).group(1))
        expect(live < 10000, f"{live} live chunks: the child's")
        expect(run(*program("children"), options=f"stats={folder}/x%p.prom:3600")[0] == 0, "failed")
        expect(len(list(pathlib.Path(folder).glob("x*.prom"))) == 2, "not one each")
        path.unlink()
        with process(*program("daemon"), options=f"stats={path}:1") as (p, line):
            p.wait()
            wait_for(path.exists, "the daemon writes nothing")
            live = int(re.search(r"^moat_live_chunks (\d+)$", path.read_text(), re.M).group(1))
            os.kill(int(line), signal.SIGKILL)
            expect(live > 10000, f"{live} live chunks: not the daemon's")


def test_ends():
    """What writes at times and at exit keeps no process from ending: not one whose first thread has left, not one that a
    handler ends in the middle of malloc. Without memory there are no figures, and no heaps."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "a.prom"
        expect(run(*program("left"), options=f"stats={path}:3600")[0] == 0, "the first thread has left")
        for i in range(20):
            done = run(*program("handler"), str(2000 + i * 617), options=f"stats={path}:3600")
            expect(done[0] == 0, "exit in a handler", done[2])
    limit = (4 << 20, 4 << 20)
    done = run(program("small")[0], "small", preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, limit))
    expect(done[0] == 0, f"without memory: {done}")


def profile_of(text):
    """The sum of bytes, and how much of them has a stack."""
    rows = re.findall(r"^(\d+): (\d+) \[\d+: \d+\] @((?: 0x[0-9a-f]+)*)$", text, re.M)
    expect(re.match(r"heap profile: \d+: \d+ \[\d+: \d+\] @ heapprofile\n", text), "another head", text[:200])
    expect("\nMAPPED_LIBRARIES:\n" in text and "libc.so" in text, "no mappings", text[-500:])
    return sum(int(r[1]) for r in rows), sum(int(r[1]) for r in rows if len(r[2].split()) > 1)


def test_profile():
    """Sampled chunks, scaled, come near to what is held, and pprof names who holds them."""
    install("go", "golang-go")
    options = "sample_rate=200,sample_slots=1024"
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "heap"
        status, out, err = run(*program("dump"), options=options)
        expect(status == 0, "moat_profile_dump failed", err)
        total, with_stack = profile_of(out)
        expect(12_000_000 < total < 28_000_000 and with_stack == total, f"{total} bytes, {with_stack} with a stack")
        with process(*program("hold"), options=f"{options},heap_profile={path}:{int(signal.SIGUSR2)}") as (p, _):
            expect(not path.exists(), "too early")
            p.send_signal(signal.SIGUSR2)
            wait_for(path.exists, "no profile at the signal")
            expect(profile_of(path.read_text())[0] > 10_000_000, "not what is held")
            path.unlink()
            p.stdin.close()
            expect(p.wait(timeout=20) == 0, "the signal has ended it")
        expect(profile_of(path.read_text())[0] > 10_000_000, "no profile at exit")
        expect(path.stat().st_mode & 0o777 == 0o600, "for others to read")
        done = subprocess.run(["go", "tool", "pprof", "-top", "-cum", program("x")[0], path], capture_output=True, check=False,
                              env={**os.environ, "HOME": folder, "PPROF_TMPDIR": folder})
        top = done.stdout.decode()
        expect(done.returncode == 0 and re.search(r"(9\d(\.\d+)?|100)% +hold_many$", top, re.M), "pprof", top + done.stderr.decode())


def main():
    global args
    parser = argparse.ArgumentParser()
    parser.add_argument("test")
    parser.add_argument("--programs", type=pathlib.Path, required=True)
    parser.add_argument("--moat", type=pathlib.Path, required=True)
    args = parser.parse_args()
    globals()[f"test_{args.test}"]()


main()
