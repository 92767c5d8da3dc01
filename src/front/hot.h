/* The hot path: allocate and release of small chunks, readable top to bottom.
 *
 * Compiled for each form, by hot_aes.c, hot_siphash.c and hot_tagged.c, which first define how a chunk is marked:
 *   struct mark;  mark(p, fields, state);  mark_header(m)
 *   near_store(m, s, end): tail of s bytes, less than NEAR, into a payload of zeros; may write the fence at `end`
 *   far_store(m, from, end): a longer tail;  tail_blend(m, from, end): any tail behind a payload that holds data
 *   near_good(m, s, end), far_good(m, from, end): tail and fence are as they were written
 *   any_bit(v): is a bit set in the vector
 *   release_leave(p, told, n, origin): what the slow half is to do
 *   TAGGED: a payload that has been freed gets another memory tag (tagged.h)
 *   SPECIALIZED: are sizes and routines worth code of their own, or is one form for all enough
 *   HEAP_SIZE: mo_sealed.heap_size, or 0 where this form is not the process's: the gate for addresses outside of the
 *   heap then leaves to allocate_else and release_else, which go on to the other form
 * and MO_HOT(name), the suffix of the functions made here. Checks are arithmetic, then one compare; which
 * lie it was is found out in slow.c. Chunks with a long tail or a large slot end in functions of their own, so that
 * they cost the others no registers. No locks, no atomics, no calls. What each line is for: hardening.md.
 */
#include "cache/cache.h"
#include "front/chunk.h"
#include "front/slow.h"
#include "front/tagged.h"
#include "mem/classes.h"

/* Is a bit set in payload [p, end) of a free slot? p is 16-aligned, end is 8 modulo 16 and at least p + 24. */
MO_INLINE bool payload_dirty(uintptr_t p, uintptr_t end)
{
    mo_pair dirt = *(const mo_pair *)p | *(const mo_loose_pair *)(end - 16);
    for (uintptr_t at = p + 16; at + 16 < end; at += 16)
        dirt |= *(const mo_pair *)at;
    return any_bit(dirt);
}

MO_INLINE bool medium_dirty(uintptr_t p, uintptr_t end)
{
    mo_pair dirt = {0, 0};
    mo_payload_bits(p, end, &dirt);
    return any_bit(dirt);
}

MO_INLINE void payload_clear(uintptr_t p, uintptr_t end)
{
    const mo_pair zero = {0, 0};
    *(mo_pair *)p = zero;
    for (uintptr_t at = p + 16; at + 16 < end; at += 16)
        *(mo_pair *)at = zero;
    *(mo_loose_pair *)(end - 16) = zero;
}

__attribute__((noinline)) static void *finish_far(struct mark m, uintptr_t p, uintptr_t tail, uintptr_t end,
                                                  uint16_t *word, unsigned state)
{
    far_store(m, tail, end);
    mo_state_publish(word, state);
    return (void *)p;
}

/* Sizes that differ: at most MO_TABLE_MAX bytes; in slots that are looked at whole; in those that may be sampled. */
enum step { SMALL, MEDIUM, SAMPLED, ANY_STEP };

