/* P3: a thread is stopped in the middle of free. Meanwhile another one frees the same chunk and allocates until it has
 * it again; then the first goes on. It must not free what it verified in the chunk's earlier life.
 * Tried with a stop after each instruction on free's way there and a few behind, one process each. A stop before free
 * has looked at the chunk makes it a stale free of the other thread's chunk, and that thread's own free must be
 * noticed; a stop after free has changed the chunk's state makes the other thread's first free the second one. Between
 * them the stopped free itself must be noticed. A free that happens to draw new random bytes takes a longer way and
 * looks at the chunk later: what it lets pass is tried again.
 * SIZE HOW: `both` threads free the chunk; `one`, the twin: only the stopped one. */
#define _GNU_SOURCE /* REG_EFL */
#include "attack.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <ucontext.h>

#if defined(__x86_64__) || defined(__i386__)
#include <x86intrin.h>
#define FLAGS(context) ((context)->uc_mcontext.gregs[REG_EFL])
enum { TRAP_FLAG = 0x100 }; /* SIGTRAP after each instruction */
#else
#error "the runner and CMakeLists.txt leave this program out where a thread can't step itself"
#endif

enum { MOST_PAIRS = 5000000, LATE_STOPS = 20, TWIN_STOPS = 200, MOST_STOPS = 2000, TRIES = 4, END_TRIES = 10 };
enum stage { STOPPING, OTHER_FREES, GOES_ON, OTHER_FREES_AGAIN, DONE };

/* Shared with the parent: how far the child came. */
static struct shared {
    volatile int stage, reached;
} * shared;

static size_t size;
static bool both;
static char *chunk;
static long stop_at, stops;
static int turn; /* 0: the stopping thread's, 1: the other's */

static void pass_turn(int to)
{
    __atomic_store_n(&turn, to, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&turn, __ATOMIC_SEQ_CST) == to)
        sched_yield();
}

static void on_step(int sig, siginfo_t *info, void *context)
{
    (void)sig;
    (void)info;
    if (++stops != stop_at)
        return;
    shared->reached = true;
    FLAGS((ucontext_t *)context) &= ~(greg_t)TRAP_FLAG;
    if (both) {
        shared->stage = OTHER_FREES;
        pass_turn(1);
    }
    shared->stage = GOES_ON;
}

static void *other(void *arg)
{
    (void)arg;
    while (__atomic_load_n(&turn, __ATOMIC_SEQ_CST) != 1)
        sched_yield();
    free(hide(chunk));
    size_t tries = 0;
    for (char *p; (p = take(size)) != chunk; free(p))
        if (++tries == MOST_PAIRS)
            fail("the chunk did not come back");
    pass_turn(0);
    shared->stage = OTHER_FREES_AGAIN;
    free(hide(chunk));
    return NULL;
}

/* In a child. */
static void stop_once(void *at)
{
    struct sigaction action = {.sa_sigaction = on_step, .sa_flags = SA_SIGINFO};
    pthread_t thread;
    stop_at = *(long *)at;
    churn(size, 1000); /* the hot path has all that it needs */
    chunk = take(size);
    if (sigaction(SIGTRAP, &action, NULL) != 0 || (both && pthread_create(&thread, NULL, other, NULL) != 0))
        fail("no handler or no thread");
    char *p = hide(chunk);
    __writeeflags(__readeflags() | TRAP_FLAG);
    free(p);
    __writeeflags(__readeflags() & ~(unsigned long long)TRAP_FLAG);
    if (both && shared->reached) {
        __atomic_store_n(&turn, 1, __ATOMIC_SEQ_CST);
        pthread_join(thread, NULL);
    }
    shared->stage = DONE;
}

int main(int argc, char **argv)
{
    (void)argc;
    size = number(argv, 1);
    both = word_is(argv, 2, "both");
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        fail("no shared memory");
    /* SipHash's form checks the tail byte by byte: a stop among them sends it to look again, the next stop may not. */
    const char *options = getenv("MOAT_OPTIONS");
    bool bytewise = options != NULL && strstr(options, "siphash") != NULL;
    long stale = 0, caught = 0, late = 0, at = 1, again = 0, ends = 0;
    step("stops");
    for (; late < LATE_STOPS && at < (both ? MOST_STOPS : TWIN_STOPS); at++) {
        shared->stage = STOPPING;
        shared->reached = false;
        bool reported = child_reports(stop_once, &at, "moat: double-free");
        /* Under `strict` free has more to do the more chunks are near: one that ended early isn't the longest. */
        if (!shared->reached && ++ends == END_TRIES)
            break;
        if (!shared->reached) {
            at--;
            continue;
        }
        ends = 0;
        if (reported != both)
            fail("stop %ld: %s, at stage %d", at, both ? "no report" : "a report", shared->stage);
        bool passed = both && !bytewise && shared->stage == OTHER_FREES_AGAIN && caught + late != 0;
        if (passed && ++again < TRIES) {
            at--;
            continue;
        }
        if (passed)
            fail("stop %ld: the stopped thread's free passed, and at an earlier stop it did not", at);
        again = 0;
        stale += shared->stage == OTHER_FREES_AGAIN;
        caught += shared->stage == GOES_ON;
        late += shared->stage == OTHER_FREES;
        if (!both && shared->stage != DONE)
            fail("stop %ld: the twin died at stage %d", at, shared->stage);
    }
    if (at < 10)
        fail("free was stopped %ld times only", at - 1);
    if (both && (stale == 0 || caught == 0 || late == 0))
        fail("%ld stops before, %ld noticed in the stopped thread, %ld behind", stale, caught, late);
    if (both)
        printf("%ld stops before, %ld noticed in the stopped thread, %ld behind\n", stale, caught, late);
    return finish();
}
