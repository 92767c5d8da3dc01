/* Threads are born, allocate a little, leave some of it to the main thread and die: thousands of them. */
#include "work.h"

#include <pthread.h>

enum { AT_ONCE = 4, OBJECTS = 150, LEFT = 20 };

struct life {
    uint64_t seed;
    uint64_t sum;
    uint64_t *left[LEFT];
};

static void *live(void *argument)
{
    struct life *life = argument;
    struct work_random r = work_seed(life->seed);
    uint64_t *mine[OBJECTS];
    for (unsigned i = 0; i < OBJECTS; i++) {
        mine[i] = work_alloc(work_size(&r, 16, 1024));
        *mine[i] = i + life->seed;
    }
    for (unsigned i = LEFT; i < OBJECTS; i++) {
        life->sum = work_mix(life->sum, *mine[i]);
        free(mine[i]);
    }
    memcpy(life->left, mine, sizeof life->left);
    return NULL;
}

int main(int argc, char **argv)
{
    size_t rounds = work_scaled(argc, argv, 8000);
    uint64_t sum = 0;
    for (size_t round = 0; round < rounds; round++) {
        struct life lives[AT_ONCE];
        pthread_t threads[AT_ONCE];
        for (unsigned i = 0; i < AT_ONCE; i++) {
            lives[i] = (struct life){.seed = round * AT_ONCE + i};
            if (pthread_create(&threads[i], NULL, live, &lives[i]) != 0)
                return 2;
        }
        for (unsigned i = 0; i < AT_ONCE; i++) {
            pthread_join(threads[i], NULL);
            sum = work_mix(sum, lives[i].sum);
            for (unsigned k = 0; k < LEFT; k++) {
                sum = work_mix(sum, *lives[i].left[k]);
                free(lives[i].left[k]);
            }
        }
    }
    return work_done(sum);
}
