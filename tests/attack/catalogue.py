"""The catalogue: every attack, the sizes it is tried with and the one way in which it must end.

An ending is one of
    survived            exit status 0, the last step reached, nothing on standard error
    BUG@STEP            SIGABRT after a report that names BUG, while the program was at STEP
    status-1@STEP       the harm was done and seen by the program: what moat does not notice is in here, too
    fault@STEP          SIGSEGV at STEP, with a report of the access or without
    fault:BUG@STEP      SIGSEGV at STEP after a report of the access that names BUG
    warned              as survived, but with one-line warnings on standard error and nothing else
What is about slots and their neighbours is not tried under the profile fuzz, where each chunk is alone between guards.
An attack with more than one ending is noticed in any of these ways, depending on where chance puts the chunk.
`small` are sizes that slabs serve, `large` those with a mapping of their own.
"""
from dataclasses import dataclass

import measure

OVERFLOW = "heap-buffer-overflow"
UAF = "heap-use-after-free"
DOUBLE = "double-free"
BAD = "bad-free"
MISMATCH = "alloc-dealloc-mismatch"
TABLES = "heap-metadata-corruption"
WILD = "wild-access"
MIB = 1 << 20

SMALL = (1, 8, 16, 24, 25, 32, 100, 120, 129, 1000, 1024, 4096, 5000, 65536, 131072)
LARGE = (200000, MIB)
FEW = (16, 24, 100, 1000, 5000, 65536)
UP_TO_1K = tuple(n for n in SMALL if n <= 1024)
REUSED = tuple(n for n in UP_TO_1K if n not in (1, 25))  # one byte less is of the same class
# Of a twin that looks at headers, or waits for the reuse of a chunk: a sampled one has pages of its own.
UNSAMPLED = "sample_rate=0"
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
    only_under: str     # the word without which it is not run; "" for none
    twin: bool
    counted: bool       # many tries, of which some number must be noticed, or addresses that are counted
    align: int          # chunks come from aligned_alloc with this alignment; 0: from malloc
    checked: bool       # with libmoat-checked.so in libmoat.so's place


CASES = []


def ways(text):
    return frozenset(text.split())


def case(promise, program, args="", small=None, large=None, sizes=None, always=None, name=None, runs=0, options="",
         check=None, not_under=(), only_under="", twin=False, counted=False, align=0, checked=False):
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
                      tuple(not_under), only_under, twin, counted or check is not None, align, checked))


def twin(*args, **kinds):
    """The same program without the bug: it survives, under any allocator. Once is enough: it does the same each time."""
    kinds.setdefault("runs", 1)
    case(*args, **kinds, twin=True)


# P1: what steers the allocator is out of a linear overflow's reach; free memory holds no links.
case("P1", "free_memory", "freed", small="survived")
case("P1", "free_memory", "live", sizes=UP_TO_1K, always="survived", not_under=("fuzz",))
case("P1", "metadata_apart", "0", always="survived")
case("P1", "metadata_apart", "4", always="survived")

# P2: headers can't be forged.
case("P2", "forge_copy", "other", small=f"{OVERFLOW}@free", large=f"{OVERFLOW}@free")
case("P2", "forge_copy", "swap", small=f"{OVERFLOW}@free", large=f"{OVERFLOW}@free")
twin("P2", "forge_copy", "own", small="survived", large="survived", options=UNSAMPLED)
case("P2", "forge_linear", "sum", sizes=(16, 100, 1000), always=f"{OVERFLOW}@free")
twin("P2", "forge_linear", "own", sizes=(16, 100, 1000), always="survived", options=UNSAMPLED)
case("P2", "forge_bits", "0", small="survived", large="survived", runs=1)
case("P2", "forge_bits", "1", sizes=(32,), always="survived", runs=1, counted=True)
case("P2", "forge_random", "900", sizes=(32,), always="survived", runs=1, counted=True)
case("P2", "forge_random", "300", sizes=(100, 5000, 200000), always="survived", runs=1, counted=True)

