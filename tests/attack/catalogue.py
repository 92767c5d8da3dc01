"""The catalogue: every attack, the sizes it is tried with and the one way in which it must end.

An ending is one of
    survived            exit status 0, the last step reached, nothing on standard error
    BUG@STEP            SIGABRT after a report that names BUG, while the program was at STEP
    fault@STEP          SIGSEGV at STEP, and no report
An attack with more than one ending is noticed in any of these ways, depending on where chance puts the chunk.
`small` are sizes that slabs serve, `large` those with a mapping of their own.
"""
from dataclasses import dataclass

import measure

OVERFLOW = "heap-buffer-overflow"
UAF = "heap-use-after-free"
DOUBLE = "double-free"
BAD = "bad-free"

SMALL = (1, 8, 16, 24, 25, 32, 100, 120, 129, 1000, 1024, 4096, 5000, 65536, 131072)
LARGE = (200000, 1 << 20)
FEW = (16, 24, 100, 1000, 5000, 65536)
UP_TO_1K = tuple(n for n in SMALL if n <= 1024)
WHOLE = tuple(n for n in SMALL if n < 1000)  # in slots of up to 1 KiB, header included: checked whole at reuse


@dataclass(frozen=True, eq=False)
class Case:
    promise: str
    program: str
    name: str
    args: tuple
    sizes: tuple        # () when the program takes no size
    endings: dict       # size -> set of endings
    runs: int           # 0: as many as the runner is told
    options: str        # MOAT_OPTIONS
    measure: object     # looks at the output of all runs, instead of endings
    not_under: tuple    # words of the whole run's options under which this case does not hold
    twin: bool
    align: int          # chunks come from aligned_alloc with this alignment; 0: from malloc


CASES = []


def ways(text):
    return frozenset(text.split())


def case(promise, program, args="", small=None, large=None, sizes=None, always=None, name=None, runs=0, options="",
         check=None, not_under=(), twin=False, align=0):
    """`small` and `large` give the endings for those sizes, `always` for the sizes given or for none."""
    endings = {}
    if always:
        endings = {n: ways(always) for n in (sizes or (None,))}
    for given, all_of in ((small, SMALL), (large, LARGE)):
        if given:
            endings |= {n: ways(given) for n in all_of if sizes is None or n in sizes}
    if check:
        endings = {n: ways("survived") for n in (sizes or (None,))}
    assert endings, f"{program} {args}: no sizes"
    name = (name or args or "plain") + (f" aligned {align}" if align else "")
    CASES.append(Case(promise, program, name, tuple(args.split()), tuple(endings), endings, runs, options, check,
                      tuple(not_under), twin, align))


def twin(*args, **kinds):
    """The same program without the bug: it survives, under any allocator."""
    case(*args, **kinds, twin=True)


# P1: what steers the allocator is out of a linear overflow's reach; free memory holds no links.
case("P1", "free_memory", "freed", small="survived")
case("P1", "free_memory", "live", sizes=UP_TO_1K, always="survived")
case("P1", "metadata_apart", "0", always="survived")
case("P1", "metadata_apart", "4", always="survived")

# P2: headers can't be forged.
case("P2", "forge_copy", "other", small=f"{OVERFLOW}@free", large=f"{OVERFLOW}@free")
twin("P2", "forge_copy", "own", small="survived", large="survived")
case("P2", "forge_linear", "sum", sizes=(16, 100, 1000), always=f"{OVERFLOW}@free")
twin("P2", "forge_linear", "own", sizes=(16, 100, 1000), always="survived")
case("P2", "forge_bits", "0", small="survived", large="survived", runs=1)
case("P2", "forge_bits", "1", sizes=(32,), always="survived", runs=1)
case("P2", "forge_random", "2000", sizes=(32,), always="survived", runs=1)
case("P2", "forge_random", "300", sizes=(100, 5000, 200000), always="survived", runs=1)

# P3: only a live chunk's start can be freed, and once.
for how in ("twice", "delayed", "interleaved", "thread", "later"):
    case("P3", "double_free", how, small=f"{DOUBLE}@free", large=f"{DOUBLE}@free")
twin("P3", "double_free", "once", small="survived", large="survived")
case("P3", "stale_free", "stale", small=f"{DOUBLE}@reused {DOUBLE}@never-reused",
     large=f"{DOUBLE}@reused {DOUBLE}@never-reused {BAD}@never-reused")
