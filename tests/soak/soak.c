/* The load of the soak, for a number of seconds: threads in bursts, chunks that change hands, threads that are born and
 * die, forks from threads, signals whose handlers interrupt all of it, large chunks, resizes, aligned ones, a purge now
 * and then. Each round ends with as much live as it began with, so that what grows is lost: a line for each says what
 * there is then. Contents are checked. */
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "moat/moat.h"

enum { THREADS = 4, SLOTS = 2000, SHARED = 512, EACH = 5000, SHORT_LIVES = 20, PURGE_EVERY = 16 };

struct chunk {
    size_t n;
    unsigned char mark, rest[];
};

static struct chunk *shared[SHARED];
static pthread_barrier_t all_live;
static volatile sig_atomic_t signals;
static unsigned long rounds, forks, lives, operations;

__attribute__((noreturn)) static void fail(const char *what)
{
    fprintf(stderr, "soak: %s\n", what);
    _exit(1);
}

static uint64_t next(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static void on_signal(int number)
{
    int saved = errno;
    (void)number;
    signals++;
    (void)!write(-1, "", 1);
    errno = saved;
}

static void drop(struct chunk *c)
{
    if (c == NULL)
        return;
    if (malloc_usable_size(c) != c->n || c->mark != (unsigned char)c->n || ((unsigned char *)c)[c->n - 1] != c->mark)
        fail("contents were changed");
    free(c);
}

static struct chunk *make(uint64_t *state)
{
    unsigned kind = (unsigned)(next(state) % 1000);
    size_t n = sizeof(struct chunk) + next(state) % (kind < 900 ? 300 : kind < 990 ? 20000 : 600000) + 8;
    struct chunk *c = kind % 10 == 0 ? aligned_alloc((size_t)32 << next(state) % 6, n) : malloc(n);
    if (c == NULL)
        fail("no memory");
    if (kind % 7 == 0) {
        c = realloc(c, n += next(state) % 200);
        if (c == NULL)
            fail("no memory for realloc");
    }
    c->n = n;
    c->mark = (unsigned char)n;
    ((unsigned char *)c)[n - 1] = c->mark;
    return c;
}

static void child(uint64_t *state)
{
    pid_t pid = fork();
    int status;
    if (pid == 0) {
        for (int i = 0; i < 200; i++)
            drop(make(state));
        _exit(0);
    }
    if (pid < 0)
        fail("fork");
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            fail("waitpid");
    if (status != 0)
        fail("a child ended badly");
    __atomic_add_fetch(&forks, 1, __ATOMIC_RELAXED);
}

static void *burst(void *seed)
{
    uint64_t state = (uintptr_t)seed;
    struct chunk **mine = calloc(SLOTS, sizeof *mine);
    if (mine == NULL)
        fail("no memory for slots");
    for (unsigned i = 0; i < EACH; i++) {
        struct chunk **at = &mine[next(&state) % SLOTS], *c = make(&state);
        if (i % 4 == 0) {
            drop(__atomic_exchange_n(&shared[next(&state) % SHARED], c, __ATOMIC_ACQ_REL));
            continue;
        }
        drop(*at);
        *at = c;
    }
    child(&state);
    for (unsigned i = 0; i < SLOTS; i++)
        drop(mine[i]);
    free(mine);
    __atomic_add_fetch(&operations, EACH, __ATOMIC_RELAXED);
    return NULL;
}

/* All are there at once, in every round: how many caches there are does not hang on how busy the machine is. */
static void *short_life(void *seed)
{
    uint64_t state = (uintptr_t)seed;
    drop(make(&state));
    pthread_barrier_wait(&all_live);
    for (int i = 0; i < 30; i++)
        drop(make(&state));
    __atomic_add_fetch(&lives, 1, __ATOMIC_RELAXED);
    return NULL;
}

static void run(void *(*what)(void *), unsigned count, uint64_t *state)
{
    pthread_t thread[SHORT_LIVES];
    for (unsigned i = 0; i < count; i++)
        if (pthread_create(&thread[i], NULL, what, (void *)(uintptr_t)(next(state) | 1)) != 0)
            fail("no thread");
    for (unsigned i = 0; i < count; i++)
        pthread_join(thread[i], NULL);
}

/* For `run`: what is there when all that the round has made is free again. */
static void tell(void)
{
    struct moat_stats s;
    if (moat_stats(&s, sizeof s) != 0)
        fail("no statistics");
    printf("%lu rounds %lu operations %lu lives %lu forks %ld signals, at rest %zu live %zu resident %zu mappings\n",
           rounds, operations, lives, forks, (long)signals, s.live_count, s.resident, s.mappings_count);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    time_t end = time(NULL) + (argc > 1 ? atol(argv[1]) : 1800);
    uint64_t state = 88172645463325252u;
    struct itimerval every = {{0, 5000}, {0, 5000}};
    struct moat_stats s;
    void *probe = malloc(100);
    if (probe == NULL || moat_stats(&s, sizeof s) != 0 || s.live_count == 0)
        fail("malloc is not moat's");
    free(probe);
    if (pthread_barrier_init(&all_live, NULL, SHORT_LIVES) != 0)
        fail("no barrier");
    signal(SIGALRM, on_signal);
    setitimer(ITIMER_REAL, &every, NULL);
    while (time(NULL) < end) {
        run(burst, THREADS, &state);
        run(short_life, SHORT_LIVES, &state);
        for (unsigned i = 0; i < SHARED; i++)
            drop(__atomic_exchange_n(&shared[i], NULL, __ATOMIC_ACQ_REL));
        (void)moat_check_heap();
        rounds++;
        tell();
        if (rounds % PURGE_EVERY == 0)
            moat_purge();
    }
    return 0;
}