MO_INLINE void *allocate(size_t n, enum mo_origin origin, enum step step)
{
    struct mo_cache *c = mo_cache_mine;
    unsigned class = step == SMALL      ? mo_sealed.class_of[(n + 7) / 8]
                     : step == ANY_STEP ? mo_class_of(n)
                                        : mo_class_of_medium(n);
    struct mo_stock *stock = mo_cache_stock(c, class);
    const struct mo_class *k = &mo_sealed.classes[class];
    /* A stack without a ready slot has a 0 on top, which lies outside of the heap. */
    uint32_t top = stock->top - (uint32_t)sizeof(uintptr_t);
    uintptr_t slot = *mo_cache_at(c, top);
    if (mo_unlikely(slot - mo_sealed.heap_base >= HEAP_SIZE))
        return allocate_else(n, origin);
    /* On 32-bit nearly all addresses are inside, and where no region is there is no state word for this class. */
    if (sizeof slot == 4 && mo_unlikely(mo_granule_of(slot)->class == 0))
        return allocate_else(n, origin);
    stock->top = top; /* here, and taken back when the slot is refused: the fewer values live on, the better */
    /* Some allocations ahead: the second-level cache takes longer to answer than one of them. */
    __builtin_prefetch((const void *)*mo_cache_at(c, top - 5 * (uint32_t)sizeof(uintptr_t)), 1);
    uint16_t *word = mo_state_of(mo_granule_of(slot), k, slot);
    unsigned state = mo_state_load(word);
    uint64_t refuse = (state ^ c->expect) & (MO_STATE_LIVE | MO_STATE_OWNER);

    /* The fence first: on an untouched page the first access is then a write, one page fault, not two. */
    uintptr_t p = slot + MO_HEADER, end = slot + k->stride;
    uint8_t fence = mo_sealed.fence;
    mo_store8(end, fence);
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    /* The state word is the authority: free and this cache's, or the slot is listed twice or forged. And a free slot is
     * clean. The slow half looks again at both and says which it was. */
    uint64_t header = mo_load_word(slot);
    refuse |= mo_free_header_fault(header, fence);
    if (mo_unlikely(refuse != 0))
        return mo_allocate_refused(n, origin);
    if (mo_unlikely(step == SMALL    ? payload_dirty(p, end)
                    : step == MEDIUM ? medium_dirty(p, end)
                                     : mo_slot_dirt(slot, k, state, c->random) != 0))
        return mo_allocate_refused(n, origin);

    state = (uint16_t)(state + c->advance);
    uintptr_t tail = p + n;
    struct mark m = mark(p, k->fields | (uint32_t)origin << 14 | (uint32_t)(end - tail) << 16, state);
    mo_store_header(slot, mark_header(m));
    if (mo_unlikely(end - tail >= NEAR))
        return finish_far(m, p, tail, end, word, state);
    near_store(m, end - tail, end);
    mo_state_publish(word, state);
    return (void *)p;
}

/* Functions of their own, so that what the larger sizes need does not cost the smaller ones registers. */
__attribute__((noinline)) static void *allocate_sampled(size_t n, enum mo_origin origin)
{
    return n <= MO_SMALL_MAX ? allocate(n, origin, SAMPLED) : mo_allocate_slow(n, origin);
}

__attribute__((noinline)) static void *allocate_medium(size_t n, enum mo_origin origin)
{
    return n <= MO_MEDIUM_MAX ? allocate(n, origin, MEDIUM) : allocate_sampled(n, origin);
}

MO_BY_REGISTERS void *MO_HOT(mo_allocate)(size_t n, enum mo_origin origin)
{
    if (!SPECIALIZED)
        return n <= MO_SMALL_MAX ? allocate(n, origin, ANY_STEP) : mo_allocate_slow(n, origin);
    if (mo_unlikely(n > MO_TABLE_MAX))
        return allocate_medium(n, origin);
    return allocate(n, origin, SMALL);
}

/* malloc's own, with its origin known: a register and two instructions less. */
MO_BY_REGISTERS void *MO_HOT(mo_malloc)(size_t n)
{
    if (!SPECIALIZED)
        return MO_HOT(mo_allocate)(n, MO_ORIGIN_MALLOC);
    if (mo_unlikely(n > MO_TABLE_MAX))
        return allocate_medium(n, MO_ORIGIN_MALLOC);
    return allocate(n, MO_ORIGIN_MALLOC, SMALL);
}

static void release_far(uintptr_t p, bool told, size_t n, enum mo_origin origin);
static void release_one(uintptr_t p, bool told, size_t n, enum mo_origin origin);

/* Is the slot beside another one, behind it or before it, as its state word says, for sure? Of a large free one that is
 * this cache's or its shard's it looks at the ends, where what overruns arrives first; of one that has never lived at
 * what lies on a page of its neighbour's. */
