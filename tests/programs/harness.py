"""Cases, how one is run, and how two runs of it are compared."""
import difflib
import hashlib
import os
import pathlib
import re
import shutil
import signal
import socket
import stat
import subprocess
import time

import packages

CASES = {}  # by name, in the order of registration
STEP_SECONDS = 180
SHOWN_LINES = 40
SHOWN_DIFFERENCES = 6


class Finding:
    """A bug of the program itself that moat reports. Each of the reports must come under each profile; they are left
    out of the comparison, and `options` lets the program go on after them."""

    def __init__(self, *reports, options, why):
        self.reports, self.options, self.why = reports, options, why
        self.seen = set()  # (profile, report)

    def take(self, profile, path):
        """Takes the reports out of a program's standard error."""
        text = path.read_text(errors="surrogateescape")
        for report in self.reports:
            line = "(?m)^moat: " + re.escape(report).replace("ADDRESS", "0x[0-9a-f]+") + r"\n"
            text, times = re.subn(line, "", text)
            if times:
                self.seen.add((profile, report))
        path.write_text(text, errors="surrogateescape")

    def missing(self, profile):
        return [f"no longer reported: {r}" for r in self.reports if (profile, r) not in self.seen]


class Case:
    def __init__(self, name, programs, quick, extra, finds, about, body):
        self.name, self.programs, self.quick, self.packages, self.body = name, programs, quick, extra, body
        self.finds, self.about = finds, about
        self.what = body.__doc__  # one line, for the table

    def version(self):
        return packages.version(self.about or self.programs[0])


def case(name, *programs, quick=False, extra=(), finds=None, about=None):
    """Registers a function as a case; its documentation says in a line what the programs do, for the table.
    programs: what it runs, the one it is about first; extra: further (package, file that shows it).
    finds: a Finding, where the program has a bug of its own. about: whose version the table shows, if not the first's.
    """

    def register(body):
        if not body.__doc__ or "\n" in body.__doc__ or "|" in body.__doc__:
            raise ValueError(f"case {name} must say what it does in one line")
        if name in CASES:
            raise ValueError(f"two cases named {name}")
        CASES[name] = Case(name, programs or (name,), quick, extra, finds, about, body)
        return body

    return register


class Broken(Exception):
    """A step ended in a way that the case does not allow even in the plain run."""


class Step:
    """One finished command."""

    def __init__(self, label, status, out, err):
        self.label, self.status, self.out, self.err = label, status, out, err


