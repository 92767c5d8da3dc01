/* Marks by AES rounds, for the forms of the hot path that are compiled for CPUs that have them; see hot.h. */
#ifndef MO_MARK_AES_H
#define MO_MARK_AES_H

#include "front/aes.h"
#include "front/mac.h"

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

#endif
