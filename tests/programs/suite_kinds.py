"""Test suites that Debian ships: how each is run, and how the outcome of every test is read."""
import os
import pathlib
import pwd
import re
import shutil
import signal
import subprocess
import xml.etree.ElementTree as tree

import packages

DIRECTORY = None  # where units run; set by the command
UNIT_SECONDS = 900
SEEDS = {
    "PERL_HASH_SEED": "0",
    "PERL_PERTURB_KEYS": "0",
    "PYTHONHASHSEED": "0",
}  # the names of some tests follow hashes


class Suite:
    """programs, package, shown_by: what is installed. units() lists, run() gives {test: passed|failed|skipped}."""

    name, programs, package, shown_by = "", (), "", ""

    def units(self):
        raise NotImplementedError

    def command(self, unit):
        raise NotImplementedError

    def outcomes(self, unit, code, text):
        raise NotImplementedError

    def user(self):
        """The user that tests run as: one that can do no harm."""
        return pwd.getpwnam("nobody") if os.geteuid() == 0 else None

    def place(self, work):
        """The directory that a unit starts in; `work` is empty and new."""
        return work

    def run(self, unit, profile, library):
        work = DIRECTORY / "work"
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        user = self.user()
        if user:
            os.chown(work, user.pw_uid, user.pw_gid)
        env = {"PATH": packages.PATH, "HOME": str(work), "TMPDIR": str(work), "LC_ALL": "C.UTF-8", "TZ": "UTC"} | SEEDS
        if profile:
            env |= {"LD_PRELOAD": library, "MOAT_OPTIONS": "profile=" + profile}
        with open(DIRECTORY / "out", "wb") as out:
            process = subprocess.Popen(
                self.command(unit),
                cwd=self.place(work),
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                user=user and user.pw_uid,
                group=user and user.pw_gid,
                extra_groups=[] if user else None,
            )
            try:
                code = process.wait(UNIT_SECONDS)
            except subprocess.TimeoutExpired:
                code = "no end"
            try:
                os.killpg(process.pid, signal.SIGKILL)  # its own session: nothing but what it started
            except ProcessLookupError:
                pass
            process.wait()
        return self.outcomes(unit, code, (DIRECTORY / "out").read_text(errors="replace"))


class Python(Suite):
    """Python's regression tests, its small objects from malloc too."""

    name, programs, package = "python", ("python3.11",), "libpython3.11-testsuite"
    shown_by = "/usr/lib/python3.11/test/test_json/__init__.py"
    tests = (
        "array ast asyncio base64 bigmem binascii buffer builtin bytes bz2 calendar class cmath codecs "
        "collections compile complex concurrent_futures configparser contextlib coroutines csv ctypes "
        "datetime dbm_dumb decimal deque dict difflib doctest dynamicclassattribute email enum exceptions "
        "faulthandler fcntl file fileio float fork1 format fractions fstring ftplib functools gc generators "
        "glob gzip hash hashlib heapq hmac html http_cookies httplib httpservers imaplib int io itertools "
        "json list locale logging long lzma mailbox marshal math memoryio memoryview minidom mmap "
        "multiprocessing_fork multiprocessing_forkserver multiprocessing_spawn operator ordered_dict os "
        "pickle pickletools poll poplib posix pprint profile pty pyexpat queue random range re readline "
        "resource sax sched scope select selectors set shelve shutil signal smtplib socket socketserver sort "
        "ssl statistics strftime string struct subprocess super sys syslog tarfile tempfile textwrap thread "
        "threadedtempfile threading threading_local threadsignals time timeout tokenize traceback tracemalloc "
        "tuple types typing unicode unicodedata unittest urllib uuid warnings weakref weakset "
        "xml_dom_minicompat xml_etree xml_etree_c xmlrpc zipapp zipfile zipfile64 zipimport zlib zoneinfo"
    ).split()

    def units(self):
        return [f"test_{t}" for t in self.tests]

    def command(self, unit):
        # The environment is the same on both sides, so that a unit's own assumptions on memory are.
        return ("env", "PYTHONMALLOC=malloc", "python3.11", "-m", "test", "--junit-xml", "result.xml", unit)

    def outcomes(self, unit, code, text):
        path = DIRECTORY / "work" / "result.xml"
        found = {"(exit)": "passed" if code == 0 else "failed"}
        try:
            cases = list(tree.parse(path).iter("testcase")) if path.exists() else []
        except tree.ParseError:
            cases = []
        for case in cases:
            state = "passed"
            if case.get("status") == "notrun" or case.find("skipped") is not None:
                state = "skipped"
            if case.find("failure") is not None or case.find("error") is not None:
                state = "failed"
            found[case.get("name")] = state
        return found