static bool slot_good(const struct mo_cache *c, const struct mo_class *k, uintptr_t slot, bool behind)
{
    enum { WHOLE = 1040, END = 72 };
    unsigned state = mo_state_load(mo_state_of(mo_granule_of(slot), k, slot)), owner = state & MO_STATE_OWNER;
    uintptr_t p = slot + MO_HEADER, end = slot + k->stride;
    if ((state & MO_STATE_LIVE) != 0)
        return MO_HOT(mo_chunk_good)(p, end, state);
    if (state == 0)
        return behind ? mo_free_header_fault(mo_load_word(slot), mo_sealed.fence) == 0
                      : mo_load_word(end - MO_HEADER) == 0;
    if (owner != MO_OWNER_SHARD && owner != c->expect)
        return true;
    mo_pair dirt = {0, 0};
    mo_payload_bits(p, k->stride <= WHOLE ? end : p + END, &dirt);
    mo_payload_bits(end - mo_min(k->stride - MO_HEADER, END), end, &dirt);
    return mo_free_header_fault(mo_load_word(slot), mo_sealed.fence) == 0 && !any_bit(dirt);
}

static bool neighbours_good(const struct mo_cache *c, const struct mo_class *k, uintptr_t slot)
{
    size_t in_slab = slot & (((size_t)1 << k->span_shift) - 1);
    if (in_slab > MO_HEADER && !slot_good(c, k, slot - k->stride, false))
        return false;
    return in_slab >= MO_HEADER + (size_t)(k->slots - 1) * k->stride || slot_good(c, k, slot + k->stride, true);
}

/* What differs in a release: a short tail behind a small chunk or another one; a long tail; all, and the neighbours
 * where the option says so. */
enum kind { NEAR_SMALL, NEAR_MEDIUM, FAR_SMALL, FAR_MEDIUM, ANY_KIND };

MO_INLINE bool tail_good(struct mark m, size_t slack, uintptr_t end, bool near)
{
    return near ? near_good(m, slack, end) : far_good(m, end - slack, end);
}

/* p lies in a granule g of the heap. told: n is what the caller says that it asked for. */
MO_INLINE void release(uintptr_t p, const struct mo_granule *g, bool told, size_t n, enum mo_origin origin,
                       enum kind kind)
{
    bool near = kind == NEAR_SMALL || kind == NEAR_MEDIUM;
    struct mo_cache *c = mo_cache_mine;
    const struct mo_class *k = &mo_sealed.classes[g->class];
    struct mo_stock *stock = mo_cache_stock(c, g->class);
    __asm__("" : "+r"(k));          /* kept, rather than found again from table and class, which are two values */
    uintptr_t slot = p - MO_HEADER; /* of a plain chunk; aligned ones have another class in their header */
    uint16_t *word = mo_state_of(g, k, slot);
    unsigned state = mo_state_load(word);
    /* Live before anything in memory is looked at: a closed slab would fault. */
    if (mo_unlikely((state & MO_STATE_LIVE) == 0)) {
        release_leave(p, told, n, origin);
        return;
    }
    /* All of the header but the slack is known: another origin, an aligned chunk and a changed bit fail alike. */
    uintptr_t end = slot + k->stride;
    uint64_t header = mo_load_word(slot);
    uint32_t given = (uint32_t)header;
    if (near && mo_unlikely(given >= NEAR << 16)) { /* the slack lies on top */
        release_far(p, told, n, origin);
        return;
    }
    if (TAGGED && mo_unlikely(c->random->left <= k->draw)) { /* one more byte than the gate draws */
        release_leave(p, told, n, origin);
        return;
    }
    unsigned chance = TAGGED ? mo_tagged_chance(c->random) : 0;
    if (mo_unlikely(!mo_quarantine_gate(c, k, stock, kind == ANY_KIND ? k->ready_end : k->gate_end))) {
        if (kind == ANY_KIND)
            release_leave(p, told, n, origin);
        else
            release_one(p, told, n, origin);
        return;
    }
    struct mark m = mark(p, (given & 0xffff0000) | k->fields | (uint32_t)origin << 14, state);
    /* The header first: `end` may be anywhere when p is no plain chunk's. */
    size_t slack = given >> 16;
    if (mo_unlikely(header != mark_header(m)) ||
        mo_unlikely(!tail_good(m, slack, end, near || (kind == ANY_KIND && slack < NEAR))) ||
        (told && mo_unlikely(n != end - p - slack)) ||
        (kind == ANY_KIND && mo_unlikely(mo_sealed.options.neighbours && !neighbours_good(c, k, slot)))) {
        release_leave(p, told, n, origin);
        return;
    }
    if (mo_unlikely(!mo_state_replace(word, state, state + c->retire))) {
        mo_release_raced(p);
        return;
    }
    if (TAGGED)
        mo_tagged_retire(slot, k, chance);
    else if (kind == NEAR_SMALL || kind == FAR_SMALL)
        payload_clear(p, end);
    else
        mo_clear_medium(p, end);
    mo_store_header(slot, mo_sealed.fence);
    mo_quarantine_swap(c, k, stock, slot);
}