# A server that forks for each request. What was allocated before the fork is the same in every child, so that its
# headers can be found byte by byte; what a child allocates is not.
case("P2", "fork_oracle", "whole", sizes=(100, 5000), always="survived", runs=1, counted=True)
case("P2", "fork_oracle", "after", sizes=(16, 100, 1000, 200000), always="survived", runs=1, not_under=("fuzz",))
# With `strict`'s long quarantine the shard has few of these, and with `embedded`'s small caches a thread: a child gets
# the same of them as another one now and then.
case("P2", "fork_oracle", "after", sizes=(5000,), always="survived", runs=1, not_under=("fuzz", "strict", "embedded"),
     name="after, few slots")
case("P2", "fork_oracle", "bytewise", sizes=(100,), always="status-1@learn", runs=1, counted=True)
twin("P2", "fork_oracle", "alive", sizes=(100, 5000), always="survived", runs=1)

# P3: only a live chunk's start can be freed, and once.
for how in ("twice", "interleaved", "thread", "later", "resized", "zeroed"):
    case("P3", "double_free", how, small=f"{DOUBLE}@free", large=f"{DOUBLE}@free")
case("P3", "double_free", "delayed", small=f"{DOUBLE}@free", large=f"{DOUBLE}@free", not_under=("embedded",))
# There ten freed large chunks are more than wait: the eldest's addresses are the system's again.
case("P3", "double_free", "delayed", small=f"{DOUBLE}@free", large=f"{DOUBLE}@free {BAD}@free", only_under="embedded")
twin("P3", "double_free", "once", small="survived", large="survived")
case("P3", "stale_free", "stale", small=f"{DOUBLE}@reused {DOUBLE}@never-reused",
     large=f"{DOUBLE}@reused {DOUBLE}@never-reused {BAD}@never-reused")
twin("P3", "stale_free", "owner", small="survived", large="survived")
case("P3", "race_free", "both", sizes=FEW + LARGE, always=f"{DOUBLE}@race")
twin("P3", "race_free", "one", sizes=FEW + LARGE, always="survived", runs=1)
case("P3", "stopped_free", "both", sizes=(24, 100), always="survived", runs=1, not_under=("fuzz",))
# Under `strict` free also looks at the neighbours, for as many instructions as chance has put there.
case("P3", "stopped_free", "both", sizes=(1000,), always="survived", runs=1, not_under=("strict", "fuzz"))
twin("P3", "stopped_free", "one", sizes=(24, 100, 1000), always="survived", runs=1)
for routine in ("free", "realloc", "usable"):
    for what in ("stack", "global", "constant", "tls", "mmap", "break", "libc", "code", "null-page", "high", "noncanonical"):
        case("P3", "bad_free", f"{what} {routine}", always=f"{BAD}@free")
    twin("P3", "bad_free", f"null {routine}", always="survived")
for routine in ("delete", "delete[]", "delete-sized", "delete-aligned", "free-sized", "free-aligned-sized"):
    for what in ("stack", "global", "mmap", "interior"):
        case("P3", "bad_delete", f"{what} {routine}", always=f"{BAD}@free")
    twin("P3", "bad_delete", f"null {routine}", always="survived")
for how in ("free", "realloc", "size"):
    case("P3", "foreign", how, always=f"{BAD}@{how}", options="foreign=abort")
    case("P3", "foreign", how, always="warned", options="foreign=warn", name=f"warn {how}")
    case("P3", "foreign", how, always="survived", options="foreign=ignore", name=f"ignore {how}")
for offset in (1, 8, 16, 64):
    inside = tuple(n for n in SMALL + LARGE if n > offset)
    case("P3", "interior_free", f"{offset} plain", sizes=inside, always=f"{BAD}@free")
    if offset >= 8:
        case("P3", "interior_free", f"{offset} dressed", sizes=inside, always=f"{BAD}@free", not_under=("mte=sync",))
        # The header's bytes have another memory tag than the chunk: to read them faults, except by qemu's SVE loads.
        case("P3", "interior_free", f"{offset} dressed", sizes=inside, always=f"{BAD}@free fault@write",
             only_under="mte=sync")
