/* Reports: the exact text, in a child whose stderr is a pipe, and the way it ends. */
#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "diag/report.h"
#include "os/os.h"

extern char mo_report_last[];

static const struct mo_report_chunk chunk = {0x7f1200000018, 24, 32, "live", "malloc", NULL, NULL};
static const struct mo_report_chunk unknown = {0x7f1200000018, SIZE_MAX, 0, NULL, NULL, NULL, NULL};

/* Runs `what` in a child; its stderr is in `text`, its end is returned. A child that hangs dies by SIGALRM. */
struct ended {
    int status;
    pid_t child;
    char text[8192];
};

static struct ended run(void (*what)(void))
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
    return e;
}

static void expect_abort(const struct ended *e)
{
    cr_assert(WIFSIGNALED(e->status) && WTERMSIG(e->status) == SIGABRT, "status %#x, stderr: %s", (unsigned)e->status,
              e->text);
}

/* `wanted` has PID where the child's number stands. The child's one thread has the same. */
static void expect_text(const struct ended *e, const char *wanted)
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
    cr_assert_str_eq(e->text, text);
}

static void expect_report(void (*what)(void), const char *wanted)
{
    struct ended e = run(what);
    expect_abort(&e);
    expect_text(&e, wanted);
}

static size_t occurrences(const char *text, const char *part)
{
    size_t n = 0;
    while ((text = strstr(text, part)) != NULL) {
        n++;
        text += strlen(part);
    }
    return n;
}

static void overflow(void)
{
    mo_report_overflow("free", chunk.address, &chunk, 24, "the first byte past the end is 0x41, not 0x00");
}

Test(report, overflow)
{
    expect_report(overflow,
                  "==PID== moat: heap-buffer-overflow: free found bytes changed past the end of chunk 0x7f1200000018\n"
                  "==PID==     what: 1 byte past the end of a 24-byte chunk (offset 24)\n"
                  "==PID==     chunk: 0x7f1200000018, 24 bytes requested, slot of 32 bytes, live, from malloc\n"
                  "==PID==     evidence: the first byte past the end is 0x41, not 0x00\n"
                  "==PID==     thread: PID\n"
                  "==PID==     usually: a copy or loop wrote more than was asked for; the write came earlier than "
                  "this report\n"
                  "==PID==     next: make it repeat with 'moat run -o seed=1' and watch the changed byte in a "
                  "debugger, or run valgrind\n"
                  "==PID== moat: aborting\n");
}

static void double_free(void)
{
    struct mo_report_chunk freed = chunk;
    freed.state = "waiting in quarantine";
    freed.origin = NULL;
    freed.requested = 1;
    mo_report_double_free("realloc", chunk.address, &freed, PTRDIFF_MIN, "its slot is marked free");
}

Test(report, double_free)
{
    expect_report(double_free,
                  "==PID== moat: double-free: realloc found a second free of chunk 0x7f1200000018\n"
                  "==PID==     chunk: 0x7f1200000018, 1 byte requested, slot of 32 bytes, waiting in quarantine\n"
                  "==PID==     evidence: its slot is marked free\n"
                  "==PID==     thread: PID\n"
                  "==PID==     usually: two parts of the program both believe they own it, or an error path frees "
                  "it again\n"
                  "==PID==     next: make it repeat with 'moat run -o seed=1' and a debugger; valgrind shows both "
                  "frees\n"
                  "==PID== moat: aborting\n");
}

static void bad_free(void)
{
    mo_report_bad_free("free", 0x1000, NULL, PTRDIFF_MIN, NULL);
}

Test(report, bad_free_of_nothing_known)
{
    expect_report(bad_free, "==PID== moat: bad-free: free of 0x1000, which is not the start of a chunk\n"
                            "==PID==     thread: PID\n"
                            "==PID==     usually: a pointer to the stack, to a global or into the middle of a chunk, "
                            "or one from another allocator\n"
                            "==PID==     next: a debugger shows where the pointer came from; 'moat options foreign' "
                            "if it is another allocator's\n"
                            "==PID== moat: aborting\n");
}

static void underflow(void)
{
    mo_report_underflow("malloc", unknown.address, &unknown, -8, "its code does not fit it");
}

Test(report, underflow_of_unknown_size)
{
    expect_report(underflow,
                  "==PID== moat: heap-buffer-overflow: malloc found a changed header before chunk 0x7f1200000018\n"
                  "==PID==     what: 8 bytes before the start of a chunk (offset -8)\n"
                  "==PID==     chunk: 0x7f1200000018\n"
                  "==PID==     evidence: its code does not fit it\n"
                  "==PID==     thread: PID\n"
                  "==PID==     usually: a write before the chunk's start, or past the end of the one before it\n"
                  "==PID==     next: make it repeat with 'moat run -o seed=1' and watch the header in a debugger, or "
                  "run valgrind\n"
                  "==PID== moat: aborting\n");
}

static void write_after_free(void)
{
    mo_report_write_after_free("malloc", chunk.address, &chunk, 5, "it holds 0x41, not 0");
}

