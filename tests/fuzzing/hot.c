/* Places in a program that allocate all the time: option sample_hot. */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/wait.h>

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

/* A write after free: found when the place is used again, at the end of an epoch or of the process. A read gets 0. */
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

/* Kilobytes that 20,000 live chunks of one place take, with what is kept of their stacks. */
static int hot_live(void)
{
    static char text[4096];
    for (unsigned i = 0; i < 20000; i++)
        (void)hot_chunk(16);
    FILE *f = fopen("/proc/self/status", "r");
    if (f == NULL)
        return 1;
    text[fread(text, 1, sizeof text - 1, f)] = '\0';
    const char *at = strstr(text, "VmRSS:");
    printf("%ld\n", at != NULL ? strtol(at + 6, NULL, 10) : 0L);
    return at == NULL;
}

static volatile unsigned came_back;

/* One of 4^levels ways down: each is another stack. */
APART static char *way(unsigned path, unsigned levels)
{
    char *p;
    if (levels == 0)
        return hot_chunk(16);
    if (path % 4 == 0) {
        p = way(path / 4, levels - 1);
        came_back += 1;
    } else if (path % 4 == 1) {
        p = way(path / 4, levels - 1);
        came_back += 2;
    } else if (path % 4 == 2) {
        p = way(path / 4, levels - 1);
        came_back += 3;
    } else {
        p = way(path / 4, levels - 1);
        came_back += 4;
    }
    return p;
}

/* More stacks than the depot holds, from two threads; then a bug in a child. */
static void *go_ways(void *from)
{
    for (unsigned i = 0; i < 45000; i++)
        free(way((unsigned)(uintptr_t)from + i, 9));
    return NULL;
}

static int hot_stacks(void)
{
    pthread_t other;
    char *volatile first = hot_chunk(16);
    if (pthread_create(&other, NULL, go_ways, (void *)(uintptr_t)45000) != 0)
        return 1;
    go_ways(NULL);
    pthread_join(other, NULL);
    char *volatile last = way(262143, 9);
    for (int i = 0; i < 2; i++)
        if (fork() == 0) {
            free(i == 0 ? first : last);
            free(i == 0 ? first : last);
            _exit(0);
        } else {
            int status;
            wait(&status);
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
                 {"hot-many", hot_many},
                 {"hot-live", hot_live},
                 {"hot-stacks", hot_stacks}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (strcmp(name, cases[i].name) == 0)
            return cases[i].run();
    return 99;
}
