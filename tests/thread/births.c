/* Threads that are born and die by the thousands, and allocate while they die. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>

#include "moat/moat.h"

#include "../api/check.h"

enum { BIRTHS = 2000, AT_ONCE = 50, KEYS = 4 };

static pthread_key_t keys[KEYS];
static unsigned destroyed;

/* All of a batch are alive at once, so that every batch needs the same. */
static pthread_barrier_t together;

static void *brief(void *arg)
{
    unsigned seed = (unsigned)(uintptr_t)arg;
    void *p[40];
    pthread_barrier_wait(&together);
    for (size_t i = 0; i < 40; i++) {
        p[i] = malloc(i * 50);
        if (p[i] == NULL)
            return "no memory";
        fill(p[i], i * 50, seed);
    }
    for (size_t i = 0; i < 40; i++) {
        if (!filled(p[i], i * 50, seed))
            return "contents were changed";
        free(p[i]);
    }
    return NULL;
}

static void join_all(const pthread_t *threads, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        void *wrong;
        pthread_join(threads[i], &wrong);
        cr_assert_null(wrong, "%s", (char *)wrong);
    }
}

static void births(unsigned count, void *(*body)(void *))
{
    pthread_t threads[AT_ONCE];
    cr_assert_eq(pthread_barrier_init(&together, NULL, AT_ONCE), 0);
    for (unsigned done = 0; done < count; done += AT_ONCE) {
        for (uintptr_t i = 0; i < AT_ONCE; i++)
            cr_assert_eq(pthread_create(&threads[i], NULL, body, (void *)(done + i + 1)), 0);
        join_all(threads, AT_ONCE);
    }
    pthread_barrier_destroy(&together);
}

Test(births, moat_is_under_test)
{
    cr_assert(moat_is_active());
}

/* Caches of the dead are used again: neither they nor what was in them add up. */
Test(births, thousands)
{
    struct moat_stats first, last;
    births(AT_ONCE * 4, brief);
    cr_assert_eq(moat_stats(&first, sizeof first), 0);
    births(BIRTHS, brief);
    cr_assert_eq(moat_stats(&last, sizeof last), 0);
    cr_assert_leq(last.live_count, first.live_count + AT_ONCE * 2);
    cr_assert_leq(last.metadata, first.metadata + (2u << 20), "metadata grew from %zu to %zu", first.metadata,
                  last.metadata);
    /* A cache that waits for its next thread keeps its quarantine. Lost ones would be 200 MB by now. */
    cr_assert_leq(last.slabs, (size_t)AT_ONCE * 512 * 1024, "slabs grew from %zu to %zu", first.slabs, last.slabs);
    cr_assert_leq(last.threads_count, AT_ONCE + 2);
}

static void *detached(void *arg)
{
    unsigned *ended = arg;
    void *wrong = brief((void *)3);
    __atomic_add_fetch(ended, wrong == NULL ? 1 : BIRTHS, __ATOMIC_RELEASE);
    return NULL;
}

Test(births, detached_threads)
{
    unsigned ended = 0;
    pthread_attr_t attributes;
    cr_assert_eq(pthread_barrier_init(&together, NULL, 1), 0);
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    for (unsigned i = 0; i < 1000; i++) {
        pthread_t thread;
        while (pthread_create(&thread, &attributes, detached, &ended) != 0)
            sched_yield();
        while (i - __atomic_load_n(&ended, __ATOMIC_ACQUIRE) > 100 && i > __atomic_load_n(&ended, __ATOMIC_ACQUIRE))
            sched_yield();
    }
    while (__atomic_load_n(&ended, __ATOMIC_ACQUIRE) < 1000)
        sched_yield();
    cr_assert_eq(ended, 1000);
    pthread_attr_destroy(&attributes);
}

/* Runs after moat's own end-of-thread routine in some rounds and before it in others: libc goes round the
 * destructors up to four times, and each round sets the value anew, so that the last sees a drained cache. */
static void destroy(void *value)
{
    unsigned char *old = value;
    unsigned round = old[0];
    free(old);
    void *other = malloc(3000);
    if (other != NULL) {
        fill(other, 3000, round);
        if (filled(other, 3000, round))
            __atomic_add_fetch(&destroyed, 1, __ATOMIC_RELAXED);
    }
    free(other);
    if (round == 3)
        return;
    unsigned char *next = calloc(1, 64 + round);
    if (next == NULL)
        return;
    next[0] = (unsigned char)(round + 1);
    for (size_t i = 0; i < KEYS; i++)
        if (pthread_getspecific(keys[i]) == NULL) {
            pthread_setspecific(keys[i], next);
            return;
        }
    free(next);
}

static void *keyed(void *arg)
{
    for (size_t i = 0; i < KEYS; i++) {
        unsigned char *value = calloc(1, 100);
        if (value == NULL)
            return "no memory";
        pthread_setspecific(keys[i], value);
    }
    return brief(arg);
}

Test(births, key_destructors_that_allocate)
{
    for (size_t i = 0; i < KEYS; i++)
        cr_assert_eq(pthread_key_create(&keys[i], destroy), 0);
    births(AT_ONCE * 2, keyed);
    struct moat_stats first, last;
    cr_assert_eq(moat_stats(&first, sizeof first), 0);
    unsigned before = destroyed;
    births(2000, keyed);
    cr_assert_eq(moat_stats(&last, sizeof last), 0);
    cr_assert_geq(destroyed - before, 2000u * KEYS, "%u destructors ran well", destroyed - before);
    /* libc gives up after four rounds: at most one value of each key is left behind by each thread. */
    cr_assert_leq(last.live_count, first.live_count + 2000 * KEYS + AT_ONCE * 2);
    cr_assert_leq(last.threads_count, AT_ONCE + 2, "caches of %zu threads are left", last.threads_count);
}

static void *cancelled(void *arg)
{
    (void)arg;
    for (;;) {
        void *p = malloc(500);
        free(p);
        pthread_testcancel();
    }
    return NULL;
}

Test(births, cancelled_threads)
{
    for (int i = 0; i < 300; i++) {
        pthread_t thread;
        void *result;
        cr_assert_eq(pthread_create(&thread, NULL, cancelled, NULL), 0);
        cr_assert_eq(pthread_cancel(thread), 0);
        pthread_join(thread, &result);
        cr_assert_eq(result, PTHREAD_CANCELED);
    }
}
