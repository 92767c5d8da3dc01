/* What a checked function must let pass, and what it must not: no bytes, more bytes than there are addresses, sizes
 * that lie, overlapping areas, signal handlers, neighbours that come and go. Linked with libmoat-checked.so. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>
#include <unistd.h>

#include "child.h"
#include "moat/moat.h"

#define EXPECT(what)                                          \
    do {                                                      \
        if (!(what)) {                                        \
            printf("line %d: not so: %s\n", __LINE__, #what); \
            failures++;                                       \
        }                                                     \
    } while (0)

static volatile size_t none, one = 1;
static char global[100];

/* Zero bytes: anywhere. */
static void zero_lengths(void)
{
    char *p = malloc(24), *gone = malloc(3000), *large = malloc(1 << 20), *empty = malloc(none);
    free(gone);
    free(large);
    char *const places[] = {p, p + 24, p + 25, gone, gone + 3000, large, large + (1 << 20), empty, NULL, (char *)1};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        memcpy(places[i], global, none);
        memmove(places[i], global, none);
        memset(places[i], 1, none);
        strncpy(places[i], "x", none);
        (void)!read(-1, places[i], none);
        (void)!snprintf(places[i], none, "%d", 1);
        moat_check(places[i], none, 1);
    }
    void *all[2000]; /* slabs' ends too */
    for (size_t i = 0; i < 2000; i++) {
        all[i] = malloc(504);
        memcpy((char *)all[i] + 504, global, none);
    }
    for (size_t i = 0; i < 2000; i++)
        free(all[i]);
    free(p);
}

static void huge_minus_one(void)
{
    memcpy(malloc(100), global, none - one);
}

static void huge_half(void)
{
    memmove(malloc(100), global, (size_t)PTRDIFF_MAX + one);
}

static void huge_string(void)
{
    strncpy(malloc(100), "x", none - one);
}

static void huge_large(void)
{
    memset(malloc(1 << 20), 0, none - one);
}

static void empty_chunk(void)
{
    memset(malloc(none), 0, one);
}

static void underflow(void)
{
    memset((char *)malloc(100) - one, 0, 3);
}

static void underflow_large(void)
{
    memset((char *)malloc(1 << 20) - one, 0, 3);
}

static void freed_large(void)
{
    char *p = malloc(1 << 20);
    free(p);
    memset(p + 5000, 0, one);
}

static void changed_header(void)
{
    char *volatile p = malloc(100);
    p[-6] = 0; /* slack: the chunk now reaches to its slot's end */
    memset(p, 0, 105);
    p[-6] = (char)0xff;
    memset(p, 0, 100);
}

static void checked_pointer(void)
{
    moat_check((char *)malloc(100) + 50, 51, 0);
}

/* Sizes that lie are no matter as long as little is written. */
static void lies(void)
{
    char *p = malloc(16);
    FILE *f = tmpfile();
    int fd = fileno(f);
    fputs("short\nfifteen letters", f);
    rewind(f);
    EXPECT(snprintf(p, INT_MAX, "%s", "fifteen letters") == 15 && strcmp(p, "fifteen letters") == 0);
    EXPECT(fgets(p, INT_MAX, f) == p && strcmp(p, "short\n") == 0);
    EXPECT(fgets(p, INT_MAX, f) == p && strcmp(p, "fifteen letters") == 0);
    EXPECT(fgets(p, INT_MAX, f) == NULL && feof(f));
    fseek(f, 6, SEEK_SET);
    EXPECT(fread(p, 5, 1000, f) == 3 && memcmp(p, "fifteen letters", 15) == 0);
    EXPECT(pread(fd, p, 1 << 30, 6) == 15);
    lseek(fd, 6, SEEK_SET);
    EXPECT(read(fd, p, 1 << 30) == 15);
    errno = 0;
    EXPECT(read(-1, p, 1 << 30) == -1 && errno == EBADF);
    EXPECT(strlcpy(p, "fifteen letters", 1000) == 15);
    EXPECT(strlcpy(p, "more than fifteen letters", 16) == 25 && strlen(p) == 15);
    EXPECT(memccpy(p, "fifteen letters", 0, 1 << 30) == p + 16);
    fclose(f);
    free(p);
}

static void overlaps(void)
{
    char *p = malloc(100);
    for (int i = 0; i < 100; i++)
        p[i] = (char)i;
    memmove(p + 10, p, 90);
    EXPECT(p[10] == 0 && p[99] == 89 && p[9] == 9);
    memmove(p, p + 10, 90);
    EXPECT(p[0] == 0 && p[89] == 89);
    strcpy(p, "0123456789");
    strcpy(p, p + 3);
    EXPECT(strcmp(p, "3456789") == 0);
    sprintf(p, "%s and more", p);
    EXPECT(strcmp(p, "3456789 and more") == 0);
    free(p);
}

static void answers(void)
{
    char *p = malloc(100), *l = malloc(1 << 20), *a = aligned_alloc(4096, 100), *e = malloc(none), local;
    EXPECT(moat_object_size(p) == 100 && moat_object_size(p + 40) == 60 && moat_object_size(p + 100) == 0);
    EXPECT(moat_object_base(p) == p && moat_object_base(p + 99) == p && moat_object_base(p + 100) == p);
    EXPECT(moat_object_size(l + 5) == (1 << 20) - 5 && moat_object_base(l + 70000) == l);
    EXPECT(moat_object_size(a + 50) == 50 && moat_object_base(a + 50) == a);
    EXPECT(moat_object_size(&local) == SIZE_MAX && moat_object_base(&local) == NULL);
    EXPECT(moat_object_size(global) == SIZE_MAX && moat_object_size(NULL) == SIZE_MAX);
    EXPECT(moat_object_size(e) == 0 && moat_object_base(e) == e);
    EXPECT(moat_object_size(l + (1 << 20)) == 0 && moat_object_base(l + (1 << 20)) == l);
    EXPECT(moat_object_size(p - 1) == 0 && moat_object_base(p - 1) != p);
    moat_check(p + 100, none, 1);
    moat_check(p + 40, 60, 1);
    moat_check(&local, none - one, 1);
    free(p);
    free(l);
    EXPECT(moat_object_size(p) == 0 && moat_object_base(p) == NULL && moat_object_size(p + 50) == 0);
    EXPECT(moat_object_size(l) == 0 && moat_object_base(l) == NULL);
    free(a);
}

