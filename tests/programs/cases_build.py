"""Compilers, debugger and version control."""
from harness import case


@case("gcc", quick=True)
def gcc(t):
    t.run("gcc", "-O2", "-g", "-c", t.input("large.c"), "-o", "large.o")
    t.run("gcc", "-fsyntax-only", "-Wall", "-Wextra", t.input("text.txt"), "-x", "c", status=None)


@case("g++")
def gxx(t):
    t.run("g++", "-std=c++20", "-O1", "-S", t.setup.script("templates.cc"), "-o", "templates.s")


@case("clang")
def clang(t):
    t.run("clang", "-O2", "-g", "-c", t.input("large.c"), "-o", "large.o")
    t.run("clang", "-O2", "-S", "-emit-llvm", t.input("large.c"), "-o", "large.ll")


@case("gdb", "gdb", "gcc")
def gdb(t):
    t.run("gcc", "-g", "-O0", t.setup.script("debuggee.c"), "-o", "debuggee")
    # Addresses of the heap are the allocator's business; the program prints none.
    t.run(
        "gdb",
        "-nx",
        "-batch",
        "-ex",
        "info functions work",
        "-ex",
        "disassemble main",
        "-ex",
        "ptype struct node",
        "-ex",
        "list work",
        "./debuggee",
        keep_err=False,
    )
    t.run(
        "gdb",
        "-nx",
        "-batch",
        "-ex",
        "set startup-with-shell off",
        "-ex",
        "break work if depth == 5",
        "-ex",
        "run",
        "-ex",
        "print depth",
        "-ex",
        "print *list->next",
        "-ex",
        "info breakpoints",
        "-ex",
        "continue",
        "./debuggee",
        keep_err=False,
        normalise=((r"0x[0-9a-f]{6,}", "ADDRESS"), (r"\(process \d+\)", "(process N)"), (r"process \d+", "process N")),
    )


GIT_CONFIG = """[user]
    name = moat
    email = moat@example.org
[init]
    defaultBranch = main
[gc]
    auto = 0
[pack]
    threads = 1 # with more, which delta is found depends on timing
"""


@case("git", quick=True)
def git(t):
    t.ignore(r"(^|/)index$", "holds times and inode numbers of the files")
    (t.work / ".gitconfig").write_text(GIT_CONFIG)
    env = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_AUTHOR_DATE": "1700000000 +0000", "GIT_COMMITTER_DATE": "1700000000 +0000"}
    t.run("git", "init", "-q", "repo", env=env)
    t.shell(f"cp -r {t.input('tree')}/. repo; cd repo; git add -A; git commit -q -m one", env=env)
    t.shell(
        'cd repo; for n in 2 3; do git ls-files -z | sed -nz 1~7p | xargs -0 sed -i "$n s/^/ line $n/"; '
        'git ls-files -z | sed -nz 5~70p | xargs -0 git rm -q --; git commit -qam "change $n"; done',
        env=env,
    )
    t.shell("cd repo; git log -p --stat; git blame $(git ls-files | head -1)", env=env)
    # --no-local: the objects go through the pack protocol.
    t.run("git", "clone", "-q", "--no-local", "repo", "clone", env=env)
    t.shell("cd repo; git gc -q --prune=now; git fsck --full --strict", env=env)
    t.shell(
        "cd clone; git fsck --full; git diff HEAD~2 | git patch-id; git count-objects -v; "
        "git archive HEAD | tar t | wc -l",
        env=env,
        normalise=((r"size[^\n]*", "size"),),
    )  # of the index file's blocks on disk