case("P3", "interior_every", "16 400", sizes=(24, 100), always="survived", runs=1, counted=True)
case("P3", "interior_every", "4000 40", sizes=(5000, 65536), always="survived", runs=1)
twin("P3", "interior_free", "0 plain", small="survived", large="survived")
for bits in (21, 24, 27, 30, 33, 36, 39, 42, 46):
    for sign in ("up", "down"):
        case("P3", "wild_free", f"{bits} {sign}", sizes=(32, 5000, 200000), always=f"{BAD}@free", runs=1)
case("P3", "replay", "freed", small=f"{DOUBLE}@free fault@write", large="fault@write")
case("P3", "replay", "reused", sizes=UP_TO_1K, always=f"{OVERFLOW}@free")
twin("P3", "replay", "live", small="survived", large="survived", options=UNSAMPLED)
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
case("P4", "overflow", f"{MIB} flip", small="fault@write", large="fault@write")
for how in ("copy", "string", "append", "print"):
    for count in (1, 8, 32):
        case("P4", "overflow", f"{count} {how}", sizes=FEW + LARGE, small=f"{OVERFLOW}@free fault@write",
             large=f"{OVERFLOW}@free fault@write")
    case("P4", "overflow", f"{MIB} {how}", sizes=FEW + LARGE, small="fault@write", large="fault@write")
    twin("P4", "overflow", f"0 {how}", sizes=FEW + LARGE, small="survived", large="survived")
twin("P4", "overflow", "0 flip", small="survived", large="survived")
for count in (1, 8, 32):
    case("P4", "overflow_last", str(count), small=f"{OVERFLOW}@free fault@write")
twin("P4", "overflow_last", "0", small="survived")
case("P4", "overflow_slot", "last", small=f"{OVERFLOW}@free")
case("P4", "overflow_slot", "next", small=f"{OVERFLOW}@free")
twin("P4", "overflow_slot", "none", small="survived")
for count in (1, 8, 32):
    # The first slot of a slab has 16 bytes before it, and then the slab before's guard.
    case("P4", "underflow", str(count), small=f"{OVERFLOW}@free" + (" fault@write" if count > 16 else ""),
         large=f"{OVERFLOW}@free")
case("P4", "underflow", str(MIB), small="fault@write", large="fault@write")
twin("P4", "underflow", "0", small="survived", large="survived")
for how in ("copy", "string"):
    for count in (1, 8, 32):
        case("P4", "underflow", f"{count} {how}", sizes=FEW + LARGE,
             small=f"{OVERFLOW}@free" + (" fault@write" if count > 16 else ""), large=f"{OVERFLOW}@free")
    case("P4", "underflow", f"{MIB} {how}", sizes=(24, 200000), always="fault@write")
    twin("P4", "underflow", f"0 {how}", sizes=FEW + LARGE, small="survived", large="survived")

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
    case("P5", "uninitialised", "", small="survived", large="survived", runs=1, align=align)
case("P6", "write_after_free", "first", small=f"{UAF}@churn fault@write", large="fault@write", align=64)

# Writes there that leave the header as it is.
for align in (64, 256, 4096):
    for count in (9, 16, 40):
        case("P4", "underflow_gap", f"{align} {count}", sizes=(1, 16, 24, 100, 1000, 5000), always=f"{OVERFLOW}@free")
    twin("P4", "underflow_gap", f"{align} 8", sizes=(1, 16, 24, 100, 1000, 5000), always="survived", options=UNSAMPLED)

# A heap for one purpose, after its end, which looks at all of its chunks.
HEAPS = FEW + (200000,)
for how in ("free", "realloc"):
    case("P3", "heap_end", how, sizes=HEAPS, always=f"{DOUBLE}@{how}")
for how in ("allocate", "destroy"):
    case("P3", "heap_end", how, sizes=(100,), always=f"{BAD}@{how}")
case("P4", "heap_end", "past", sizes=HEAPS, always=f"{OVERFLOW}@ending fault@change")
case("P5", "heap_end", "read", sizes=HEAPS, always=f"fault:{UAF}@read")
case("P6", "heap_end", "write", sizes=HEAPS, always=f"fault:{UAF}@write")
twin("P3", "heap_end", "live", sizes=HEAPS, always="survived")

