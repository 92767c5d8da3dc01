/* Two threads replace objects at random in their part of a table, then swap parts: most frees are of what the
 * other thread allocated, as in a server that hands connections from thread to thread. */
#include "work.h"

#include <pthread.h>

enum { THREADS = 2, SLOTS = 5000, SWAPS = 200 };

struct object {
    uint32_t size;
    uint32_t stamp;
};

static struct object *table[THREADS][SLOTS];
static pthread_barrier_t all_here;
static size_t replacements;

struct job {
    unsigned number;
    uint64_t sum;
};

static void *serve(void *argument)
{
    struct job *job = argument;
    struct work_random r = work_seed(job->number + 10);
    for (unsigned turn = 0; turn < SWAPS; turn++) {
        struct object **part = table[(job->number + turn) % THREADS];
        for (size_t i = 0; i < replacements; i++) {
            struct object **slot = &part[work_below(&r, SLOTS)];
            if (*slot) {
                job->sum = work_mix(job->sum, (*slot)->stamp + (*slot)->size);
                free(*slot);
            }
            size_t size = work_size(&r, 16, 1024);
            *slot = work_alloc(size);
            **slot = (struct object){(uint32_t)size, (uint32_t)i};
        }
        pthread_barrier_wait(&all_here);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    replacements = work_scaled(argc, argv, 80000);
    pthread_barrier_init(&all_here, NULL, THREADS);
    pthread_t threads[THREADS];
    struct job jobs[THREADS];
    for (unsigned i = 0; i < THREADS; i++) {
        jobs[i] = (struct job){i, 0};
        if (pthread_create(&threads[i], NULL, serve, &jobs[i]) != 0)
            return 2;
    }
    uint64_t sum = 0;
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        sum = work_mix(sum, jobs[i].sum);
    }
    for (unsigned i = 0; i < THREADS; i++)
        for (unsigned k = 0; k < SLOTS; k++)
            free(table[i][k]);
    return work_done(sum);
}
