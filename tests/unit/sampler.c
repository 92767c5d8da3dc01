/* How many allocations are sampled, in every pattern of use: the countdown runs on what passes the slow paths, so that
 * its sums have to be right in the mean. */
#include <pthread.h>
#include <stdio.h>

#include "child.h"
#include "front/front.h"
#include "guard/pool.h"
#include "guard/sampler.h"
#include "moat/moat.h"

/* Of the slow sanitizers it is the races that count, not the sums. */
enum { RATE = 500, MANY = SANITIZED ? 100000 : 500000 };
const char *moat_options = "sample_rate=" MO_STR(500) " sample_slots=512";
_Static_assert(RATE == 500, "the option's");

static void set_up(void)
{
    mo_front_start();
}

TestSuite(sampler, .init = set_up);

/* An interval has a deviation of 0.58 of its mean. What is charged in batches makes that of the sum up to two and a
 * half times as large (measured, with mixed sizes): the bounds are twelve deviations, and a twentieth of the rate for
 * what the countdown is wrong in. */
static void expect_rate(const char *what, size_t allocations, size_t samples)
{
    double expected = (double)allocations / RATE, slack = 12 * 0.58 * __builtin_sqrt(expected) + 0.05 * expected;
    double off = (double)samples - expected;
    printf("%s: %zu of %zu, one in %.0f\n", what, samples, allocations, (double)allocations / (double)samples);
    cr_expect(off < slack && off > -slack, "%s: %zu samples, %.0f expected", what, samples, expected);
}

static bool sampled(const void *p)
{
    return mo_pool_holds((uintptr_t)p);
}

static size_t pairs(size_t count, size_t least, size_t range)
{
    size_t samples = 0;
    uint64_t state = 88172645463325252u;
    for (size_t i = 0; i < count; i++) {
        void *p = mo_allocate(least + next_number(&state) % range, MO_ORIGIN_MALLOC);
        samples += sampled(p);
        mo_release(p, MO_ORIGIN_MALLOC);
    }
    return samples;
}

Test(sampler, pairs)
{
    enum { N = MANY };
    expect_rate("pairs of 32", N, pairs(N, 32, 1));
    expect_rate("pairs of 1 to 1000", N, pairs(N, 1, 1000));
    expect_rate("pairs of 2000", 2 * N, pairs(2 * N, 2000, 1)); /* these draw for their checks too */
    expect_rate("pairs of 1 to 16000", N, pairs(N, 1, 16000));
}

/* Bursts: all is allocated, then all is freed. */
static size_t bursts(size_t rounds, size_t live, size_t n)
{
    size_t samples = 0;
    void **p = calloc(live, sizeof *p);
    for (size_t round = 0; round < rounds; round++) {
        for (size_t i = 0; i < live; i++) {
            p[i] = mo_allocate(n, MO_ORIGIN_MALLOC);
            samples += sampled(p[i]);
        }
        for (size_t i = 0; i < live; i++)
            mo_release(p[i], MO_ORIGIN_MALLOC);
    }
    free(p);
    return samples;
}

Test(sampler, bursts)
{
    expect_rate("bursts of 10 chunks", MANY, bursts(MANY / 10, 10, 48));
    expect_rate("bursts of 1,000 chunks", MANY, bursts(MANY / 1000, 1000, 48));
    expect_rate("bursts of 50,000 chunks", MANY, bursts(MANY / 50000, 50000, 48));
}

/* Nothing is freed: the samples come from refills alone. */
Test(sampler, allocations_alone)
{
    enum { N = 150000 };
    size_t samples = 0;
    for (size_t i = 0; i < N; i++) {
        void *p = mo_allocate(16 + i % 100, MO_ORIGIN_MALLOC);
        samples += sampled(p);
    }
    expect_rate("allocations alone", N, samples);
}

/* Random replacement among many live chunks of many sizes. */
static size_t mixed(size_t count, uint64_t state)
{
    enum { LIVE = 4096 };
    void **p = calloc(LIVE, sizeof *p);
    size_t samples = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t v = next_number(&state);
        void **at = &p[v % LIVE];
        mo_release(*at, MO_ORIGIN_MALLOC);
        *at = mo_allocate((v >> 16) % ((v >> 40) % 16 != 0 ? 200 : 5000), MO_ORIGIN_MALLOC);
        samples += sampled(*at);
    }
    for (size_t i = 0; i < LIVE; i++)
        mo_release(p[i], MO_ORIGIN_MALLOC);
    free(p);
    return samples;
}

