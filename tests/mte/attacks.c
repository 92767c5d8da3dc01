/* Attacks on chunks with memory tags, each in children of its own: when is it noticed?
 *
 * attacks MODE RUNS [NAME]    MODE is what option mte says: off, async or sync; NAME: that attack alone
 *
 * For an aarch64 CPU with memory tags. Prints a row for each attack: how many of RUNS children (a dozen at least where
 * chance decides) ended at the access, at a later free, at reuse, or not at all; fails where that is not as it must
 * be. */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum moment { ACCESS, FREE, REUSE, NOTHING, MOMENTS };
static const char *const moments[] = {"access", "free", "reuse", "no"};
static volatile enum moment *now; /* shared with the child */
static volatile char seen;

enum { OTHERS = 1000, TRIES = 200000, DOZEN = 12 };

static void *hide(void *p)
{
    __asm__ volatile("" : "+r"(p));
    return p;
}

static char *take(size_t n)
{
    char *p = hide(malloc(n));
    if (p == NULL)
        _exit(90);
    memset(p, 0x11, n);
    return p;
}

static uintptr_t address(const void *p)
{
    return (uintptr_t)p & ~((uintptr_t)0xff << 56);
}

/* A fault that is told late has been told when this returns. */
static void after_access(void)
{
    (void)getppid();
    *now = FREE;
}

static void do_read(const char *p)
{
    *now = ACCESS;
    seen = *(const volatile char *)p;
    after_access();
}

/* What does not fault must change the byte: one of a tail or a MAC is 0x41 by chance. */
static bool faults;

static void do_write(char *p)
{
    *now = ACCESS;
    *(volatile char *)p = (char)(faults ? 0x41 : *(volatile char *)p ^ 0x41);
    after_access();
}

static void do_free(void *p)
{
    *now = FREE;
    free(hide(p));
}

/* The chunk that gets p's place again. `lives` of the same place end before. */
static char *reused(char *p, size_t n, unsigned lives)
{
    for (unsigned i = 0; i < TRIES; i++) {
        char *q = take(n);
        if (address(q) == address(p) && lives-- == 1)
            return q;
        free(q);
    }
    _exit(91);
}

static void others(size_t n)
{
    for (unsigned i = 0; i < OTHERS; i++)
        free(take(n));
}

/* Further frees and allocations, so that what looks late has its time. */
static void end(char *p, size_t n)
{
    if (p != NULL)
        do_free(p);
    *now = REUSE;
    others(n);
}

static void over_read(size_t n, ptrdiff_t by)
{
    char *p = take(n);
    do_read(p + (ptrdiff_t)n - 1 + by);
    end(p, n);
}

static void over_write(size_t n, ptrdiff_t by)
{
    char *p = take(n);
    do_write(p + (ptrdiff_t)n - 1 + by);
    end(p, n);
}

static void over_run(size_t n, ptrdiff_t by)
{
    char *p = take(n);
    *now = ACCESS;
    for (ptrdiff_t i = 0; i < by; i++)
        ((volatile char *)p)[(ptrdiff_t)n + i] = 0x41;
    after_access();
    end(p, n);
}

static void under_read(size_t n, ptrdiff_t by)
{
    char *p = take(n);
    do_read(p - by);
    end(p, n);
}

/* Of the first chunk in a slab, before which no slot is. */
static void first_read(size_t n, ptrdiff_t by)
{
    enum { SLAB = 1 << 16 };
    for (unsigned i = 0; i < 4 * OTHERS; i++) {
        char *p = take(n);
        if (address(p) % SLAB >= 2 * 8 + n)
            continue;
        do_read(p - by);
        end(p, n);
        return;
    }
    _exit(93);
}

static void under_write(size_t n, ptrdiff_t by)
{
    char *p = take(n);
    do_write(p - by);
    end(p, n);
}

/* From one of many chunks into another one, which is neither itself nor the one beside it. */
static void far_read(size_t n, ptrdiff_t by)
{
    char *all[OTHERS];
    (void)by;
    for (unsigned i = 0; i < OTHERS; i++)
        all[i] = take(n);
    char *p = all[0], *q = p;
    for (unsigned i = 1; i < OTHERS && (uintptr_t)llabs((long long)(address(q) - address(p))) < 4 * (n + 24); i++)
        q = all[i];
    do_read(p + (address(q) - address(p)));
    end(NULL, n);
}

static void stale_read(size_t n, ptrdiff_t by)
{
    char *p = take(n);
    free(p);
    do_read(p + by);
    end(NULL, n);
}

static void stale_write(size_t n, ptrdiff_t by)
{
    char *p = take(n);
    free(p);
    do_write(p + by);
    end(NULL, n);
    for (unsigned i = 0; i < OTHERS; i++)
        (void)take(n); /* all that waits */
}

