/* What happens by itself beside the program: files of statistics and heap profile at times, at a signal and at exit;
 * the printing of statistics and the check of the heap at exit. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "api/sight.h"
#include "base/base.h"
#include "diag/sealed.h"
#include "front/front.h"
#include "moat/moat.h"
#include "os/os.h"

enum {
    HIGH_FD = 200,                /* out of the way of programs that count on the numbers below */
    PATH_ROOM = 4 * MO_PATH_SIZE, /* with two numbers */
    PATIENCE = 1000,              /* milliseconds */
};

static struct {
    struct mo_lock lock; /* one file is written at a time */
    long owner;          /* the process whose files they are, unless the path has the number of each */
    bool alone;          /* the process that forks has this one thread of its own */
} watch;

static bool stats_at_exit(void)
{
    return !MO_SMALL && (mo_sealed.options.stats[0] | ('a' ^ 'A')) == 'e';
}

/* The path and the number of option stats or heap_profile. */
static size_t path_of(bool stats, const char **text, size_t *path)
{
    *text = stats ? mo_sealed.options.stats : mo_sealed.options.heap_profile;
    return mo_options_path(*text, strlen(*text), path);
}

/* Writes n bytes of a path with the process's number for the first %p, and what is behind; false when there is none. */
static bool put_path(char *to, const char *text, size_t n, const char *number)
{
    size_t i = 0;
    while (i < n && !(text[i] == '%' && text[i + 1] == 'p'))
        *to++ = text[i++];
    bool found = i < n;
    struct mo_text t = {to, to + PATH_ROOM / 2};
    if (found) {
        mo_text_string(&t, number);
        for (i += 2; i < n; i++)
            *t.at++ = text[i];
    }
    *t.at = '\0';
    return found;
}

/* A daemon's parent has left when the daemon writes; other children leave their parent's files alone. */
static bool is_mine(long process)
{
    if (watch.owner != process && mo_os_thread_lives(watch.owner, watch.owner))
        return false;
    watch.owner = process;
    return true;
}

/* Under another name first, so that no reader sees a part of it. The figures are for a collector of another user to
 * read; addresses are not. */
static void write_file(bool stats)
{
    enum { ROOM = 1 << 20 }; /* the file is smaller */
    if (MO_SMALL)
        return; /* nothing is sampled, and figures are no text */
    char to[PATH_ROOM], by[PATH_ROOM], number[24];
    struct mo_text b = {by, by + sizeof by - 1}, t = {number, number + sizeof number - 1};
    const char *text;
    size_t n;
    (void)path_of(stats, &text, &n);
    if (n == 0)
        return;
    long process = mo_os_process_id();
    int saved = errno;
    mo_text_signed(&t, process);
    *t.at = '\0';
    if ((!put_path(to, text, n, number) && !is_mine(process)) || !mo_lock_for(&watch.lock, PATIENCE))
        return;
    mo_text_string(&b, to);
    mo_text_string(&b, ".");
    mo_text_string(&b, number);
    *b.at = '\0';
    (void)syscall(SYS_unlinkat, AT_FDCWD, by, 0);
    int fd = mo_os_create(by, ROOM);
    bool done = stats ? mo_stats_write(fd, MOAT_STATS_OPENMETRICS) : mo_profile_write(fd);
    if (stats)
        (void)syscall(SYS_fchmod, fd, 0644);
    mo_os_close_file(fd);
    (void)(done ? syscall(SYS_renameat2, AT_FDCWD, by, AT_FDCWD, to, 0) : syscall(SYS_unlinkat, AT_FDCWD, by, 0));
    __atomic_store_n(&watch.lock.word, 0, __ATOMIC_RELEASE); /* not mo_unlock: this may be inside of a fork */
    errno = saved;
}

static void on_signal(int number)
{
    (void)number;
    write_file(false);
}

/* Are there the first thread and one more? */
static bool is_alone(void)
{
    enum { DIRECTORIES = 2, THREADS = 2 };
    struct stat tasks;
    return stat("/proc/self/task", &tasks) == 0 && tasks.st_nlink == DIRECTORIES + THREADS;
}

