/* fork with handlers that allocate, in parent and child, registered before moat's own and after them. A preloaded
 * library's constructors run after those of the libraries a program is linked with, so before is usual. */
#include <pthread.h>
#include <stdbool.h>

#include <sys/wait.h>

#include "life.h"

enum { THREADS = 4, FORKS = 30 };

static volatile bool stop;
static unsigned handled;
static void *chunk;

static void handle(void)
{
    void *old = chunk;
    chunk = malloc(100 + handled % 7 * 30000);
    require(chunk != NULL, "no memory in a handler");
    free(old);
    handled++;
}

static void register_first(void)
{
    pthread_atfork(handle, handle, handle);
}
__attribute__((section(".preinit_array"), used)) static void (*const first)(void) = register_first;

static void *churn(void *arg)
{
    uint64_t state = (uintptr_t)arg;
    while (!stop) {
        void *p = malloc(next_random(&state) % 5000), *q = malloc(next_random(&state) % 300000);
        free(p);
        free(q);
    }
    return NULL;
}

int main(void)
{
    pthread_t threads[THREADS];
    require_moat();
    require(pthread_atfork(handle, handle, handle) == 0, "pthread_atfork");
    for (uintptr_t i = 0; i < THREADS; i++)
        require(pthread_create(&threads[i], NULL, churn, (void *)(i + 1)) == 0, "pthread_create");
    for (int i = 0; i < FORKS; i++) {
        pid_t child = fork();
        if (child == 0) {
            struct kept k;
            alarm(100);
            keep(&k);
            let_go(&k);
            _exit(0);
        }
        int status = -1;
        require(child > 0 && waitpid(child, &status, 0) == child, "no child");
        require(status == 0, "a child ended badly");
    }
    stop = true;
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    require(handled == FORKS * 4, "handlers were left out");
    return 0;
}