static void later_read(size_t n, ptrdiff_t by)
{
    (void)by;
    char *p = take(n), *keep = take(n);
    free(p);
    for (unsigned i = 0; i < OTHERS / 8; i++)
        free(take(n));
    free(keep);
    do_read(p);
    end(NULL, n);
}

/* By a pointer to the life before (1), or to one before that, into a place that is in use again. */
static void reused_read(size_t n, ptrdiff_t lives)
{
    char *p = take(n);
    free(p);
    (void)reused(p, n, (unsigned)lives);
    do_read(p);
    end(NULL, n);
}

static void reused_write(size_t n, ptrdiff_t lives)
{
    char *p = take(n);
    free(p);
    char *q = reused(p, n, (unsigned)lives);
    do_write(p);
    end(q, n);
}

static void double_free(size_t n, ptrdiff_t by)
{
    (void)by;
    char *p = take(n);
    free(p);
    do_free(p);
    end(NULL, n);
}

static void stale_free(size_t n, ptrdiff_t lives)
{
    char *p = take(n);
    free(p);
    (void)reused(p, n, (unsigned)lives);
    do_free(p);
    end(NULL, n);
}

static void stale_realloc(size_t n, ptrdiff_t lives)
{
    char *p = take(n);
    free(p);
    (void)reused(p, n, (unsigned)lives);
    *now = FREE;
    if (realloc(hide(p), n + 1) == NULL)
        _exit(92);
    end(NULL, n);
}

/* A pointer that was made of a number that had no tag. */
static void forged_read(size_t n, ptrdiff_t by)
{
    char *p = take(n);
    do_read((char *)address(p) + by);
    end(p, n);
}

/* What must be: all at this moment; most of them, as chance lets a few pass; noticed at some moment; or anything. */
enum must { ALL, MOST, NOTICED, ANY };
struct expect {
    enum moment moment;
    enum must must;
};

struct attack {
    const char *name;
    void (*run)(size_t, ptrdiff_t);
    size_t n;
    ptrdiff_t by;
    struct expect off, on; /* without tags; with them */
    const char *report;    /* with sync: the bug that the report names */
};

#define OVER  "heap-buffer-overflow"
#define STALE "heap-use-after-free"
#define TWICE "double-free"
static const struct attack attacks[] = {
    {"read 1 byte past 24", over_read, 24, 1, {NOTHING, ALL}, {NOTHING, ALL}, NULL},
    {"read 9 bytes past 24", over_read, 24, 9, {NOTHING, ALL}, {ACCESS, ALL}, OVER},
    {"read 1 byte past 96", over_read, 96, 1, {NOTHING, ALL}, {ACCESS, ALL}, OVER},
    {"read 16 bytes past 100", over_read, 100, 16, {NOTHING, ALL}, {ACCESS, ALL}, OVER},
    {"read 64 bytes past 1000", over_read, 1000, 64, {NOTHING, ALL}, {ACCESS, ALL}, OVER},
    {"write 1 byte past 24", over_write, 24, 1, {FREE, ALL}, {FREE, ALL}, OVER},
    {"write 1 byte past 30", over_write, 30, 1, {FREE, ALL}, {FREE, ALL}, OVER},
    {"write 3 bytes past 30", over_write, 30, 3, {FREE, ALL}, {ACCESS, ALL}, OVER},
    {"write 1 byte past 96", over_write, 96, 1, {FREE, ALL}, {ACCESS, ALL}, OVER},
    {"write 1 byte past 5008", over_write, 5008, 1, {FREE, ALL}, {ACCESS, ALL}, OVER},
    {"write 1 byte past 100000", over_write, 100000, 1, {FREE, ALL}, {ACCESS, ALL}, OVER},
    {"run 16 bytes past 24", over_run, 24, 16, {FREE, NOTICED}, {ACCESS, ALL}, OVER},
    {"run 16 bytes past 100", over_run, 100, 16, {FREE, NOTICED}, {ACCESS, ALL}, OVER},
    {"run 40 bytes past 1000", over_run, 1000, 40, {FREE, NOTICED}, {ACCESS, ALL}, OVER},
    {"run 40 bytes past 100000", over_run, 100000, 40, {FREE, NOTICED}, {ACCESS, ALL}, OVER},
    {"read 1 byte before 24", under_read, 24, 1, {NOTHING, ALL}, {ACCESS, ALL}, OVER},
    {"read 16 bytes before 1000", under_read, 1000, 16, {NOTHING, ALL}, {ACCESS, ALL}, OVER},
    {"read 16 bytes before a slab's first chunk", first_read, 1000, 16, {NOTHING, ALL}, {ACCESS, ALL}, OVER},
    {"write 1 byte before 24", under_write, 24, 1, {FREE, ALL}, {ACCESS, ALL}, OVER},
    {"write 8 bytes before 5000", under_write, 5000, 8, {FREE, ALL}, {ACCESS, ALL}, OVER},
    {"read far from a chunk of 100", far_read, 100, 0, {NOTHING, ALL}, {ACCESS, MOST}, NULL},
    {"read a freed chunk of 24", stale_read, 24, 0, {NOTHING, ALL}, {ACCESS, ALL}, NULL},
    {"read the last byte of a freed chunk of 24", stale_read, 24, 23, {NOTHING, ALL}, {ACCESS, ALL}, NULL},
    {"read a freed chunk of 5000", stale_read, 5000, 2500, {NOTHING, ALL}, {ACCESS, ALL}, NULL},
    {"write a freed chunk of 24", stale_write, 24, 5, {REUSE, ALL}, {ACCESS, ALL}, NULL},
    {"write a freed chunk of 100000", stale_write, 100000, 50000, {REUSE, ANY}, {ACCESS, ALL}, STALE},
    {"the same after other frees", later_read, 100, 0, {NOTHING, ALL}, {ACCESS, ALL}, NULL},
    {"read when in use again", reused_read, 24, 1, {NOTHING, ALL}, {ACCESS, ALL}, NULL},
    {"write when in use again", reused_write, 100, 1, {NOTHING, ALL}, {ACCESS, ALL}, NULL},
    {"read three lives later", reused_read, 24, 3, {NOTHING, ALL}, {ACCESS, MOST}, NULL},
    {"free twice", double_free, 100, 0, {FREE, ALL}, {FREE, ALL}, TWICE},
    {"free when in use again", stale_free, 100, 1, {NOTHING, ALL}, {FREE, ALL}, TWICE},
    {"free three lives later", stale_free, 100, 3, {NOTHING, ALL}, {FREE, MOST}, NULL},
    {"realloc when in use again", stale_realloc, 100, 1, {NOTHING, ALL}, {FREE, ALL}, TWICE},
    {"read by a pointer without a tag", forged_read, 100, 0, {NOTHING, ALL}, {ACCESS, ALL}, NULL},
};

