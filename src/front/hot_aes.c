/* The hot path with AES instructions; CMake compiles this file, and no other, for CPUs that have them. */
#include "front/mac.h"
#include "front/hot_names.h"

#ifdef MO_HAVE_AES

#include "front/aes.h"
#include "front/slow.h"

/* The 16 bytes of a block, or lanes: 0..3 are replaced by the header's fields, the first of which is the fence, 4..7
 * are the MAC, so that the low half is the header; 8..15 make the tail's pattern, its first byte from lane 8, its
 * second, which is 0, from lane 9. */
enum { LANE_FENCE = 0, LANE_FIRST = 8, LANE_SECOND = 9, LANES = 16 };

struct mark {
    mo_v16 lanes;
};

/* For tails of s bytes, at most 15: row s shuffles the lanes into the 16 bytes that end with the tail and, behind it,
 * the fence; what lies before becomes 0 (by index 128). mask: the bytes of tail and fence. */
static const struct {
    uint8_t index[16], mask[16];
} rows[16] __attribute__((aligned(32))) = {
    /* clang-format off */
    {{128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 0},
     {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255}},
    {{128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 8, 0},
     {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255}},
    {{128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 8, 9, 0},
     {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255}},
    {{128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 8, 9, 10, 0},
     {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255}},
    {{128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 8, 9, 10, 11, 0},
     {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255, 255}},
    {{128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 8, 9, 10, 11, 12, 0},
     {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255, 255, 255}},
    {{128, 128, 128, 128, 128, 128, 128, 128, 128, 8, 9, 10, 11, 12, 13, 0},
     {0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255}},
    {{128, 128, 128, 128, 128, 128, 128, 128, 8, 9, 10, 11, 12, 13, 14, 0},
     {0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255}},
    {{128, 128, 128, 128, 128, 128, 128, 8, 9, 10, 11, 12, 13, 14, 15, 0},
     {0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255, 255}},
    {{128, 128, 128, 128, 128, 128, 8, 9, 10, 11, 12, 13, 14, 15, 10, 0},
     {0, 0, 0, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255}},
    {{128, 128, 128, 128, 128, 8, 9, 10, 11, 12, 13, 14, 15, 10, 11, 0},
     {0, 0, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255}},
    {{128, 128, 128, 128, 8, 9, 10, 11, 12, 13, 14, 15, 10, 11, 12, 0},
     {0, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255}},
    {{128, 128, 128, 8, 9, 10, 11, 12, 13, 14, 15, 10, 11, 12, 13, 0},
     {0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255}},
    {{128, 128, 8, 9, 10, 11, 12, 13, 14, 15, 10, 11, 12, 13, 14, 0},
     {0, 0, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255}},
    {{128, 8, 9, 10, 11, 12, 13, 14, 15, 10, 11, 12, 13, 14, 15, 0},
     {0, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255}},
    {{8, 9, 10, 11, 12, 13, 14, 15, 10, 11, 12, 13, 14, 15, 10, 0},
     {255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255}},
    /* clang-format on */
};

/* The pattern's 16 bytes, for longer tails: those of row 15 and one more. */
static const uint8_t pattern[16]
    __attribute__((aligned(16))) = {8, 9, 10, 11, 12, 13, 14, 15, 10, 11, 12, 13, 14, 15, 10, 11};

MO_INLINE struct mark mark(uintptr_t p, uint32_t fields, unsigned state)
{
    return (struct mark){mo_v_with_low(mo_aes_rounds(p, fields, state, mo_sealed.aes_keys), fields)};
}

MO_INLINE uint64_t mark_header(struct mark m)
{
    return ((mo_v2)m.lanes)[0];
}

MO_INLINE bool any_bit(mo_pair v)
{
    return mo_v_any((mo_v16)v);
}

/* The lanes with the properties of pattern and fence. */
MO_INLINE mo_v16 shaped(struct mark m)
{
    return (m.lanes & *(const mo_v16 *)mo_sealed.tail_and) | *(const mo_v16 *)mo_sealed.tail_or;
}

MO_INLINE mo_v16 row_of(struct mark m, size_t s)
{
    return mo_v_shuffle(shaped(m), *(const mo_v16 *)rows[s].index);
}

MO_INLINE mo_v16 first_block(struct mark m)
{
    return mo_v_shuffle(shaped(m), *(const mo_v16 *)pattern);
}

