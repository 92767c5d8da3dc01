/* fork and exit with 3,000 live chunks, as a fork server does. Prints nanoseconds for each. usage: forks [TIMES] */
#include "work.h"

#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { CHUNKS = 3000 };

int main(int argc, char **argv)
{
    static unsigned char *chunks[CHUNKS];
    struct work_random r = work_seed(12);
    for (unsigned i = 0; i < CHUNKS; i++) {
        size_t size = work_size(&r, 16, i % 100 == 0 ? 262144 : 2048);
        chunks[i] = work_alloc(size);
        memset(chunks[i], 1, size);
    }
    unsigned times = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 100;
    for (unsigned i = 0; i < times; i++) {
        struct timespec from, to;
        clock_gettime(CLOCK_MONOTONIC, &from);
        pid_t child = fork();
        if (child < 0)
            return 1;
        if (child == 0) {
            free(chunks[i % CHUNKS]);
            _exit(malloc(64) == NULL);
        }
        int status;
        if (waitpid(child, &status, 0) != child || status != 0)
            return 1;
        clock_gettime(CLOCK_MONOTONIC, &to);
        printf("%lld\n", (long long)(to.tv_sec - from.tv_sec) * 1000000000 + (to.tv_nsec - from.tv_nsec));
    }
    return 0;
}
