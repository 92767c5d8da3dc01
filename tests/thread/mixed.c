/* Many threads, mixed sizes and routines, contents verified: no two chunks share a byte, none is lost. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdint.h>

#include "moat/moat.h"

#include "../api/check.h"

enum { THREADS = 16, SLOTS = 300, STEPS = 15000 };

struct chunk {
    unsigned char *p;
    size_t n;
    unsigned seed;
};

static size_t random_size(uint64_t *state)
{
    unsigned kind = (unsigned)(next_random(state) % 1000);
    unsigned bits = kind < 900 ? kind % 10 : kind < 995 ? kind % 15 : kind % 20;
    return next_random(state) % (((size_t)1 << bits) + 1);
}

static unsigned char *random_take(uint64_t *state, size_t n)
{
    void *p = NULL;
    switch (next_random(state) % 8) {
    case 0:
        p = calloc(1, n);
        break;
    case 1:
        return aligned_alloc((size_t)1 << (next_random(state) % 10), n);
    case 2:
        return posix_memalign(&p, 64, n) == 0 ? p : NULL;
    default:
        p = malloc(n);
        break;
    }
    return p != NULL && all_zero(p, n) ? p : NULL;
}

/* Returns the first thing found wrong, or NULL. */
static void *work(void *arg)
{
    struct chunk chunks[SLOTS] = {0};
    uint64_t state = (uintptr_t)arg * 0x9e3779b97f4a7c15u;
    for (unsigned step = 0; step < STEPS; step++) {
        struct chunk *c = &chunks[next_random(&state) % SLOTS];
        if (c->p != NULL && !filled(c->p, c->n, c->seed))
            return "a chunk was changed by another thread";
        if (c->p != NULL && next_random(&state) % 4 == 0) {
            size_t now = random_size(&state) + 1, kept = now < c->n ? now : c->n;
            unsigned char *p = realloc(c->p, now);
            if (p == NULL || !filled(p, kept, c->seed))
                return "realloc lost contents";
            c->p = p;
            c->n = now;
        } else {
            free(c->p);
            c->n = random_size(&state);
            c->p = random_take(&state, c->n);
            if (c->p == NULL)
                return "no memory, or it was not zero";
        }
        c->seed = (unsigned)next_random(&state);
        fill(c->p, c->n, c->seed);
    }
    for (size_t i = 0; i < SLOTS; i++) {
        if (chunks[i].p != NULL && !filled(chunks[i].p, chunks[i].n, chunks[i].seed))
            return "a chunk was changed by another thread";
        free(chunks[i].p);
    }
    return NULL;
}

Test(mixed, moat_is_under_test)
{
    cr_assert(moat_is_active());
}

Test(mixed, sizes_and_routines)
{
    pthread_t threads[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, work, (void *)(i + 1)), 0);
    for (size_t i = 0; i < THREADS; i++) {
        void *wrong;
        pthread_join(threads[i], &wrong);
        cr_assert_null(wrong, "%s", (char *)wrong);
    }
}

/* What the threads freed is gone from the figures when they are, whatever they had in their caches. */
Test(mixed, nothing_is_lost)
{
    struct moat_stats before, after;
    for (int round = 0; round < 2; round++) {
        cr_assert_eq(moat_stats(&before, sizeof before), 0);
        pthread_t threads[4];
        for (uintptr_t i = 0; i < 4; i++)
            cr_assert_eq(pthread_create(&threads[i], NULL, work, (void *)(i + 100)), 0);
        for (size_t i = 0; i < 4; i++) {
            void *wrong;
            pthread_join(threads[i], &wrong);
            cr_assert_null(wrong, "%s", (char *)wrong);
        }
        cr_assert_eq(moat_stats(&after, sizeof after), 0);
    }
    /* libc keeps a few things for its own threads. */
    cr_assert_leq(after.live_count, before.live_count + 16);
    cr_assert_leq(after.large_count, before.large_count);
}
