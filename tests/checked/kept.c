/* What a thread keeps of its last look at large chunks is not taken for what another look said: not where a signal's
 * handler looks in the middle of one, at any instruction, and not for slabs and sampled chunks that lie between large
 * ones. Linked with libmoat-checked.so.
 *
 *     kept KIND        handler (x86_64: by single steps), slabs, sampled (with sample_rate=1)
 */
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>
#include <unistd.h>

#include <sys/mman.h>

#include "child.h"

enum { LARGE = 1 << 20, VAST = 1 << 28, SOME = 1 << 16, TRIES = 64 };

static unsigned count;
static const char text[] = "sixteen letters.";
static char *destination;
static size_t asked;

static void copy(void)
{
    memcpy(destination, text, asked);
}

/* The copy of 16 bytes to where there is room for 8 is reported. */
static void expect_report(const char *what, void (*f)(void))
{
    count++;
    child(what, f, "heap-buffer-overflow: memcpy writes 16 bytes ");
}

static char *map(void *at, int how)
{
    char *p = mmap(at, SOME, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | how, -1, 0);
    return p != MAP_FAILED ? p : NULL;
}

/* Memory of nobody's that lies between p and a large chunk. */
static char *map_between(const char *p)
{
    for (unsigned i = 0; i < TRIES; i++) {
        char *m = map(NULL, 0);
        uintptr_t a = (uintptr_t)malloc(LARGE), b = (uintptr_t)p, at = (uintptr_t)m;
        if (m != NULL && (a < b ? a < at && at < b : b < at && at < a))
            return m;
    }
    return NULL;
}

#ifdef __x86_64__
static char *others; /* where the handler copies to */
static unsigned steps, act_at;

static void set_steps(bool on)
{
    if (on)
        __asm__ volatile("pushfq; orq $0x100, (%%rsp); popfq" ::: "memory", "cc");
    else
        __asm__ volatile("pushfq; andq $~0x100, (%%rsp); popfq" ::: "memory", "cc");
}

/* After each instruction. After that one: a copy, and no more steps. */
static void on_step(int number, siginfo_t *info, void *context)
{
    (void)number;
    (void)info;
    if (++steps != act_at)
        return;
    memcpy(others, text, 16);
    ((ucontext_t *)context)->uc_mcontext.gregs[REG_EFL] &= ~0x100;
}

static void stepped_copy(void)
{
    steps = 0;
    set_steps(true);
    copy();
    set_steps(false);
}

static void handler(void)
{
    enum { ROOM = 300 }; /* instructions, more than a look takes */
    struct sigaction action = {.sa_sigaction = on_step, .sa_flags = SA_SIGINFO};
    char *p = malloc(LARGE), *q = malloc(LARGE), *m = map_between(p);
    (void)!snprintf(p, INT_MAX, "%s", text); /* the loader has found it then */
    if (m == NULL || sigaction(SIGTRAP, &action, NULL) != 0)
        abort();
    char *const to[] = {m, q};
    for (unsigned i = 0; i < 2; i++) {
        others = to[i];
        asked = 16;
        act_at = 0;
        destination = p;
        copy();
        stepped_copy();
        unsigned all = steps; /* instructions of the copy, its look among them */
        for (act_at = 1; act_at <= all; act_at++) {
            destination = p;
            copy(); /* which is kept */
            destination = p + LARGE - 8;
            expect_report(i == 0 ? "handler to nobody's memory" : "handler to a chunk", stepped_copy);
        }
        for (act_at = 1; act_at <= ROOM; act_at++, count++) {
            memset(p, 0, sizeof text);
            steps = 0;
            set_steps(true);
            int n = snprintf(p, INT_MAX, "%s", text);
            set_steps(false);
            if (n == sizeof text - 1 && strcmp(p, text) == 0)
                continue;
            printf("handler in snprintf's step %u: %d, \"%s\"\n", act_at, n, p);
            failures++;
        }
        if (steps < act_at - 1)
            abort(); /* it has had no turn */
    }
}
#endif

/* The lowest large chunk goes; below all others there is then what its place is used for, and slabs. */
static void slabs(void)
{
    char *high = malloc(LARGE), *low = NULL, *m = NULL, *small = malloc(40);
    for (unsigned i = 0; i < TRIES && m == NULL; i++) {
        low = malloc(sizeof(void *) == 8 ? VAST : VAST / 16);
        free(low);
        if (low != NULL && low < high)
            m = map((char *)((uintptr_t)low & -(uintptr_t)SOME) + SOME, MAP_FIXED_NOREPLACE);
        if (m != NULL && (uintptr_t)m - (uintptr_t)low > SOME) { /* not at all there, on an old kernel */
            munmap(m, SOME);
            m = NULL;
        }
    }
    if (m == NULL)
        abort();
    asked = 16;
    destination = m;
    copy();
    destination = small + 32;
    expect_report("a slab's chunk", copy);
}

static void sampled(void)
{
    (void)!malloc(LARGE); /* above the pool */
    char *p = malloc(40), *m = map_between(p);
    if (m == NULL)
        abort();
    asked = 16;
    destination = m;
    copy();
    destination = p + 32;
    expect_report("a sampled chunk", copy);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } kinds[] = {
#ifdef __x86_64__
        {"handler", handler},
#endif
        {"slabs", slabs},
        {"sampled", sampled}};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (argc > 1 && strcmp(argv[1], kinds[i].name) == 0)
            kinds[i].run();
    printf("%u calls, %u failures\n", count, failures);
    return failures != 0 || count == 0;
}
