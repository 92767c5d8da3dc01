"""Compilers, debugger and version control."""
from harness import Finding, case


@case("gcc", quick=True)
def gcc(t):
    """Compiles C with optimisation and debug information; diagnoses nonsense."""
    t.run("gcc", "-O2", "-g", "-c", t.input("large.c"), "-o", "large.o")
    t.run("gcc", "-fsyntax-only", "-Wall", "-Wextra", t.input("text.txt"), "-x", "c", status=None)


@case("g++")
def gxx(t):
    """Compiles heavy templates: variants, recursion over types, regular expressions."""
    t.run("g++", "-std=c++20", "-O1", "-S", t.setup.script("templates.cc"), "-o", "templates.s")


@case("clang")
def clang(t):
    """Compiles C to an object and to LLVM's language."""
    t.run("clang", "-O2", "-g", "-c", t.input("large.c"), "-o", "large.o")
    t.run("clang", "-O2", "-S", "-emit-llvm", t.input("large.c"), "-o", "large.ll")


@case("gdb", "gdb", "gcc")
def gdb(t):
    """Disassembles, sets breakpoints, walks a list on another process's heap."""
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
    """Commits, changes, blames, packs, clones over the pack protocol, checks."""
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


@case("binutils", "ld", "as", "objdump", "gcc")
def binutils(t):
    """Assembles, links with sections collected, dumps, strips, demangles, archives."""
    t.run("gcc", "-O1", "-g", "-ffunction-sections", "-S", t.input("large.c"), "-o", "large.s")
    t.run("as", "large.s", "-o", "large.o")
    t.run("ld", "-r", "-d", "large.o", "-o", "merged.o")
    t.run("gcc", "-shared", "-Wl,--gc-sections,-Map=map.txt,--build-id=sha1", "large.o", "-o", "large.so")
    t.run("objdump", "-dr", "large.o")
    t.run("objdump", "--dwarf=info,decodedline", "large.so")
    t.shell("readelf -aW large.so; nm -S --size-sort large.so; addr2line -f -e large.so $(nm large.so | cut -d' ' -f1)")
    t.shell("ar rcsD all.a large.o merged.o; ranlib -D all.a; ar tv all.a; strip -o small.so large.so; size small.so")
    t.shell("nm -C /usr/lib/x86_64-linux-gnu/libstdc++.so.6 -D | c++filt -n", status=None)
    t.shell("head -c 30000 large.o > cut.o; objdump -d cut.o; readelf -a cut.o", status=None)


@case("lld", "ld.lld", "clang")
def lld(t):
    """Links by threads with sections folded and collected, then with link-time optimisation."""
    t.run("clang", "-O1", "-g", "-ffunction-sections", "-c", t.input("large.c"), "-o", "large.o")
    link = ("ld.lld", "-shared", "--threads=2", "--build-id=sha1")
    t.run(*link, "--icf=all", "--gc-sections", "--Map=map.txt", "large.o", "-o", "large.so")
    t.run("clang", "-O1", "-flto", "-c", t.input("large.c"), "-o", "late.o")
    t.run(*link, "late.o", "-o", "late.so")
    t.run("ld.lld", "large.o", "large.o", "-o", "none", "--error-limit=5", status=1)


MAKEFILE = """
sources := $(foreach n,$(shell seq 120),part$(n))
all: $(sources:%=%.out) ; @cat $^ | cksum
define rule
$(1).in: ; @echo $(1) $$(words $$(wordlist 1,$(subst part,,$(1)),$(sources))) >$$@
endef
$(foreach s,$(sources),$(eval $(call rule,$(s))))
%.out: %.in ; @tr a-z A-Z <$< >$@
"""


@case("make")
def make(t):
    """Expands 120 generated rules and runs them two at a time, then looks again."""
    (t.work / "Makefile").write_text(MAKEFILE)
    t.run("make", "-j2", "-s")
    t.run("make", "-n", "-B", "-r", "-R")


CMAKE_LISTS = """cmake_minimum_required(VERSION 3.20)
project(sample C)
foreach(n RANGE 1 15)
  file(WRITE ${CMAKE_BINARY_DIR}/part${n}.c "int part${n}(int x) { return x * ${n}; }\\n")
  list(APPEND sources ${CMAKE_BINARY_DIR}/part${n}.c)
  string(REGEX REPLACE "([0-9])" "<\\\\1>" marked "${marked};part${n}")
endforeach()
list(LENGTH sources count)
string(SHA256 digest "${marked}")
message(STATUS "${count} ${digest}")
add_library(parts STATIC ${sources})
"""


