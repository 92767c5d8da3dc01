/* What helgrind looks at: threads that come and go, chunks of all sizes that change hands under a lock that helgrind
 * knows, forks from each thread, a purge and a look at the whole heap meanwhile. */
#include <malloc.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "moat/moat.h"

enum { THREADS = 4, LIVES = 3, OPERATIONS = 3000, SLOTS = 64 };

static pthread_mutex_t hands = PTHREAD_MUTEX_INITIALIZER;
static void *shared[SLOTS];

static unsigned below(unsigned *state, unsigned n)
{
    *state = *state * 1103515245 + 12345;
    return (*state >> 12) % n;
}

static void *make(unsigned *state)
{
    unsigned kind = below(state, 1000);
    size_t n = 1 + below(state, kind < 900 ? 300 : kind < 990 ? 20000 : 600000);
    void *p = kind % 10 == 0 ? aligned_alloc((size_t)32 << below(state, 6), n) : malloc(n);
    if (p == NULL || malloc_usable_size(p) < n)
        _exit(1);
    memset(p, 1, n);
    if (kind % 7 == 0 && (p = realloc(p, n + below(state, 3000))) == NULL)
        _exit(1);
    return p;
}

static void child(unsigned *state)
{
    int status = 1;
    pid_t pid = fork();
    if (pid == 0) {
        for (int i = 0; i < 100; i++)
            free(make(state));
        _exit(0);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
        _exit(2);
}

static void *work(void *seed)
{
    unsigned state = (unsigned)(uintptr_t)seed;
    void *mine[SLOTS] = {NULL};
    for (unsigned i = 0; i < OPERATIONS; i++) {
        unsigned at = below(&state, SLOTS);
        free(mine[at]);
        mine[at] = make(&state);
        if (i % 8 == 0) {
            pthread_mutex_lock(&hands);
            void *other = shared[at];
            shared[at] = mine[at];
            mine[at] = other;
            pthread_mutex_unlock(&hands);
        }
        if (i == OPERATIONS / 2)
            child(&state);
        if (i == OPERATIONS / 3 && moat_check_heap() == 0)
            _exit(3);
    }
    for (unsigned i = 0; i < SLOTS; i++)
        free(mine[i]);
    (void)moat_purge();
    return NULL;
}

int main(void)
{
    for (uintptr_t life = 0; life < LIVES; life++) {
        pthread_t threads[THREADS];
        for (uintptr_t i = 0; i < THREADS; i++)
            if (pthread_create(&threads[i], NULL, work, (void *)(life * THREADS + i + 1)) != 0)
                return 4;
        for (uintptr_t i = 0; i < THREADS; i++)
            pthread_join(threads[i], NULL);
    }
    return 0;
}
