/* What a checked function costs over libc's own: instructions, counted one by one, and with an argument nanoseconds as
 * well, the least of many batches that take turns with libc's. Fails where it is more than the limits. Linked with
 * libmoat-checked.so.
 *
 *     cost [ROUNDS]                 the table; 0 rounds, as the test is: no nanoseconds
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <sys/mman.h>

#include "../budget/budget.h"

typedef void *copier(void *, const void *, size_t);

enum { MOST_BYTES = 1 << 16, COUNTED_MOST = 256, TURNS = 200, PLACES = 5 };

static char area[MOST_BYTES + 64], source[MOST_BYTES];

/* A call by way of this costs the same, whose function it is. */
struct given {
    copier *function;
    void *d;
    size_t n;
};

static void *call(uintptr_t given, uintptr_t unused)
{
    (void)unused;
    const struct given *g = (const struct given *)given;
    return g->function(g->d, source, g->n);
}

static unsigned instructions(copier *function, void *d, size_t n)
{
    struct given g = {function, d, n};
    struct budget_counts c;
    (void)call((uintptr_t)&g, 0);
    (void)budget_step((void *)call, (uintptr_t)&g, 0, &c);
    return c.of[BUDGET_INSTRUCTIONS];
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* Nanoseconds of a call, without what the loop takes: the same for both. */
static double nanoseconds(copier *volatile *function, void *d, size_t n, unsigned turns)
{
    double begin = now();
    for (unsigned i = 0; i < turns; i++)
        (*function)(d, source, n);
    return (now() - begin) / turns;
}

/* The least of both, in turns: other work on the machine only adds. */
static void measure(copier *checked, copier *libcs, void *d, size_t n, unsigned rounds, double result[2])
{
    copier *volatile functions[2] = {libcs, checked};
    result[0] = result[1] = 1e9;
    for (unsigned i = 0; i < rounds; i++)
        for (unsigned j = 0; j < 2; j++) {
            double took = nanoseconds(&functions[j], d, n, TURNS);
            if (took < result[j])
                result[j] = took;
        }
}

int main(int argc, char **argv)
{
    static const size_t lengths[] = {16, 32, 64, 256, 1024, 2048, 4096, 65536};
    size_t length_count = argc > 1 ? sizeof lengths / sizeof lengths[0] : 4;
    unsigned rounds = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 0, bad = 0;
    void *libc = dlopen("libc.so.6", RTLD_NOW);
    copier *libcs = libc != NULL ? (copier *)dlsym(libc, "memcpy") : NULL;
    copier *checked = (copier *)dlsym(RTLD_DEFAULT, "memcpy");
    if (libcs == NULL || checked == NULL || libcs == checked || !budget_step_start())
        return 2;
    printf("memcpy to        bytes   instructions more%s\n", rounds > 0 ? "   ns: libc's, checked, more" : "");
    for (size_t i = 0; i < length_count; i++) {
        size_t n = lengths[i];
        char stack[MOST_BYTES];
        const struct {
            const char *name;
            void *d;
            unsigned most; /* instructions */
        } places[PLACES] = {{"heap", malloc(n), 31},
                            {"heap, inside", (char *)malloc(n + 16) + 16, 31},
                            {"stack", stack, 10},
                            {"global", area, 8},
                            {"large chunk", malloc(1 << 20), 36}};
        for (size_t j = 0; j < PLACES; j++) {
            /* The check does not depend on the length, and a large copy has many steps. */
            bool counted = n <= COUNTED_MOST;
            unsigned more = counted ? instructions(checked, places[j].d, n) - instructions(libcs, places[j].d, n) : 0;
            double ns[2];
            printf("%-14s %7zu", places[j].name, n);
            printf(counted ? "   %4u" : "       ", more);
            if (rounds > 0) {
                measure(checked, libcs, places[j].d, n, rounds, ns);
                printf("                %7.2f %7.2f %6.2f", ns[0], ns[1], ns[1] - ns[0]);
            }
            bool over = more > places[j].most;
            printf("%s\n", over ? "  MORE THAN ALLOWED" : "");
            bad += over;
        }
    }
    return bad != 0;
}
