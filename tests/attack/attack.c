#include "attack.h"

#include <dlfcn.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/wait.h>

#include "moat/moat.h"

__attribute__((noreturn, format(printf, 2, 0))) static void end_with(int status, const char *format, va_list ap)
{
    char line[512];
    int n = vsnprintf(line, sizeof line - 1, format, ap);
    if (n < 0 || n > (int)sizeof line - 2)
        n = (int)sizeof line - 2;
    line[n++] = '\n';
    if (write(2, line, (size_t)n) != n)
        _exit(2);
    _exit(status);
}

void fail(const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    end_with(1, format, ap);
}

void not_here(const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    end_with(77, format, ap);
}

const char *word(char **argv, int i)
{
    for (int k = 1; k <= i; k++)
        if (!argv[k])
            fail("%s: argument %d is missing", argv[0], i);
    return argv[i];
}

size_t number(char **argv, int i)
{
    char *end;
    const char *text = word(argv, i);
    size_t n = strtoul(text, &end, 0);
    if (*end || end == text)
        fail("%s: %s is no number", argv[0], text);
    return n;
}

bool word_is(char **argv, int i, const char *expected)
{
    return strcmp(word(argv, i), expected) == 0;
}

void step(const char *name)
{
    char line[64];
    int n = snprintf(line, sizeof line, "step %s\n", name);
    if (write(1, line, (size_t)n) != n)
        _exit(2);
}

int finish(void)
{
    step("end");
    return 0;
}

void *hide(const void *p)
{
    const void *volatile hidden = p;
    return (void *)(uintptr_t)hidden;
}

void *take(size_t n)
{
    const char *align = getenv("ATTACK_ALIGN");
    void *p = align ? aligned_alloc(strtoul(align, NULL, 10), n) : malloc(n);
    if (!p)
        fail("no memory for %zu bytes", n);
    return hide(p);
}

bool all_bytes(const void *p, int value, size_t n)
{
    const unsigned char *b = p;
    for (size_t i = 0; i < n; i++)
        if (b[i] != (unsigned char)value)
            return false;
    return true;
}

void churn(size_t n, size_t pairs)
{
    for (size_t i = 0; i < pairs; i++)
        free(take(n));
}

size_t enough_pairs(size_t n)
{
    size_t by_bytes = ((size_t)2 << 30) / (n + 1);
    return by_bytes < 200000 ? by_bytes : 200000;
}

static sigjmp_buf after_fault;

static void on_fault(int sig)
{
    siglongjmp(after_fault, sig);
}

size_t distance_to_fault(volatile char *p, ptrdiff_t stride, size_t limit, bool write)
{
    struct sigaction now = {.sa_handler = on_fault}, before;
    volatile size_t at = 0;
    size_t pace = (size_t)(stride < 0 ? -stride : stride);
    sigaction(SIGSEGV, &now, &before);
    if (!sigsetjmp(after_fault, 1))
        for (; at < limit; at += pace) {
            volatile char *b = stride < 0 ? p - at : p + at;
            if (write)
                *b = 0x41;
            else
                (void)*b;
        }
    sigaction(SIGSEGV, &before, NULL);
    return at < limit ? at : limit;
}

bool child_reports(void (*body)(void *), void *arg, const char *report)
{
    int ends[2], status;
    char text[4096];
    size_t n = 0;
    if (pipe(ends) != 0)
        fail("pipe");
    pid_t child = fork();
    if (child < 0)
        fail("fork");
    if (child == 0) {
        dup2(ends[1], 2);
        close(ends[0]);
        close(ends[1]);
        body(arg);
        _exit(0);
    }
    close(ends[1]);
    for (ssize_t k; n < sizeof text - 1 && (k = read(ends[0], text + n, sizeof text - 1 - n)) > 0;)
        n += (size_t)k;
    text[n] = 0;
    close(ends[0]);
    if (waitpid(child, &status, 0) != child)
        fail("waitpid");
    if (getenv("ATTACK_ANY_DEATH"))
        return WIFSIGNALED(status);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT && strstr(text, report);
}

/* Open addressing. Dropped entries stay as tombstones, so that a search goes on behind them. */
enum { SET_BITS = 21, SET_SIZE = 1 << SET_BITS };
static uintptr_t set[SET_SIZE];
static const uintptr_t TOMBSTONE = 1;

static size_t set_find(uintptr_t key)
{
    size_t i = (size_t)((uint64_t)key * 0x9e3779b97f4a7c15u >> (64 - SET_BITS));
    for (size_t tries = 0; set[i] && set[i] != key; tries++) {
        if (tries == SET_SIZE)
            fail("the set of addresses is full");
        i = (i + 1) % SET_SIZE;
    }
    return i;
}

bool set_put(const void *p)
{
    size_t i = set_find((uintptr_t)p);
    bool absent = set[i] == 0;
    set[i] = (uintptr_t)p;
    return absent;
}

bool set_drop(const void *p)
{
    size_t i = set_find((uintptr_t)p);
    bool present = set[i] != 0;
    if (present)
        set[i] = TOMBSTONE;
    return present;
}

size_t slot_bytes(size_t n)
{
    typedef int class_stats(size_t, struct moat_class_stats *, size_t);
    class_stats *stats;
    void *symbol = dlsym(RTLD_DEFAULT, "moat_class_stats");
    memcpy(&stats, &symbol, sizeof stats);
    struct moat_class_stats s;
    for (size_t i = 0; symbol && stats(i, &s, sizeof s) == 0; i++)
        if (s.largest >= n)
            return s.slot;
    return 0;
}
