/* The children of a fork server: which side of their pages chunks lie on, and option sample_forked. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/resource.h>
#include <sys/wait.h>

#include "moat/moat.h"
#include "program.h"

enum { PERIOD = 64, PERIODS = 9 };

APART static char *volatile_chunk(size_t n)
{
    char *volatile p = malloc(n);
    return p;
}

static char before(void)
{
    volatile char *p = volatile_chunk(64);
    return p[-1];
}

/* Freed memory: what it reads there, and that a stale write is found at the exit. */
static char stale(size_t n, int writes)
{
    char *volatile p = volatile_chunk(n);
    memset(p, 1, n);
    free(p);
    char read = p[5];
    if (writes)
        p[7] = 1;
    return read;
}

/* Ends by the status that the child has read, or by a signal. */
static int child_of(int i)
{
    pid_t pid = fork();
    if (pid == 0) {
        int none = open("/dev/null", O_WRONLY);
        dup2(none, STDERR_FILENO);
        exit(i % 64 == 63 ? stale(41, 0) : i % 64 == 1 ? stale(40, 1) : i % 2 == 1 ? stale(40, 0) : before() * 0);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

/* A line for each 64 children: of 32 that read before a chunk how many ended by it; of 30 that read freed memory of a
 * place that all have, how many by that, and what the last of the others read; of one that wrote to it; of one that
 * read it in a place that few have. */
int forks(void)
{
    if (setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0}) != 0) /* hundreds of children end by a signal */
        return 1;
    for (int period = 0; period < PERIODS; period++) {
        int near = 0, common = 0, written = 0, rare = 0, read = -1;
        for (int i = 0; i < PERIOD; i++) {
            int end = child_of(i);
            int *count = i % 64 == 63 ? &rare : i % 64 == 1 ? &written : i % 2 == 1 ? &common : &near;
            *count += end < 0;
            read = count == &common && end >= 0 ? end : read;
        }
        printf("%d %d %d %d %d\n", near, common, read, written, rare);
        fflush(stdout);
    }
    return 0;
}

/* How many of so many live chunks are guarded. */
static size_t guarded(size_t count)
{
    struct moat_epoch e;
    moat_epoch_begin();
    for (size_t i = 0; i < count; i++)
        (void)volatile_chunk(16);
    moat_epoch_end(&e, sizeof e);
    return (size_t)e.guarded_grown;
}

/* Many live chunks before the first child, and some of the child. */
int before_forks(void)
{
    printf("%zu ", guarded(32384));
    fflush(stdout);
    if (fork() == 0) {
        printf("%zu\n", guarded(1000));
        exit(0);
    }
    wait(NULL);
    return 0;
}
