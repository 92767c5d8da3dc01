/* Reports in the states that a process may be in: handlers, threads, closed files, hardly any stack. */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <ucontext.h>

#include "../stack_size.h"
#include "os/os.h"
#include "report_child.h"

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
Test(report_state, abort_handlers_run_and_the_text_is_kept)
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

Test(report_state, abort_ignored_and_blocked)
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

/* The handler's own is written as well, and is the last. */
Test(report_state, a_report_inside_a_report_ends_at_once)
{
    struct ended e = run(report_in_report);
    expect_abort(&e);
    cr_expect_eq(occurrences(e.text, "moat: bad-free:"), 1);
    cr_expect_eq(occurrences(e.text, "moat: heap-buffer-overflow:"), 1);
    cr_expect_eq(occurrences(e.text, "moat: aborting\n"), 2);
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
Test(report_state, a_forked_crash_handler_can_report)
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

Test(report_state, one_of_many_threads_reports)
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

Test(report_state, closed_stderr)
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
#if defined(MO_NO_INTERPOSE) || defined(MO_DEBUG)
    const size_t own = 32768; /* frames of the sanitizers are many times larger */
#else
    const size_t own = 4096;
#endif
    size_t least = least_signal_stack() + own;
    size_t size = mo_align_up(least, page);
    char *p = mmap(NULL, page + size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED || mprotect(p + page, size, PROT_READ | PROT_WRITE) != 0)
        _exit(2);
    stack_t stack = {.ss_sp = p + page + size - least, .ss_size = least};
    if (sigaltstack(&stack, NULL) != 0 || sigaction(SIGUSR1, &action, NULL) != 0)
        _exit(3);
    raise(SIGUSR1);
}

Test(report_state, tiny_stack)
{
    struct ended e = run(report_on_a_tiny_stack);
    expect_abort(&e);
    cr_expect_eq(occurrences(e.text, "moat: aborting\n"), 1);
}

static void access_and_report(int signal_number, siginfo_t *info, void *context)
{
    (void)signal_number;
    (void)info;
    mo_report_access(MO_ACCESS_WILD, MO_ACCESS_READ, 0x10, NULL, NULL, context);
    mo_report_access(MO_ACCESS_WILD, MO_ACCESS_READ, 0x20, NULL, NULL, context);
    overflow();
}

static void survive_two_faults(void)
{
    struct sigaction action = {.sa_sigaction = access_and_report, .sa_flags = SA_SIGINFO};
    sigaction(SIGUSR1, &action, NULL);
    raise(SIGUSR1);
}

/* A fault that the program survives leaves the way free for the next report. */
Test(report_state, one_after_another)
{
    struct ended e = run(survive_two_faults);
    expect_abort(&e);
    cr_expect_eq(occurrences(e.text, "moat: wild-access: a read at 0x10,"), 1, "%s", e.text);
    cr_expect_eq(occurrences(e.text, "moat: wild-access: a read at 0x20,"), 1, "%s", e.text);
    cr_expect_eq(occurrences(e.text, "moat: heap-buffer-overflow:"), 1, "%s", e.text);
}

static void warn_in_a_fork_handler(void)
{
    mo_lock_fork_begin();
    mo_report_warning(true, "free", 0x1000, NULL, "foreign");
    mo_lock_fork_end();
    overflow();
}

/* A thread that forks does not give back the locks it passes; the turn to report is none of them. */
Test(report_state, after_a_warning_in_a_fork_handler)
{
    struct ended e = run(warn_in_a_fork_handler);
    expect_abort(&e);
    cr_expect_eq(occurrences(e.text, "moat: free of 0x1000: foreign\n"), 1, "%s", e.text);
    cr_expect_eq(occurrences(e.text, "moat: heap-buffer-overflow:"), 1, "%s", e.text);
}

static void handler_warns(int signal_number)
{
    static const char mark[] = "handler ends\n";
    (void)signal_number;
    mo_report_warning(true, "free", 0x1000, NULL, "foreign");
    mo_os_write(2, mark, sizeof mark - 1);
}

static void warn_in_a_report(void)
{
    signal(SIGABRT, handler_warns);
    bad_free();
}

static void *warn_alone(void *unused)
{
    handler_warns(0);
    return unused;
}

static void handler_waits_for_another(int signal_number)
{
    pthread_t thread;
    (void)signal_number;
    if (pthread_create(&thread, NULL, warn_alone, NULL) == 0)
        pthread_join(thread, NULL);
}

static void warn_beside_a_report(void)
{
    signal(SIGABRT, handler_waits_for_another);
    bad_free();
}

/* Neither the reporter's own crash handler nor a thread that it waits for hangs by a warning. */
Test(report_state, warnings_do_not_wait_for_a_report)
{
    void (*const both[])(void) = {warn_in_a_report, warn_beside_a_report};
    for (size_t i = 0; i < MO_ARRAY_LEN(both); i++) {
        struct ended e = run(both[i]);
        expect_abort(&e);
        cr_expect_eq(occurrences(e.text, "handler ends\n"), 1, "%s", e.text);
        cr_expect_eq(occurrences(e.text, "0x1000: foreign"), 0, "%s", e.text);
    }
}

/* From now on the kernel answers openat, as reading /proc/self/maps needs it, in this way. */
static void filter_openat(uint32_t answer)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, answer),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {MO_ARRAY_LEN(code), code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
        _exit(10);
}

static void report_where_openat_is_refused(void)
{
    filter_openat(SECCOMP_RET_ERRNO | EACCES);
    overflow();
}

static void report_where_openat_kills(void)
{
    filter_openat(SECCOMP_RET_KILL_PROCESS);
    overflow();
}

Test(report_state, without_proc)
{
    struct ended e = run(report_where_openat_is_refused);
    expect_abort(&e);
    cr_expect(strstr(e.text, "      #0 0x") != NULL && strstr(e.text, "module") == NULL, "%s", e.text);
    cr_expect_eq(occurrences(e.text, "moat: aborting\n"), 1, "%s", e.text);
}

/* What is known without that call has been written by then. */
Test(report_state, in_a_sandbox_that_kills)
{
    struct ended e = run(report_where_openat_kills);
    cr_assert(WIFSIGNALED(e.status) && WTERMSIG(e.status) == SIGSYS, "status %#x", (unsigned)e.status);
    cr_expect(strstr(e.text, "moat: heap-buffer-overflow: free found") != NULL, "%s", e.text);
    cr_expect(strstr(e.text, "    thread: ") != NULL, "%s", e.text);
}

static void warn_where_openat_kills(void)
{
    filter_openat(SECCOMP_RET_KILL_PROCESS);
    mo_report_warning(true, "free", 0x1000, NULL, "foreign");
}

/* A warning is no reason to die. */
Test(report_state, a_warning_in_a_sandbox_that_kills)
{
    struct ended e = run(warn_where_openat_kills);
    cr_assert(WIFEXITED(e.status) && WEXITSTATUS(e.status) == 0, "status %#x", (unsigned)e.status);
    cr_expect_str_eq(e.text, "moat: free of 0x1000: foreign\n");
}
