/* The chunk: its header, its tail, and what a free slot looks like.
 *
 *   slot:   | header 8 | payload n ............ | tail = slack bytes | next slot's header
 *            ^ 8 mod 16  ^ p, 16-aligned                              ^ its first byte is the fence
 *
 *   header, as memory bytes 0..7 (a little-endian number):
 *     0      fence: per process, odd, at least 0x83, never 0xff. Always there once a header or a full chunk
 *            before it has been written, so that a chunk without slack can check it whoever owns the next slot
 *     1      bits 0..5 class, or 45 + log2 of an alignment above 16; 6..7 origin
 *     2..3   slack: bytes from the payload's end to the slot's end
 *     4..7   MAC, 32 bits, keyed, over payload address, bytes 0..3 and the slot's state word (its generation)
 *
 *   tail: a pattern from the same keyed function, so it differs for every chunk. Its first byte is in the
 *   fence's set (an overflow by one byte with 0x00, 0xff, ASCII or a usual fill shows), its second is 0 (a
 *   string that runs on stops there), no further byte is 0.
 *
 *   free slot: zero, but for the first byte, which may be the fence.
 *
 * The MAC is 6 AES rounds with 7 secret round keys, or SipHash-2-4. Both are non-linear and keyed with 128
 * bits or more: a leaked header forges no other one, and an old one is worthless once its slot has moved on. Four
 * rounds fell to the integral attack: 3 * 256 leaked headers that differ in one byte gave 32 bits of the last round
 * key. Six need 2^32 chosen headers.
 */
#ifndef MO_CHUNK_H
#define MO_CHUNK_H

#include "front/front.h"
#include "mem/heap.h"

enum {
    MO_TAIL_BLOCK = 16,
    /* Aligned chunks have a code of their own for the class, so that the hot path of free, which expects the class that
     * the address has, leaves them to its slow half: their header does not start the slot. */
    MO_CODE_ALIGNED = MO_CLASSES - 5, /* + log2 of the alignment, which is 32 or more */
    MO_SLOT_ALIGN = 16384,            /* largest alignment in a slot: its slack has 16 bits */
};
_Static_assert(MO_CODE_ALIGNED + 14 < MO_CLASS_LARGE, "six bits");

/* What the keyed function gives for a chunk: its header, and a block of tail pattern. */
struct mo_mark {
    uint64_t header;
    union {
        uint8_t bytes[MO_TAIL_BLOCK];
        uint64_t words[2];
    } tail;
};

MO_RACY uint64_t mo_load64(uintptr_t p)
{
    uint64_t v;
    __builtin_memcpy(&v, (const void *)p, sizeof v);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    v = __builtin_bswap64(v);
#endif
    return v;
}

/* The same of a word that is aligned: a header, or words of a slot. A wild pointer's is not; where the CPU asks for it
 * another word is loaded, which is no header of that pointer's either, as the MAC is of the address. */
MO_RACY uint64_t mo_load_word(uintptr_t p)
{
    if (MO_LOADS_ANYWHERE)
        return mo_load64(p);
    return mo_load64((uintptr_t)__builtin_assume_aligned((const void *)mo_align_down(p, 8), 8));
}

/* One aligned 64-bit store: a reader never sees half a header. */
MO_RACY void mo_store_header(uintptr_t at, uint64_t v)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    v = __builtin_bswap64(v);
#endif
    *(volatile uint64_t *)at = v;
}

MO_RACY uint8_t mo_load8(uintptr_t p)
{
    return *(const volatile uint8_t *)p;
}

MO_RACY void mo_store8(uintptr_t p, uint8_t v)
{
    *(volatile uint8_t *)p = v;
}

MO_INLINE uint32_t mo_fields(unsigned class, enum mo_origin origin, size_t slack)
{
    return mo_sealed.fence | (uint32_t)class << 8 | (uint32_t)origin << 14 | (uint32_t)slack << 16;
}

MO_INLINE size_t mo_header_slack(uint64_t header)
{
    return (size_t)(header >> 16) & 0xffff;
}

MO_INLINE enum mo_origin mo_header_origin(uint64_t header)
{
    return (enum mo_origin)((header >> 14) & 3);
}

/* The alignment that the chunk was asked for; 0 for a plain one. */
MO_INLINE size_t mo_header_align(uint64_t header)
{
    unsigned code = (unsigned)(header >> 8) & 63;
    return code >= MO_CLASSES && code != MO_CLASS_LARGE ? (size_t)1 << (code - MO_CODE_ALIGNED) : 0;
}

/* 0 when h is a free slot's first word: 0 or the fence alone. The fence is odd, so the product of h and
 * h ^ fence is 0 modulo 2^64 only when one of them is 0. */
MO_INLINE uint64_t mo_free_header_fault(uint64_t h, uint8_t fence)
{
    return h * (h ^ fence);
}

/* The same chunk by either function; cold callers use mo_mark_of, which chooses. */
struct mo_mark mo_mark_of(uintptr_t p, uint32_t fields, unsigned state);

/* Two words at a time: payloads are 16-aligned, and their slots end 8 bytes after such a place. */
typedef uint64_t mo_pair __attribute__((vector_size(16), may_alias));
typedef uint64_t mo_loose_pair __attribute__((vector_size(16), may_alias, aligned(8)));

/* Adds all bits that are set in payload [p, end), at least 24 bytes: of sizes that are worth 64 at a time. */
MO_RACY void mo_payload_bits(uintptr_t p, uintptr_t end, mo_pair *all)
{
    mo_pair bits = *(const mo_pair *)p | *(const mo_loose_pair *)(end - 16);
    uintptr_t at = p + 16;
    for (; at + 64 < end; at += 64) {
        const mo_pair *v = (const mo_pair *)at;
        bits |= (v[0] | v[1]) | (v[2] | v[3]);
    }
    for (; at + 16 < end; at += 16)
        bits |= *(const mo_pair *)at;
    *all |= bits;
}

/* Is a bit set where there should be none in the free slot, looked at whole? */
MO_INLINE uint64_t mo_slot_any_dirt(uintptr_t slot, const struct mo_class *k)
{
    mo_pair bits = {0, 0};
    mo_payload_bits(slot + MO_HEADER, slot + k->stride, &bits);
    return mo_free_header_fault(mo_load_word(slot), mo_sealed.fence) | bits[0] | bits[1];
}

enum mo_chunk_fault { MO_CHUNK_GOOD, MO_CHUNK_BAD_HEADER, MO_CHUNK_BAD_TAIL };

/* Verifies the chunk at p that ends at `end`; *n is what was requested when the header is good, *at where
 * the tail is bad. */
enum mo_chunk_fault mo_chunk_verify(uintptr_t p, uintptr_t end, unsigned state, size_t *n, uintptr_t *at);

/* Is the free slot clean? Its first word and, of its payload, as much as option zero_check says: all of a small one,
 * the ends and random samples of a larger one. 0, or the address of a changed byte. */
uintptr_t mo_slot_dirt(uintptr_t slot, const struct mo_class *k, unsigned state, struct mo_random *r);

/* The same, all of it. */
uintptr_t mo_slot_dirt_whole(uintptr_t slot, const struct mo_class *k);

#endif