class Trial:
    """One run of a case. Case bodies call its methods; `t` there is one of these."""

    def __init__(self, setup, case_, profile):
        self.setup, self.case, self.profile = setup, case_, profile
        self.inputs = setup.inputs
        self.directory = setup.root / f"{case_.name}-{profile or 'plain'}"
        self.work = setup.root / "work"  # the same name in both runs: programs print it
        self.steps, self.ignored, self.running = [], [], []
        self.broken, self.seconds, self.unmeasured = None, 0.0, 0.0

    def input(self, name):
        """Path of a generated input (inputs.py)."""
        start = time.monotonic()
        try:
            return str(self.inputs.path(name))
        except KeyError as error:
            raise Broken(f"{name} is neither in tests/data nor in inputs.py") from error
        finally:
            self.unmeasured += time.monotonic() - start

    def port(self, number=0):
        """A free port on loopback, one of several by number; the same in both runs of the case."""
        return self.setup.port((self.case.name, number))

    def ignore(self, pattern, why):
        """Leaves files whose path matches out of the comparison; `why` is for the reader of the case."""
        assert why
        self.ignored.append(re.compile(pattern))

    def run(self, *argv, status=0, stdin=None, normalise=(), keep_out=True, keep_err=True, env=None):
        """Runs a command to its end. status: what it must exit with in the plain run, None for any.
        normalise: (regular expression, replacement) for what differs between two plain runs as well.
        keep_out, keep_err False: the stream is not compared. Returns standard output."""
        number = len(self.steps)
        out, err = (self.directory / f"{number:02}.{s}" for s in ("out", "err"))
        with open(out, "wb") as o, open(err, "wb") as e, open(stdin or os.devnull, "rb") as i:
            process = subprocess.Popen(
                argv, cwd=self.work, stdin=i, stdout=o, stderr=e, env=self.environment(env), start_new_session=True
            )
            code = self.wait(process)
        return self.finish(argv, code, out, err, status, normalise, keep_out, keep_err)

    def shell(self, script, **how):
        """The same for a shell command line; `set -e -o pipefail` holds."""
        return self.run("bash", "-e", "-o", "pipefail", "-c", script, **how)

    def start(self, *argv, ready, env=None):
        """Starts a server and waits until ready() is true. Ended by stop()."""
        number = len(self.running)
        out, err = (self.directory / f"server-{number:02}.{s}" for s in ("out", "err"))
        with open(out, "wb") as o, open(err, "wb") as e:
            process = subprocess.Popen(
                argv,
                cwd=self.work,
                stdin=subprocess.DEVNULL,
                stdout=o,
                stderr=e,
                env=self.environment(env),
                start_new_session=True,
            )
        self.running.append(process)
        process.files = (argv, out, err)
        deadline = time.monotonic() + 20
        while not ready():
            if process.poll() is not None or time.monotonic() > deadline:
                raise Broken(f"{argv[0]} did not start\n" + tail(err) + tail(out))
            time.sleep(0.02)
        self.setup.note_loaded(process.pid, self)
        return process

    def stop(self, process, signal_=signal.SIGTERM, status=0, normalise=(), keep_out=False, keep_err=False):
        """Ends a server by a signal and records how it ended; its output is seldom the same twice."""
        if signal_:
            process.send_signal(signal_)
        code = self.wait(process)
        self.running.remove(process)
        argv, out, err = process.files
        self.finish(argv, code, out, err, status, normalise, keep_out, keep_err)

    def record(self, label, text):
        """Adds something the runner found out by itself (an answer from a server) to what is compared."""
        path = self.directory / f"{len(self.steps):02}.out"
        path.write_bytes(text)
        self.steps.append(Step(label, 0, path, None))

    def environment(self, more):
        env = {
            "PATH": packages.PATH,
            "HOME": str(self.work),
            "TMPDIR": str(self.work),
            "LC_ALL": "C.UTF-8",
            "TZ": "UTC",
            "PYTHONHASHSEED": "0",
            "PERL_HASH_SEED": "0",
            "SOURCE_DATE_EPOCH": "1700000000",
        }
        env.update(more or {})
        if self.profile:
            env["LD_PRELOAD"] = str(self.setup.library)
            options = ["profile=" + self.profile, env.get("MOAT_OPTIONS"), self.case.finds and self.case.finds.options]
            env["MOAT_OPTIONS"] = ":".join(filter(None, options))
        return env

    def wait(self, process):
        try:
            return process.wait(STEP_SECONDS)
        except subprocess.TimeoutExpired:
            kill(process)
            return "no end after %d s" % STEP_SECONDS

    def finish(self, argv, code, out, err, status, normalise, keep_out, keep_err):
        label = " ".join(str(a) for a in argv)
        if len(label) > 110:
            label = label[:107] + "..."
        if self.profile is None and status is not None and code != status:
            raise Broken(f"{label}: {describe(code)}, not {describe(status)}\n" + tail(err))
        if self.profile and self.case.finds:
            self.case.finds.take(self.profile, err)
        if normalise:
            for path in (out, err):
                text = path.read_text(errors="surrogateescape")
                for pattern, by in normalise:
                    text = re.sub(pattern, by, text)
                path.write_text(text, errors="surrogateescape")
        self.steps.append(Step(label, code, out if keep_out else None, err if keep_err else None))
        self.steps[-1].evidence = err
        return out.read_bytes()

    def go(self):
        shutil.rmtree(self.work, ignore_errors=True)
        self.directory.mkdir()
        self.work.mkdir()
        self.work.chmod(0o755)
        start = time.monotonic()
        try:
            self.case.body(self)
        except (Broken, OSError) as error:  # OSError: a server went away while the case talked to it
            self.broken = str(error) + "".join("\n" + tail(process.files[2]) for process in self.running)
        finally:
            for process in self.running:
                kill(process)
        self.seconds = time.monotonic() - start - self.unmeasured
        self.work.rename(self.directory / "files")


