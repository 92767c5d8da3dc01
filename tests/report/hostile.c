/* A report where things go wrong around it: hostile WHAT. Each ends in moat's report and SIGABRT, or as it says. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include "moat/moat.h"

static void say(const char *text)
{
    if (write(1, text, strlen(text)) < 0)
        _exit(9);
}

static __attribute__((noinline)) void double_free(void)
{
    char *volatile p = malloc(40);
    free(p);
    free(p);
}

/* With foreign=warn. */
static __attribute__((noinline)) void warning(void)
{
    static char global[64];
    char *volatile p = global + 16;
    free(p);
}

static void *thread_of(void *what)
{
    ((void (*)(void))what)();
    return NULL;
}

static void in_thread(void (*what)(void))
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, thread_of, (void *)what) != 0 || pthread_join(thread, NULL) != 0)
        _exit(9);
}

/* Callbacks and handlers that leave. */
static sigjmp_buf back;

static void jump(const struct moat_report *report)
{
    (void)report;
    siglongjmp(back, 1);
}

static void jump_out(int number)
{
    (void)number;
    siglongjmp(back, 1);
}

static void end_thread(const struct moat_report *report)
{
    (void)report;
    pthread_exit(NULL);
}

static void free_twice(const struct moat_report *report)
{
    (void)report;
    double_free();
}

static pthread_t other;

static void late(void)
{
    sleep(1);
    double_free();
}

static void wait_for_other(int number)
{
    (void)number;
    pthread_join(other, NULL);
}

static void leave_warning(void)
{
    moat_set_report_callback(jump);
    if (sigsetjmp(back, 1) == 0)
        warning();
    moat_set_report_callback(NULL);
}

static void leave_abort(void)
{
    signal(SIGABRT, jump_out);
    if (sigsetjmp(back, 1) == 0)
        double_free();
    signal(SIGABRT, SIG_DFL);
}

static void warn_and_end(void)
{
    moat_set_report_callback(end_thread);
    warning();
}

static void tell_and_end(void)
{
    moat_set_report_callback(end_thread);
    double_free();
}

/* stderr: nobody reads it, it is full, or it takes only little at a time. */
static int pipe_to_stderr(void)
{
    int ends[2];
    if (pipe(ends) != 0 || dup2(ends[1], 2) != 2)
        _exit(9);
    close(ends[1]);
    return ends[0];
}

static void fill(int fd)
{
    static const char dots[4096] = "................";
    fcntl(fd, F_SETFL, O_NONBLOCK);
    while (write(fd, dots, sizeof dots) > 0)
        ;
    fcntl(fd, F_SETFL, 0);
}

static void forbid(int call)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)call, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct sock_fprog program = {4, filter};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
        _exit(9);
}

/* A reader that lets the pipe be full now and then; what it reads goes to stdout. */
static void slow_reader(bool blocking)
{
    int from = pipe_to_stderr();
    fcntl(2, F_SETPIPE_SZ, 4096);
    fcntl(2, F_SETFL, blocking ? 0 : O_NONBLOCK);
    pid_t child = fork();
    if (child == 0) {
        char dots[3900];
        memset(dots, '.', sizeof dots);
        if (write(2, dots, sizeof dots) != sizeof dots)
            _exit(9);
        double_free();
    }
    close(2);
    char text[512];
    ssize_t n;
    usleep(100000);
    while ((n = read(from, text, sizeof text)) > 0)
        if (write(1, text, (size_t)n) != n)
            _exit(9);
    int status;
    waitpid(child, &status, 0);
    raise(WIFSIGNALED(status) ? WTERMSIG(status) : SIGKILL);
}

/* The first thread's stack is overwritten up to its very end. */
static __attribute__((noinline)) void smash_and_free(char *stack_end)
{
    char *volatile from = (char *)__builtin_frame_address(0) + 64;
    memset(from, 'x', (size_t)(stack_end - from));
    double_free();
}

static char *end_of_stack(void)
{
    FILE *maps = fopen("/proc/self/maps", "r");
    static char line[512];
    uintptr_t low = 0, high = 0;
    while (maps != NULL && fgets(line, sizeof line, maps) != NULL)
        if (strstr(line, "[stack]") != NULL && sscanf(line, "%lx-%lx", &low, &high) == 2)
            break;
    return (char *)high;
}