# Sizes that overflow in moat's own arithmetic, or in calloc's.
for how in ("malloc", "calloc", "realloc", "reallocarray", "aligned"):
    case("P4", "size_overflow", how, always="survived")
twin("P4", "size_overflow", "fit", always="survived")

# Reads past the end: a string stops at the second byte of the tail; a read at a distance is not noticed, but at a guard.
case("P4", "over_read", "string", sizes=(1, 16, 100, 1000, 5000, 65536), always="survived")
case("P4", "over_read", "far", sizes=(16, 100, 1000, 5000), always="status-1@read fault@read")
case("P4", "over_read", "far", large="fault@read")
twin("P4", "over_read", "inside", small="survived", large="survived")

# P5: a stale read sees zeros or faults, and so does an uninitialised one.
case("P5", "read_after_free", "freed", small="survived fault@read", large="fault@read")
twin("P5", "read_after_free", "live", small="survived", large="survived")
case("P5", "uninitialised", "", small="survived", large="survived", runs=1)
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
# In samples: 4 of 64 bytes and the ends, of 4,208 bytes. 9 in 100 are noticed, a deviation is 0.009.
case("P6", "sampled_write", "1000", sizes=(4096,), check=measure.noticed(0.05, 0.135), runs=1,
     not_under=("strict", "fuzz"))
for profile in ("strict", "fuzz"):
    case("P6", "sampled_write", "100", sizes=(4096, 65536), check=measure.noticed(1, 1), runs=1,
         options=f"profile={profile}", name=f"{profile} 100")
# When the memory has a new owner: only what he has not asked for is known to be wrong.
case("P6", "stale_reused", "past", sizes=REUSED, always=f"{OVERFLOW}@free")
case("P6", "stale_reused", "write", sizes=REUSED, always="status-1@use")
case("P6", "stale_reused", "read", sizes=REUSED, always="status-1@use")
twin("P6", "stale_reused", "owner", sizes=REUSED, always="survived", options=UNSAMPLED)
case("P6", "realloc_stale", "write", small=f"{UAF}@churn fault@use", large="fault@use")

# P7: a freed slot waits.
case("P7", "reuse_distance", "256 64", sizes=(16, 24, 32, 100, 120, 129, 256), always="survived",
     not_under=("strict", "embedded", "fuzz"))
case("P7", "reuse_distance", "60 48", sizes=(32, 100), always="survived", options="profile=embedded",
     name="embedded 60 48")
case("P7", "reuse_distance", "4096 4096", sizes=(32,), always="survived", options="profile=strict",
     name="strict 4096 4096")

# P8: where a chunk lands can't be known.
# 400 runs of 256 equally likely places give 7.47 bits in the mean, a deviation is 0.04; of 128 places they give 6.75.
case("P8", "placement", "8", sizes=(32,), check=measure.at_least(7.15), runs=400)
case("P8", "placement", "8", sizes=(1000,), check=measure.at_least(5), runs=400)
case("P8", "placement", "8", sizes=(5000,), check=measure.at_least(3.5), runs=200)
# One slot to a slab: only where the slab lies is random.
case("P8", "placement", "8", sizes=(40000,), check=measure.at_least(4, 0), runs=200)
case("P8", "placement", "1", sizes=(200000,), check=measure.no_repeats, runs=200)
case("P8", "placement_fork", "", sizes=(32, 1000), always="survived", not_under=("fuzz",))
# Chance alone would put one chunk in 255, 60 or 12 right behind another of its slab.
case("P8", "spray", "4096", sizes=(32,), check=measure.at_most(hole=0, behind=0.01, guessed=0.01), runs=1)
case("P8", "spray", "4096", sizes=(1000,), check=measure.at_most(hole=0, behind=0.03, guessed=0.03), runs=1)
case("P8", "spray", "1000", sizes=(5000,), check=measure.at_most(hole=0, behind=0.06, guessed=0.06), runs=1)

# P9: a run of writes meets a guard.
case("P9", "overflow_run", "131072", sizes=UP_TO_1K + (4096,), always="survived")
case("P9", "overflow_run", "1048576", sizes=(5000, 65536, 131072), always="survived")
case("P9", "overflow_run", "4096", sizes=LARGE, always="survived")
for where in ("past", "page"):
    case("P9", "large_guard", where, large="fault@write")
