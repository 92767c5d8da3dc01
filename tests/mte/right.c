/* A right program with memory tags: nothing that it may do faults, and tags are as they must be.
 *
 * right on|off    what tags must be. Linked with moat, on an aarch64 CPU with memory tags. */
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
#include <unistd.h>

#include "moat/moat.h"

enum { THREADS = 4, ROUNDS = 6000, KEPT = 400, LARGEST = 131080, SMALLEST = 32 /* bytes of a slot */ };

static bool tagged;

#define check(condition)                                                \
    do {                                                                \
        if (!(condition)) {                                             \
            fprintf(stderr, "line %d: not %s\n", __LINE__, #condition); \
            exit(1);                                                    \
        }                                                               \
    } while (0)

static uintptr_t address(const void *p)
{
    return (uintptr_t)p & ~((uintptr_t)0xff << 56);
}

static unsigned tag(const void *p)
{
    return (unsigned)((uintptr_t)p >> 56);
}

static void *hide(void *p)
{
    __asm__ volatile("" : "+r"(p));
    return p;
}

/* Writes and reads every byte. */
static void use(char *p, size_t n, int value)
{
    memset(p, value, n);
    for (size_t i = 0; i < n; i++)
        check(((volatile char *)p)[i] == (char)value);
}

static void all_zero(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        check(((const volatile char *)p)[i] == 0);
}

static void sizes(void)
{
    for (size_t n = 1; n <= LARGEST + 100; n += 1 + n / 16) {
        char *p = hide(malloc(n)), *q = hide(calloc(n, 1));
        check(tag(p) != 0 ? tagged && n <= LARGEST : !tagged || n > LARGEST);
        check(malloc_usable_size(p) == n);
        use(p, n, 1);
        all_zero(q, n);
        use(q, n, 2);
        free(p);
        free(q);
    }
    char *none = hide(malloc(0));
    check(none != NULL && tag(none) == 0);
    free(none);
}

static void aligned(void)
{
    for (size_t align = 16; align <= 32768; align *= 2)
        for (size_t n = 1; n < 5000; n += 1 + n / 4) {
            char *p = hide(aligned_alloc(align, n)), *q = hide(aligned_alloc(align, n));
            check(address(p) % align == 0 && address(q) % align == 0);
            use(p, n, 3);
            use(q, n, 4);
            q = realloc(q, n + 40);
            use(q, n + 40, 5);
            free(p);
            free(q);
            free(hide(aligned_alloc(align, 0)));
        }
}

/* Grows and shrinks, mostly where it is. */
static void resized(void)
{
    for (size_t start = 1; start <= 60000; start += 1 + start / 3) {
        size_t n = start;
        char *p = hide(malloc(n));
        use(p, n, 6);
        for (size_t step = 0; step < 40; step++) {
            size_t now = step % 2 != 0 ? n + step : n > step ? n - step : n;
            p = hide(realloc(p, now));
            for (size_t i = 0; i < now && i < n; i++)
                check(p[i] == 6);
            all_zero(p + (n < now ? n : now), now - (n < now ? n : now));
            use(p, now, 6);
            n = now;
            check(malloc_usable_size(p) == n);
        }
        check(moat_resize(p, n) == (n <= LARGEST));
        free(p);
    }
}

static void system_calls(void)
{
    int ends[2];
    char *p = hide(malloc(1000)), *q = hide(malloc(1000));
    check(pipe(ends) == 0);
    use(p, 1000, 7);
    check(write(ends[1], p, 1000) == 1000 && read(ends[0], q, 1000) == 1000 && memcmp(p, q, 1000) == 0);
    close(ends[0]);
    close(ends[1]);
    free(p);
    free(q);
}

static int visit(void *chunk, size_t size, void *context)
{
    for (size_t i = 0; i < size && i < 64; i++)
        *(size_t *)context += 1 + (size_t)(((volatile char *)chunk)[i] == 8);
    return 0;
}

static void moats_own(void)
{
    size_t seen = 0;
    char *p = hide(malloc(100));
    use(p, 100, 8);
    check(moat_object_size(p + 40) == 60);
    check(moat_object_base(p + 40) == p);
    moat_check(p, 100, 1);
    check(moat_walk(NULL, visit, &seen) == 0 && seen >= 128);
    check(moat_check_heap() > 0);
    free(p);
    for (unsigned i = 0; i < 100; i++) {
        moat_heap *heap = moat_heap_create();
        for (size_t n = 8; n < 3000; n += n / 2) {
            use(moat_heap_malloc(heap, n), n, 9);
            use(moat_heap_aligned_alloc(heap, 64, n), n, 9);
            free(moat_heap_malloc(heap, n));
        }
        moat_heap_destroy(heap);
    }
    (void)moat_check_heap();
    (void)moat_purge();
}

struct pair {
    const void *p;
    size_t n;
};

static int by_address(const void *a, const void *b)
{
    uintptr_t x = address(((const struct pair *)a)->p), y = address(((const struct pair *)b)->p);
    return x < y ? -1 : x > y;
}

/* The last tag of each place of chunks of 24 bytes: of this thread's, as no other's memory comes here in the test. */
static void tags_of_places(void)
{
    enum { PLACES = 1 << 16 };
    static __thread struct {
        uintptr_t place;
        unsigned tag;
    } last[PLACES];
    struct pair live[KEPT] = {{NULL, 0}};
    unsigned seed = (unsigned)address(live) / 16, counts[16] = {0}, again = 0;
    for (unsigned i = 0; i < ROUNDS * 4; i++) {
        unsigned at = (seed = seed * 1103515245 + 12345) / 65536 % KEPT;
        free((void *)(uintptr_t)live[at].p);
        char *p = hide(malloc(24));
        live[at].p = p;
        uintptr_t slot = address(p) / 16;
        if (last[slot % PLACES].place == slot) {
            check(!tagged || last[slot % PLACES].tag != tag(p));
            again++;
        }
        last[slot % PLACES].place = slot;
        last[slot % PLACES].tag = tag(p);
        check(tagged ? tag(p) > 0 && tag(p) < 16 : tag(p) == 0);
        counts[tag(p) & 15]++;
    }
    check(again > ROUNDS);
    for (unsigned t = 1; tagged && t < 16; t++) /* a fifteenth each */
        check(counts[t] > ROUNDS * 4 / 30 && counts[t] < ROUNDS * 4 / 10);
    for (unsigned i = 0; i < KEPT; i++)
        free((void *)(uintptr_t)live[i].p);
}

/* Chunks of all threads that lie side by side. */
static struct pair shared[THREADS][KEPT];
static pthread_barrier_t barrier;

static void *work(void *argument)
{
    unsigned me = (unsigned)(uintptr_t)argument, seed = me + 1;
    for (unsigned i = 0; i < ROUNDS; i++) {
        unsigned at = (seed = seed * 1103515245 + 12345) / 65536 % KEPT;
        free((void *)(uintptr_t)shared[me][at].p);
        size_t n = i % 2 == 0 ? 24 : 1 + seed / 65536 % 300;
        char *p = hide(malloc(n));
        use(p, n, (int)me);
        shared[me][at] = (struct pair){p, n};
    }
    pthread_barrier_wait(&barrier);
    unsigned other = (me + 1) % THREADS; /* another's chunks die here */
    for (unsigned i = 0; i < KEPT / 2; i++) {
        if (shared[other][i].p != NULL)
            check(*(const char *)shared[other][i].p == (char)other);
        free((void *)(uintptr_t)shared[other][i].p);
        shared[other][i].p = NULL;
    }
    tags_of_places();
    return NULL;
}

/* qemu 7.2 loses a tag when two threads are the first to tag the same page at the same moment (its
 * page_alloc_target_data takes no lock): all pages that they will use have had tags before. With options shards=1 and
 * spare_bytes=64M. */
static void warm(void)
{
    enum { MANY = 4000 };
    static void *all[320 / 16][MANY];
    for (unsigned class = 0; class < 320 / 16; class++)
        for (unsigned i = 0; i < MANY; i++)
            all[class][i] = hide(malloc(16 * class + 8));
    for (unsigned class = 0; class < 320 / 16; class++)
        for (unsigned i = 0; i < MANY; i++)
            free(all[class][i]);
}

static void threads(void)
{
    pthread_t all[THREADS];
    warm();
    check(pthread_barrier_init(&barrier, NULL, THREADS) == 0);
    for (unsigned i = 0; i < THREADS; i++)
        check(pthread_create(&all[i], NULL, work, (void *)(uintptr_t)i) == 0);
    for (unsigned i = 0; i < THREADS; i++)
        check(pthread_join(all[i], NULL) == 0);
    struct pair *p = &shared[0][0];
    size_t count = (size_t)THREADS * KEPT, beside = 0;
    qsort(p, count, sizeof *p, by_address);
    for (size_t i = 1; i < count; i++) {
        if (p[i - 1].p == NULL || address(p[i].p) - address(p[i - 1].p) != SMALLEST)
            continue;
        beside++;
        check(!tagged || tag(p[i].p) != tag(p[i - 1].p));
    }
    check(beside > 20);
    for (size_t i = 0; i < count; i++)
        free((void *)(uintptr_t)p[i].p);
}

static void in_children(void)
{
    int status;
    char *p = hide(malloc(100));
    use(p, 100, 10);
    pid_t child = fork();
    if (child == 0) {
        check(p[99] == 10);
        free(p);
        sizes();
        _exit(7);
    }
    check(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 7);
    free(p);
}

static volatile unsigned ticks;

static void tick(int number)
{
    (void)number;
    char *p = hide(malloc(50)); /* allowed by moat, unless it has interrupted moat itself */
    use(p, 50, 11);
    ticks++;
}

/* A signal's handler is checked, and what it interrupts goes on as it was. */
static void signals(void)
{
    struct sigaction a = {.sa_handler = tick};
    sigset_t only;
    check(sigaction(SIGALRM, &a, NULL) == 0);
    sigemptyset(&only);
    sigaddset(&only, SIGALRM);
    struct itimerval often = {{0, 2000}, {0, 2000}}, never = {{0, 0}, {0, 0}};
    check(setitimer(ITIMER_REAL, &often, NULL) == 0);
    while (ticks < 20) {
        char *p = NULL;
        sigprocmask(SIG_BLOCK, &only, NULL);
        p = hide(malloc(70));
        sigprocmask(SIG_UNBLOCK, &only, NULL);
        use(p, 70, 12);
        sigprocmask(SIG_BLOCK, &only, NULL);
        free(p);
        sigprocmask(SIG_UNBLOCK, &only, NULL);
    }
    check(setitimer(ITIMER_REAL, &never, NULL) == 0);
}

int main(int argc, char **argv)
{
    check(argc == 2);
    tagged = strcmp(argv[1], "on") == 0;
    sizes();
    aligned();
    resized();
    system_calls();
    moats_own();
    threads();
    in_children();
    signals();
    (void)moat_check_heap();
    return 0;
}
