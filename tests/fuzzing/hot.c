/* Places in a program that allocate all the time: option sample_hot. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "moat/moat.h"
#include "program.h"

/* How many pages have had one place's chunks. With sample_hot=4 each of the first four is closed when it is freed, the
 * 512th is, and the others have 33 by turns; of another size the first again. All are between guards. */
APART static char *hot_chunk(size_t n)
{
    char *volatile p = malloc(n);
    return p;
}

static size_t pages_of(size_t n, size_t count)
{
    static uintptr_t seen[1024];
    size_t pages = 0;
    struct moat_epoch e;
    moat_epoch_begin();
    for (size_t i = 0; i < count; i++) {
        char *p = hot_chunk(n);
        uintptr_t page = (uintptr_t)p / 4096;
        size_t at = 0;
        while (at < pages && seen[at] != page)
            at++;
        pages += at == pages;
        seen[at] = page;
        free(p);
    }
    moat_epoch_end(&e, sizeof e);
    return e.guarded_count == count ? pages : 0;
}

static int hot(void)
{
    size_t first = pages_of(40, 4), later = pages_of(40, 640), other = pages_of(41, 4);
    printf("%zu %zu %zu\n", first, later, other);
    return first == 4 && later == 34 && other == 4 ? 0 : 1;
}

/* The bugs of a place that has had 100 chunks before: with sample_hot=4 in places that stay open. */
static char *warm_chunk(size_t n)
{
    for (int i = 0; i < 100; i++)
        free(hot_chunk(n));
    return hot_chunk(n);
}

static int hot_read(void)
{
    volatile char *p = warm_chunk(48);
    return p[48];
}

static int hot_write(void)
{
    char *p = warm_chunk(41);
    p[-1] = 1;
    free(p);
    return 0;
}

static int hot_twice(void)
{
    char *volatile p = warm_chunk(48);
    free(p);
    free(p);
    return 0;
}

/* More live ones than may stay open: the rest is the heap's. What is written stays, and all are zero at first. */
static char stale(void)
{
    char *volatile p = warm_chunk(48);
    memset(p, 1, 48);
    free(p);
    char read = p[5];
    p[7] = 1;
    return read;
}

static int hot_reused(void)
{
    if (stale() == 0)
        (void)warm_chunk(48);
    return 0;
}

static int hot_epoch(void)
{
    moat_epoch_begin();
    if (stale() == 0)
        moat_epoch_end(NULL, 0);
    _exit(0);
}

static int hot_exit(void)
{
    return stale();
}

/* More live ones than may stay open: the rest is the heap's. What is written stays, and all are zero before. */
static int hot_many(void)
{
    static unsigned char *p[3000];
    for (int round = 0; round < 3; round++) {
        for (unsigned i = 0; i < 3000; i++) {
            size_t n = 1 + i % 600;
            p[i] = (unsigned char *)hot_chunk(n);
            for (size_t j = 0; j < n; j++)
                if (p[i][j] != 0)
                    return 1;
            memset(p[i], (int)(i & 255), n);
        }
        for (unsigned i = 0; i < 3000; i++) {
            if (p[i][0] != (i & 255) || p[i][i % 600] != (i & 255))
                return 2;
            p[i] = realloc(p[i], 20 + i % 900);
            if (p[i][0] != (i & 255))
                return 3;
            free(p[i]);
        }
    }
    return 0;
}

int hot_case(const char *name)
{
    static const struct {
        const char *name;
        int (*run)(void);
    } cases[] = {{"hot", hot},
                 {"hot-read", hot_read},
                 {"hot-write", hot_write},
                 {"hot-twice", hot_twice},
                 {"hot-reused", hot_reused},
                 {"hot-epoch", hot_epoch},
                 {"hot-exit", hot_exit},
                 {"hot-many", hot_many}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (strcmp(name, cases[i].name) == 0)
            return cases[i].run();
    return 99;
}
