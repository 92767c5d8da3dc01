/* What the unit tests share: children that are expected to die, this program run anew with other options, and what
 * an address allows. Include it last. */
#ifndef CHILD_H
#define CHILD_H

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "diag/sealed.h"

/* The address and thread sanitizers choose addresses themselves and need more memory than a limit allows. */
#ifdef MO_NO_INTERPOSE
enum { SANITIZED = 1 };
#else
enum { SANITIZED = 0 };
#endif

/* For moat_options: no samples. MOAT_SMALL takes none and does not know the word. */
#define UNSAMPLED (MO_SMALL ? "" : "sample_rate=0")

/* How a child ended and what it wrote to stdout and stderr. */
struct child {
    int signal; /* or 0 */
    int code;   /* exit status, -1 after a signal */
    char text[8192];
};

/* The first half of a run: true in the child, whose output is a pipe and which dies by SIGALRM if it hangs. */
static inline bool child_start(pid_t *pid, int ends[2])
{
    cr_assert_eq(pipe(ends), 0);
    *pid = fork();
    cr_assert_geq(*pid, 0);
    if (*pid != 0)
        return false;
    static const struct rlimit no_core = {0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    signal(SIGABRT, SIG_DFL);
    signal(SIGSEGV, SIG_DFL);
    signal(SIGALRM, SIG_DFL);
    alarm(60);
    dup2(ends[1], 1);
    dup2(ends[1], 2);
    close(ends[0]);
    close(ends[1]);
    return true;
}

static inline void child_end(pid_t pid, int ends[2], struct child *c)
{
    size_t n = 0;
    ssize_t got;
    int status;
    close(ends[1]);
    while (n < sizeof c->text - 1 && (got = read(ends[0], c->text + n, sizeof c->text - 1 - n)) != 0) {
        cr_assert(got > 0 || errno == EINTR);
        n += got > 0 ? (size_t)got : 0;
    }
    c->text[n] = 0;
    close(ends[0]);
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    c->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    c->code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Runs what(argument) in a forked child. */
static inline struct child run_child(void (*what)(void *), void *argument)
{
    static struct child c;
    pid_t pid;
    int ends[2];
    if (child_start(&pid, ends)) {
        what(argument);
        _exit(0);
    }
    child_end(pid, ends, &c);
    return c;
}

/* Where an emulator runs the tests (scripts/cross), the kernel can't start this executable by itself. */
static inline void exec_self(void)
{
#ifdef MOAT_TEST_EMULATOR
    char path[1024];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
    path[n > 0 ? n : 0] = 0;
    execlp("env", "env", MOAT_TEST_EMULATOR, path, (char *)NULL);
#else
    execl("/proc/self/exe", "self", (char *)NULL);
#endif
    _exit(127);
}

/* Runs this executable with MOAT_OPTIONS=options and UNIT_SAY=1: a test file that uses it has a constructor that then
 * prints and exits. address_limit: RLIMIT_AS in bytes, or 0. */
static inline struct child run_self(const char *options, size_t address_limit)
{
    static struct child c;
    pid_t pid;
    int ends[2];
    if (child_start(&pid, ends)) {
        struct rlimit limit = {address_limit, address_limit};
        setenv("MOAT_OPTIONS", options, 1);
        setenv("UNIT_SAY", "1", 1);
        if (address_limit != 0)
            setrlimit(RLIMIT_AS, &limit);
        exec_self();
    }
    child_end(pid, ends, &c);
    return c;
}

static inline void expect_report(const struct child *c, const char *words)
{
    cr_expect(c->signal == SIGABRT && strstr(c->text, words) != NULL, "wanted %s; signal %d, code %d: %s", words,
              c->signal, c->code, c->text);
}

static inline void touch_read(void *p)
{
    (void)*(volatile char *)p;
}

static inline void touch_write(void *p)
{
    *(volatile char *)p = 1;
}

static inline bool faults(void (*touch)(void *), uintptr_t p)
{
    return run_child(touch, (void *)p).signal == SIGSEGV;
}

/* The same questions without a child: the kernel reads or writes the byte and refuses where a program would fault. */
static inline bool can_read(uintptr_t p)
{
    int ends[2];
    int saved = errno;
    if (pipe(ends) != 0)
        abort();
    bool can = write(ends[1], (const void *)p, 1) == 1;
    close(ends[0]);
    close(ends[1]);
    errno = saved;
    return can;
}

static inline bool can_write(uintptr_t p)
{
    int ends[2];
    int saved = errno;
    if (pipe(ends) != 0)
        abort();
    bool can = write(ends[1], (const void *)p, 1) == 1 && read(ends[0], (void *)p, 1) == 1;
    close(ends[0]);
    close(ends[1]);
    errno = saved;
    return can;
}

static inline bool all_are(uintptr_t p, size_t n, unsigned char value)
{
    const unsigned char *bytes = (const unsigned char *)p;
    for (size_t i = 0; i < n; i++)
        if (bytes[i] != value)
            return false;
    return true;
}

/* Whole pages of [p, p + n) that are in memory. */
static inline size_t pages_present(uintptr_t p, size_t n)
{
    static unsigned char pages[64 * 256];
    size_t page = mo_sealed.features.page, count = 0;
    uintptr_t first = mo_align_up(p, page), last = mo_align_down(p + n, page);
    cr_assert_leq((last - first) / page, sizeof pages);
    cr_assert_eq(mincore((void *)first, last - first, pages), 0);
    for (size_t i = 0; i < (last - first) / page; i++)
        count += pages[i] & 1;
    return count;
}

/* A small generator of repeatable numbers (xorshift64); *state is not 0. */
static inline uint64_t next_number(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

#endif