/* What a child says goes here. */
static char words[16384];

static enum moment one(const struct attack *a)
{
    int out[2], status;
    if (pipe(out) != 0)
        exit(2);
    *now = NOTHING;
    pid_t child = fork();
    if (child == 0) {
        dup2(out[1], STDERR_FILENO);
        a->run(a->n, a->by);
        _exit(0);
    }
    close(out[1]);
    size_t n = 0;
    ssize_t got;
    while ((got = read(out[0], words + n, sizeof words - 1 - n)) > 0 || (got < 0 && errno == EINTR))
        n += got > 0 ? (size_t)got : 0;
    words[n] = '\0';
    close(out[0]);
    if (waitpid(child, &status, 0) != child)
        exit(2);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return NOTHING;
    bool reported = strstr(words, "moat: ") != NULL;
    if (!WIFSIGNALED(status) || !reported ||
        WTERMSIG(status) != (*now == ACCESS && strstr(words, "the fault takes") != NULL ? SIGSEGV : SIGABRT)) {
        fprintf(stderr, "%s: status %#x at %s\n%s\n", a->name, (unsigned)status, moments[*now], words);
        exit(1);
    }
    return *now;
}

static bool is_right(const struct expect *e, const unsigned *count, unsigned runs)
{
    switch (e->must) {
    case ALL:
        return count[e->moment] == runs;
    case MOST: /* 1 in 12 to 1 in 15 pass: two thirds of a dozen do so once in a million times */
        return count[e->moment] * 3 > runs && count[e->moment] + count[NOTHING] == runs;
    case NOTICED:
        return count[NOTHING] == 0;
    default:
        return true;
    }
}

int main(int argc, char **argv)
{
    if (argc != 3 && argc != 4)
        return 2;
    bool on = strcmp(argv[1], "off") != 0, sync = strcmp(argv[1], "sync") == 0, good = true;
    unsigned runs = (unsigned)atoi(argv[2]);
    now = mmap(NULL, sizeof *now, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (now == MAP_FAILED || runs == 0 || setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0}) != 0)
        return 2;
    for (size_t i = 0; i < sizeof attacks / sizeof attacks[0]; i++) {
        const struct attack *a = &attacks[i];
        if (argc == 4 && strcmp(argv[3], a->name) != 0)
            continue;
        const struct expect *e = on ? &a->on : &a->off;
        faults = e->moment == ACCESS;
        unsigned count[MOMENTS] = {0}, named = 0, times = e->must == MOST && runs < DOZEN ? DOZEN : runs;
        for (unsigned r = 0; r < times; r++) {
            count[one(a)]++;
            named += a->report != NULL && strstr(words, a->report) != NULL;
        }
        bool right = is_right(e, count, times) && (!sync || a->report == NULL || named == times);
        printf("%s | %u | %u | %u | %u%s\n", a->name, count[ACCESS], count[FREE], count[REUSE], count[NOTHING],
               right ? "" : " WRONG");
        if (!right)
            fprintf(stderr, "%s: must be noticed at %s; last words:\n%s\n", a->name, moments[e->moment], words);
        good = good && right;
    }
    return good ? 0 : 1;
}