struct work {
    size_t count, samples;
    uint64_t seed;
};

static void *mixed_thread(void *argument)
{
    struct work *w = argument;
    w->samples = mixed(w->count, w->seed);
    return NULL;
}

static size_t in_threads(void *(*run)(void *), size_t threads, size_t count)
{
    struct work work[8];
    pthread_t thread[8];
    size_t samples = 0;
    for (size_t i = 0; i < threads; i++) {
        work[i] = (struct work){.count = count, .seed = i * 77777 + 1};
        cr_assert_eq(pthread_create(&thread[i], NULL, run, &work[i]), 0);
    }
    for (size_t i = 0; i < threads; i++) {
        pthread_join(thread[i], NULL);
        samples += work[i].samples;
    }
    return samples;
}

Test(sampler, mixed_use_in_threads)
{
    expect_rate("mixed", MANY, mixed(MANY, 1));
    expect_rate("mixed in 4 threads", 2 * MANY, in_threads(mixed_thread, 4, MANY / 2));
}

/* Short lives: most threads end before their first interval would. */
static void *short_life(void *argument)
{
    struct work *w = argument;
    w->samples = pairs(w->count, 24, 40);
    return NULL;
}

Test(sampler, short_threads)
{
    enum { ROUNDS = MANY / 500, THREADS = 4, N = 100 };
    size_t samples = 0;
    for (size_t round = 0; round < ROUNDS; round++)
        samples += in_threads(short_life, THREADS, N);
    /* What a thread takes in and has not used at its end was counted too. */
    size_t expected = ROUNDS * THREADS * N / RATE;
    printf("short threads: %zu, %zu expected\n", samples, expected);
    cr_assert(samples > expected / 2 && samples < expected * 3 / 2, "%zu samples, %zu expected", samples, expected);
}

/* One thread allocates and another frees: the second one gives back what it counts. */
enum { HANDED = MANY, BATCH = 1000 };
static void *handed[BATCH];
static pthread_barrier_t barrier;
static size_t slow_frees;

static void *free_all(void *unused)
{
    for (size_t i = 0; i < HANDED / BATCH; i++) {
        pthread_barrier_wait(&barrier);
        for (size_t j = 0; j < BATCH; j++) {
            slow_frees += mo_sampler_is_due();
            mo_release(handed[j], MO_ORIGIN_MALLOC);
        }
        pthread_barrier_wait(&barrier);
    }
    return unused;
}

Test(sampler, one_allocates_another_frees)
{
    size_t samples = 0;
    pthread_t thread;
    pthread_barrier_init(&barrier, NULL, 2);
    cr_assert_eq(pthread_create(&thread, NULL, free_all, NULL), 0);
    for (size_t i = 0; i < HANDED / BATCH; i++) {
        for (size_t j = 0; j < BATCH; j++) {
            handed[j] = mo_allocate(40, MO_ORIGIN_MALLOC);
            samples += sampled(handed[j]);
        }
        pthread_barrier_wait(&barrier);
        pthread_barrier_wait(&barrier);
    }
    pthread_join(thread, NULL);
    expect_rate("handed over", HANDED, samples);
    printf("of %d frees by a thread that never allocates %zu met the marker\n", HANDED, slow_frees);
    cr_assert_leq(slow_frees, HANDED / 20);
}

/* Which allocation of a repeated pattern is sampled is chance. */
Test(sampler, every_place_of_a_pattern_is_sampled)
{
    enum { PLACES = 5, ROUNDS = 100000 };
    size_t samples[PLACES] = {0}, all = 0;
    void *p[PLACES];
    for (size_t round = 0; round < ROUNDS; round++) {
        for (size_t i = 0; i < PLACES; i++) {
            p[i] = mo_allocate(64 * i + 20, MO_ORIGIN_MALLOC);
            samples[i] += sampled(p[i]);
        }
        for (size_t i = 0; i < PLACES; i++)
            mo_release(p[PLACES - 1 - i], MO_ORIGIN_MALLOC);
    }
    for (size_t i = 0; i < PLACES; i++)
        all += samples[i];
    expect_rate("a pattern of five", PLACES * ROUNDS, all);
    for (size_t i = 0; i < PLACES; i++)
        cr_expect(samples[i] > all / PLACES / 2 && samples[i] < all / PLACES * 2, "place %zu: %zu of %zu", i,
                  samples[i], all);
}