/* A correct program's own write barrier: its pages in heap memory, its handler. */
static char *barrier_page;
static unsigned faults;

static void lift(int number, siginfo_t *info, void *context)
{
    (void)number;
    (void)context;
    if ((char *)info->si_addr < barrier_page || (char *)info->si_addr >= barrier_page + 4096)
        _exit(8);
    faults++;
    mprotect(barrier_page, 4096, PROT_READ | PROT_WRITE);
}

static void write_barrier(size_t size)
{
    struct sigaction action = {.sa_sigaction = lift, .sa_flags = SA_SIGINFO};
    char *chunk = malloc(size);
    barrier_page = (char *)(((uintptr_t)chunk + 4095) & ~(uintptr_t)4095);
    sigaction(SIGSEGV, &action, NULL);
    for (int i = 0; i < 100000; i++) /* until a chunk is sampled, with which handle_segv=late takes effect */
        free(malloc(100));
    for (int i = 0; i < 5; i++) {
        mprotect(barrier_page, 4096, PROT_READ);
        *(volatile char *)barrier_page = 1;
    }
    mprotect(barrier_page, 4096, PROT_READ | PROT_WRITE);
    free(chunk);
    say(faults == 5 ? "lived\n" : "too few\n");
}

/* A stack in heap memory that runs into the guard the program has made itself: not moat's to explain. */
static void own_guard(size_t size)
{
    char *chunk = malloc(size);
    char *page = (char *)(((uintptr_t)chunk + 4095) & ~(uintptr_t)4095);
    mprotect(page, 4096, PROT_NONE);
    *(volatile char *)(page + 100) = 1;
}

int main(int argc, char **argv)
{
    const struct rlimit no_core = {0, 0}, small = {10, 10};
    const char *what = argc > 1 ? argv[1] : "";
    setrlimit(RLIMIT_CORE, &no_core);
#define CASE(name) if (strcmp(what, name) == 0)
    CASE("plain") double_free();
    CASE("jump-warning-thread")
    {
        leave_warning();
        in_thread(double_free);
    }
    CASE("jump-warning")
    {
        leave_warning();
        double_free();
    }
    CASE("jump-abort-thread")
    {
        leave_abort();
        in_thread(double_free);
    }
    CASE("jump-abort")
    {
        leave_abort();
        double_free();
    }
    CASE("end-in-warning")
    {
        in_thread(warn_and_end);
        moat_set_report_callback(NULL);
        double_free();
    }
    CASE("end-in-report")
    {
        in_thread(tell_and_end);
        moat_set_report_callback(NULL);
        double_free();
    }
    CASE("free-in-callback")
    {
        moat_set_report_callback(free_twice);
        double_free();
    }
    CASE("join-in-abort")
    {
        signal(SIGABRT, wait_for_other);
        if (pthread_create(&other, NULL, thread_of, (void *)late) == 0)
            double_free();
    }
    CASE("no-reader")
    {
        close(pipe_to_stderr());
        double_free();
    }
    CASE("no-reader-warning")
    {
        close(pipe_to_stderr());
        warning();
        say("lived\n");
    }
    CASE("full")
    {
        pipe_to_stderr();
        fill(2);
        double_free();
    }
    CASE("full-warning")
    {
        pipe_to_stderr();
        fill(2);
        warning();
        say("lived\n");
    }
    CASE("slow") slow_reader(true);
    CASE("slow-nonblocking") slow_reader(false);
    CASE("file-limit")
    {
        setrlimit(RLIMIT_FSIZE, &small);
        double_free();
    }
    CASE("no-ioctl")
    {
        forbid(SYS_ioctl);
        double_free();
    }
    CASE("no-open")
    {
        forbid(SYS_openat);
        double_free();
    }
    CASE("smashed") smash_and_free(end_of_stack());
    CASE("barrier-small") write_barrier(65536);
    CASE("barrier-large") write_barrier(1 << 20);
    CASE("own-guard-small") own_guard(65536);
    CASE("own-guard-large") own_guard(1 << 20);
    return 0;
}
