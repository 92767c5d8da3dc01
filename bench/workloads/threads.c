/* Threads that replace small objects of mixed sizes, each in a set of its own, and hand one in sixteen to whoever comes
 * by. The number of operations does not depend on the number of threads. usage: threads SCALE THREADS */
#include "work.h"

#include <pthread.h>
#include <stdatomic.h>

enum { MOST_THREADS = 1024, SET = 500, COUNTER = 4096 };

struct object {
    uint32_t size;
    uint32_t stamp;
};

/* Where objects change hands. */
static _Atomic(struct object *) counter[COUNTER];
static size_t operations;

struct job {
    unsigned number;
    uint64_t made;
    uint64_t found; /* the sum of the stamps of what was freed: over all threads the same as of what was made */
};

static struct object *make(struct job *job, struct work_random *r, size_t i)
{
    size_t size = work_size(r, 16, 512);
    struct object *o = work_alloc(size);
    *o = (struct object){(uint32_t)size, (uint32_t)(job->number * 1000003 + i)};
    job->made += o->stamp + o->size;
    return o;
}

static void end(struct job *job, struct object *o)
{
    if (o)
        job->found += o->stamp + o->size;
    free(o);
}

static void *work(void *argument)
{
    struct job *job = argument;
    struct work_random r = work_seed(job->number + 100);
    struct object *set[SET] = {0};
    for (size_t i = 0; i < operations; i++) {
        struct object **place = &set[work_below(&r, SET)];
        if (i % 16 == 0)
            *place = atomic_exchange(&counter[work_below(&r, COUNTER)], *place);
        end(job, *place);
        *place = make(job, &r, i);
    }
    for (unsigned i = 0; i < SET; i++)
        end(job, set[i]);
    return NULL;
}

int main(int argc, char **argv)
{
    static pthread_t threads[MOST_THREADS];
    static struct job jobs[MOST_THREADS];
    unsigned n = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 2;
    if (n < 1 || n > MOST_THREADS)
        return 1;
    operations = work_scaled(argc, argv, 20000000) / n;
    for (unsigned i = 0; i < n; i++) {
        jobs[i].number = i;
        if (pthread_create(&threads[i], NULL, work, &jobs[i]) != 0)
            return 2;
    }
    struct job all = {0};
    for (unsigned i = 0; i < n; i++) {
        pthread_join(threads[i], NULL);
        all.made += jobs[i].made;
        all.found += jobs[i].found;
    }
    for (unsigned i = 0; i < COUNTER; i++)
        end(&all, counter[i]);
    return all.made == all.found ? work_done(all.made) : 3;
}