twin("P3", "stale_free", "owner", small="survived", large="survived")
case("P3", "race_free", "both", sizes=FEW + LARGE, always=f"{DOUBLE}@race")
twin("P3", "race_free", "one", sizes=FEW + LARGE, always="survived", runs=1)
case("P3", "stopped_free", "both", sizes=(24, 100, 1000), always="survived", runs=1)
twin("P3", "stopped_free", "one", sizes=(24, 100, 1000), always="survived", runs=1)
for what in ("stack", "global", "constant", "mmap", "libc", "code", "null-page", "high"):
    case("P3", "bad_free", what, always=f"{BAD}@free")
twin("P3", "bad_free", "null", always="survived")
for offset in (1, 8, 16, 64):
    inside = tuple(n for n in SMALL + LARGE if n > offset)
    case("P3", "interior_free", f"{offset} plain", sizes=inside, always=f"{BAD}@free")
    if offset >= 8:
        case("P3", "interior_free", f"{offset} dressed", sizes=inside, always=f"{BAD}@free")
case("P3", "interior_every", "16 400", sizes=(24, 100), always="survived", runs=1)
case("P3", "interior_every", "4000 40", sizes=(5000, 65536), always="survived", runs=1)
twin("P3", "interior_free", "0 plain", small="survived", large="survived")
for bits in (21, 24, 27, 30, 33, 36, 39, 42, 46):
    for sign in ("up", "down"):
        case("P3", "wild_free", f"{bits} {sign}", sizes=(32, 5000, 200000), always=f"{BAD}@free", runs=1)
case("P3", "replay", "freed", small=f"{DOUBLE}@free fault@write", large="fault@write")
case("P3", "replay", "reused", sizes=UP_TO_1K, always=f"{OVERFLOW}@free")
twin("P3", "replay", "live", small="survived", large="survived")
case("P3", "realloc_stale", "freed", small=f"{DOUBLE}@realloc", large=f"{DOUBLE}@realloc")
case("P3", "realloc_stale", "interior", sizes=tuple(n for n in SMALL + LARGE if n > 16), always=f"{BAD}@realloc")
case("P3", "realloc_stale", "free", small=f"{DOUBLE}@use", large=f"{DOUBLE}@use {BAD}@use")
twin("P3", "realloc_stale", "moved", small="survived", large="survived")

# P4: one byte past the end, or before the start, is noticed when the chunk is freed at the latest. What runs on may
# meet a guard before that.
for value in ("0x00", "0x41", "0xff"):
    case("P4", "overflow", f"1 {value}", small=f"{OVERFLOW}@free",
         large=f"{OVERFLOW}@free fault@write")
case("P4", "overflow", "1 flip", small=f"{OVERFLOW}@free", large=f"{OVERFLOW}@free fault@write")
for count in (8, 32):
    case("P4", "overflow", f"{count} flip", small=f"{OVERFLOW}@free fault@write",
         large=f"{OVERFLOW}@free fault@write")
twin("P4", "overflow", "0 flip", small="survived", large="survived")
case("P4", "overflow_slot", "last", small=f"{OVERFLOW}@free")
case("P4", "overflow_slot", "next", small=f"{OVERFLOW}@free")
twin("P4", "overflow_slot", "none", small="survived")
for count in (1, 8):
    case("P4", "underflow", str(count), small=f"{OVERFLOW}@free", large=f"{OVERFLOW}@free")
twin("P4", "underflow", "0", small="survived", large="survived")

# The same for chunks whose payload does not start where their slot's does.
for align in (64, 4096):
    for value in ("0x00", "0x41", "0xff", "flip"):
        case("P4", "overflow", f"1 {value}", small=f"{OVERFLOW}@free fault@write",
             large=f"{OVERFLOW}@free fault@write", align=align)
    twin("P4", "overflow", "0 flip", small="survived", large="survived", align=align)
    # Without its header such a chunk can't be told from the inside of a plain one.
    case("P4", "underflow", "1", small=f"{OVERFLOW}@free {BAD}@free", large=f"{OVERFLOW}@free", align=align)
    case("P3", "double_free", "twice", small=f"{DOUBLE}@free", large=f"{DOUBLE}@free", align=align)
    case("P3", "interior_free", "16 dressed", sizes=tuple(n for n in SMALL + LARGE if n > 16), always=f"{BAD}@free",
         align=align)
    case("P5", "read_after_free", "freed", small="survived fault@read", large="fault@read", align=align)
    case("P5", "uninitialised", "", small="survived", large="survived", align=align)