/* Has every other thread ended, the first one too? Without the writer libc would have ended the process then. */
static bool is_last(void)
{
    char text[128];
    size_t n = mo_os_read_file("/proc/self/stat", text, sizeof text); /* NUMBER (NAME) STATE of the first thread */
    const char *end = n != 0 ? strrchr(text, ')') : NULL;
    return is_alone() && end != NULL && strncmp(end, ") Z", 3) == 0;
}

/* Ends with the process: nobody waits for it. */
static void *write_at_times(void *seconds)
{
    enum { SECOND = 1000 };
    (void)syscall(SYS_prctl, PR_SET_NAME, "moat stats");
    for (uintptr_t left = (uintptr_t)seconds;;) {
        mo_os_pause(SECOND);
        if (is_last())
            exit(0);
        if (--left == 0) {
            write_file(true);
            left = (uintptr_t)seconds;
        }
    }
    return NULL;
}

/* None of the program's signals is for it; faults are its own. */
static void start_thread(void)
{
    uint64_t before, most = ~(1ull << (SIGSEGV - 1) | 1ull << (SIGBUS - 1) | 1ull << (SIGABRT - 1));
    const char *text;
    size_t path, seconds = path_of(true, &text, &path);
    pthread_t thread;
    (void)syscall(SYS_rt_sigprocmask, SIG_SETMASK, &most, &before, sizeof most);
    (void)pthread_create(&thread, NULL, write_at_times, (void *)seconds);
    (void)syscall(SYS_rt_sigprocmask, SIG_SETMASK, &before, NULL, sizeof before);
}

/* A thread is made in a child only where nobody but the writer can have been in the middle of making one. */
static void before_fork(void)
{
    watch.alone = is_alone();
}

static void forked_child(void)
{
    const char *text;
    size_t path;
    watch.lock.word = 0;
    if (watch.alone && path_of(true, &text, &path) != 0)
        start_thread();
}

/* Where statistics and reports go at exit: the file that was stderr at start. Many programs close descriptor 2 on their
 * way out, and some reuse its number for their own files, which must not get our text. */
static struct {
    struct stat file;
    int copy;
    long process; /* the one that was started, not a forked child */
} exit_output = {.copy = -1};

static bool is_exit_output(int fd)
{
    struct stat now;
    return fstat(fd, &now) == 0 && now.st_dev == exit_output.file.st_dev && now.st_ino == exit_output.file.st_ino;
}

static void keep_stderr(void)
{
    if ((stats_at_exit() || mo_sealed.options.check_at_exit != MO_CHECK_OFF) &&
        fstat(STDERR_FILENO, &exit_output.file) == 0)
        exit_output.copy = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, HIGH_FD);
}

static void start_watch(void)
{
    if (MO_SMALL)
        return;
    const char *text;
    size_t path;
    int number = (int)path_of(false, &text, &path);
    struct sigaction now, mine = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    watch.owner = exit_output.process;
    if (number != 0 && sigaction(number, NULL, &now) == 0 && now.sa_handler == SIG_DFL)
        (void)sigaction(number, &mine, NULL);
    bool stats = path_of(true, &text, &path) != 0;
    if (stats || number != 0)
        (void)pthread_atfork(before_fork, NULL, forked_child);
    if (stats)
        start_thread();
}

__attribute__((constructor)) static void start_exit(void)
{
    mo_front_start();
    exit_output.process = mo_os_process_id();
    keep_stderr();
    start_watch();
}

static void print_at_exit(void)
{
    if (!stats_at_exit())
        return;
    if (is_exit_output(STDERR_FILENO))
        moat_stats_print(STDERR_FILENO);
    else if (exit_output.copy >= 0 && is_exit_output(exit_output.copy))
        moat_stats_print(exit_output.copy);
}

static void check_at_exit(void)
{
    size_t when = mo_sealed.options.check_at_exit;
    if (when == MO_CHECK_OFF || (when == MO_CHECK_MAIN && mo_os_process_id() != exit_output.process))
        return;
    if (exit_output.copy >= 0 && is_exit_output(exit_output.copy) && fcntl(STDERR_FILENO, F_GETFD) < 0)
        (void)dup2(exit_output.copy, STDERR_FILENO); /* nobody's any more */
    mo_check_exit();
}

/* Priority 101 is the last of this object's destructors to run; libc runs those of a preloaded library last. */
__attribute__((destructor(101))) static void at_exit(void)
{
    print_at_exit();
    write_file(true);
    write_file(false);
    check_at_exit();
}