__attribute__((noinline)) static void release_far(uintptr_t p, bool told, size_t n, enum mo_origin origin)
{
    const struct mo_granule *g = mo_granule_of(p);
    if (g->class > mo_sealed.small_last)
        release(p, g, told, n, origin, FAR_MEDIUM);
    else
        release(p, g, told, n, origin, FAR_SMALL);
}

/* The gate is shut: by option neighbours always. */
__attribute__((noinline)) static void release_one(uintptr_t p, bool told, size_t n, enum mo_origin origin)
{
    release(p, mo_granule_of(p), told, n, origin, ANY_KIND);
}

__attribute__((noinline)) static void release_medium(uintptr_t p, const struct mo_granule *g, bool told, size_t n,
                                                     enum mo_origin origin)
{
    if (g->class == MO_CLASS_ZERO) /* addresses only */
        release_leave(p, told, n, origin);
    else
        release(p, g, told, n, origin, NEAR_MEDIUM);
}

MO_INLINE void release_any(uintptr_t p, bool told, size_t n, enum mo_origin origin)
{
    const struct mo_granule *g = mo_granule_of(p);
    if (mo_unlikely(p - mo_sealed.heap_base >= HEAP_SIZE))
        release_else(p, told, n, origin);
    else if (!SPECIALIZED && g->class == MO_CLASS_ZERO)
        release_leave(p, told, n, origin);
    else if (!SPECIALIZED)
        release_one(p, told, n, origin);
    else if (mo_unlikely(g->class > mo_sealed.small_last))
        release_medium(p, g, told, n, origin);
    else
        release(p, g, told, n, origin, NEAR_SMALL);
}

/* With origin and size known to the compiler as far as the routine says: each is a few instructions less. */
MO_BY_REGISTERS void MO_HOT(mo_free)(void *p)
{
    if (!SPECIALIZED)
        MO_HOT(mo_release)(p, MO_ORIGIN_MALLOC);
    else
        release_any((uintptr_t)p, false, 0, MO_ORIGIN_MALLOC);
}

MO_BY_REGISTERS void MO_HOT(mo_release)(void *p, enum mo_origin origin)
{
    release_any((uintptr_t)p, false, 0, origin);
}

MO_BY_REGISTERS void MO_HOT(mo_release_sized)(void *p, size_t n, enum mo_origin origin)
{
    release_any((uintptr_t)p, true, n, origin);
}

__attribute__((noinline)) static void *move(uintptr_t p, size_t had, size_t n)
{
    void *q = MO_HOT(mo_malloc)(n);
    if (mo_unlikely(q == NULL))
        return NULL;
    __builtin_memcpy(q, (const void *)p, mo_min(had, n));
    MO_HOT(mo_free)((void *)p); /* looks at it again: it may have been freed meanwhile */
    return q;
}

