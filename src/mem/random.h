/* Random streams: ChaCha20 from libsodium, keyed by the kernel, wiped in a forked child.
 *
 * Each thread cache owns one stream, start-up and threads without a cache share another under a lock. A
 * stream lives in memory that the kernel wipes at fork: `left` is then 0 and `seeded` false, so that the
 * child draws a new key at its first need and parent and child never share numbers. Each refill replaces
 * the key by the first bytes of its own stream, so that a leaked state tells nothing of earlier numbers.
 */
#ifndef MO_RANDOM_H
#define MO_RANDOM_H

#include "base/base.h"

enum { MO_RANDOM_SIZE = 1024, MO_RANDOM_BYTES = MO_RANDOM_SIZE - 8 - 32 };

/* A refill leaves out up to 63 bytes, by chance, so that what draws evenly does not always meet the end of the bytes at
 * the same step; how many it gives in the mean. */
enum { MO_RANDOM_LEFT_OUT = 64, MO_RANDOM_WINDOW = MO_RANDOM_BYTES - 1 - MO_RANDOM_LEFT_OUT / 2 };

struct mo_random {
    uint32_t left; /* bytes not yet drawn, at the start of `bytes` */
    uint32_t seeded;
    uint8_t key[32];
    uint8_t bytes[MO_RANDOM_BYTES];
};
_Static_assert(sizeof(struct mo_random) == MO_RANDOM_SIZE, "four streams in a small page");

/* With nothing in it and read-only: who draws from it would fault. */
extern const uint32_t mo_random_none[2];

/* Chooses how ChaCha20 is computed; before the first refill. */
void mo_random_start(void);

/* Fills r->bytes anew. */
void mo_random_refill(struct mo_random *r);

/* A number below `below`, which is 1 to 65536; biased by at most below / 2^32. */
MO_INLINE uint32_t mo_random_below(struct mo_random *r, uint32_t below)
{
    uint32_t v;
    if (mo_unlikely(r->left < sizeof v))
        mo_random_refill(r);
    r->left -= (uint32_t)sizeof v;
    __builtin_memcpy(&v, r->bytes + r->left, sizeof v);
    return (uint32_t)(((uint64_t)v * below) >> 32);
}

/* The same below at most 256, from one byte: biased by at most below / 256. For shuffling. */
MO_INLINE uint32_t mo_random_below_small(struct mo_random *r, uint32_t below)
{
    if (mo_unlikely(r->left < 1))
        mo_random_refill(r);
    r->left--;
    return r->bytes[r->left] * below >> 8;
}

/* 64 random bits. */
MO_INLINE uint64_t mo_random_u64(struct mo_random *r)
{
    uint64_t v;
    if (mo_unlikely(r->left < sizeof v))
        mo_random_refill(r);
    r->left -= (uint32_t)sizeof v;
    __builtin_memcpy(&v, r->bytes + r->left, sizeof v);
    return v;
}

#endif
