"""Interpreters: each runs a script of its own from scripts/, whose output depends on nothing but its input."""
from harness import case


@case("python3", quick=True)
def python3(t):
    # PYTHONMALLOC: small objects go to malloc too, instead of to Python's own allocator.
    for env in ({}, {"PYTHONMALLOC": "malloc"}):
        t.run("python3", "-I", t.setup.script("formats.py"), t.input("records.json"), t.input("small.xml"), env=env)
        t.run("python3", "-I", t.setup.script("threads.py"), env=env)


@case("perl", quick=True)
def perl(t):
    t.run("perl", t.setup.script("words.pl"), t.input("text.txt"))
    t.run(
        "perl",
        "-e",
        'my @a = map { ($_ * 7919) % 1000003 } 1..200000; print join(" ", (sort { $a <=> $b } @a)[0..50]), "\\n";',
    )


@case("lua", "lua5.4", quick=True)
def lua(t):
    t.run("lua5.4", t.setup.script("tables.lua"))


@case("bash", quick=True)
def bash(t):
    t.run("bash", t.setup.script("words.sh"), t.input("text.txt"))


@case("php")
def php(t):
    # USE_ZEND_ALLOC=0: the engine's objects come from malloc.
    for env in ({}, {"USE_ZEND_ALLOC": "0"}):
        t.run("php", "-n", "-d", "memory_limit=-1", t.setup.script("objects.php"), env=env)


@case("ruby")
def ruby(t):
    t.run("ruby", "--disable=gems", t.setup.script("objects.rb"))


@case("node")
def node(t):
    t.run("node", t.setup.script("objects.js"), t.input("records.json"))