case("P6", "write_after_free", "first", small=f"{UAF}@churn fault@write", large="fault@write", align=64)

# Writes there that leave the header as it is.
for align in (64, 256, 4096):
    for count in (9, 16, 40):
        case("P4", "underflow_gap", f"{align} {count}", sizes=(1, 16, 24, 100, 1000, 5000), always=f"{OVERFLOW}@free")
    twin("P4", "underflow_gap", f"{align} 8", sizes=(1, 16, 24, 100, 1000, 5000), always="survived")

# P5: a stale read sees zeros or faults, and so does an uninitialised one.
case("P5", "read_after_free", "freed", small="survived fault@read", large="fault@read")
twin("P5", "read_after_free", "live", small="survived", large="survived")
case("P5", "uninitialised", "", small="survived", large="survived")
case("P5", "realloc_stale", "read", small="survived fault@use", large="fault@use")

# P6: a write after free is noticed when the slot is reused; into pages that are gone it faults. Larger slots are
# checked at their ends and in samples, in the strict profile whole.
for where in ("first", "all", "header"):
    case("P6", "write_after_free", where, small=f"{UAF}@churn fault@write", large="fault@write")
for where in ("middle", "last"):
    case("P6", "write_after_free", where, sizes=WHOLE, always=f"{UAF}@churn")
    case("P6", "write_after_free", where, small=f"{UAF}@churn fault@write", large="fault@write",
         options="profile=strict", name=f"strict {where}")
twin("P6", "write_after_free", "before", small="survived", large="survived")
case("P6", "realloc_stale", "write", small=f"{UAF}@churn fault@use", large="fault@use")

# P7: a freed slot waits.
case("P7", "reuse_distance", "256 64", sizes=(16, 24, 32, 100, 120, 129, 256), always="survived",
     not_under=("strict",))
case("P7", "reuse_distance", "4096 4096", sizes=(32,), always="survived", options="profile=strict",
     name="strict 4096 4096")

# P8: where a chunk lands can't be known.
case("P8", "placement", "8", sizes=(32,), check=measure.at_least(7), runs=200)
case("P8", "placement", "8", sizes=(1000,), check=measure.at_least(5), runs=200)
case("P8", "placement", "8", sizes=(5000,), check=measure.at_least(3.5), runs=200)
case("P8", "placement", "1", sizes=(200000,), check=measure.no_repeats, runs=200)
case("P8", "placement_fork", "", sizes=(32, 1000), always="survived")

# P9: a run of writes meets a guard.
case("P9", "overflow_run", "131072", sizes=UP_TO_1K + (4096,), always="survived")
case("P9", "overflow_run", "1048576", sizes=(5000, 65536, 131072), always="survived")
case("P9", "overflow_run", "4096", sizes=LARGE, always="survived")
for where in ("past", "page"):
    case("P9", "large_guard", where, large="fault@write")
case("P9", "large_guard", "before", large="survived")
twin("P9", "large_guard", "inside", large="survived")

# P10: an address stays with its size class.
case("P10", "classes", "3", always="survived", runs=1)

# P11: malloc(0).
twin("P11", "zero_size", "unique", always="survived")
twin("P11", "zero_size", "free", always="survived")
twin("P11", "zero_size", "realloc", always="survived")
case("P11", "zero_size", "read", always="fault@read")
case("P11", "zero_size", "write", always="fault@write")
case("P11", "zero_size", "double", always=f"{DOUBLE}@free")

# P14: what steers moat can't be changed. (The runner fills in where the page lies.)
case("P14", "sealed", "{sealed} write 0", always="fault@write")
case("P14", "sealed", "{sealed} write last", always="fault@write")
for how in ("mprotect", "munmap", "remap", "read"):
    case("P14", "sealed", "{sealed} " + how, always="survived")

# P15: the environment of a process with more rights than its caller is not trusted.
for linked in ("secure_static", "secure_shared"):
    case("P15", linked, "1 0", always="survived", options="stats=exit", name="with more rights than its caller")
    case("P15", linked, "0 1", always="statistics", options="stats=exit", name="as its caller")
