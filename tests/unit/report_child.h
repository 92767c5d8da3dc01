/* What the tests of reports share: a child whose stderr is a pipe, and what it wrote there. Include it last. */
#ifndef REPORT_CHILD_H
#define REPORT_CHILD_H

#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "diag/report.h"

extern char mo_report_last[];

static const struct mo_report_chunk chunk __attribute__((unused)) = {0x71200018, 24, 32, "live", "malloc", NULL, NULL};
static const struct mo_report_chunk unknown __attribute__((unused)) = {0x71200018, SIZE_MAX, 0, NULL, NULL, NULL, NULL};

/* Runs `what` in a child; its stderr is in `text`, its end is returned. A child that hangs dies by SIGALRM. */
struct ended {
    int status;
    pid_t child;
    char text[32768];
};

static inline struct ended run(void (*what)(void))
{
    static struct ended e;
    int ends[2];
    memset(&e, 0, sizeof e);
    cr_assert_eq(pipe(ends), 0);
    e.child = fork();
    cr_assert_geq(e.child, 0);
    if (e.child == 0) {
        static const struct rlimit no_core = {0, 0};
        setrlimit(RLIMIT_CORE, &no_core);
        signal(SIGABRT, SIG_DFL);
        signal(SIGALRM, SIG_DFL);
        alarm(100);
        dup2(ends[1], 2);
        close(ends[0]);
        close(ends[1]);
        what();
        _exit(0);
    }
    close(ends[1]);
    size_t n = 0;
    ssize_t got;
    while (n < sizeof e.text - 1 && (got = read(ends[0], e.text + n, sizeof e.text - 1 - n)) != 0) {
        cr_assert(got > 0 || errno == EINTR);
        n += got > 0 ? (size_t)got : 0;
    }
    close(ends[0]);
    cr_assert_eq(waitpid(e.child, &e.status, 0), e.child);
#ifdef MOAT_TEST_EMULATOR
    /* Its own words on the end of a child, a line each. */
    for (char *at; (at = strstr(e.text, "qemu: uncaught target signal")) != NULL;) {
        const char *rest = at + strcspn(at, "\n");
        rest += *rest == '\n';
        memmove(at, rest, strlen(rest) + 1);
    }
#endif
    return e;
}

static inline void expect_abort(const struct ended *e)
{
    cr_assert(WIFSIGNALED(e->status) && WTERMSIG(e->status) == SIGABRT, "status %#x, stderr: %s", (unsigned)e->status,
              e->text);
}

/* The text without the lines about stacks and modules, which differ from run to run. */
static inline const char *without_stacks(const char *text)
{
    static char rest[sizeof((struct ended *)0)->text];
    char *to = rest;
    while (*text != '\0') {
        size_t n = strcspn(text, "\n") + 1;
        const char *label = strstr(text, "==     ");
        size_t skip = label != NULL && label < text + n ? (size_t)(label - text) + 7 : 0;
        if (skip == 0 || (strncmp(text + skip, "stack", 5) != 0 && strncmp(text + skip, "  #", 3) != 0 &&
                          strncmp(text + skip, "module: ", 8) != 0)) {
            memcpy(to, text, n);
            to += n;
        }
        text += n;
    }
    *to = '\0';
    return rest;
}

/* `wanted` has PID where the child's number stands. The child's one thread has the same. */
static inline void expect_text(const struct ended *e, const char *wanted)
{
    char text[8192], number[16];
    size_t n = 0;
    snprintf(number, sizeof number, "%ld", (long)e->child);
    while (*wanted != '\0') {
        cr_assert_lt(n, sizeof text - sizeof number);
        if (strncmp(wanted, "PID", 3) == 0) {
            n += (size_t)snprintf(text + n, sizeof text - n, "%s", number);
            wanted += 3;
        } else {
            text[n++] = *wanted++;
        }
    }
    text[n] = '\0';
    cr_assert_str_eq(without_stacks(e->text), text);
}

static inline void expect_report(void (*what)(void), const char *wanted)
{
    struct ended e = run(what);
    expect_abort(&e);
    expect_text(&e, wanted);
}

static inline size_t occurrences(const char *text, const char *part)
{
    size_t n = 0;
    while ((text = strstr(text, part)) != NULL) {
        n++;
        text += strlen(part);
    }
    return n;
}

static inline void overflow(void)
{
    mo_report_overflow("free", chunk.address, &chunk, 24, "the first byte past the end is 0x41, not 0x00");
}

static inline void bad_free(void)
{
    mo_report_bad_free("free", 0x1000, NULL, PTRDIFF_MIN, NULL);
}

#endif
