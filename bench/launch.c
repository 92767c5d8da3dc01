/* Runs a program and writes what it used: a parent small enough that it does not hide the child's peak RSS.
 *
 * The kernel carries the peak of what a process was before exec over to what it becomes, so a child of a
 * Python interpreter never shows less than the interpreter's own.
 *
 * usage: launch -o FILE [-n TIMES] [-e NAME=VALUE]... -- PROGRAM [ARGUMENT]...
 * A line for each run: wall ns, user us, system us, peak RSS KiB, minor faults, major faults, status
 * (as the shell shows it: 128 + the signal). */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MOST_VARIABLES = 1024 };

extern char **environ;

static long long nanoseconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (long long)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int run_once(int out, char **program, char **variables)
{
    pid_t child;
    long long start = nanoseconds();
    int error = posix_spawnp(&child, program[0], NULL, NULL, program, variables);
    if (error) {
        fprintf(stderr, "launch: %s: %s\n", program[0], strerror(error));
        return 1;
    }
    int status;
    struct rusage used;
    while (wait4(child, &status, 0, &used) < 0)
        if (errno != EINTR)
            return 1;
    long long wall = nanoseconds() - start;
    return dprintf(out, "%lld %lld %lld %ld %ld %ld %d\n", wall,
                   (long long)used.ru_utime.tv_sec * 1000000 + used.ru_utime.tv_usec,
                   (long long)used.ru_stime.tv_sec * 1000000 + used.ru_stime.tv_usec, used.ru_maxrss, used.ru_minflt,
                   used.ru_majflt, WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status)) < 0;
}

int main(int argc, char **argv)
{
    static char *variables[MOST_VARIABLES + 1];
    size_t n = 0;
    for (char **v = environ; *v && n < MOST_VARIABLES / 2; v++)
        variables[n++] = *v;
    const char *file = NULL;
    unsigned long times = 1;
    for (int c; (c = getopt(argc, argv, "+o:n:e:")) != -1;) {
        if (c == 'o')
            file = optarg;
        else if (c == 'n')
            times = strtoul(optarg, NULL, 10);
        else if (c == 'e' && n < MOST_VARIABLES)
            variables[n++] = optarg;
        else
            return 2;
    }
    if (!file || optind == argc) {
        fputs("usage: launch -o FILE [-n TIMES] [-e NAME=VALUE]... -- PROGRAM [ARGUMENT]...\n", stderr);
        return 2;
    }
    int out = open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (out < 0) {
        perror(file);
        return 1;
    }
    while (times--)
        if (run_once(out, argv + optind, variables))
            return 1;
    return 0;
}