case("P9", "large_guard", "before", large="survived")
twin("P9", "large_guard", "inside", large="survived")

# P10: an address stays with its size class.
# In the profile fuzz every chunk is sampled, and slots of the pool serve all sizes of as many pages.
case("P10", "classes", "3", always="survived", runs=1, not_under=("fuzz",))

# P11: malloc(0).
twin("P11", "zero_size", "unique", always="survived")
twin("P11", "zero_size", "free", always="survived")
twin("P11", "zero_size", "realloc", always="survived")
case("P11", "zero_size", "read", always="fault@read")
case("P11", "zero_size", "write", always="fault@write")
case("P11", "zero_size", "copy", always="fault@write")
case("P11", "zero_size", "string", always="fault@write")
case("P11", "zero_size", "double", always=f"{DOUBLE}@free")

# P12: what releases a chunk must belong to what made it. A large chunk's alignment is not remembered.
ANY = (0,) + SMALL + LARGE
FITTING = {"malloc": "free realloc free-sized", "memalign": "free realloc free-aligned-sized", "new": "delete delete-sized",
           "new[]": "delete[] delete[]-sized", "new-aligned": "delete-aligned delete-aligned-sized"}
for made, fitting in FITTING.items():
    for released in "free realloc delete delete[] delete-aligned".split():
        if released in fitting.split():
            continue
        only_aligned = {made, released} <= {"new", "delete", "new-aligned", "delete-aligned"}
        sizes = tuple(n for n in ANY if 0 < n < 131072) if only_aligned else ANY
        case("P12", "mismatch", f"{made} {released}", sizes=sizes, always=f"{MISMATCH}@release",
             options="mismatch=abort")
    for released in fitting.split():
        twin("P12", "mismatch", f"{made} {released}", sizes=ANY, always="survived", options="mismatch=abort")
for wrong in ("new delete-missized", "new[] delete[]-missized", "new-aligned delete-aligned-missized",
              "new delete[]-missized", "malloc free-missized", "memalign free-aligned-missized", "new free-sized",
              "new[] free-sized", "new-aligned free-aligned-sized"):
    case("P12", "mismatch", wrong, sizes=ANY, always=f"{MISMATCH}@release", options="mismatch=abort")
for wrong in ("new-aligned delete-misaligned", "memalign free-aligned-misaligned"):
    case("P12", "mismatch", wrong, sizes=(1, 100, 5000), always=f"{MISMATCH}@release", options="mismatch=abort")
case("P12", "mismatch", "malloc delete", sizes=ANY, always="warned", options="mismatch=warn", name="warn malloc delete")
case("P12", "mismatch", "malloc delete", sizes=ANY, always="survived", options="mismatch=off", name="off malloc delete")

# P16: damage to what the program never frees. Not at all in `production` unless a patrol comes by.
TAILED = SMALL + (200001, (1 << 20) - 5)  # large ones of a multiple of 64 bytes end at a guard
SLACK = (1, 20, 100, 1000, 4097)  # so that the byte behind is not the next chunk's
for noticed, options in (("exit", "check_at_exit=all"), ("call", "")):
    at = "call" if noticed == "call" else "end"
    for what in ("past", "before"):
        case("P16", "unfreed", f"{what} {noticed}", sizes=TAILED, always=f"{OVERFLOW}@{at}", options=options)
    case("P16", "unfreed", f"freed {noticed}", small=f"{UAF}@{at}", options=options)
    twin("P16", "unfreed", f"none {noticed}", small="survived", large="survived", options=options)
case("P16", "unfreed", "past exit", sizes=(64,), always="survived", options="check_at_exit=off", name="off past exit")
case("P16", "unfreed", "past call", sizes=(1, 20, 100, 1000), always=f"{OVERFLOW}@call", options="sample_rate=1",
     name="sampled past call")
for what in ("large_lost", "large_outside", "large_extent", "large_revived", "large_forged"):
    case("P16", "corrupt", f"{what} call", always=f"{TABLES}@call")
