/* What libmoat-fuzz.so is tried on: program CASE. Linked with it. Exits by 0 where a case holds, as far as the program
 * itself can tell. */
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <sys/mman.h>
#include <sys/wait.h>

#include "moat/moat.h"
#include "program.h"

struct node {
    struct node *next;
    char rest[40];
};

static struct node *list;
static __thread char *volatile of_thread;
static char *volatile global;

/* Not left in a register or in a frame below. */
APART static void wipe(void)
{
    volatile char frame[8192];
    for (size_t i = 0; i < sizeof frame; i++)
        frame[i] = 0;
}

APART static void lose(size_t n)
{
    char *volatile p = malloc(n);
    if (n != 0)
        memset(p, 1, n);
    p = NULL;
}

APART static void lose_chain(void)
{
    struct node *volatile first = malloc(sizeof *first);
    first->next = malloc(sizeof *first);
    first->next->next = malloc(sizeof *first);
    first->next->next->next = NULL;
    first = NULL;
}

APART static void lose_ring(void)
{
    struct node *volatile a = malloc(sizeof *a);
    a->next = malloc(sizeof *a);
    a->next->next = a;
    a = NULL;
}

/* Everything that is kept: nothing of it is a leak. */
static void **mapping;
static pthread_t sleeper;
static volatile int ready;

/* Its chunk's address is in a register alone, and it is in a system call. */
static void *hold_in_register(void *unused)
{
    (void)unused;
#if defined(__x86_64__)
    register char *p __asm__("r12") = malloc(77);
    ready = 1;
    for (;;)
        __asm__ volatile("pause" : "+r"(p) : : "memory");
#else
    char *volatile p = malloc(77);
    ready = 1;
    while (p != NULL)
        pause();
#endif
    return NULL;
}

static void *hold_in_tls(void *unused)
{
    (void)unused;
    of_thread = malloc(33);
    ready = 2;
    for (;;)
        pause();
    return NULL;
}

static void keep_everywhere(void)
{
    static char *inner;
    for (int i = 0; i < 100; i++) {
        struct node *n = malloc(sizeof *n);
        n->next = list;
        list = n;
    }
    inner = (char *)malloc(500) + 250; /* a pointer into it counts */
    global = inner;
    mapping = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    mapping[7] = malloc(600);
    ((void **)mapping[7])[3] = malloc(300000);
    ((void **)((void **)mapping[7])[3])[30000] = malloc(0);
    of_thread = malloc(8);
    pthread_create(&sleeper, NULL, hold_in_register, NULL);
    while (ready != 1)
        usleep(1000);
    pthread_create(&sleeper, NULL, hold_in_tls, NULL);
    while (ready != 2)
        usleep(1000);
}

static int leaks(const char *what)
{
    if (strcmp(what, "none") == 0)
        keep_everywhere();
    for (int i = 0; i < 3; i++)
        if (strcmp(what, "small") == 0)
            lose(24);
    if (strcmp(what, "large") == 0)
        lose(300000);
    if (strcmp(what, "zero") == 0)
        lose(0);
    if (strcmp(what, "chain") == 0)
        lose_chain();
    if (strcmp(what, "ring") == 0)
        lose_ring();
    wipe();
    printf("printed\n"); /* is in stdio's buffer when the process ends */
    return 0;
}

/* Only what is lost in the epoch counts, and the chunks that live are told from those before. */
static int epochs(void)
{
    struct moat_epoch e;
    if (moat_epoch_end(&e, sizeof e) == 0)
        return 1;
    lose(100);
    wipe();
    for (size_t i = 1; i <= 3; i++) {
        if (moat_epoch_begin() != 0 || moat_epoch_begin() == 0)
            return 2;
        for (size_t j = 0; j < i; j++)
            lose(50);
        global = malloc(10);
        wipe();
        if (moat_epoch_end(&e, sizeof e) != 0 || e.number != i || e.guarded_count != i + 1 || e.leaked_count != i ||
            e.leaked_bytes != i * 50 || e.guarded_grown != (ptrdiff_t)i + 1) {
            printf("epoch %zu: %zu, %zu leaked, %zu guarded, %td\n", e.number, e.leaked_count, e.leaked_bytes,
                   e.guarded_count, e.guarded_grown);
            return 3;
        }
        char *kept = global;
        global = NULL;
        free(kept);
    }
    return 0;
}

