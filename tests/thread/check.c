/* moat_check_heap while other threads do everything that changes a chunk: it never reports a heap that is sound. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#include "moat/moat.h"

#include "../api/check.h"

enum { THREADS = 4, SLOTS = 64, CHECKS = 120 };

static bool stop;

static bool stopped(void)
{
    return __atomic_load_n(&stop, __ATOMIC_RELAXED);
}

static size_t random_size(uint64_t *state)
{
    unsigned kind = (unsigned)(next_random(state) % 100);
    unsigned bits = kind < 80 ? kind % 11 : kind < 98 ? kind % 18 : 20;
    return next_random(state) % (((size_t)1 << bits) + 1);
}

static void *take(uint64_t *state)
{
    size_t n = random_size(state);
    return next_random(state) % 4 == 0 ? aligned_alloc((size_t)32 << (next_random(state) % 9), n) : malloc(n);
}

/* All routines, all sizes. */
static void *mixed(void *arg)
{
    void *chunks[SLOTS] = {0};
    uint64_t state = (uintptr_t)arg * 0x9e3779b97f4a7c15u;
    while (!stopped()) {
        void **c = &chunks[next_random(&state) % SLOTS];
        if (*c != NULL && next_random(&state) % 2 == 0) {
            void *p = realloc(*c, random_size(&state) + 1);
            *c = p != NULL ? p : *c;
        } else {
            free(*c);
            *c = take(&state);
        }
    }
    for (size_t i = 0; i < SLOTS; i++)
        free(chunks[i]);
    return NULL;
}

/* One chunk, resized in its slot again and again: its state word is always the same. */
static void *resizing(void *arg)
{
    bool large = (uintptr_t)arg % 2 == 0;
    size_t low = large ? 200000 : 60, high = large ? 203000 : 100;
    void *p = malloc(high);
    for (size_t n = high; p != NULL && !stopped(); n = n == low ? high : low) {
        void *q = realloc(p, n);
        p = q != NULL ? q : p;
    }
    free(p);
    return NULL;
}

/* One chunk after the other of a class: slots come back as fast as they can. */
static void *fast(void *arg)
{
    size_t n = (uintptr_t)arg % 2 == 0 ? 24 : 1500;
    while (!stopped())
        for (int i = 0; i < 100; i++)
            free(malloc(n));
    return NULL;
}

/* Threads that are born and end with caches full of slots. */
static void *short_life(void *arg)
{
    uint64_t state = (uintptr_t)arg;
    for (int i = 0; i < 300; i++)
        free(take(&state));
    return NULL;
}

static void *births(void *arg)
{
    for (uintptr_t i = 1; !stopped(); i++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, short_life, (void *)(i + (uintptr_t)arg)) == 0)
            pthread_join(thread, NULL);
    }
    return NULL;
}

static void check_beside(void *(*work)(void *))
{
    pthread_t threads[THREADS];
    void *mine[100];
    size_t least = SIZE_MAX;
    for (size_t i = 0; i < 100; i++)
        cr_assert_not_null(mine[i] = malloc(i * i));
    stop = false;
    for (uintptr_t i = 0; i < THREADS; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, work, (void *)(i + 1)), 0);
    for (int i = 0; i < CHECKS; i++) {
        size_t n = moat_check_heap();
        least = n < least ? n : least;
    }
    __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    cr_assert_geq(least, 1);
    cr_assert_geq(moat_check_heap(), 100);
    for (size_t i = 0; i < 100; i++)
        free(mine[i]);
}

Test(check, moat_is_under_test)
{
    cr_assert(moat_is_active());
}

Test(check, beside_all_routines)
{
    check_beside(mixed);
}

Test(check, beside_resizing_in_place)
{
    check_beside(resizing);
}

Test(check, beside_fast_reuse)
{
    check_beside(fast);
}

Test(check, beside_births_and_deaths)
{
    check_beside(births);
}

static void *checking(void *arg)
{
    size_t *count = arg;
    while (!stopped())
        *count += moat_check_heap();
    return NULL;
}

/* Two checks at once, and a fork in the middle of both: the child's heap is sound too, whatever threads were doing. */
Test(check, in_forked_children)
{
    pthread_t threads[THREADS];
    size_t counts[2] = {0};
    void *mine = malloc(100); /* so that there is one to count, however late the threads start */
    cr_assert_not_null(mine);
    stop = false;
    for (uintptr_t i = 0; i < THREADS; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, i < 2 ? checking : mixed,
                                    i < 2 ? (void *)&counts[i] : (void *)i),
                     0);
    for (int i = 0; i < 25; i++) {
        pid_t pid = fork();
        cr_assert_geq(pid, 0);
        if (pid == 0) {
            free(malloc(100));
            _exit(moat_check_heap() != 0 ? 7 : 8);
        }
        int status;
        cr_assert_eq(waitpid(pid, &status, 0), pid);
        cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 7, "status %x", status);
    }
    __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    cr_assert_neq(counts[0], 0);
    free(mine);
}