twin("P16", "corrupt", "none call", always="survived")
for align in (64, 4096):
    case("P16", "unfreed", "past exit", sizes=(16, 100, 5000), always=f"{OVERFLOW}@end", options="check_at_exit=main",
         align=align)
    twin("P16", "unfreed", "none exit", sizes=(16, 100, 5000), always="survived", options="check_at_exit=main",
         align=align)
case("P16", "unfreed", "past child", sizes=(100, 200001), always="survived", options="check_at_exit=all")
case("P16", "unfreed", "none child", sizes=(100, 200000), always="survived", options="check_at_exit=all")
for what in ("past", "before"):
    case("P16", "unfreed", f"{what} free", sizes=SLACK, always=f"{OVERFLOW}@free", options="neighbours=on",
         not_under=("fuzz",))
    case("P16", "unfreed", f"{what} patrol", sizes=(1, 20, 100, 1000), always=f"{OVERFLOW}@patrol",
         options="patrol=16384")
# The slot behind may be live, free or one that has never lived.
for how, at, options in (("exit", "end", "check_at_exit=all"), ("call", "call", ""), ("own", "own", "neighbours=on")):
    case("P16", "unfreed", f"header {how}", sizes=(20, 100, 1000), always=f"{OVERFLOW}@{at} {UAF}@{at}", options=options)
    twin("P16", "unfreed", f"none {how}", sizes=(20, 100, 1000), always="survived", options=options, name=f"kept {how}")
twin("P16", "unfreed", "none free", sizes=SLACK, always="survived", options="neighbours=on")
twin("P16", "unfreed", "none patrol", sizes=(1, 20, 100, 1000), always="survived", options="patrol=16384")
case("P16", "patrol_rate", "60 170", sizes=(20, 100), always="survived", options="patrol=64", runs=1, counted=True,
     not_under=("strict", "fuzz"))
case("P16", "patrol_rate", "0 0", sizes=(20,), always="survived", options="patrol=0", runs=1, counted=True,
     name="off 0 0", not_under=("fuzz",))
# P17: a copy that is too long, or to the wrong place, is stopped before it is done. Before the start of a chunk another one
# may lie, free or live, or one that has never been.
CHECKED = {"sizes": (24, 1000, 65536, 200000), "runs": 1, "checked": True}
for how in ("copy", "string", "append", "print"):
    for count in (1, 32, MIB) if how == "copy" else (1, MIB):
        case("P17", "overflow", f"{count} {how}", always=f"{OVERFLOW}@write", **CHECKED)
    twin("P17", "overflow", f"0 {how}", always="survived", **CHECKED)
case("P17", "overflow", "1 copy", always=f"{OVERFLOW}@write", align=64, **CHECKED)
twin("P17", "overflow", "0 copy", always="survived", align=64, **CHECKED)
for how in ("copy", "string"):
    for count in (1, 32):
        case("P17", "underflow", f"{count} {how}", always=f"{OVERFLOW}@write {UAF}@write {WILD}@write"
             + (" fault@write" if count > 16 else ""), **CHECKED)
    twin("P17", "underflow", f"0 {how}", always="survived", **CHECKED)
    case("P17", "zero_size", how, always=f"{OVERFLOW}@write", runs=1, checked=True)
case("P17", "write_after_free", "all", always=f"{UAF}@write", **CHECKED)
twin("P17", "write_after_free", "before", always="survived", **CHECKED)
twin("P17", "zero_size", "unique", always="survived", runs=1, checked=True)