/* A write to freed memory that is in no guarded place is met at the end of its epoch. */
static int late_write(void)
{
    moat_epoch_begin();
    char *volatile p = malloc(100);
    free(p);
    p[8] = 1;
    moat_epoch_end(NULL, 0);
    return 9; /* not reached */
}

static int filled(void)
{
    unsigned char *p = malloc(100), *large = malloc(200000), *zero = calloc(25, 4), *aligned = aligned_alloc(64, 64);
    for (size_t i = 0; i < 100; i++)
        if (p[i] != (i < 80 ? 0x5a : 0) || large[i] != (i < 80 ? 0x5a : 0) || zero[i] != 0 ||
            (i < 64 && aligned[i] != 0x5a))
            return 1;
    p = realloc(p, 1000);
    for (size_t i = 0; i < 80; i++)
        if (p[i] != 0x5a || p[100 + i] != 0)
            return 2;
    free(p);
    free(large);
    free(zero);
    free(aligned);
    return 0;
}

/* Prints which chunks are guarded, by which side, and where others lie, as far as that is moat's choice and not the
 * kernel's: of 100 runs in one process. */
static int replay(void)
{
    uintptr_t sum = 0;
    for (int run = 0; run < 100; run++) {
        moat_epoch_begin();
        for (size_t n = 1; n < 3000; n += 170) {
            char *volatile p = malloc(n);
            sum = sum * 31 + ((uintptr_t)p & 0xfff);
            free(p);
        }
        moat_epoch_end(NULL, 0);
    }
    printf("%zx\n", (size_t)sum);
    return 0;
}

/* Chunks that threads make, free and keep all the time are neither leaks nor looked into when they are freed. */
static void *kept_by_threads[3][32];

static void *churn(void *kept)
{
    void **own = kept;
    for (unsigned i = 0;; i++) {
        free(own[i % 32]);
        own[i % 32] = malloc(100 + i % 64);
    }
    return NULL;
}

static int churned(void)
{
    pthread_t t;
    for (int i = 0; i < 3000; i++) {
        struct node *n = malloc(sizeof *n);
        n->next = list;
        list = n;
    }
    for (int i = 0; i < 3; i++)
        pthread_create(&t, NULL, churn, kept_by_threads[i]);
    for (int i = 0; i < 5; i++) {
        moat_epoch_begin();
        usleep(2000);
        moat_epoch_end(NULL, 0);
    }
    return 0;
}

static void *epochs_for_ever(void *unused)
{
    for (;;)
        if (moat_epoch_begin() == 0)
            moat_epoch_end(unused, 0);
    return NULL;
}

static int two_search(void)
{
    pthread_t t;
    churned();
    pthread_create(&t, NULL, epochs_for_ever, NULL);
    usleep(20000);
    return 0;
}

/* Three stacks in one mapping, each with the only pointer to a chunk. */
static pthread_barrier_t all_have;

static void *keep_on_stack(void *unused)
{
    void *volatile p = malloc(100);
    pthread_barrier_wait(&all_have);
    while (p != unused)
        pause();
    return NULL;
}