@case("cmake", "cmake", "ninja", "gcc")
def cmake(t):
    """Configures a generated project, builds its 15 files with ninja, builds again after a change."""
    (t.work / "CMakeLists.txt").write_text(CMAKE_LISTS)
    t.run("cmake", "-G", "Ninja", "-B", "build", ".", normalise=((r"\(\d+\.\d+s\)", ""),))
    t.run("ninja", "-C", "build", "-j1")
    t.run("ninja", "-C", "build", "-j1")
    t.shell("echo 'int more;' >>build/part7.c; ninja -C build -j1 -v; nm build/libparts.a | grep -c part")
    t.ignore(r"build/(\.ninja_|CMakeFiles/)", "holds times and the configuration's log")


@case("nasm")
def nasm(t):
    """Assembles 20,000 lines with nested macros, in three formats, with a listing."""
    lines = "".join(f"f{n}: twice mov rax, {n}\n  work {n}\n  lea rdi, [rel f{n * 7 % 3000}]\n" for n in range(3000))
    macros = (
        "%macro twice 1+\n %1\n %1\n%endmacro\n%macro work 1\n%assign i 0\n%rep %1 % 5\n%%l %+ i: add rbx, i\n"
        "%assign i i+1\n%endrep\n%endmacro\n"
    )
    (t.work / "a.asm").write_text("bits 64\ndefault rel\n" + macros + lines)
    for kind in ("elf64", "macho64", "win64"):
        t.run("nasm", "-f", kind, "-g" if kind == "elf64" else "-O3", "-l", kind + ".list", "a.asm", "-o", kind + ".o")
    t.ignore(r"win64\.o$", "holds the time")
    t.run("nasm", t.input("text.txt"), "-o", "none", status=1)


@case("bison", "bison", "flex", "m4", "gcc")
def bison(t):
    """Generates a scanner and a parser of a calculator, builds it, calculates; m4 by itself."""
    for name in ("calculator.y", "calculator.l"):
        (t.work / name).write_bytes(open(t.setup.script(name), "rb").read())
    t.run("bison", "-d", "--report=all", "-o", "parser.c", "calculator.y")
    t.run("flex", "-o", "scanner.c", "calculator.l")
    t.run("gcc", "-O1", "-w", "parser.c", "scanner.c", "-o", "calculator")
    t.shell('for i in {1..3000}; do echo "v$((i % 9)) = ($i + v$((i % 7))) * 3 - -$i / 7;"; done | ./calculator')
    t.shell(
        "echo 'define(`f'\"'\"', `ifelse($1, 0, done, `$1 f(decr($1))'\"'\"')'\"'\"')f(1500)"
        "eval(2 ** 20)patsubst(`abcabc'\"'\"', `b'\"'\"', `[\\&]'\"'\"')' | m4"
    )


@case("ctags", "ctags")
def ctags(t):
    """Tags of 800 real files in C, Python and Perl; JSON output."""
    t.shell(f"cd {t.input('tree')}; ctags -R --sort=yes --fields=+nS --extras=+q -f - . | cksum")
    t.run("ctags", "-f", "-", "--output-format=json", "--kinds-C=*", t.input("large.c"), status=None)


@case("clang-tools", "clang-format", "clang-tidy")
def clang_tools(t):
    """Formats 130 functions in two styles; analyses them by paths and by syntax trees."""
    t.run("clang-format", "--style=GNU", t.input("large.c"))
    t.run("clang-format", "--style={BasedOnStyle: Google, ColumnLimit: 60}", t.setup.script("templates.cc"))
    t.shell(f"head -150 {t.input('large.c')} > some.c", status=None)
    t.run("clang-tidy", "--quiet", "--checks=-*,clang-analyzer-*,bugprone-*", "some.c", "--", "-std=gnu11", status=None)


@case(
    "rust",
    "rustc",
    "gcc",
    finds=Finding(
        "free of ADDRESS: the chunk is from new, whose counterpart is delete",
        "delete of ADDRESS: the chunk is from malloc, whose counterpart is free",
        options="mismatch=warn",
        why="librustc_driver brings a C++ runtime of its own, whose operator new and delete are malloc and free, and "
        "exchanges strings with libLLVM, which uses the shared runtime and so moat's.",
    ),
)
def rust(t):
    """Compiles generics and closures in two code generation units, runs the program with threads."""
    flags = ("-O", "-C", "codegen-units=2", "--edition=2021", "-C", "debuginfo=1")
    t.run("rustc", *flags, t.setup.script("generics.rs"), "-o", "generics")
    t.run("./generics")
    t.run("rustc", "--crate-type=lib", "--error-format=json", t.input("large.c"), status=1)


@case("fortran", "gfortran")
def fortran(t):
    """Compiles and runs matrices, allocatable arrays and formatted output."""
    t.run("gfortran", "-O2", t.setup.script("matrices.f90"), "-o", "matrices")
    t.run("./matrices")
