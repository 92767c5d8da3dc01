/* What a fuzzer's fork server costs: a process with LIVE live chunks forks CHILDREN times; each child makes and frees
 * PAIRS chunks of 1 to 500 bytes, touching them, and ends.
 * forkserver LIVE CHILDREN PAIRS: prints microseconds of CPU time, its own and its children's, for each child. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static double spent(int who)
{
    struct rusage u;
    getrusage(who, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e6 + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fputs("usage: forkserver LIVE CHILDREN PAIRS\n", stderr);
        return 2;
    }
    size_t live = strtoul(argv[1], NULL, 10), children = strtoul(argv[2], NULL, 10), pairs = strtoul(argv[3], NULL, 10);
    static char **kept;
    kept = calloc(live + 1, sizeof *kept);
    for (size_t i = 0; kept != NULL && i < live; i++) {
        kept[i] = malloc(1 + i % 500);
        if (kept[i] == NULL)
            return 1;
        kept[i][0] = 1;
    }
    double before = spent(RUSAGE_SELF) + spent(RUSAGE_CHILDREN);
    for (size_t i = 0; i < children; i++) {
        pid_t child = fork();
        if (child < 0)
            return 1;
        if (child == 0) {
            for (size_t j = 0; j < pairs; j++) {
                char *p = malloc(1 + j * 37 % 500);
                p[0] = 1;
                free(p);
            }
            _exit(0);
        }
        int status;
        if (waitpid(child, &status, 0) != child || status != 0)
            return 1;
    }
    double after = spent(RUSAGE_SELF) + spent(RUSAGE_CHILDREN);
    printf("%.1f\n", (after - before) / (double)children);
    return 0;
}
