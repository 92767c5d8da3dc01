/* Runs a program and writes what it used: a parent small enough that it does not hide the child's peak RSS.
 *
 * The kernel carries the peak of what a process was before exec over to what it becomes, so a child of a
 * Python interpreter never shows less than the interpreter's own.
 *
 * usage: launch -o FILE [-n TIMES] [-e NAME=VALUE]... [-l SECONDS] [-m MS -r FILE] -- PROGRAM [ARGUMENT]...
 * A line for each run: wall ns, user us, system us, peak RSS KiB, minor faults, major faults, status
 * (as the shell shows it: 128 + the signal).
 * -l: a run that lasts longer is killed, with the processes it started. -m and -r: the program's resident memory
 * every MS milliseconds, from /proc, a line each: ms since its start, KiB. Processes it starts don't count there. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MOST_VARIABLES = 1024 };

extern char **environ;

struct plan {
    int out;
    unsigned limit_seconds;
    long long every_ns; /* between two samples of resident memory; 0: none are taken */
    FILE *samples;
    char **program;
    char **variables;
};

static volatile sig_atomic_t too_late;

static void on_end(int signal)
{
    (void)signal;
    too_late = 1;
}

static long long nanoseconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (long long)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* The second number of statm, in pages; what a zombie has (nothing) is left out. */
static void sample(const struct plan *plan, pid_t child, long long since_ns)
{
    char path[64], line[128];
    snprintf(path, sizeof path, "/proc/%d/statm", (int)child);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    ssize_t n = read(fd, line, sizeof line - 1);
    close(fd);
    long pages = 0;
    line[n > 0 ? n : 0] = '\0';
    if (sscanf(line, "%*d %ld", &pages) == 1 && pages > 0)
        fprintf(plan->samples, "%.1f %ld\n", (double)since_ns / 1e6, pages * (sysconf(_SC_PAGESIZE) / 1024));
}

/* Waits for the child's end. false: it can't be waited for. */
static bool await(const struct plan *plan, pid_t child, long long start, int *status, struct rusage *used)
{
    struct timespec pause = {plan->every_ns / 1000000000, plan->every_ns % 1000000000};
    for (;;) {
        pid_t got = wait4(child, status, plan->every_ns ? WNOHANG : 0, used);
        if (got == child)
            return true;
        if (got < 0 && errno != EINTR)
            return false;
        if (too_late)
            kill(-child, SIGKILL);
        else if (plan->every_ns) {
            sample(plan, child, nanoseconds() - start);
            nanosleep(&pause, NULL);
        }
    }
}

static int spawn(const struct plan *plan, pid_t *child)
{
    posix_spawnattr_t group_of_its_own;
    int error = posix_spawnattr_init(&group_of_its_own);
    if (error)
        return error;
    posix_spawnattr_setflags(&group_of_its_own, POSIX_SPAWN_SETPGROUP);
    error = posix_spawnp(child, plan->program[0], NULL, &group_of_its_own, plan->program, plan->variables);
    posix_spawnattr_destroy(&group_of_its_own);
    return error;
}

static int run_once(const struct plan *plan)
{
    pid_t child;
    too_late = 0;
    alarm(plan->limit_seconds);
    long long start = nanoseconds();
    int error = spawn(plan, &child);
    if (error) {
        fprintf(stderr, "launch: %s: %s\n", plan->program[0], strerror(error));
        return 1;
    }
    int status;
    struct rusage used;
    if (!await(plan, child, start, &status, &used))
        return 1;
    long long wall = nanoseconds() - start;
    alarm(0);
    if (too_late)
        kill(-child, SIGKILL); /* what the program has left behind */
    return dprintf(plan->out, "%lld %lld %lld %ld %ld %ld %d\n", wall,
                   (long long)used.ru_utime.tv_sec * 1000000 + used.ru_utime.tv_usec,
                   (long long)used.ru_stime.tv_sec * 1000000 + used.ru_stime.tv_usec, used.ru_maxrss, used.ru_minflt,
                   used.ru_majflt, WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status)) < 0;
}

static int open_append(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (fd < 0) {
        perror(path);
        exit(1);
    }
    return fd;
}

int main(int argc, char **argv)
{
    static char *variables[MOST_VARIABLES + 1];
    size_t n = 0;
    for (char **v = environ; *v && n < MOST_VARIABLES / 2; v++)
        variables[n++] = *v;
    struct plan plan = {.out = -1, .variables = variables};
    unsigned long times = 1;
    for (int c; (c = getopt(argc, argv, "+o:n:e:l:m:r:")) != -1;) {
        if (c == 'o')
            plan.out = open_append(optarg);
        else if (c == 'n')
            times = strtoul(optarg, NULL, 10);
        else if (c == 'l')
            plan.limit_seconds = (unsigned)strtoul(optarg, NULL, 10);
        else if (c == 'm')
            plan.every_ns = strtoll(optarg, NULL, 10) * 1000000;
        else if (c == 'r')
            plan.samples = fdopen(open_append(optarg), "a");
        else if (c == 'e' && n < MOST_VARIABLES)
            variables[n++] = optarg;
        else
            return 2;
    }
    if (plan.out < 0 || optind == argc || (plan.every_ns > 0) != (plan.samples != NULL)) {
        fputs("usage: launch -o FILE [-n TIMES] [-e NAME=VALUE]... [-l SECONDS] [-m MS -r FILE] -- PROGRAM "
              "[ARGUMENT]...\n",
              stderr);
        return 2;
    }
    static const int ends[] = {SIGALRM, SIGINT, SIGTERM}; /* the program is not in the terminal's group */
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++)
        sigaction(ends[i], &(struct sigaction){.sa_handler = on_end}, NULL); /* no SA_RESTART: wait4 is to return */
    plan.program = argv + optind;
    while (times--)
        if (run_once(&plan))
            return 1;
    return plan.samples && fclose(plan.samples) != 0;
}
