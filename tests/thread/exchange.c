/* Chunks freed by another thread than the one that allocated them. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>

#include "moat/moat.h"

#include "../api/check.h"

/* A queue between one producer and one consumer. */
struct message {
    size_t n;
    unsigned seed;
    unsigned char bytes[];
};

enum { QUEUE = 256, MESSAGES = 100000 };

struct queue {
    struct message *slots[QUEUE];
    size_t head, tail;
};

static void queue_put(struct queue *q, struct message *m)
{
    size_t tail = q->tail;
    while (tail - __atomic_load_n(&q->head, __ATOMIC_ACQUIRE) == QUEUE)
        sched_yield();
    q->slots[tail % QUEUE] = m;
    __atomic_store_n(&q->tail, tail + 1, __ATOMIC_RELEASE);
}

static struct message *queue_take(struct queue *q)
{
    size_t head = q->head;
    while (__atomic_load_n(&q->tail, __ATOMIC_ACQUIRE) == head)
        sched_yield();
    struct message *m = q->slots[head % QUEUE];
    __atomic_store_n(&q->head, head + 1, __ATOMIC_RELEASE);
    return m;
}

static struct message *message_new(uint64_t *state)
{
    size_t n = next_random(state) % ((size_t)1 << (next_random(state) % 12));
    if (next_random(state) % 1000 == 0)
        n += 150000; /* a mapping of its own */
    struct message *m = malloc(sizeof *m + n);
    if (m == NULL)
        return NULL;
    m->n = n;
    m->seed = (unsigned)next_random(state);
    fill(m->bytes, n, m->seed);
    return m;
}

static void *produce(void *arg)
{
    struct queue *q = arg;
    uint64_t state = 0x1234567;
    for (int i = 0; i < MESSAGES; i++) {
        struct message *m = message_new(&state);
        queue_put(q, m);
        if (m == NULL)
            return "no memory";
    }
    return NULL;
}

static void *consume(void *arg)
{
    struct queue *q = arg;
    for (int i = 0; i < MESSAGES; i++) {
        struct message *m = queue_take(q);
        if (m == NULL || !filled(m->bytes, m->n, m->seed))
            return "a message was changed on its way";
        free(m);
    }
    return NULL;
}

static void run_pair(struct queue *q)
{
    pthread_t producer, consumer;
    void *wrong;
    memset(q, 0, sizeof *q);
    cr_assert_eq(pthread_create(&producer, NULL, produce, q), 0);
    cr_assert_eq(pthread_create(&consumer, NULL, consume, q), 0);
    pthread_join(producer, &wrong);
    cr_assert_null(wrong, "%s", (char *)wrong);
    pthread_join(consumer, &wrong);
    cr_assert_null(wrong, "%s", (char *)wrong);
}

Test(exchange, moat_is_under_test)
{
    cr_assert(moat_is_active());
}

/* What the consumer frees must find its way back: the heap does not grow from round to round. */
Test(exchange, producer_and_consumer)
{
    static struct queue q;
    struct moat_stats first, last;
    run_pair(&q);
    cr_assert_eq(moat_stats(&first, sizeof first), 0);
    for (int round = 0; round < 4; round++)
        run_pair(&q);
    cr_assert_eq(moat_stats(&last, sizeof last), 0);
    cr_assert_leq(last.live_count, first.live_count + 16);
    cr_assert_leq(last.slabs, first.slabs + (4u << 20), "slabs grew from %zu to %zu", first.slabs, last.slabs);
}

/* Server-like: every thread allocates and frees into one shared array, in any order. */
enum { SHARED = 2000, THREADS = 8, STEPS = 20000 };
static struct message *shared[SHARED];

static void *churn(void *arg)
{
    uint64_t state = (uintptr_t)arg * 0x9e3779b97f4a7c15u;
    for (int i = 0; i < STEPS; i++) {
        struct message *fresh = message_new(&state);
        if (fresh == NULL)
            return "no memory";
        struct message **place = &shared[next_random(&state) % SHARED];
        struct message *old = __atomic_exchange_n(place, fresh, __ATOMIC_ACQ_REL);
        if (old != NULL && !filled(old->bytes, old->n, old->seed))
            return "a message was changed while it waited";
        free(old);
    }
    return NULL;
}

Test(exchange, everyone_frees_everyones)
{
    pthread_t threads[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, churn, (void *)(i + 1)), 0);
    for (size_t i = 0; i < THREADS; i++) {
        void *wrong;
        pthread_join(threads[i], &wrong);
        cr_assert_null(wrong, "%s", (char *)wrong);
    }
    for (size_t i = 0; i < SHARED; i++) {
        cr_assert(shared[i] == NULL || filled(shared[i]->bytes, shared[i]->n, shared[i]->seed));
        free(shared[i]);
    }
}

/* The owner is dead when its chunks are freed. */
enum { ORPHANS = 500 };

static void *leave_orphans(void *arg)
{
    unsigned char **p = arg;
    for (unsigned i = 0; i < ORPHANS; i++) {
        p[i] = malloc(i * 7 + 1);
        if (p[i] == NULL)
            return "no memory";
        fill(p[i], i * 7 + 1, i);
    }
    return NULL;
}

Test(exchange, chunks_outlive_their_thread)
{
    static unsigned char *p[ORPHANS];
    for (int round = 0; round < 100; round++) {
        pthread_t thread;
        void *wrong;
        cr_assert_eq(pthread_create(&thread, NULL, leave_orphans, p), 0);
        pthread_join(thread, &wrong);
        cr_assert_null(wrong, "%s", (char *)wrong);
        for (unsigned i = 0; i < ORPHANS; i++) {
            cr_assert(filled(p[i], i * 7 + 1, i));
            if (i % 3 == 0)
                p[i] = realloc(p[i], i * 9 + 2);
            free(p[i]);
        }
    }
}
