/* What the tests of api/ and of threads share: is malloc moat's, and contents that can be verified. Include it last. */
#ifndef CHECK_H
#define CHECK_H

#include <dlfcn.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "api/names.h"

/* Linked in or preloaded: whichever it is, one of the two finds it. */
#pragma weak moat_version

#ifdef __cplusplus
extern "C" {
#endif
const char *moat_version(void);
#ifdef __cplusplus
}
#endif

/* True when moat is there and malloc is its own: only moat gives back the exact size that was asked for. */
static inline bool moat_is_active(void)
{
    if (moat_version == NULL && dlsym(RTLD_DEFAULT, "moat_version") == NULL)
        return false;
    void *p = malloc(13);
    bool exact = p != NULL && malloc_usable_size(p) == 13;
    free(p);
    return exact;
}

/* The byte at offset i of a chunk filled with `seed`. */
static inline unsigned char pattern(size_t i, unsigned seed)
{
    return (unsigned char)(seed * 131u + (unsigned)i * 7u + (unsigned)(i >> 8));
}

static inline void fill(void *p, size_t n, unsigned seed)
{
    unsigned char *bytes = (unsigned char *)p;
    for (size_t i = 0; i < n; i++)
        bytes[i] = pattern(i, seed);
}

/* Whether n bytes at p are still as fill left them. */
static inline bool filled(const void *p, size_t n, unsigned seed)
{
    const unsigned char *bytes = (const unsigned char *)p;
    for (size_t i = 0; i < n; i++)
        if (bytes[i] != pattern(i, seed))
            return false;
    return true;
}

static inline bool all_zero(const void *p, size_t n)
{
    const unsigned char *bytes = (const unsigned char *)p;
    for (size_t i = 0; i < n; i++)
        if (bytes[i] != 0)
            return false;
    return true;
}

/* A small generator of repeatable numbers (xorshift64); *state is not 0. */
static inline uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

#endif