/* realloc of malloc's plain chunks. What is no such chunk, or not good, is left to the slow half, which says why. */
MO_BY_REGISTERS void *MO_HOT(mo_resize)(void *ptr, size_t n)
{
    uintptr_t p = (uintptr_t)ptr;
    const struct mo_granule *g = mo_granule_of(p);
    if (!SPECIALIZED || mo_unlikely(p - mo_sealed.heap_base >= HEAP_SIZE) || mo_unlikely(g->class == MO_CLASS_ZERO))
        return mo_resize(ptr, n);
    const struct mo_class *k = &mo_sealed.classes[g->class];
    uintptr_t slot = p - MO_HEADER, end = slot + k->stride;
    uint16_t *word = mo_state_of(g, k, slot);
    unsigned state = mo_state_load(word);
    if (mo_unlikely((state & MO_STATE_LIVE) == 0))
        return mo_resize(ptr, n);
    uint64_t header = mo_load_word(slot);
    struct mark m = mark(p, ((uint32_t)header & 0xffff0000) | k->fields, state);
    size_t slack = mo_header_slack(header), room = end - p, had = room - slack;
    if (mo_unlikely(header != mark_header(m)) || mo_unlikely(!tail_good(m, slack, end, slack < NEAR)))
        return mo_resize(ptr, n);
    if (!mo_resizes_in_place(room, n))
        return move(p, had, n);
    /* Busy while header and tail do not agree, for who looks at other threads' chunks (check.c). */
    if (mo_unlikely(!mo_state_replace(word, state, state | MO_STATE_BUSY)))
        mo_report_raced(p, "realloc");
    if (n > had) /* a grown part is zero; of a shrunk one the new tail leaves nothing */
        __builtin_memset((void *)(p + had), 0, n - had);
    m = mark(p, k->fields | (uint32_t)(room - n) << 16, state);
    mo_store_header(slot, mark_header(m));
    tail_blend(m, p + n, end);
    mo_state_publish(word, state);
    return ptr;
}

/* What the program asked for, of malloc's plain chunks; some programs ask at each allocation and each free. By the
 * header, which only moat can have made: the tail is free's to look at. */
MO_BY_REGISTERS size_t MO_HOT(mo_usable_size)(const void *ptr)
{
    uintptr_t p = (uintptr_t)ptr;
    const struct mo_granule *g = mo_granule_of(p);
    if (!SPECIALIZED || mo_unlikely(p - mo_sealed.heap_base >= HEAP_SIZE) || mo_unlikely(g->class == MO_CLASS_ZERO))
        return mo_usable_size(ptr);
    const struct mo_class *k = &mo_sealed.classes[g->class];
    uintptr_t slot = p - MO_HEADER, end = slot + k->stride;
    unsigned state = mo_state_load(mo_state_of(g, k, slot));
    if (mo_unlikely((state & MO_STATE_LIVE) == 0))
        return mo_usable_size(ptr);
    uint64_t header = mo_load_word(slot);
    struct mark m = mark(p, ((uint32_t)header & 0xffff0000) | k->fields, state);
    if (mo_unlikely(header != mark_header(m)))
        return mo_usable_size(ptr);
    return end - p - mo_header_slack(header);
}

void MO_HOT(mo_chunk_seal)(uintptr_t p, size_t n, uintptr_t end, unsigned class, enum mo_origin origin, unsigned state)
{
    struct mark m = mark(p, mo_fields(class, origin, end - p - n), state);
    mo_store_header(p - MO_HEADER, mark_header(m));
    tail_blend(m, p + n, end);
}

bool MO_HOT(mo_chunk_good)(uintptr_t p, uintptr_t end, unsigned state)
{
    uint64_t header = mo_load_word(p - MO_HEADER);
    size_t s = mo_header_slack(header);
    struct mark m = mark(p, (uint32_t)header, state);
    return header == mark_header(m) && s <= end - p && (s < NEAR ? near_good(m, s, end) : far_good(m, end - s, end));
}