MO_INLINE mo_v16 far_block(mo_v16 first)
{
    mo_v2 odd = {0x0101010101010101ull, 0x0101010101010101ull};
    return (mo_v16)((mo_v2)first | odd);
}

MO_INLINE void near_store(struct mark m, size_t s, uintptr_t end)
{
    mo_v_store(end - 15, row_of(m, s));
}

/* Its first block at `from`, further ones counted back from its end. */
MO_INLINE void far_store(struct mark m, uintptr_t from, uintptr_t end)
{
    mo_v16 first = first_block(m), far = far_block(first);
    uintptr_t at = end - 16;
    for (; at > from + 48; at -= 64) { /* realloc in a large slot leaves tails of some KiB */
        mo_v_store(at, far);
        mo_v_store(at - 16, far);
        mo_v_store(at - 32, far);
        mo_v_store(at - 48, far);
    }
    for (; at > from; at -= 16)
        mo_v_store(at, far);
    mo_v_store(from, first);
}

MO_INLINE void tail_blend(struct mark m, uintptr_t from, uintptr_t end)
{
    mo_v16 block = first_block(m);
    if (end - from >= NEAR)
        far_store(m, from, end);
    else
        __builtin_memcpy((void *)from, &block, end - from);
}

MO_INLINE bool near_good(struct mark m, size_t s, uintptr_t end)
{
    return !mo_v_common(mo_v_load(end - 15) ^ row_of(m, s), *(const mo_v16 *)rows[s].mask);
}

MO_INLINE bool far_good(struct mark m, uintptr_t from, uintptr_t end)
{
    mo_v16 first = first_block(m), far = far_block(first);
    mo_v16 fault = mo_v_load(from) ^ first;
    uintptr_t at = end - 16;
    for (; at >= from + 64; at -= 64)
        fault |= ((mo_v_load(at) ^ far) | (mo_v_load(at - 16) ^ far)) |
                 ((mo_v_load(at - 32) ^ far) | (mo_v_load(at - 48) ^ far));
    for (; at >= from + 16; at -= 16)
        fault |= mo_v_load(at) ^ far;
    if (at > from) { /* the block that the first one overlaps: its last bytes, as many as a row's mask has set */
        mo_v16 in_tail = *(const mo_v16 *)rows[at - from - 1].mask;
        fault |= (mo_v_load(at) ^ far) & in_tail;
    }
    return mo_load8(end) == mo_sealed.fence && !mo_v_any(fault);
}

/* The addresses that are not in the heap, and every one in a process that uses SipHash. */
static MO_COLD void *allocate_else(size_t n, enum mo_origin origin)
{
    return mo_sealed.aes ? mo_allocate_slow(n, origin) : mo_allocate_siphash(n, origin);
}

static MO_COLD void release_else(uintptr_t p, bool told, size_t n, enum mo_origin origin)
{
    if (mo_sealed.aes)
        mo_release_leave(p, told, n, origin);
    else if (told)
        mo_release_sized_siphash((void *)p, n, origin);
    else
        mo_release_siphash((void *)p, origin);
}

#define SPECIALIZED  (!MO_SMALL)
#define HEAP_SIZE    mo_sealed.aes_heap_size
#define MO_HOT(name) name##_aes
#include "front/hot.h"

struct mo_mark mo_mark_aes(uintptr_t p, uint32_t fields, unsigned state)
{
    struct mark m = mark(p, fields, state);
    struct mo_mark out;
    out.header = mark_header(m);
    mo_v_store((uintptr_t)out.tail.bytes, first_block(m));
    return out;
}

bool mo_hot_has_aes(void)
{
    return true;
}

void mo_hot_start(void)
{
    for (size_t i = 0; i < LANES; i++) {
        mo_sealed.tail_and[i] = 0xff;
        mo_sealed.tail_or[i] = i != LANE_FENCE;
    }
    mo_sealed.tail_and[LANE_FIRST] = 0x74; /* in the fence's set */
    mo_sealed.tail_or[LANE_FIRST] = 0x83;
    mo_sealed.tail_and[LANE_SECOND] = mo_sealed.tail_or[LANE_SECOND] = 0;
}

#else

bool mo_hot_has_aes(void)
{
    return false;
}

void mo_hot_start(void) {}

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

void *mo_resize_aes(void *p, size_t n)
{
    return mo_resize_siphash(p, n);
}

size_t mo_usable_size_aes(const void *p)
{
    return mo_usable_size_siphash(p);
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