static int stacks(void)
{
    enum { COUNT = 3, SIZE = 1 << 18 };
    char *m = mmap(NULL, COUNT * SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    pthread_barrier_init(&all_have, NULL, COUNT + 1);
    for (size_t i = 0; i < COUNT; i++) {
        pthread_attr_t a;
        pthread_t t;
        pthread_attr_init(&a);
        pthread_attr_setstack(&a, m + i * SIZE, SIZE);
        if (pthread_create(&t, &a, keep_on_stack, NULL) != 0)
            return 1;
    }
    pthread_barrier_wait(&all_have);
    usleep(10000);
    return 0;
}

static int read_only(void)
{
    void **m = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    m[5] = malloc(100);
    return mprotect(m, 4096, PROT_READ) == 0 ? 0 : 1;
}

/* At exit another thread has a file's lock. */
static void *hold_file(void *file)
{
    flockfile(file);
    ready = 1;
    for (;;)
        pause();
    return NULL;
}

static int held_file(void)
{
    pthread_create(&sleeper, NULL, hold_file, stdin);
    while (ready != 1)
        usleep(1000);
    return leaks("small");
}

static int closed_stderr(void)
{
    int status = leaks("small");
    close(STDERR_FILENO);
    return status;
}

/* A thread that takes no signal, and a main thread that has ended, are not waited for. */
static void *search_often(void *unused)
{
    enum { TIMES = 10 };
    struct timespec from, to;
    usleep(20000);
    clock_gettime(CLOCK_MONOTONIC, &from);
    for (int i = 0; i < TIMES; i++) {
        moat_epoch_begin();
        moat_epoch_end(NULL, 0);
    }
    clock_gettime(CLOCK_MONOTONIC, &to);
    if ((to.tv_sec - from.tv_sec) * 1000 + (to.tv_nsec - from.tv_nsec) / 1000000 > TIMES * 150)
        exit(1);
    lose(50);
    wipe();
    exit(unused != NULL);
}

static void *take_no_signal(void *unused)
{
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, NULL);
    for (;;)
        sleep(1);
    return unused;
}

static int deaf(void)
{
    pthread_create(&sleeper, NULL, take_no_signal, NULL);
    pthread_create(&sleeper, NULL, search_often, NULL);
    pthread_exit(NULL);
}

/* A thread that waits for signals is not given the one that stops threads. */
static void *take_signals(void *unused)
{
    sigset_t all;
    int number;
    sigfillset(&all);
    if (sigwait(&all, &number) == 0)
        ready = number;
    return unused;
}

static int signals(void)
{
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, NULL);
    pthread_create(&sleeper, NULL, take_signals, NULL);
    usleep(50000);
    moat_epoch_begin();
    moat_epoch_end(NULL, 0);
    usleep(10000);
    return ready;
}

/* What has been freed, and is guard after guard now, is not asked about page by page. */
static int many_guards(void)
{
    enum { MOST_MS = 200 };
    struct timespec from, to;
    for (int i = 0; i < 5000; i++) {
        char *volatile small = malloc(100), *volatile large = i % 50 == 0 ? malloc(3000000) : NULL;
        free(small);
        free(large);
    }
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
    moat_epoch_begin();
    moat_epoch_end(NULL, 0);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to);
    return (to.tv_sec - from.tv_sec) * 1000 + (to.tv_nsec - from.tv_nsec) / 1000000 > MOST_MS;
}

/* What is lost lies where a chunk lay when the epoch began. */
APART static int lose_at(uintptr_t old)
{
    enum { MOST = 50000 };
    for (int i = 0; i < MOST; i++) {
        char *volatile p = malloc(10 << 20);
        bool there = ((uintptr_t)p ^ UINTPTR_MAX) == old;
        if (there)
            return 0;
        free(p);
    }
    return 1;
}

static int renewed(void)
{
    struct moat_epoch e;
    char *p = malloc(10 << 20);
    uintptr_t old = (uintptr_t)p ^ UINTPTR_MAX; /* no pointer */
    global = p;
    moat_epoch_begin();
    free(p);
    p = NULL;
    global = NULL;
    int missed = lose_at(old);
    wipe();
    moat_epoch_end(&e, sizeof e);
    return missed ? 1 : e.leaked_count == 1 ? 0 : 2;
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";
    if (strncmp(name, "leak-", 5) == 0)
        return leaks(name + 5);
    if (strncmp(name, "hot", 3) == 0)
        return hot_case(name);
    static const struct {
        const char *name;
        int (*run)(void);
    } cases[] = {
        {"epochs", epochs}, {"forks", forks},         {"before-forks", before_forks}, {"late-write", late_write},
        {"filled", filled}, {"replay", replay},       {"churned", churned},           {"two-search", two_search},
        {"stacks", stacks}, {"read-only", read_only}, {"held-file", held_file},       {"closed-stderr", closed_stderr},
        {"deaf", deaf},     {"signals", signals},     {"many-guards", many_guards},   {"renewed", renewed}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (strcmp(name, cases[i].name) == 0)
            return cases[i].run();
    return 99;
}
