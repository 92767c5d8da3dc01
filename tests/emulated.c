/* What a kernel does that an emulator of programs may not: the names of all that is lacking, a line each, after a line
 * with an address. tests/emulated.cmake says which tests need what. ADDRESS: that line of another run. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include "interrupted.h"

enum { PIECE = 65536, GUARD_INSTALL = 102, POPULATE_WRITE = 23, MIB = 1 << 20 };

static char *map(size_t n)
{
    char *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return p != MAP_FAILED ? p : NULL;
}

/* The status of a child that does this. */
static int in_child(void (*what)(char *), char *p)
{
    int status;
    pid_t child = fork();
    if (child == 0) {
        static const struct rlimit no_core = {0, 0};
        setrlimit(RLIMIT_CORE, &no_core);
        signal(SIGSEGV, SIG_DFL);
        what(p);
        _exit(0);
    }
    if (child < 0 || waitpid(child, &status, 0) != child)
        exit(EXIT_FAILURE);
    return status;
}

static bool faults(void (*what)(char *), char *p)
{
    int status = in_child(what, p);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV;
}

static void leave_with_first(char *p)
{
    _exit(*p);
}

static void write_first(char *p)
{
    *(volatile char *)p = 1;
}

static bool wipe_on_fork(void)
{
    char *p = map(PIECE);
    *p = 7;
    return madvise(p, PIECE, MADV_WIPEONFORK) != 0 || in_child(leave_with_first, p) == 0;
}

static bool guard_install(void)
{
    char *p = map(PIECE);
    return madvise(p, PIECE, GUARD_INSTALL) != 0 || faults(write_first, p);
}

static bool holes(void)
{
    char *p = map(3 * PIECE);
    munmap(p + PIECE, PIECE);
    return mprotect(p + PIECE, PIECE, PROT_READ) != 0 &&
           mremap(p + PIECE, PIECE, (size_t)2 * PIECE, MREMAP_MAYMOVE) == MAP_FAILED;
}

static void map_beyond_limits(char *unused)
{
    static const struct rlimit data = {4096, 4096}, all = {64 * MIB, 64 * MIB};
    (void)unused;
    setrlimit(RLIMIT_AS, &all);
    bool followed = map((size_t)256 * MIB) == NULL;
    setrlimit(RLIMIT_DATA, &data);
    _exit(followed && map(PIECE) == NULL ? 0 : 1);
}

static bool limits(void)
{
    return in_child(map_beyond_limits, NULL) == 0;
}

static char use_stack(size_t n)
{
    volatile char here[4096];
    here[0] = 1;
    return n > 0 ? (char)(use_stack(n - 1) + here[0]) : here[0];
}

static void use_two_mib(char *unused)
{
    static const struct rlimit small = {MIB, MIB};
    (void)unused;
    setrlimit(RLIMIT_STACK, &small);
    _exit(use_stack(2 * MIB / 4096));
}

static bool stack_limit(void)
{
    return faults(use_two_mib, NULL);
}