class Setup:
    """What all trials share: the library, the directory, the inputs."""

    def __init__(self, library, root, inputs):
        self.library, self.root, self.inputs = library, root, inputs
        self.ports, self.gaps = {}, {}

    @staticmethod
    def script(name):
        """Path of a script in scripts/."""
        return str(pathlib.Path(__file__).resolve().parent / "scripts" / name)

    def trial(self, case_, profile):
        trial = Trial(self, case_, profile)
        trial.go()
        return trial

    def port(self, name):
        if name not in self.ports:
            with socket.socket() as s:
                s.bind(("127.0.0.1", 0))
                self.ports[name] = s.getsockname()[1]
        return self.ports[name]

    def prove_preload(self):
        """A library that the loader refuses would make every comparison pass."""
        env = {"PATH": packages.PATH, "LD_PRELOAD": str(self.library)}
        done = subprocess.run(["cat", "/proc/self/maps"], env=env, capture_output=True, text=True, check=False)
        if done.returncode != 0 or str(self.library) not in done.stdout:
            raise SystemExit(f"{self.library} is not preloaded: {describe(done.returncode)}\n{done.stderr}")

    def preload_gaps(self, case_):
        """Programs of a case that would run without the library: static, privileged or missing ones."""
        gaps = []
        for program in case_.programs:
            path = packages.find(program)
            if path not in self.gaps:
                env = {"LD_TRACE_LOADED_OBJECTS": "1", "LD_PRELOAD": str(self.library), "PATH": packages.PATH}
                done = subprocess.run(
                    [path], env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=False
                )
                self.gaps[path] = str(self.library) not in done.stdout
            if self.gaps[path]:
                gaps.append(f"{path} is not a program that a library can be preloaded into")
        return gaps

    def note_loaded(self, pid, trial):
        """A server under test must have the library mapped."""
        if trial.profile and str(self.library) not in pathlib.Path(f"/proc/{pid}/maps").read_text():
            raise Broken(f"process {pid} runs without {self.library}")


def kill(process):
    try:
        os.killpg(process.pid, signal.SIGKILL)  # its own session, so nothing but what it started
    except ProcessLookupError:
        pass
    process.wait()


def describe(code):
    if isinstance(code, int) and code < 0:
        return "killed by " + signal.Signals(-code).name
    return code if isinstance(code, str) else f"exit status {code}"


def tail(path):
    lines = path.read_text(errors="replace").splitlines() if path and path.exists() else []
    return "".join(f"| {line[:300]}\n" for line in lines[-SHOWN_LINES:])


def compare(plain, under):
    """What is different in the second run; an empty list when nothing is."""
    found = []
    if under.broken:
        found.append(under.broken)
    for a, b in zip(plain.steps, under.steps):
        what = []
        if a.status != b.status:
            what.append(f"{describe(b.status)}, not {describe(a.status)}")
        for stream, x, y in (("output", a.out, b.out), ("errors", a.err, b.err)):
            if x and y and digest(x) != digest(y):
                what.append(f"{stream} differ\n" + first_difference(x, y))
        if what:
            report = tail(b.evidence) if hasattr(b, "evidence") else ""
            found.append(
                f"{b.label}: " + "; ".join(what) + ("\nstandard error under moat:\n" + report if report else "")
            )
    if len(plain.steps) != len(under.steps) and not under.broken:
        found.append(f"{len(under.steps)} steps, not {len(plain.steps)}")
    if not found:
        found += compare_files(plain, under)
    return found[:SHOWN_DIFFERENCES]


def compare_files(plain, under):
    a, b = (listing(t.directory / "files", plain.ignored) for t in (plain, under))
    found = []
    for name in sorted(set(a) | set(b)):
        if name not in b or name not in a:
            found.append(f"file {name}: only " + ("in the plain run" if name in a else "under moat"))
        elif a[name] != b[name]:
            found.append(f"file {name}: differs")
    return found[:SHOWN_DIFFERENCES]


def listing(root, ignored):
    """Every file below root: type, permissions, and a digest of the contents."""
    files = {}
    for path in sorted(root.rglob("*")):
        name = str(path.relative_to(root))
        if any(pattern.search(name) for pattern in ignored):
            continue
        mode = path.lstat().st_mode
        if stat.S_ISLNK(mode):
            files[name] = (mode, os.readlink(path))
        elif stat.S_ISREG(mode):
            files[name] = (mode, digest(path))
        else:
            files[name] = (mode, "")
    return files


def digest(path):
    with open(path, "rb") as f:
        return (
            hashlib.file_digest(f, "sha256").hexdigest()
            if hasattr(hashlib, "file_digest")
            else hashlib.sha256(f.read()).hexdigest()
        )


def first_difference(a, b):
    """The first lines of a unified diff."""

    def lines(path):
        return path.read_bytes()[: 1 << 20].decode(errors="replace").splitlines()

    diff = difflib.unified_diff(lines(a), lines(b), "plain", "moat", lineterm="", n=1)
    return "\n".join(line[:200] for _, line in zip(range(12), diff))
