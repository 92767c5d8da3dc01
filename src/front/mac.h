/* The keyed function behind headers and tails, in both forms. Included by front/ only. */
#ifndef MO_MAC_H
#define MO_MAC_H

#include "front/chunk.h"

enum { NEAR = 16 }; /* bytes of a tail that is not short any more */

#define MO_MAC_MASK 0xffffffff00000000ull

/* Masks that give the pattern its first two bytes' properties and leave no other byte 0. As memory bytes. */
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
static const uint64_t mo_tail_and[2] = {0xffffffffffff0074ull, 0xffffffffffffffffull};
static const uint64_t mo_tail_or[2] = {0x0101010101010083ull, 0x0101010101010101ull};
#else
static const uint64_t mo_tail_and[2] = {0x7400ffffffffffffull, 0xffffffffffffffffull};
static const uint64_t mo_tail_or[2] = {0x8300010101010101ull, 0x0101010101010101ull};
#endif

/* A byte of the blocks behind the first: never 0. */
MO_INLINE uint8_t mo_tail_far(uint8_t b)
{
    return b | 1;
}

struct mo_mark mo_mark_siphash(uintptr_t p, uint32_t fields, unsigned state);
struct mo_mark mo_mark_aes(uintptr_t p, uint32_t fields, unsigned state); /* where the CPU has AES */

#endif