/* Threads that copy into their own chunks while others make, resize and free the chunks beside. */
static atomic_bool stop, told_wrong;

static void *copies(void *arg)
{
    static const size_t sizes[] = {24, 100, 504, 3000, 150000};
    unsigned seed = (unsigned)(uintptr_t)arg;
    char *p[8] = {NULL};
    size_t n[8] = {0};
    for (unsigned long turn = 0; !atomic_load_explicit(&stop, memory_order_relaxed); turn++) {
        size_t i = (seed = seed * 1103515245 + 12345) >> 16 & 7;
        size_t now = sizes[(seed >> 20) % 5];
        if (p[i] != NULL && (seed & 256) != 0) {
            free(p[i]);
            p[i] = NULL;
        }
        p[i] = realloc(p[i], now);
        n[i] = now;
        for (size_t j = 0; j < 8; j++) {
            if (p[j] == NULL)
                continue;
            /* Of a large chunk nothing is known while its table's lock is not to be had. */
            size_t left = moat_object_size(p[j] + n[j] / 2);
            if (left != n[j] - n[j] / 2 && (n[j] < 150000 || left != SIZE_MAX))
                atomic_store(&told_wrong, true);
            memset(p[j], (int)turn, n[j]);
            memcpy(p[j] + n[j] / 2, p[j], n[j] - n[j] / 2);
            snprintf(p[j], n[j], "%lu", turn);
        }
        char stack[64]; /* lies between large chunks */
        memcpy(stack, p[i], 24);
    }
    for (size_t i = 0; i < 8; i++)
        free(p[i]);
    return NULL;
}

static char *handled;
static volatile sig_atomic_t signals;

static void handler(int number)
{
    (void)number;
    memcpy(handled, "in a handler", 13);
    moat_check(handled, 13, 0);
    signals++;
}

static void threads(void)
{
    pthread_t t[4];
    handled = malloc(13);
    signal(SIGUSR1, handler);
    for (uintptr_t i = 0; i < 4; i++)
        if (pthread_create(&t[i], NULL, copies, (void *)(i + 1)) != 0)
            abort();
    for (int i = 0; i < 200; i++) {
        pthread_kill(t[i % 4], SIGUSR1);
        usleep(5000);
    }
    stop = true;
    for (int i = 0; i < 4; i++)
        pthread_join(t[i], NULL);
    EXPECT(signals > 0 && !told_wrong);
    free(handled);
}

static void handler_overflows(int number)
{
    (void)number;
    memcpy(handled, "in a handler", 13);
}

static void in_a_handler(void)
{
    handled = malloc(12);
    signal(SIGUSR1, handler_overflows);
    raise(SIGUSR1);
}

static void on_small_stack(void)
{
    char *p = malloc(100), from[] = "text";
    memcpy(p, from, sizeof from);
    (void)!readlink("/proc/self/exe", p, 100);
    (void)!readlinkat(AT_FDCWD, "/proc/self/exe", p, 100);
    (void)!read(-1, p, 100);
    stpcpy(p, from);
    free(p);
}

/* What a signal's handler may call must do with the stack that it may have. */
static void little_stack(void)
{
    enum { SIZE = 65536, MOST = 2048 };
    static unsigned char stack[SIZE] __attribute__((aligned(16)));
    static ucontext_t here, there;
    size_t unused = 0;
    on_small_stack(); /* the loader has found all then, which takes more */
    if (getcontext(&there) != 0)
        abort();
    there.uc_stack = (stack_t){.ss_sp = stack, .ss_size = SIZE};
    there.uc_link = &here;
    makecontext(&there, on_small_stack, 0);
    swapcontext(&here, &there);
    while (unused < SIZE && stack[unused] == 0)
        unused++;
    EXPECT(unused > SIZE - MOST && unused < SIZE);
}

int main(void)
{
    child("zero lengths", zero_lengths, NULL);
    child("SIZE_MAX", huge_minus_one, "heap-buffer-overflow: memcpy writes 18446744073709551615 bytes");
    child("PTRDIFF_MAX + 1", huge_half, "heap-buffer-overflow: memmove writes 9223372036854775808 bytes");
    child("strncpy of SIZE_MAX", huge_string, "heap-buffer-overflow: strncpy writes");
    child("SIZE_MAX, large", huge_large, "heap-buffer-overflow: memset writes");
    child("malloc(0)", empty_chunk, "heap-buffer-overflow: memset writes 1 byte ");
    child("before the start", underflow, "1 byte before the start of");
    child("before a large one's start", underflow_large, "1 byte before the start of a 1048576-byte chunk");
    child("freed large", freed_large, "heap-use-after-free: memset writes 1 byte ");
    child("changed header", changed_header, "heap-buffer-overflow: memset found a changed header");
    child("moat_check", checked_pointer, "heap-buffer-overflow: moat_check reads 51 bytes");
    child("in a handler", in_a_handler, "heap-buffer-overflow: memcpy writes 13 bytes");
    lies();
    overlaps();
    answers();
    threads();
    little_stack();
    printf("%u failures\n", failures);
    return failures != 0;
}
