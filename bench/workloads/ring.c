/* A producer allocates messages, a consumer frees them: no thread ever frees what it allocated. */
#include "work.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

enum { PLACES = 1024, SPINS = 100 };

struct message {
    uint32_t size;
    unsigned char bytes[];
};

static struct message *ring[PLACES];
static _Alignas(64) atomic_size_t written;
static _Alignas(64) atomic_size_t taken;
static size_t messages;

/* Waits until the counter is at least `least`; yields, as there may be fewer CPUs than threads. */
static void await(atomic_size_t *counter, size_t least)
{
    for (unsigned spins = 0; atomic_load_explicit(counter, memory_order_acquire) < least; spins++)
        if (spins >= SPINS)
            sched_yield();
}

static void *produce(void *unused)
{
    (void)unused;
    struct work_random r = work_seed(3);
    for (size_t i = 0; i < messages; i++) {
        if (i >= PLACES)
            await(&taken, i - PLACES + 1);
        size_t size = work_size(&r, 16, 2048);
        struct message *m = work_alloc(sizeof *m + size);
        m->size = (uint32_t)size;
        m->bytes[0] = (unsigned char)i;
        m->bytes[size - 1] = (unsigned char)size;
        ring[i % PLACES] = m;
        atomic_store_explicit(&written, i + 1, memory_order_release);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    messages = work_scaled(argc, argv, 16000000);
    pthread_t producer;
    if (pthread_create(&producer, NULL, produce, NULL) != 0)
        return 2;
    uint64_t sum = 0;
    for (size_t i = 0; i < messages; i++) {
        await(&written, i + 1);
        struct message *m = ring[i % PLACES];
        sum = work_mix(sum, (uint64_t)m->bytes[0] + m->bytes[m->size - 1] + m->size);
        free(m);
        atomic_store_explicit(&taken, i + 1, memory_order_release);
    }
    pthread_join(producer, NULL);
    return work_done(sum);
}
