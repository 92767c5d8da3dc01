/* The hot path with AES instructions; CMake compiles this file, and no other, for CPUs that have them. */
#include "front/mac.h"
#include "front/hot_names.h"

#ifdef MO_HAVE_AES

#include "front/aes.h"

typedef uint64_t v2 __attribute__((vector_size(16), may_alias, aligned(1)));

struct mark {
    mo_v16 rounds;
    mo_v16 tail;
    uint32_t fields;
};

/* Shuffle indices: loaded at +s they move a block's first s bytes to its last s places and make the rest 0. */
static const int8_t slide[32] __attribute__((aligned(32))) = {
    -128, -128, -128, -128, -128, -128, -128, -128, -128, -128, -128, -128, -128, -128, -128, -128,
    0,    1,    2,    3,    4,    5,    6,    7,    8,    9,    10,   11,   12,   13,   14,   15,
};

/* Masks: loaded at + 16 - s the first s bytes are set. */
static const int8_t first[32] __attribute__((aligned(32))) = {
    -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
};

MO_INLINE struct mark mark(uintptr_t p, uint32_t fields, unsigned state)
{
    struct mark m;
    m.rounds = mo_aes_rounds(p, fields | (uint64_t)state << 32, mo_sealed.aes_keys);
    mo_v2 keep = {mo_tail_and[0], mo_tail_and[1]}, set = {mo_tail_or[0], mo_tail_or[1]};
    m.tail = (mo_v16)(((mo_v2)mo_v_high_twice(m.rounds) & keep) | set);
    m.fields = fields;
    return m;
}

MO_INLINE uint64_t mark_header(struct mark m)
{
    return mo_v_low_with(m.rounds, m.fields);
}

MO_INLINE bool any_bit(v2 v)
{
    return mo_v_any((mo_v16)v);
}

MO_INLINE mo_v16 far_tail(struct mark m)
{
    mo_v2 odd = {0x0101010101010101ull, 0x0101010101010101ull};
    return (mo_v16)((mo_v2)m.tail | odd);
}

/* Writes the tail into a payload that is zero. */
MO_INLINE void tail_store(struct mark m, uintptr_t from, uintptr_t end)
{
    size_t s = end - from;
    if (mo_likely(s <= 16)) {
        mo_v_store(end - 16, mo_v_shuffle(m.tail, mo_v_load((uintptr_t)slide + s)));
        return;
    }
    mo_v16 far = far_tail(m);
    for (uintptr_t at = end - 16; at > from; at -= 16)
        mo_v_store(at, far);
    mo_v_store(from, m.tail);
}

/* Writes the tail behind a payload that holds data. */
MO_INLINE void tail_blend(struct mark m, uintptr_t from, uintptr_t end)
{
    size_t s = end - from;
    if (s > 16) {
        tail_store(m, from, end);
        return;
    }
    mo_v16 index = mo_v_load((uintptr_t)slide + s);
    mo_v16 in_tail = (mo_v16)((mo_v16s)index >= 0);
    mo_v_store(end - 16, (mo_v_load(end - 16) & ~in_tail) | mo_v_shuffle(m.tail, index));
}

/* The tail of more than a block. */
MO_INLINE bool far_good(struct mark m, uintptr_t from, uintptr_t end)
{
    mo_v16 far = far_tail(m);
    mo_v16 fault = mo_v_load(from) ^ m.tail;
    uintptr_t at = end - 16;
    for (; at >= from + 16; at -= 16)
        fault |= mo_v_load(at) ^ far;
    if (at > from) { /* the block that the first one overlaps */
        mo_v16 in_tail = (mo_v16)((mo_v16s)mo_v_load((uintptr_t)slide + (at - from)) >= 0);
        fault |= (mo_v_load(at) ^ far) & in_tail;
    }
    return !mo_v_any(fault);
}

/* A tail of at most a block. Reads a whole block from its start: what is behind it is masked, and a slab or mapping has
 * 16 bytes behind its last slot. */
MO_INLINE bool near_good(struct mark m, uintptr_t from, size_t s)
{
    return !mo_v_common(mo_v_load(from) ^ m.tail, mo_v_load((uintptr_t)first + 16 - s));
}

MO_INLINE bool tail_good(struct mark m, uintptr_t from, uintptr_t end)
{
    size_t s = end - from;
    return s > 16 ? far_good(m, from, end) : near_good(m, from, s);
}

MO_INLINE bool mark_good(struct mark m, uint64_t header, uintptr_t end)
{
    if (header != mark_header(m)) /* first: `end` may be anywhere when p is no plain chunk's */
        return false;
    size_t s = mo_header_slack(header);
    if (mo_likely(s <= 16))
        return mo_load8(end) == mo_sealed.fence && near_good(m, end - s, s);
    return mo_load8(end) == mo_sealed.fence && far_good(m, end - s, end);
}

#define MO_HOT(name) name##_aes
#include "front/hot.h"

struct mo_mark mo_mark_aes(uintptr_t p, uint32_t fields, unsigned state)
{
    struct mark m = mark(p, fields, state);
    struct mo_mark out;
    out.header = mark_header(m);
    mo_v_store((uintptr_t)out.tail.bytes, m.tail);
    return out;
}

bool mo_hot_has_aes(void)
{
    return true;
}

#else

bool mo_hot_has_aes(void)
{
    return false;
}

/* No AES instructions on this architecture: mo_sealed.aes is never true. */
struct mo_mark mo_mark_aes(uintptr_t p, uint32_t fields, unsigned state)
{
    return mo_mark_siphash(p, fields, state);
}

void *mo_allocate_aes(size_t n, enum mo_origin origin)
{
    return mo_allocate_siphash(n, origin);
}

void *mo_malloc_aes(size_t n)
{
    return mo_malloc_siphash(n);
}

void mo_free_aes(void *p)
{
    mo_free_siphash(p);
}

void mo_release_aes(void *p, enum mo_origin origin)
{
    mo_release_siphash(p, origin);
}

void mo_release_sized_aes(void *p, size_t n, enum mo_origin origin)
{
    mo_release_sized_siphash(p, n, origin);
}

void mo_chunk_seal_aes(uintptr_t p, size_t n, uintptr_t end, unsigned class, enum mo_origin origin, unsigned state)
{
    mo_chunk_seal_siphash(p, n, end, class, origin, state);
}

bool mo_chunk_good_aes(uintptr_t p, uintptr_t end, unsigned state)
{
    return mo_chunk_good_siphash(p, end, state);
}

#endif
