/* The program whose malloc is counted, the library under test preloaded.
 *
 *     budget_subject SIZE STEADY WARM PATTERN     bytes; calls counted in one pattern, turns before and in the other
 *
 * A line for each routine: its name, the size, and for each figure the median over the steady pattern (the same call
 * again and again, as nearly every call is) and the mean over the other, in which whatever is deferred has its turn:
 * random replacement in a working set that is drained and filled again. A second thread is alive. */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "budget.h"

enum { WARM = 5000, SET = 100, SET_BYTES = 4 << 20, MOST_COUNTED = 1 << 16, DRAIN_EVERY = 500 };

struct tally {
    size_t calls;
    uint64_t sums[BUDGET_FIGURES];
    unsigned seen[BUDGET_FIGURES][MOST_COUNTED]; /* how many calls had each count */
};

static const char *const names[BUDGET_ROUTINES] = BUDGET_ROUTINE_NAMES;
static struct tally steady[BUDGET_ROUTINES], pattern[BUDGET_ROUTINES];
static void *routines[BUDGET_ROUTINES];
static pthread_barrier_t started;

/* Alive and with a heap of its own, and never seen again. */
static void *bystander(void *unused)
{
    (void)unused;
    void *mine = malloc(100);
    pthread_barrier_wait(&started);
    pthread_barrier_wait(&started);
    free(mine);
    return NULL;
}

static bool warming; /* calls are made, but not counted */

static void *uncounted(enum budget_routine which, uintptr_t a, uintptr_t b)
{
    switch (which) {
    case BUDGET_MALLOC:
        return malloc(a);
    case BUDGET_CALLOC:
        return calloc(a, b);
    case BUDGET_REALLOC:
        return realloc((void *)a, b);
    default:
        free((void *)a);
        return NULL;
    }
}

static void *counted(struct tally *tallies, enum budget_routine which, uintptr_t a, uintptr_t b)
{
    if (warming)
        return uncounted(which, a, b);
    struct budget_counts c;
    void *result = budget_step(routines[which], a, b, &c);
    struct tally *t = &tallies[which];
    t->calls++;
    for (size_t f = 0; f < BUDGET_FIGURES; f++) {
        t->sums[f] += c.of[f];
        t->seen[f][c.of[f] < MOST_COUNTED ? c.of[f] : MOST_COUNTED - 1]++;
    }
    if (result == NULL && which != BUDGET_FREE)
        exit(4);
    return result;
}

/* Each routine again and again: a pair of malloc and free, one of calloc and free, and a chunk that shrinks by a byte
 * and grows again, which is always in place. */
static void run_steady(size_t size, size_t calls)
{
    for (size_t i = 0; i < WARM; i++)
        free(malloc(size));
    for (size_t i = 0; i < calls; i++) {
        void *p = counted(steady, BUDGET_MALLOC, size, 0);
        counted(steady, BUDGET_FREE, (uintptr_t)p, 0);
    }
    for (size_t i = 0; i < calls; i++)
        free(counted(steady, BUDGET_CALLOC, 1, size));
    void *p = malloc(size);
    for (size_t i = 0; i < calls; i++)
        p = counted(steady, BUDGET_REALLOC, (uintptr_t)p, size - (i + 1) % 2);
    free(p);
}

static uint64_t draw(void)
{
    static uint64_t state = 0x9e3779b97f4a7c15;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static void drain(void *set[], size_t objects)
{
    for (size_t i = 0; i < objects; i++) {
        if (set[i] != NULL)
            counted(pattern, BUDGET_FREE, (uintptr_t)set[i], 0);
        set[i] = NULL;
    }
}

/* Replaces objects at random: `make` allocates what comes, and the one before is freed. realloc shrinks and grows what
 * is there. The first `warm` turns are not counted, the `turns` after them are. */
static void run_pattern(size_t size, size_t warm, size_t turns, enum budget_routine make)
{
    static void *set[SET];
    size_t objects = SET_BYTES / size < SET ? SET_BYTES / size : SET;
    for (size_t turn = 0; turn < warm + turns; turn++) {
        warming = turn < warm;
        if (turn % DRAIN_EVERY == DRAIN_EVERY - 1)
            drain(set, objects);
        void **place = &set[draw() % objects];
        if (make == BUDGET_REALLOC) {
            *place = *place == NULL ? malloc(size) : counted(pattern, make, (uintptr_t)*place, size - (draw() & 1));
            continue;
        }
        if (*place != NULL)
            counted(pattern, BUDGET_FREE, (uintptr_t)*place, 0);
        *place = make == BUDGET_MALLOC ? counted(pattern, make, size, 0) : counted(pattern, make, 1, size);
    }
    warming = true;
    drain(set, objects);
    warming = false;
}

static unsigned median(const struct tally *t, size_t figure)
{
    unsigned value = 0;
    for (size_t below = t->seen[figure][0]; below <= t->calls / 2; below += t->seen[figure][value])
        value++;
    return value;
}

int main(int argc, char **argv)
{
    static char buffer[1 << 14];
    setvbuf(stdout, buffer, _IOFBF, sizeof buffer);
    if (argc != 5)
        return 2;
    size_t size = strtoul(argv[1], NULL, 10), few = strtoul(argv[2], NULL, 10);
    size_t warm = strtoul(argv[3], NULL, 10), turns = strtoul(argv[4], NULL, 10);
    for (size_t r = 0; r < BUDGET_ROUTINES; r++)
        routines[r] = dlsym(RTLD_DEFAULT, names[r]);
    pthread_t thread;
    if (size < 2 || few < 1 || turns < 4 || !budget_step_start() || pthread_barrier_init(&started, NULL, 2) != 0 ||
        pthread_create(&thread, NULL, bystander, NULL) != 0)
        return 3;
    pthread_barrier_wait(&started);
    run_steady(size, few);
    run_pattern(size, warm, turns, BUDGET_MALLOC);
    run_pattern(size, warm, turns / 4, BUDGET_CALLOC);
    run_pattern(size, warm, turns / 4, BUDGET_REALLOC);
    for (size_t r = 0; r < BUDGET_ROUTINES; r++) {
        if (pattern[r].calls == 0)
            return 5;
        printf("%s %zu", names[r], size);
        for (size_t f = 0; f < BUDGET_FIGURES; f++)
            printf(" %u %.3f", median(&steady[r], f), (double)pattern[r].sums[f] / (double)pattern[r].calls);
        printf("\n");
    }
    pthread_barrier_wait(&started);
    pthread_join(thread, NULL);
    /* A process that uses SipHash may run on a CPU that has none of the others' instructions. */
    const char *options = getenv("MOAT_OPTIONS");
    if (options == NULL || strstr(options, "mac=siphash") == NULL || budget_newer == 0)
        return 0;
    fprintf(stderr, "%zu instructions that an old CPU does not have\n", budget_newer);
    return 6;
}