static void filter_calls(char *unused)
{
    struct sock_filter all[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    struct sock_fprog program = {1, all};
    (void)unused;
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    _exit(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0 ? 0 : 1);
}

static bool seccomp(void)
{
    return in_child(filter_calls, NULL) == 0;
}

static bool populate(void)
{
    unsigned char present[PIECE / 4096] = {0};
    char *p = map(PIECE);
    return madvise(p, PIECE, POPULATE_WRITE) != 0 || (mincore(p, PIECE, present) == 0 && (present[0] & 1) != 0);
}

/* Does the kernel say that huge pages are asked for, for the mapping at p? */
static bool huge_pages_asked(const char *p)
{
    char line[512];
    bool mine = false, asked = false;
    FILE *f = fopen("/proc/self/smaps", "r");
    while (f != NULL && fgets(line, sizeof line, f) != NULL) {
        uintptr_t from, to;
        if (sscanf(line, "%zx-%zx ", &from, &to) == 2)
            mine = (uintptr_t)p + MIB >= from && (uintptr_t)p + MIB < to;
        else if (mine && strncmp(line, "VmFlags:", 8) == 0)
            asked = strstr(line, " hg") != NULL;
    }
    if (f != NULL)
        fclose(f);
    return asked;
}

/* An emulator's own mapping may lie, by chance, at the address that it gives: then they seem asked for before. */
static bool huge_pages(void)
{
    char *p = map(8 * MIB);
    bool before = huge_pages_asked(p);
    if (madvise(p, 8 * MIB, MADV_HUGEPAGE) != 0)
        return true; /* there are none, which is said */
    return !before && huge_pages_asked(p);
}

static bool reservation(void)
{
    uint64_t wanted = (uint64_t)64 << 30;
    return wanted <= SIZE_MAX &&
           mmap(NULL, (size_t)wanted, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) != MAP_FAILED;
}

static void write_interrupted(char *unused)
{
    static const struct itimerval often = {{0, 500}, {0, 500}};
    static char text[4096];
    struct sigaction action = {.sa_handler = on_alarm};
    int ends[2];
    pthread_t reader;
    void *sum;
    (void)unused;
    sigaction(SIGALRM, &action, NULL);
    if (pipe(ends) != 0 || pthread_create(&reader, NULL, read_slowly, &ends[0]) != 0)
        _exit(1);
    setitimer(ITIMER_REAL, &often, NULL);
    for (size_t written = 0; written < MUCH;) {
        ssize_t n = write(ends[1], text, sizeof text);
        written += n > 0 ? (size_t)n : 0;
    }
    close(ends[1]);
    pthread_join(reader, &sum);
    _exit((uintptr_t)sum == MUCH ? 0 : 1);
}

/* Signals for one thread leave another's registers alone. */
static bool thread_signals(void)
{
    return in_child(write_interrupted, NULL) == 0;
}

#if defined(__i386__) || defined(__x86_64__)
static void leave_if_said(int number, siginfo_t *info, void *ucontext)
{
    enum { PAGE_FAULT = 14 };
    const ucontext_t *u = ucontext;
    (void)number, (void)info;
    _exit(u->uc_mcontext.gregs[REG_TRAPNO] == PAGE_FAULT ? 0 : 1);
}

static void write_read_only(char *p)
{
    struct sigaction action = {.sa_sigaction = leave_if_said, .sa_flags = SA_SIGINFO};
    sigaction(SIGSEGV, &action, NULL);
    mprotect(p, PIECE, PROT_READ);
    *p = 1;
}

static bool page_fault(void)
{
    int status = in_child(write_read_only, map(PIECE));
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}
#endif

static void *nothing(void *unused)
{
    return unused;
}

static void make_a_thread(int number)
{
    pthread_t thread;
    (void)number;
    if (pthread_create(&thread, NULL, nothing, NULL) == 0)
        pthread_join(thread, NULL);
}

static void abort_with_a_handler(char *unused)
{
    (void)unused;
    signal(SIGABRT, make_a_thread);
    abort();
}

static bool abort_after_thread(void)
{
    int status = in_child(abort_with_a_handler, NULL);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        bool (*is_there)(void);
    } all[] = {
        {"wipe_on_fork", wipe_on_fork},
        {"guard_install", guard_install},
        {"holes", holes},
        {"limits", limits},
        {"stack_limit", stack_limit},
        {"seccomp", seccomp},
        {"populate", populate},
        {"huge_pages", huge_pages},
        {"reservation", reservation},
        {"thread_signals", thread_signals},
        {"abort_after_thread", abort_after_thread},
#if defined(__i386__) || defined(__x86_64__)
        {"page_fault", page_fault},
#endif
    };
    char here[32];
    snprintf(here, sizeof here, "%p", (void *)map(PIECE));
    printf("%s\n", here);
    if (argc > 1 && strcmp(argv[1], here) == 0)
        printf("random_addresses\n");
    fflush(stdout);
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        if (!all[i].is_there())
            printf("%s\n", all[i].name);
        fflush(stdout);
    }
    return 0;
}
