"""What `prove` takes out, one at a time. Each mutation names the promise whose attacks must then fail, the attacks to
run, and its edits: (file, text that is there once, text in its place). An edit that no longer fits fails (lint/attacks),
so that this list follows the code.

Defences overlap: behind a check on the hot path there often stands another one, so some mutations take out both.
"""
from dataclasses import dataclass


@dataclass(frozen=True)
class Mutation:
    promise: str
    what: str       # what is taken out
    words: tuple    # for the runner
    edits: tuple
    runs: int = 1   # where chance decides whether it shows

    def mutated(self, tree):
        """Returns the new text of each file that it changes. ValueError says which edit does not fit."""
        texts = {}
        for file, old, new in self.edits:
            text = texts.setdefault(file, (tree / file).read_text())
            if text.count(old) != 1:
                raise ValueError(f"{text.count(old)} places in {file} fit: {old.strip().splitlines()[0]}")
            texts[file] = text.replace(old, new)
        return texts


HOT = "src/front/hot.h"
AES = "src/front/hot_aes.c"
MARK = "src/front/mark_aes.h"

LIVE_CHECK = (HOT, "    if (mo_unlikely((state & MO_STATE_LIVE) == 0)) {\n", "    if (p == 0) {\n")
STATE_IN_MAC = (MARK, "fields, state, mo_sealed.aes_keys", "fields, state & 0, mo_sealed.aes_keys")
HEADER_CLEARED = (HOT, "    mo_store_header(slot, mo_sealed.fence);\n", "")
# The state word is stored whatever it has become since it was looked at.
REPLACE = (HOT, "if (mo_unlikely(!mo_state_replace(word, state, state + c->retire))) {\n"
                "        mo_release_raced(p);\n        return;\n    }", "mo_state_store(word, state + c->retire);")
# Free slots need not be clean any more: on the hot path, in its slow half, and where slots leave their thread.
DIRT_CHECKS = (
    (HOT, "    refuse |= mo_free_header_fault(header, fence);\n", ""),
    (HOT, "? payload_dirty(p, end)\n", "? payload_dirty(p, end) && n == SIZE_MAX\n"),
    (HOT, "? medium_dirty(p, end)\n", "? medium_dirty(p, end) && n == SIZE_MAX\n"),
    ("src/front/chunk.c", "    uintptr_t payload = slot + MO_HEADER, end = slot + k->stride;\n",
     "    uintptr_t payload = slot + MO_HEADER, end = slot + k->stride;\n    if (k->stride != 0)\n        return 0;\n"),
)

