/* A correct program that lives with NULL: whatever the system refuses, each allocation gives memory or NULL and ENOMEM,
 * what was there stays, and the process comes to its end. An argument: confined so. It says what is wrong and exits
 * with 1; else it says how many allocations were refused. Its own output is by write alone. */
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "moat/moat.h"

#include "confine.h"

enum { CHUNKS = 100, THREADS = 2 };

static unsigned refused;

static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void say(const char *format, ...)
{
    char text[200];
    va_list arguments;
    va_start(arguments, format);
    int n = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (write(STDOUT_FILENO, text, (size_t)n) != n)
        _exit(3);
}

__attribute__((noreturn)) static void wrong(const char *what, size_t n)
{
    say("wrong: %s (%zu)\n", what, n);
    _exit(1);
}

/* Is what an allocation gave right? False: it was refused, in order. */
static bool given(const void *p, size_t n, size_t align)
{
    if (p == NULL) {
        if (errno != ENOMEM)
            wrong("NULL without ENOMEM", (size_t)errno);
        __atomic_add_fetch(&refused, 1, __ATOMIC_RELAXED);
        return false;
    }
    if ((uintptr_t)p % align != 0)
        wrong("an alignment", n);
    return true;
}

static void fill(char *p, size_t n, char with)
{
    for (size_t i = 0; i < n; i += i < 64 || i + 64 >= n ? 1 : n > 5000 ? 1000 : 7)
        p[i] = with;
    if (n > 0)
        p[n - 1] = with;
}

static void check(const char *p, size_t n, char with)
{
    if (n > 0 && (p[0] != with || p[n / 2 < 64 ? n / 2 : 63] != with || p[n - 1] != with))
        wrong("contents", n);
}

static char *take(size_t n, unsigned how)
{
    void *p = NULL;
    size_t align = 16;
    errno = 0;
    switch (how % 4) {
    case 0:
        p = malloc(n);
        break;
    case 1:
        p = calloc(n, 1);
        for (size_t i = 0; p != NULL && i<n; i += n> 5000 ? 1000 : 1)
            if (((char *)p)[i] != 0)
                wrong("calloc's memory is not zero", n);
        break;
    case 2:
        p = realloc(NULL, n);
        break;
    default:
        align = 256;
        p = aligned_alloc(align, n);
    }
    return given(p, n, align) ? p : NULL;
}

static void chain(void)
{
    size_t n = 100;
    char *p = malloc(n);
    if (p == NULL)
        return;
    fill(p, n, 'c');
    for (int i = 0; i < 24; i++) {
        size_t want = i < 16 ? n + n / 2 + 100 : n / 2 + 26;
        char *q = realloc(p, want);
        if (!given(q, want, 16)) {
            check(p, n, 'c'); /* as it was */
            continue;
        }
        check(q, 51, 'c'); /* the least that any of them had, filled whole */
        p = q;
        n = want;
        fill(p, n, 'c');
    }
    free(p);
}

/* A size whose pages realloc moves. */
static void move(void)
{
    size_t n = 1500000, more = 4000000;
    char *p = take(n, 0);
    if (p == NULL)
        return;
    fill(p, n, 'm');
    char *q = realloc(p, more);
    if (given(q, more, 16)) {
        check(q, 51, 'm');
        if (q[n - 1] != 'm' || q[n] != 0 || q[more - 1] != 0)
            wrong("what realloc moved", n);
        p = q;
    }
    free(p);
}

static void *work(void *number)
{
    static const size_t sizes[] = {1, 24, 100, 0, 600, 5000, 33, 70000, 140000, 16, 400000, 9000};
    char *chunks[CHUNKS] = {NULL};
    size_t many = sizeof sizes / sizeof sizes[0], lengths[CHUNKS] = {0};
    unsigned first = (unsigned)(uintptr_t)number;
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i < CHUNKS; i++) {
            if (chunks[i] != NULL)
                check(chunks[i], lengths[i], (char)i);
            if (chunks[i] != NULL && (i + round) % 3 != 0) {
                errno = 0;
                free(chunks[i]);
                chunks[i] = NULL;
                if (errno != 0)
                    wrong("free changed errno", (size_t)errno);
            }
            if (chunks[i] != NULL)
                continue;
            lengths[i] = i % 10 == 0 ? sizes[(first + i / 10) % many] : sizes[(first + i) % 7];
            chunks[i] = take(lengths[i], first + i + round);
            if (chunks[i] != NULL)
                fill(chunks[i], lengths[i], (char)i);
        }
    }
    chain();
    for (unsigned i = 0; i < CHUNKS; i++) {
        if (chunks[i] != NULL)
            check(chunks[i], lengths[i], (char)i);
        free(chunks[i]);
    }
    return NULL;
}

static void threads(void)
{
    pthread_t thread[THREADS];
    bool runs[THREADS];
    for (unsigned i = 0; i < THREADS; i++)
        runs[i] = pthread_create(&thread[i], NULL, work, (void *)(uintptr_t)i) == 0;
    for (unsigned i = 0; i < THREADS; i++)
        if (runs[i])
            pthread_join(thread[i], NULL);
}

static void child(void)
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        work((void *)5);
        threads();
        _exit(0);
    }
    if (pid > 0 && (waitpid(pid, &status, 0) != pid || status != 0))
        wrong("the child's status", (size_t)status);
}

int main(int argc, char **argv)
{
    struct moat_stats s;
    if (argc > 1 && !confine(argv[1])) {
        say("not to be had\n");
        return 77;
    }
    bool alone = argc > 1 && strcmp(argv[1], "sshd") == 0; /* no threads, no children there */
    work((void *)0);
    move();
    if (!alone)
        threads();
    moat_purge();
    if (!alone) {
        child();
        threads();
    }
    malloc_trim(0);
    if (moat_stats(&s, sizeof s) != 0)
        wrong("no statistics", 0);
    (void)moat_check_heap();
    say("refused %u\n", refused);
    return 0;
}
