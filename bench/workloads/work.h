/* What every micro workload shares: a random stream, a checksum, the scale.
 *
 * A workload does a fixed number of operations, the same for every allocator, and prints a checksum of what
 * it read back from its memory. argv[1] is the scale in percent (100: about a second on a machine of 2020).
 */
#ifndef WORK_H
#define WORK_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct work_random {
    uint64_t state;
};

/* xorshift64*: cheap beside an allocation, the same everywhere. */
static inline uint64_t work_draw(struct work_random *r)
{
    r->state ^= r->state >> 12;
    r->state ^= r->state << 25;
    r->state ^= r->state >> 27;
    return r->state * 0x2545f4914f6cdd1dULL;
}

/* A number below n. */
static inline size_t work_below(struct work_random *r, size_t n)
{
#ifdef __SIZEOF_INT128__
    return (size_t)(((unsigned __int128)work_draw(r) * n) >> 64);
#else
    return (size_t)(((work_draw(r) >> 32) * n) >> 32); /* n has 32 bits */
#endif
}

/* A size from lowest to highest, each power of two half as likely as the one before, as in most programs. */
static inline size_t work_size(struct work_random *r, size_t lowest, size_t highest)
{
    size_t top = lowest;
    while (top < highest && (work_draw(r) >> 63))
        top *= 2;
    size_t size = top + work_below(r, top);
    return size > highest ? highest : size;
}

/* A size from lowest to highest, each power of two as likely as any other. */
static inline size_t work_even_size(struct work_random *r, size_t lowest, size_t highest)
{
    unsigned doublings = 0;
    while (lowest << (doublings + 1) <= highest)
        doublings++;
    size_t top = lowest << work_below(r, doublings ? doublings : 1);
    return top + work_below(r, top);
}

static inline struct work_random work_seed(uint64_t seed)
{
    return (struct work_random){seed * 0x9e3779b97f4a7c15ULL + 1};
}

/* n operations at full scale. */
static inline size_t work_scaled(int argc, char **argv, size_t n)
{
    unsigned long percent = argc > 1 ? strtoul(argv[1], NULL, 10) : 100;
    size_t scaled = n / 100 * (percent ? percent : 1);
    return scaled ? scaled : 1;
}

static inline void *work_need(void *p)
{
    if (!p) {
        fputs("out of memory\n", stderr);
        exit(2);
    }
    return p;
}

static inline void *work_alloc(size_t n)
{
    return work_need(malloc(n));
}

static inline uint64_t work_mix(uint64_t sum, uint64_t v)
{
    return (sum ^ v) * 0x100000001b3ULL;
}

static inline int work_done(uint64_t sum)
{
    return printf("%016llx\n", (unsigned long long)sum) < 0;
}

#endif
