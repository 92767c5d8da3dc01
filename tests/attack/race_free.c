/* P3: two threads free one chunk at the same moment. Either is the bug noticed at once, or the slot is listed
 * twice and the process must end before it has two owners.
 * SIZE HOW: `both` threads free each chunk; `one`, the twin: only one does. */
#include "attack.h"

#include <pthread.h>

enum { ROUNDS = 200, TWIN_ROUNDS = 40, MOST = 1200 };
static size_t size, held;
static bool both;
static pthread_barrier_t barrier;
static char *chunk;
static int gate;
static char *owned[2][MOST];

static void *racer(void *arg)
{
    int me = *(int *)arg;
    for (int round = 0; round < (both ? ROUNDS : TWIN_ROUNDS); round++) {
        if (me == 0)
            chunk = take(size);
        pthread_barrier_wait(&barrier);
        __atomic_add_fetch(&gate, 1, __ATOMIC_SEQ_CST);
        while (__atomic_load_n(&gate, __ATOMIC_SEQ_CST) < 2 * (round + 1))
            ; /* a barrier wakes its sleepers one by one: meet here to the nanosecond */
        if (me == 0 || both)
            free(hide(chunk));
        for (size_t i = 0; i < held; i++)
            owned[me][i] = take(size);
        pthread_barrier_wait(&barrier);
        for (size_t i = 0; me == 0 && i < 2 * held; i++)
            if (!set_put(owned[i % 2][i / 2]))
                fail("two live owners of %p", (void *)owned[i % 2][i / 2]);
        for (size_t i = 0; me == 0 && i < 2 * held; i++)
            set_drop(owned[i % 2][i / 2]);
        pthread_barrier_wait(&barrier);
        for (size_t i = 0; i < held; i++)
            free(owned[me][i]);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    (void)argc;
    size = number(argv, 1);
    both = word_is(argv, 2, "both");
    held = size <= 4096 ? MOST : 80;
    int names[2] = {0, 1};
    pthread_t thread;
    pthread_barrier_init(&barrier, NULL, 2);
    step("race");
    if (pthread_create(&thread, NULL, racer, &names[1]) != 0)
        fail("no thread");
    racer(&names[0]);
    pthread_join(thread, NULL);
    return finish();
}
