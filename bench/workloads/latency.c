/* How long single calls of malloc and free take under mixed load: two threads replace objects at random, one in sixteen
 * goes to the other thread, one in five hundred is large. Prints quantiles in nanoseconds, what the clock itself takes
 * subtracted. usage: latency SCALE */
#include "work.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>
#if defined(__x86_64__)
#include <x86intrin.h>
#endif

enum { THREADS = 2, SET = 5000, COUNTER = 512, SUB_BITS = 6, BUCKETS = (64 - SUB_BITS) << SUB_BITS, PROBES = 20001 };
enum routine { MALLOC, FREE, ROUTINES };

static _Atomic(unsigned char *) counter[COUNTER];
static size_t operations;
static uint64_t overhead;

struct histogram {
    uint64_t buckets[BUCKETS];
    uint64_t longest;
};

struct job {
    unsigned number;
    uint64_t made;
    uint64_t found;
    struct histogram seen[ROUTINES];
};

static inline uint64_t ticks(void)
{
#if defined(__x86_64__)
    /* fenced on both sides: nothing of the call is left out and nothing else is let in */
    _mm_lfence();
    uint64_t t = __rdtsc();
    _mm_lfence();
    return t;
#else
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
#endif
}

static uint64_t nanoseconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* 2^SUB_BITS buckets for each power of two: good to 1.6%. */
static unsigned bucket_of(uint64_t t)
{
    if (t < 1u << SUB_BITS)
        return (unsigned)t;
    unsigned doublings = 63 - (unsigned)__builtin_clzll(t) - SUB_BITS;
    return (doublings << SUB_BITS) + (unsigned)(t >> doublings);
}

static uint64_t lowest_of(unsigned bucket)
{
    if (bucket < 2u << SUB_BITS)
        return bucket;
    unsigned doublings = (bucket >> SUB_BITS) - 1;
    return (uint64_t)(bucket - (doublings << SUB_BITS)) << doublings;
}

static void note(struct histogram *h, uint64_t took)
{
    took = took > overhead ? took - overhead : 0;
    h->buckets[bucket_of(took)]++;
    if (took > h->longest)
        h->longest = took;
}

static unsigned char *make(struct job *job, struct work_random *r, size_t i)
{
    size_t size = i % 500 == 0 ? work_even_size(r, 16 << 10, 512 << 10) : work_size(r, 16, 2048);
    uint64_t from = ticks();
    unsigned char *p = malloc(size);
    note(&job->seen[MALLOC], ticks() - from);
    work_need(p);
    p[0] = (unsigned char)i;
    p[size - 1] = p[0];
    job->made += p[0];
    return p;
}

static void end(struct job *job, unsigned char *p)
{
    if (!p)
        return;
    job->found += p[0];
    uint64_t from = ticks();
    free(p);
    note(&job->seen[FREE], ticks() - from);
}

static void *work(void *argument)
{
    struct job *job = argument;
    struct work_random r = work_seed(job->number + 40);
    static _Thread_local unsigned char *set[SET];
    for (size_t i = 0; i < operations; i++) {
        unsigned char **place = &set[work_below(&r, SET)];
        if (i % 16 == 0)
            *place = atomic_exchange(&counter[work_below(&r, COUNTER)], *place);
        end(job, *place);
        *place = make(job, &r, i);
    }
    for (unsigned i = 0; i < SET; i++)
        end(job, set[i]);
    return NULL;
}

static int ascending(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* What a measurement of nothing takes. */
static uint64_t clock_ticks(void)
{
    static uint64_t probes[PROBES];
    for (unsigned i = 0; i < PROBES; i++) {
        uint64_t from = ticks();
        probes[i] = ticks() - from;
    }
    qsort(probes, PROBES, sizeof probes[0], ascending);
    return probes[PROBES / 2];
}

/* "malloc 0.999 840.5": the time that this part of the calls stays below. */
static void print(const char *name, const struct histogram *h, double ns_per_tick)
{
    uint64_t all = 0, below = 0;
    for (unsigned i = 0; i < BUCKETS; i++)
        all += h->buckets[i];
    unsigned bucket = 0;
    for (double tail = 0.5; tail * (double)all >= 5; tail /= tail > 0.11 ? 1.25 : 1.7782794) {
        uint64_t wanted = (uint64_t)ceil((1 - tail) * (double)all);
        while (below + h->buckets[bucket] < wanted)
            below += h->buckets[bucket++];
        printf("%s %.7f %.1f\n", name, 1 - tail, (double)lowest_of(bucket) * ns_per_tick);
    }
    printf("%s 1 %.1f\n", name, (double)h->longest * ns_per_tick);
}

int main(int argc, char **argv)
{
    static struct job jobs[THREADS];
    pthread_t threads[THREADS];
    operations = work_scaled(argc, argv, 4000000);
    overhead = clock_ticks();
    uint64_t from_ns = nanoseconds(), from_ticks = ticks();
    for (unsigned i = 0; i < THREADS; i++) {
        jobs[i].number = i;
        if (pthread_create(&threads[i], NULL, work, &jobs[i]) != 0)
            return 2;
    }
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    double ns_per_tick = (double)(nanoseconds() - from_ns) / (double)(ticks() - from_ticks);
    for (unsigned i = 0; i < COUNTER; i++)
        end(&jobs[0], counter[i]);
    for (unsigned t = 1; t < THREADS; t++) {
        jobs[0].made += jobs[t].made;
        jobs[0].found += jobs[t].found;
        for (unsigned k = 0; k < ROUTINES; k++) {
            for (unsigned i = 0; i < BUCKETS; i++)
                jobs[0].seen[k].buckets[i] += jobs[t].seen[k].buckets[i];
            if (jobs[t].seen[k].longest > jobs[0].seen[k].longest)
                jobs[0].seen[k].longest = jobs[t].seen[k].longest;
        }
    }
    if (jobs[0].made != jobs[0].found)
        return 3;
    printf("clock 0 %.1f\n", (double)overhead * ns_per_tick);
    print("malloc", &jobs[0].seen[MALLOC], ns_per_tick);
    print("free", &jobs[0].seen[FREE], ns_per_tick);
    return 0;
}