# P13: a sampled chunk, here every one: what is beyond a guard or after its life is reported at the access.
SAMPLED = (1, 16, 24, 100, 1000, 4096, 5000)
EVERY = {"sizes": SAMPLED, "options": "sample_rate=1"}
case("P13", "read_after_free", "freed", always=f"fault:{UAF}@read", **EVERY)
case("P13", "write_after_free", "first", always=f"fault:{UAF}@write", **EVERY)
case("P13", "overflow", "1 flip", always=f"{OVERFLOW}@free fault:{OVERFLOW}@write", **EVERY)
case("P13", "overflow", "40000 0x41", always=f"fault:{OVERFLOW}@write", **EVERY)
case("P13", "underflow", "1", always=f"{OVERFLOW}@free fault:{OVERFLOW}@write", **EVERY)
case("P13", "double_free", "twice", always=f"{DOUBLE}@free", **EVERY)
case("P13", "double_free", "thread", always=f"{DOUBLE}@free", **EVERY)
case("P13", "zero_size", "read", always=f"fault:{OVERFLOW}@read", options="sample_rate=1")
twin("P13", "read_after_free", "live", always="survived", **EVERY)
twin("P13", "overflow", "0 0x41", always="survived", **EVERY)
twin("P13", "underflow", "0", always="survived", **EVERY)
twin("P13", "double_free", "once", always="survived", **EVERY)

# P14: what steers moat can't be changed. (The runner fills in where the page lies.)
case("P14", "sealed", "{sealed} write 0", always="fault@write")
case("P14", "sealed", "{sealed} write last", always="fault@write")
for how in ("mprotect", "munmap", "remap", "read"):
    case("P14", "sealed", "{sealed} " + how, always="survived")

# P15: the environment of a process with more rights than its caller is not trusted.
for linked in ("secure_static", "secure_shared"):
    case("P15", linked, "1 0", always="survived", options="stats=exit", name="with more rights than its caller")
    case("P15", linked, "0 4", always="statistics", options="stats=exit", name="as its caller")

# One write at any address, to what is kept out of line. Noticed at the next malloc or free that needs it, before there
# are two owners; `expect` only sends malloc its long way. `chain` is three writes, and the end of what moat can do.
for what, endings in {
    "ready_dup": f"{DOUBLE}@malloc", "ready_live": f"{DOUBLE}@malloc", "ready_waiting": f"{DOUBLE}@malloc {DOUBLE}@free",
    "ready_outside": f"{TABLES}@malloc", "ready_class": f"{TABLES}@malloc", "ready_shard": f"{DOUBLE}@malloc",
    "ready_interior": f"{TABLES}@malloc", "top_up": f"{DOUBLE}@malloc {UAF}@malloc", "expect": "survived",
    "owner": f"{DOUBLE}@free {DOUBLE}@malloc", "queue_dup": f"{DOUBLE}@free", "queue_live": f"{DOUBLE}@free",
    "queue_outside": f"{TABLES}@free", "state_free": f"{DOUBLE}@free",
    # the patrol of a malloc may come by first
    "state_live": f"{OVERFLOW}@free {OVERFLOW}@malloc", "state_generation": f"{OVERFLOW}@free {OVERFLOW}@malloc",
    "bitmap_set": f"{TABLES}@malloc", "bitmap_clear": f"{TABLES}@malloc",
    "count_up": f"{TABLES}@malloc", "count_down": f"{TABLES}@malloc", "slab_base": f"{TABLES}@malloc",
    "slab_class": f"{TABLES}@malloc", "list_class": f"{TABLES}@malloc", "list_wild": f"{TABLES}@malloc",
    "granule_class": f"{TABLES}@malloc",
    # here too: 8 of 600 times
    "granule_bias": f"{DOUBLE}@malloc {DOUBLE}@free {OVERFLOW}@malloc {UAF}@malloc",
    "granule_slab": f"{TABLES}@malloc", "large_extent": f"{TABLES}@free", "large_revived": f"{TABLES}@free",
    "large_forged": f"{BAD}@free", "large_waits": f"{TABLES}@reuse", "chain": "status-1@malloc",
}.items():
    # What looks at more slots than its own, as `strict` does, notices some of it earlier and under another name; there the
    # ring of large chunks is too long to come round.
    case("P14", "corrupt", what, always=endings, not_under=("strict", "fuzz"))
    if what not in ("large_waits", "chain", "expect"):
        steps = ("malloc", "free", "reuse")
        case("P14", "corrupt", what, always=" ".join(f"{bug}@{at}" for bug in (TABLES, DOUBLE, OVERFLOW, UAF, BAD)
                                                     for at in steps), only_under="strict")
twin("P14", "corrupt", "none", always="survived")
