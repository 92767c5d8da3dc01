"""The workloads that bench/compare runs: micro ones of our own, and real programs on generated input."""
import pathlib
import shutil
import subprocess

import packages


class Workload:
    """argv: function of (workloads' directory, scale in percent) for a micro one, of (inputs) for a program.
    keep: files whose contents belong to the output. prepare: makes the run's directory ready, unmeasured."""

    def __init__(self, name, argv, needs=(), stdin=None, keep=(), prepare=None, env=None):
        self.name, self.argv, self.needs, self.stdin = name, argv, needs, stdin
        self.keep, self.prepare, self.env = keep, prepare, env


def micro(name, binary=None, *arguments):
    return Workload(
        name, lambda directory, scale: [str(directory / (binary or name)), str(scale), *map(str, arguments)]
    )


MICRO = [
    micro("fixed"),
    micro("churn-64", "churn", 1000, 64, 64),
    micro("churn-10k", "churn", 10_000, 16, 2048),
    micro("churn-1M", "churn", 1_000_000, 16, 2048),
    micro("trees"),
    micro("strings"),
    micro("grow"),
    micro("zeroed"),
    micro("burst"),
    micro("large"),
    micro("threads-2", "threads", 2),
    micro("larson"),
    micro("server"),
    micro("ring"),
    micro("births"),
]

SCRIPTS = pathlib.Path(packages.__file__).resolve().parent / "scripts"

# The server is what is measured: the shell becomes it, and its client runs beside it on the system's malloc and is
# never waited for, so that it counts for nothing.
REDIS = """
(unset LD_PRELOAD MOAT_OPTIONS
 until redis-cli -s r.sock ping >/dev/null 2>&1; do sleep 0.02; done
 { redis-cli -s r.sock --pipe <"$1"; redis-cli -s r.sock debug digest; redis-cli -s r.sock dbsize; } >client.out 2>&1
 redis-cli -s r.sock shutdown nosave) >/dev/null 2>&1 &
exec redis-server --port 0 --unixsocket "$PWD/r.sock" --save '' --enable-debug-command local --logfile server.log
"""


def program(name, needs, argv, **more):
    return Workload(name, argv, needs=needs, **more)


def python(name, isolation, **more):
    """isolation: -I leaves out the environment too, with PYTHONMALLOC."""
    script = str(SCRIPTS / "formats.py")
    argv = lambda i: ["python3", isolation, script, str(i.path("records.json")), str(i.path("small.xml")), "2"]
    return program(name, ["python3"], argv, **more)


def git_repository(inputs, directory):
    """A repository of loose objects for git gc to pack; made once, copied for each run."""
    master = inputs.directory / "repository"
    if not master.exists():

        def git(*argv):
            names = {
                f"GIT_{who}_{what}": "moat@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
            }
            dates = {f"GIT_{who}_DATE": "1700000000 +0000" for who in ("AUTHOR", "COMMITTER")}
            env = {"PATH": packages.PATH, "HOME": str(inputs.directory)} | names | dates
            subprocess.run(["git", "-c", "gc.auto=0", *argv], cwd=master, check=True, capture_output=True, env=env)

        shutil.copytree(inputs.path("tree"), master)
        git("init", "-q")
        for number in range(6):
            for path in sorted(master.rglob("*.h"))[number::4]:
                with open(path, "a", encoding="utf-8", errors="surrogateescape") as f:
                    f.write(f"/* line {number} */\n" * 5)
            git("add", "-A")
            git("commit", "-q", "-m", f"change {number}")
    shutil.copytree(master / ".git", directory / "repository" / ".git")


PROGRAMS = [
    python("python3", "-I"),
    python("python3-malloc", "-s", env={"PYTHONMALLOC": "malloc"}),
    program("perl", ["perl"], argv=lambda i: ["perl", str(SCRIPTS / "words.pl"), str(i.path("text.txt")), "1"]),
    program(
        "php",
        ["php"],
        env={"USE_ZEND_ALLOC": "0"},
        argv=lambda i: ["php", "-n", "-d", "memory_limit=-1", str(SCRIPTS / "objects.php")],
    ),
    program("lua", ["lua5.4"], argv=lambda i: ["lua5.4", str(SCRIPTS / "tables.lua"), "2"]),
    program(
        "sqlite3", ["sqlite3"], argv=lambda i: ["sqlite3", "-batch", "shop.db"], stdin=lambda i: SCRIPTS / "shop.sql"
    ),
    program(
        "jq",
        ["jq"],
        argv=lambda i: ["jq", "-c", "map(.note |= ascii_upcase) | group_by(.group)", str(i.path("many.json"))],
    ),
    program("xmllint", ["xmllint"], argv=lambda i: ["xmllint", "--format", str(i.path("huge.xml"))]),
    program(
        "xsltproc", ["xsltproc"], argv=lambda i: ["xsltproc", str(i.path("catalogue.xsl")), str(i.path("big.xml"))]
    ),
    program("gcc", ["gcc"], argv=lambda i: ["gcc", "-O2", "-c", str(i.path("large.c")), "-o", "out.o"], keep=["out.o"]),
    program(
        "clang", ["clang"], argv=lambda i: ["clang", "-O2", "-c", str(i.path("large.c")), "-o", "out.o"], keep=["out.o"]
    ),
    program(
        "git-gc",
        ["git"],
        prepare=git_repository,
        argv=lambda i: ["git", "-C", "repository", "-c", "pack.threads=2", "gc", "-q", "--prune=now"],
    ),
    program("zstd", ["zstd"], argv=lambda i: ["zstd", "-q", "-6", "-T2", "-c", str(i.path("huge.xml"))]),
    program("xz", ["xz"], argv=lambda i: ["xz", "-0", "-T2", "-c", str(i.path("huge.xml"))]),
    program(
        "redis",
        ["redis-server", "redis-cli"],
        keep=["client.out"],
        argv=lambda i: ["sh", "-c", REDIS, "sh", str(i.path("heavy.redis"))],
    ),
]