def tap(text):
    """Outcomes from lines of the Test Anything Protocol; those without a name go by their number."""
    found = {}
    for state, number, name in re.findall(r"(?m)^(ok|not ok) (\d+)(?: -)? ?(.*)$", text):
        name, _, remark = name.partition("# ")
        skipped = remark.lower().startswith(("skip", "todo"))
        found[f"{number} {name}".strip()] = "skipped" if skipped else "passed" if state == "ok" else "failed"
    return found


class Glib(Suite):
    """The installed tests of GLib."""

    name, programs, package, shown_by = "glib", (), "libglib2.0-tests", "/usr/share/installed-tests/glib/hash.test"

    def units(self):
        return sorted(p.stem for p in pathlib.Path(self.shown_by).parent.glob("*.test"))

    def command(self, unit):
        text = (pathlib.Path(self.shown_by).parent / f"{unit}.test").read_text(encoding="utf-8")
        return ("sh", "-c", re.search(r"^Exec=(.*)$", text, re.M)[1])

    def outcomes(self, unit, code, text):
        found = {"(exit)": "passed" if code == 0 else "skipped" if code == 77 else "failed"}
        return found | tap(text)


class Systemd(Suite):
    """systemd's unit tests, as an unprivileged user: what a whole program says by its exit status."""

    name, programs, package = "systemd", (), "systemd-tests"
    shown_by = "/usr/lib/systemd/tests/test-hashmap"

    def units(self):
        return sorted(p.name for p in pathlib.Path(self.shown_by).parent.glob("test-*") if os.access(p, os.X_OK))

    def command(self, unit):
        return (str(pathlib.Path(self.shown_by).parent / unit),)

    def outcomes(self, unit, code, text):
        return {"(exit)": "passed" if code == 0 else "skipped" if code == 77 else "failed"}


class Perl(Suite):
    """Perl's core tests, from the source of Debian's package, run by the installed perl with its own library."""

    name, programs, package, shown_by = "perl", ("perl",), "perl", "/usr/bin/perl"
    folders = ("base", "cmd", "io", "lib", "mro", "op", "re", "uni")

    def source(self):
        """Where the source is; fetched at the first call, from the distribution's own archive."""
        place = DIRECTORY / "perl"
        if place.exists():
            return place
        (DIRECTORY / "lists/partial").mkdir(parents=True)
        place.mkdir()
        name = re.search(r"^VERSION_CODENAME=(\w+)", pathlib.Path("/etc/os-release").read_text(encoding="utf-8"), re.M)
        (DIRECTORY / "list").write_text(f"deb-src http://deb.debian.org/debian {name[1]} main\n", encoding="ascii")
        apt = ["apt-get", "-qq"]
        for key, value in (("Dir::Etc::SourceList", "list"), ("Dir::State::Lists", "lists")):
            apt += ["-o", f"{key}={DIRECTORY / value}"]
        apt += ["-o", "Dir::Etc::SourceParts=/dev/null"]
        subprocess.run([*apt, "update"], check=True, capture_output=True)
        subprocess.run(
            [*apt, "source", "--download-only", "--only-source", "perl"], check=True, capture_output=True, cwd=DIRECTORY
        )
        archive = next(DIRECTORY.glob("perl_*.orig.tar.xz"))
        subprocess.run(["tar", "-xf", archive, "--strip-components=1", "-C", place], check=True)
        # The tests look for modules in ../lib and for the interpreter in the directory above: the installed ones.
        shutil.rmtree(place / "lib")
        (place / "lib").mkdir()
        folders = subprocess.run(
            ["/usr/bin/perl", "-e", 'print "@INC"'], capture_output=True, text=True, check=True
        ).stdout
        for folder in filter(os.path.isdir, folders.split()):
            if folder.startswith("/usr/") and "local" not in folder:
                subprocess.run(["cp", "-rsn", folder + "/.", place / "lib"], check=True)
        for link in (place / "perl", place / "t/perl"):
            link.symlink_to("/usr/bin/perl")
        if self.user():
            subprocess.run(["chown", "-R", "nobody", place], check=True)
        return place

    def units(self):
        tests = self.source() / "t"
        return sorted(str(p.relative_to(tests)) for folder in self.folders for p in (tests / folder).glob("*.t"))

    def place(self, work):
        return self.source() / "t"

    def command(self, unit):
        return ("./perl", "-I../lib", unit)

    def outcomes(self, unit, code, text):
        return {"(exit)": "passed" if code == 0 else "failed"} | tap(text)


SUITES = (Python(), Perl(), Glib(), Systemd())