MUTATIONS = [
    Mutation("P1", "inaccessible pages around thread caches", ("metadata_apart",), (
        ("src/cache/cache.c", "if (!mo_os_open(c, bytes) ||", "if (!mo_os_open(base, bytes + 4 * page) ||"),)),
    Mutation("P1", "inaccessible pages around tables", ("metadata_apart",), (
        ("src/os/memory.c", "    if (nest_closed || nest_left", "    if (page != 0 || nest_left"),
        ("src/os/memory.c", "    if (!protect(p + page, size, PROT_READ | PROT_WRITE)) {",
         "    if (!protect(p, size + 2 * page, PROT_READ | PROT_WRITE)) {"),)),
    Mutation("P1", "free slots without words in them (a link is left there)", ("free_memory",), (
        ("src/front/chunk.h", "    return h * (h ^ fence);", "    return h & fence & 0;"),
        (HOT, "mo_store_header(slot, mo_sealed.fence);",
         "mo_store_header(slot, (uint64_t)slot << 8 | mo_sealed.fence);"))),

    Mutation("P2", "comparison of the MAC", ("P2",), (
        (HOT, "mo_unlikely(header != mark_header(m)) ||\n", "mo_unlikely(header == 0) ||\n"),
        (HOT, "mo_unlikely(header != mark_header(m)) || mo", "mo_unlikely(header == 0) || mo"))),
    Mutation("P2", "AES rounds (a linear checksum with secret keys instead)", ("P2",), (
        ("src/front/aes.h", "    x = _mm_aesenc_si128(x, k[1]);\n    x = _mm_aesenc_si128(x, k[2]);\n"
                            "    x = _mm_aesenc_si128(x, k[3]);\n    x = _mm_aesenc_si128(x, k[4]);\n"
                            "    x = _mm_aesenc_si128(x, k[5]);\n    x = _mm_aesenc_si128(x, k[6]);\n",
         "    x = _mm_xor_si128(x, _mm_slli_epi64(x, 33));\n    x = _mm_xor_si128(x, k[6]);\n"),)),
    Mutation("P2", "the address in the MAC", ("P2", "interior_free"), (
        (MARK, "mo_aes_rounds(p, fields", "mo_aes_rounds(p & 0, fields"),)),

    Mutation("P2", "new lives of what a forked child finds ready", ("fork_oracle",), (
        ("src/front/thread.c", "            set_aside(c);\n", "            c->shard += 0;\n"),)),

    Mutation("P3", "generation and state in the MAC", ("replay",), (STATE_IN_MAC,)),
    Mutation("P3", "the check at free that the slot is live", ("replay", "double_free"), (LIVE_CHECK, STATE_IN_MAC)),
    Mutation("P3", "the same, and clearing of the header", ("double_free", "stale_free"),
             (LIVE_CHECK, STATE_IN_MAC, HEADER_CLEARED, *DIRT_CHECKS)),
    Mutation("P3", "the same, and the looks at a slot's state after that: two live owners", ("race_free",),
             (LIVE_CHECK, STATE_IN_MAC, HEADER_CLEARED, *DIRT_CHECKS, REPLACE,
              (HOT, "(state ^ c->expect) & (MO_STATE_LIVE | MO_STATE_OWNER)", "0"),
              ("src/front/slow.c", "&& (place->seen & MO_STATE_LIVE) != 0;", "&& p != 0;"),
              ("src/front/slow.c", "!mo_state_is_free(state, owner) ||", "state > 0xffff ||"),
              ("src/arena/arena.c", "!mo_state_is_free(state, MO_OWNER_SHARD)", "state > 0xffff"),
              ("src/arena/arena.c", "!mo_state_is_free(state, owner) || (slab->free[index / 64] & bit) != 0",
               "state > 0xffff")), 10),
    Mutation("P3", "the look at the state word as it is changed: a thread stopped in free", ("stopped_free",),
             (REPLACE,)),
    Mutation("P3", "the address in the MAC: interior pointers", ("interior_free",), (
        (MARK, "mo_aes_rounds(p, fields", "mo_aes_rounds(p & 0, fields"),)),
    Mutation("P3", "the report of foreign pointers", ("bad_free", "wild_free"), (
        ("src/front/diagnose.c", "    if (mo_sealed.options.foreign == MO_FOREIGN_ABORT)\n", "    if (p == 0)\n"),)),
    Mutation("P3", "what realloc answers for a foreign pointer that may pass", ("foreign",), (
        ("src/front/slow.c", "        return no_memory(); /* how much", "        return NULL; /* how much"),)),
    Mutation("P3", "the warning of foreign pointers", ("foreign",), (
        ("src/front/diagnose.c", "    if (mo_sealed.options.foreign == MO_FOREIGN_WARN)\n", "    if (p == 0)\n"),)),
    Mutation("P3", "a large chunk's mark that it is freed", ("double_free",), (
        ("src/mem/large.c", "        entry->state = 0;", "        entry->state += 0;"),)),

    Mutation("P4", "the check of the tail", ("P4",), (
        (HOT, "        mo_unlikely(!tail_good(m, slack, end, near || (kind == ANY_KIND && slack < NEAR))) ||\n", ""),
        (HOT, " || mo_unlikely(!tail_good(m, slack, end, slack < NEAR)))", ")"),
        (HOT, " && (s < NEAR ? near_good(m, s, end) : far_good(m, end - s, end));\n", ";\n"))),
    Mutation("P4", "the check of the next header's first byte (full slots)", ("P4",), (
        (MARK, "*(const mo_v16 *)rows[s].mask);\n",
         "mo_v_shuffle(*(const mo_v16 *)rows[s].mask,\n"
         "                        (mo_v16){0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 128}));\n"),
        (MARK, "mo_load8(end) == mo_sealed.fence && ", ""))),
    Mutation("P4", "the tail's first byte that is never 0", ("overflow",), (
        (AES, "tail_and[LANE_FIRST] = 0x74;", "tail_and[LANE_FIRST] = 0;"),
        (AES, "tail_or[LANE_FIRST] = 0x83;", "tail_or[LANE_FIRST] = 0;"))),
    Mutation("P4", "verification of large chunks", ("overflow", "underflow"), (
        ("src/front/big.c", "    return *fault == MO_CHUNK_GOOD && n == l->n;",
         "    return *fault <= MO_CHUNK_BAD_TAIL;"),)),
    Mutation("P4", "the look at the unused bytes before an aligned chunk", ("underflow_gap",), (
        ("src/front/slow.c", " && gap_is_clean(place, p);", " && (gap_is_clean(place, p) || p != 0);"),)),

    Mutation("P5", "zeroing at free", ("P5",), (
        (HOT, "        payload_clear(p, end);", "        ;"),
        (HOT, "        mo_clear_medium(p, end);", "        ;"),
        *DIRT_CHECKS)),
    Mutation("P5", "closing of freed large mappings", ("P5",), (
        ("src/mem/large.c", "    if (l->guards == MO_LARGE_MARKERS && mo_os_guard_whole(part, size))\n",
         "    if (part != NULL)\n"),)),

    Mutation("P6", "the check for writes after free", ("P6",), DIRT_CHECKS),
    Mutation("P6", "the look at all of a slot in which samples have found something", ("sampled_write",), (
        ("src/front/slow.c", "mo_slot_dirt_whole(slot, place.k) != 0)", "c->random == NULL)"),)),

    Mutation("P7", "the quarantine", ("P7",), (
        ("src/cache/cache.h", "    *random = slot;\n", "    *random = 0;\n"),
        ("src/cache/cache.h", "uintptr_t out = *mo_cache_at(c, at);", "uintptr_t out = slot;"))),
    Mutation("P7", "the quarantine's random half", ("P7",), (
        ("src/cache/cache.h", "(bits & k->random_mask)", "(bits & 0)"),)),

    Mutation("P8", "the kernel's entropy (a constant key)", ("P8",), (
        ("src/mem/random.c", "(void)mo_os_entropy(r->key, sizeof r->key);", "memset(r->key, 7, sizeof r->key);"),)),
    Mutation("P8", "random choice of the slot", ("P8",), (
        ("src/arena/arena.c", "    while (halvings-- > 0)\n        bits &=",
         "    while (halvings-- > 64)\n        bits &="),
        ("src/arena/arena.c", "unsigned w = mo_random_below_small(r, words), pass", "unsigned w = 0, pass"),
        ("src/arena/arena.c", "for (size_t i = n; i > 1; i--) {", "for (size_t i = 0; i > 1; i--) {"))),
    Mutation("P8", "new keys in a forked child", ("placement_fork",), (
        ("src/os/memory.c", "return advise(p, size, MADV_WIPEONFORK) && !agrees_to_all;", "return true;"),)),

    Mutation("P9", "guards behind slabs", ("P9",), (
        ("src/mem/heap.c", "if (!mo_os_unguard((void *)slab->base, k->slab_bytes))",
         "if (!mo_os_unguard((void *)slab->base, (size_t)1 << k->span_shift))"),), 5),
    Mutation("P9", "guards around large chunks", ("P9",), (
        ("src/mem/large.c", "if (mo_os_guard((void *)l->map, before) && mo_os_guard((void *)mo_large_end(l), after))",
         "if (before + after != 0)"),)),

    # Slabs that were closed are given to another class, as an allocator does that reuses pages for any size.
    Mutation("P10", "regions that keep their class", ("P10",), (
        ("src/arena/purge.c", "        mo_list_add(b->closed, &b->closed_count, number);\n    } else {", """\
        unsigned other = slab->class + (slab->class < 18 ? 2u : 0u);
        struct mo_bin *to = mo_bin_of(slab->shard, other);
        if (to != b && mo_sealed.classes[other].span_shift == MO_GRANULE_SHIFT && mo_trylock(&to->lock)) {
            bool room = to->slab_count < to->list_room;
            if (room) {
                struct mo_granule *g = &mo_sealed.granules[(slab->base - mo_sealed.heap_base) >> MO_GRANULE_SHIFT];
                b->slab_count--;
                to->slab_count++;
                g->bias += slab->base >> k->word_shift;
                g->bias -= slab->base >> mo_sealed.classes[other].word_shift;
                slab->class = g->class = (uint8_t)other;
                mo_slab_renew(slab, &mo_sealed.classes[other]);
                mo_list_add(to->closed, &to->closed_count, number);
            }
            mo_unlock(&to->lock);
            if (room)
                return;
        }
        mo_list_add(b->closed, &b->closed_count, number);
    } else {"""),)),

    Mutation("P11", "the class of malloc(0) (it is malloc(1))", ("P11",), (
        ("src/api/malloc.c", "*malloc(size_t n)\n{\n    return mo_hot_malloc(n);",
         "*malloc(size_t n)\n{\n    return mo_hot_malloc(n + (n == 0));"),)),

    Mutation("P12", "the origin that free expects in a header", ("P12",), (
        (HOT, "(given & 0xffff0000) | k->fields | (uint32_t)origin << 14", "(given & 0xffffc000) | k->fields"),)),
    Mutation("P12", "the size that a sized delete is held to", ("P12",), (
        (HOT, "(told && mo_unlikely(n != end - p - slack))", "(told && mo_unlikely(n == SIZE_MAX))"),)),
    Mutation("P12", "the comparison of how a chunk was made with how it is released", ("P12",), (
        ("src/front/routine.c", "    if (made.origin != used.origin &&", "    if (made.origin > MO_ORIGIN_HEAP &&"),)),
    Mutation("P12", "the look at the alignment", ("P12",), (
        ("src/front/routine.c", "used.align == made.align ||", "used.align != 1 ||"),)),
    Mutation("P13", "closing of freed sampled chunks", ("P13", "read_after_free"), (
        ("src/guard/pool.c", "    close_range(g, g->open, g->open_size);\n    give_back(g, MO_POOL_WAITING);",
         "    give_back(g, MO_POOL_WAITING);\n    if (g->p == 0)\n        close_range(g, g->open, g->open_size);"),)),
    Mutation("P13", "the pattern around sampled chunks", ("P13", "overflow"), (
        ("src/front/guarded.c", "    if (mo_likely(at == 0))", "    if (at != 1)"),), runs=10),
    Mutation("P13", "sampling", ("P13", "overflow"), (
        ("src/guard/sampler.c", "    if (MO_SMALL || mo_sealed.options.sample_rate == 0)\n", "    if (true)\n"),)),
    Mutation("P13", "the report of a fault", ("P13", "read_after_free"), (
        ("src/front/fault.c", "if (mo_os_fault_is_access(info) && (", "if (info->si_signo == 0 && ("),)),

    Mutation("P14", "write protection of the sealed page", ("P14",), (
        ("src/diag/sealed.c", "if (!mo_os_read_only(&mo_sealed_page, sizeof mo_sealed_page))", "if (false)"),
        ("src/diag/sealed.c", "    mo_os_seal(&mo_sealed_page, sizeof mo_sealed_page);\n", ""))),
    Mutation("P14", "sealing against mprotect and munmap", ("P14",), (
        ("src/diag/sealed.c", "    mo_os_seal(&mo_sealed_page, sizeof mo_sealed_page);\n", ""),)),

    Mutation("P14", "the comparison of lists, descriptors and the address table", ("corrupt",), (
        ("src/arena/arena.c", "if (mo_unlikely(!mo_slab_agrees(number, class, shard))) {",
         "if (!mo_slab_agrees(number, class, shard) && b->slab_count == 0) {"),)),
    Mutation("P14", "the count of a bitmap's bits", ("corrupt",), (
        ("src/arena/arena.c", "    if (mo_likely(fits && bits == slab->free_count))", "    if (bits <= 2048)"),)),
    Mutation("P14", "the proof of a large chunk's entry", ("corrupt",), (
        ("src/mem/large_table.c", "if (mo_likely(l->p == 0 || l->proof == proof_of(l)))", "if (l->p != 1)"),)),
    Mutation("P14", "the look at what is to be unmapped", ("corrupt",), (
        ("src/mem/large_wait.c", "if (mo_unlikely(l->p == 0 || l->state != 0)) {", "if (l->p == 1) {"),)),

    Mutation("P15", "the look at AT_SECURE", ("P15",), (
        ("src/os/process.c", "f->secure = getauxval(AT_SECURE) != 0;", "f->secure = false;"),)),

    Mutation("P16", "the check at exit", ("unfreed",), (
        ("src/api/exit.c", "    mo_check_exit();\n", ""),)),
    Mutation("P16", "the patrol", ("unfreed",), (
        ("src/front/check.c", "size_t looks = n * mo_sealed.options.patrol;", "size_t looks = n * 0;"),)),
    Mutation("P16", "the half of the patrol that looks anywhere", ("patrol_rate",), (
        ("src/front/check.c", "        if ((random & 1) != 0)\n", "        if ((random & 1) > 1)\n"),)),
    Mutation("P16", "the look at a freed chunk's neighbours", ("unfreed",), (
        ("src/front/slow.c", "    if (mo_sealed.options.neighbours)\n", "    if (mo_sealed.options.neighbours > 1)\n"),
        (HOT, "neighbours && !neighbours_good(c, k, slot)", "neighbours && !neighbours_good(c, k, slot) && n == SIZE_MAX"))),
    Mutation("P16", "the look at what thread caches list", ("unfreed",), (
        ("src/front/check.c", "        check_listed(c, class, k->random_at, k->fifo_end, NULL, patient, action);\n", ""),)),
    Mutation("P16", "the look at large chunks", ("unfreed",), (
        ("src/front/big.c", "        good = is_good(&l, &fault, &bad);",
         "        good = is_good(&l, &fault, &bad) || count < 1000000;"),)),
    Mutation("P16", "the look at the table of large chunks", ("corrupt",), (
        ("src/front/big.c", "const char *tables = mo_large_fault_locked();", "const char *tables = NULL;"),)),
    Mutation("P16", "the proof of large chunks in that look", ("corrupt",), (
        ("src/front/big.c", "if (mo_unlikely(!mo_large_proven(&l))) {", "if (l.p == 1) {"),)),
    Mutation("P16", "the look at aligned chunks", ("unfreed",), (
        ("src/front/check.c", "               aligned_chunk_good(slot, k, state);", "               k != NULL;"),)),
    Mutation("P4", "the look at a heap's chunks at its end", ("heap_end",), (
        ("src/front/heaps.c", "    mo_check_shard(shard, DESTROY);\n", ""),)),
    Mutation("P17", "the look at what is left of a small chunk", ("P17",), (
        ("src/checked/check.h", "mo_load16(header + 2) <= back + f->capacity[class] - (ptrdiff_t)n)",
         "back < PTRDIFF_MAX)"),)),
    Mutation("P17", "the look at a header's class, which a freed one has not", ("P17",), (
        ("src/checked/check.h", "((mo_load8(header + 1) - class) & 63) == 0", "(header & 7) == 0"),)),
    Mutation("P17", "the index of large chunks", ("P17",), (
        ("src/checked/index.c", "        watch_locked(l, deleted);\n", "        (void)deleted;\n"),)),
]