static void mismatch(void)
{
    mo_report_mismatch("delete[]", chunk.address, &chunk, PTRDIFF_MIN, "it came from malloc");
}

static void metadata(void)
{
    mo_report_metadata("malloc", UINTPTR_MAX, NULL, 0, "a count and its bitmap disagree");
}

Test(report, first_lines_of_the_others)
{
    struct ended e = run(write_after_free);
    expect_abort(&e);
    cr_expect(strstr(e.text, "== moat: heap-use-after-free: malloc found bytes changed in the freed chunk "
                             "0x7f1200000018\n") != NULL);
    cr_expect(strstr(e.text, "what: 5 bytes into a 24-byte chunk (offset 5)\n") != NULL, "%s", e.text);
    e = run(mismatch);
    expect_abort(&e);
    cr_expect(strstr(e.text, "== moat: alloc-dealloc-mismatch: delete[] of 0x7f1200000018, which was allocated in "
                             "another way\n") != NULL);
    e = run(metadata);
    expect_abort(&e);
    cr_expect(strstr(e.text, "== moat: heap-metadata-corruption: malloc found moat's own tables changed at 0xff") !=
              NULL);
    cr_expect(strstr(e.text, "what: 0 bytes into a chunk (offset 0)\n") != NULL, "%s", e.text);
}

static ptrdiff_t place_offset;
static size_t place_requested;

static void report_place(void)
{
    struct mo_report_chunk c = chunk;
    c.requested = place_requested;
    mo_report_overflow("free", c.address, &c, place_offset, NULL);
}

Test(report, places)
{
    static const struct {
        ptrdiff_t offset;
        size_t requested;
        const char *text;
    } cases[] = {
        {24, 24, "1 byte past the end of a 24-byte chunk (offset 24)"},
        {25, 24, "2 bytes past the end of a 24-byte chunk (offset 25)"},
        {23, 24, "23 bytes into a 24-byte chunk (offset 23)"},
        {1, 24, "1 byte into a 24-byte chunk (offset 1)"},
        {0, 0, "1 byte past the end of a 0-byte chunk (offset 0)"},
        {-1, 24, "1 byte before the start of a 24-byte chunk (offset -1)"},
        {-PTRDIFF_MAX, SIZE_MAX, "9223372036854775807 bytes before the start of a chunk (offset -9223372036854775807)"},
        {40, SIZE_MAX, "40 bytes into a chunk (offset 40)"},
    };
    for (size_t i = 0; i < MO_ARRAY_LEN(cases); i++) {
        if (sizeof(ptrdiff_t) < 8 && cases[i].offset == -PTRDIFF_MAX)
            continue; /* its text is the one of 64 bits */
        place_offset = cases[i].offset;
        place_requested = cases[i].requested;
        struct ended e = run(report_place);
        expect_abort(&e);
        cr_expect(strstr(e.text, cases[i].text) != NULL, "wanted: %s\n%s", cases[i].text, e.text);
    }
}

static void report_long(void)
{
    char detail[5000];
    memset(detail, 'x', sizeof detail);
    detail[sizeof detail - 1] = '\0';
    mo_report_overflow("free", chunk.address, &chunk, 24, detail);
}

/* A text that does not fit is cut, but the last line is whole. */
Test(report, endless_detail_is_cut)
{
    char last[64];
    struct ended e = run(report_long);
    expect_abort(&e);
    snprintf(last, sizeof last, "xx\n==%ld== moat: aborting\n", (long)e.child);
    size_t n = strlen(e.text);
    cr_assert(n > strlen(last) && n < 2048);
    cr_expect_str_eq(e.text + n - strlen(last), last);
}

static void panic(void)
{
    mo_panic("no address space for the tables");
}

Test(report, panic)
{
    expect_report(panic, "==PID== moat: panic: no address space for the tables\n"
                         "==PID==     thread: PID\n"
                         "==PID==     usually: a bug in moat, or no memory where it cannot go on without\n"
                         "==PID==     next: 'moat doctor' shows what this system gives\n"
                         "==PID== moat: aborting\n");
}

static void warn_twice(void)
{
    errno = 77;
    mo_warn("free", 0xabc, "not a chunk of moat's; leaked");
    mo_warn("start", 0, "guards are off");
    if (errno != 77)
        _exit(1);
}

Test(report, warnings_go_on)
{
    struct ended e = run(warn_twice);
    cr_assert(WIFEXITED(e.status) && WEXITSTATUS(e.status) == 0);
    expect_text(&e, "moat: free of 0xabc: not a chunk of moat's; leaked\nmoat: start: guards are off\n");
}

static void warn_long(void)
{
    char detail[1000];
    memset(detail, 'x', sizeof detail);
    detail[sizeof detail - 1] = '\0';
    mo_warn("free", 1, detail);
}

Test(report, endless_warning_is_cut)
{
    struct ended e = run(warn_long);
    size_t n = strlen(e.text);
    cr_assert(n > 100 && n < 1000);
    cr_expect_str_eq(e.text + n - 3, "xx\n");
}

