/* main returns while other threads still allocate and free. */
#include <pthread.h>
#include <sched.h>

#include "life.h"

enum { THREADS = 4 };
static unsigned running;

static void *churn(void *arg)
{
    uint64_t state = (uintptr_t)arg;
    __atomic_add_fetch(&running, 1, __ATOMIC_RELEASE);
    for (;;) {
        void *p = malloc(next_random(&state) % 5000), *q = malloc(next_random(&state) % 300000);
        free(p);
        free(q);
    }
    return NULL;
}

int main(void)
{
    require_moat();
    for (uintptr_t i = 1; i <= THREADS; i++) {
        pthread_t thread;
        require(pthread_create(&thread, NULL, churn, (void *)i) == 0, "pthread_create");
    }
    while (__atomic_load_n(&running, __ATOMIC_ACQUIRE) < THREADS)
        sched_yield();
    return 0;
}
