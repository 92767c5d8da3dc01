"""Interpreters: each runs a script of its own from scripts/, whose output depends on nothing but its input."""
from harness import case


@case("python3", quick=True)
def python3(t):
    """JSON, XML, zip, SQL, regular expressions, threads, forks; also with PYTHONMALLOC=malloc."""
    # PYTHONMALLOC: small objects go to malloc too, instead of to Python's own allocator.
    for env in ({}, {"PYTHONMALLOC": "malloc"}):
        t.run("python3", "-I", t.setup.script("formats.py"), t.input("records.json"), t.input("small.xml"), env=env)
        t.run("python3", "-I", t.setup.script("threads.py"), env=env)


@case("perl", quick=True)
def perl(t):
    """Hashes, sorting, regular expressions, closures."""
    t.run("perl", t.setup.script("words.pl"), t.input("text.txt"))
    t.run(
        "perl",
        "-e",
        'my @a = map { ($_ * 7919) % 1000003 } 1..200000; print join(" ", (sort { $a <=> $b } @a)[0..50]), "\\n";',
    )


@case("lua", "lua5.4", quick=True)
def lua(t):
    """Tables, strings, coroutines, garbage collection."""
    t.run("lua5.4", t.setup.script("tables.lua"))


@case("bash", quick=True)
def bash(t):
    """Arrays, expansions, subshells, process substitution."""
    t.run("bash", t.setup.script("words.sh"), t.input("text.txt"))


@case("php")
def php(t):
    """Arrays, cycles, JSON, serialisation; also with all objects from malloc."""
    # USE_ZEND_ALLOC=0: the engine's objects come from malloc.
    for env in ({}, {"USE_ZEND_ALLOC": "0"}):
        t.run("php", "-n", "-d", "memory_limit=-1", t.setup.script("objects.php"), env=env)


@case("ruby")
def ruby(t):
    """Hashes, threads, fibers, marshalling, compaction, fork."""
    t.run("ruby", "--disable=gems", t.setup.script("objects.rb"))


@case("node")
def node(t):
    """JSON, buffers, brotli, worker threads."""
    t.run("node", t.setup.script("objects.js"), t.input("records.json"))


@case("guile", "guile")
def guile(t):
    """Lists, hash tables, strings, continuations, bignums in an interpreter with a conservative collector."""
    t.run("guile", "--no-auto-compile", "-s", t.setup.script("lists.scm"))


@case("tcl", "tclsh8.6")
def tcl(t):
    """Lists, dictionaries, string building, regular expressions, coroutines, exceptions."""
    t.run("tclsh8.6", t.setup.script("lists.tcl"))


@case("ocaml", "ocamlrun", extra=(("ocaml-nox", "/usr/bin/ocaml"),))
def ocaml(t):
    """Compiles to bytecode and native code with its own tools, runs both: maps, closures, compaction."""
    source = t.work / "maps.ml"
    source.write_bytes(open(t.setup.script("maps.ml"), "rb").read())
    t.run("ocamlc", "-o", "maps.byte", "maps.ml")
    t.run("ocamlrun", "maps.byte")
    t.run("ocamlopt", "-o", "maps.exe", "maps.ml")
    t.run("./maps.exe")
    t.ignore(r"\.exe$|\.byte$|\.o$", "holds names of temporary files")


@case("prolog", "swipl")
def prolog(t):
    """Queens, assertions, atoms collected, strings, constraints over finite domains, findall over 100,000."""
    t.run("swipl", "-q", "-g", "main", "-t", "halt", t.setup.script("queens.pl"))


@case("zsh", "zsh")
def zsh(t):
    """The script of bash's case with arrays from 0: arrays, expansions, subshells; globbing over a tree."""
    t.run("zsh", "-f", "-o", "KSH_ARRAYS", t.setup.script("globs.zsh"), t.input("tree"), t.input("text.txt"))


@case("pari", "gp")
def pari(t):
    """Factors, elliptic curves, lattices, matrices and a million primes, on a stack of its own and on the heap."""
    t.run("gp", "-q", "-f", "-s", "200M", stdin=t.setup.script("numbers.gp"))


@case("bc", "bc", "dc")
def bc(t):
    """Hundreds of digits of pi and e, factorials and powers in arbitrary precision."""
    t.run("bc", "-lq", stdin=t.setup.script("digits.bc"))
    t.run("dc", "-e", "[la1+dsa*pla300>y]sy 0sa1 lyx 2 4253^1-f 3 600^ 7|p")


@case("r", "R", extra=(("r-base-core", "/usr/lib/R/bin/exec/R"),))
def r(t):
    """Data frames, regression, matrices, regular expressions, serialisation, a PDF plot."""
    t.run("R", "--vanilla", "--slave", "-f", t.setup.script("frames.R"), "--args", t.input("text.txt"))
    t.ignore(r"\.pdf$", "holds the time")


@case("emacs", "emacs")
def emacs(t):
    """Batch Lisp: buffers, undo, regular expressions, byte compilation, sorting and indenting a program."""
    lisp = t.setup.script("buffers.el")
    t.run("emacs", "--batch", "-Q", "-l", lisp, t.input("large.c"), normalise=((r".*% complete.*\n", ""),))


@case("vim", "vim.tiny")
def vim(t):
    """Ex commands over 25,000 lines: global, substitute, sort, undo, write."""
    t.run(
        "vim.tiny", "-u", "NONE", "-i", "NONE", "-n", "-e", "-s", "-S", t.setup.script("lines.vim"), t.input("text.txt")
    )


@case("java", "java", extra=(("openjdk-17-jdk-headless", "/usr/lib/jvm/java-17-openjdk-amd64/bin/javac"),))
def java(t):
    """Runs a program from its source (the compiler in memory): collections, threads, regular expressions, zip."""
    t.run("java", "-Xmx300m", "-XX:-UsePerfData", t.setup.script("Collections.java"))


@case("sbcl")
def sbcl(t):
    """Compiles and runs Lisp: hash tables, bignums, closures, full collections, conditions."""
    t.run("sbcl", "--script", t.setup.script("tables.lisp"))