static void handler_shows_last(int signal_number)
{
    static const char mark[] = "handler sees:\n";
    (void)signal_number;
    mo_os_write(2, mark, sizeof mark - 1);
    mo_os_write(2, mo_report_last, strlen(mo_report_last));
}

static void report_with_handler(void)
{
    signal(SIGABRT, handler_shows_last);
    bad_free();
}

/* A crash handler runs and finds the text; the process dies by SIGABRT all the same. */
Test(report, abort_handlers_run_and_the_text_is_kept)
{
    struct ended e = run(report_with_handler);
    expect_abort(&e);
    char *second = strstr(e.text, "handler sees:\n");
    cr_assert_not_null(second, "%s", e.text);
    *second = '\0';
    cr_expect_str_eq(e.text, second + strlen("handler sees:\n"));
}

static void report_with_abort_blocked_and_ignored(void)
{
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    signal(SIGABRT, SIG_IGN);
    bad_free();
}

Test(report, abort_ignored_and_blocked)
{
    struct ended e = run(report_with_abort_blocked_and_ignored);
    expect_abort(&e);
    cr_expect_eq(occurrences(e.text, "moat: aborting\n"), 1);
}

static void handler_reports(int signal_number)
{
    (void)signal_number;
    overflow();
}

static void report_in_report(void)
{
    signal(SIGABRT, handler_reports);
    bad_free();
}

Test(report, a_report_inside_a_report_ends_at_once)
{
    struct ended e = run(report_in_report);
    expect_abort(&e);
    cr_expect_eq(occurrences(e.text, "moat: bad-free:"), 1);
    cr_expect_eq(occurrences(e.text, "heap-buffer-overflow"), 0);
    cr_expect(strstr(e.text, "moat: a second violation during the first one's report: ending\n") != NULL);
}

static void handler_forks(int signal_number)
{
    int status = 0;
    (void)signal_number;
    pid_t child = fork();
    if (child == 0) {
        signal(SIGABRT, SIG_DFL);
        alarm(100);
        overflow();
    }
    waitpid(child, &status, 0);
    static const char aborted[] = "child aborted\n", other[] = "child ended otherwise\n";
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT)
        mo_os_write(2, aborted, sizeof aborted - 1);
    else
        mo_os_write(2, other, sizeof other - 1);
}

static void report_in_a_crash_handlers_child(void)
{
    signal(SIGABRT, handler_forks);
    bad_free();
}

/* The child inherits "a report is going on", but nobody there who ends it: it must not wait. */
Test(report, a_forked_crash_handler_can_report)
{
    struct ended e = run(report_in_a_crash_handlers_child);
    expect_abort(&e);
    cr_expect(strstr(e.text, "moat: heap-buffer-overflow:") != NULL, "%s", e.text);
    cr_expect(strstr(e.text, "child aborted\n") != NULL, "%s", e.text);
}

static pthread_barrier_t all_ready;

static void *report_with_others(void *unused)
{
    (void)unused;
    pthread_barrier_wait(&all_ready);
    overflow();
    return NULL;
}

static void many_report(void)
{
    enum { THREADS = 8 };
    pthread_t thread;
    pthread_barrier_init(&all_ready, NULL, THREADS);
    for (int i = 0; i < THREADS; i++)
        if (pthread_create(&thread, NULL, report_with_others, NULL) != 0)
            _exit(2);
    for (;;)
        pause();
}

Test(report, one_of_many_threads_reports)
{
    for (int i = 0; i < 20; i++) {
        struct ended e = run(many_report);
        expect_abort(&e);
        cr_assert_eq(occurrences(e.text, "moat: heap-buffer-overflow:"), 1, "%s", e.text);
        cr_assert_eq(occurrences(e.text, "moat: aborting\n"), 1, "%s", e.text);
    }
}

static void report_without_stderr(void)
{
    close(2);
    overflow();
}

Test(report, closed_stderr)
{
    struct ended e = run(report_without_stderr);
    expect_abort(&e);
    cr_expect_str_empty(e.text);
}

/* A signal's stack with little more than the kernel itself needs there, and nothing below it. */
static void report_on_a_tiny_stack(void)
{
    struct sigaction action = {.sa_handler = handler_reports, .sa_flags = SA_ONSTACK};
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t least = (size_t)sysconf(_SC_MINSIGSTKSZ) + 4096;
    size_t size = mo_align_up(least, page);
    char *p = mmap(NULL, page + size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED || mprotect(p + page, size, PROT_READ | PROT_WRITE) != 0)
        _exit(2);
    stack_t stack = {.ss_sp = p + page + size - least, .ss_size = least};
    if (sigaltstack(&stack, NULL) != 0 || sigaction(SIGUSR1, &action, NULL) != 0)
        _exit(3);
    raise(SIGUSR1);
}

Test(report, tiny_stack)
{
    struct ended e = run(report_on_a_tiny_stack);
    expect_abort(&e);
    cr_expect_eq(occurrences(e.text, "moat: aborting\n"), 1);
}
