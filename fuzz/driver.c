/* Runs a harness without AFL++ or libFuzzer, or, compiled by afl-clang-fast, as AFL++ wants it.
 *
 *   PROGRAM FILE...                      each input once: to repeat what a fuzzer has found
 *   PROGRAM --seed N [--operations N] [--seconds N] [--keep FILE] [FILE...]
 *       random inputs, and mutations of the files, until so many operations or seconds. A seed always makes the
 *       same inputs. --keep: the input is written there when it aborts.
 * Compiled by afl-clang-fast and without arguments: persistent mode with test cases in shared memory.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "fuzz/harness.h"

#ifdef __AFL_COMPILER
__AFL_FUZZ_INIT();
enum { PERSISTENT = 2000 }; /* inputs until the process is started anew */

static void serve(void)
{
    __AFL_INIT();
    const unsigned char *shared = __AFL_FUZZ_TESTCASE_BUF;
    while (__AFL_LOOP(PERSISTENT))
        (void)LLVMFuzzerTestOneInput(shared, (size_t)__AFL_FUZZ_TESTCASE_LEN);
}
#endif

enum { LONGEST = 65536, SEEDS = 256 };

static struct {
    uint8_t *data;
    size_t size;
} seeds[SEEDS];
static size_t seed_count;
static uint64_t state;
static uint8_t data[LONGEST]; /* the current input */
static size_t data_size;
static const char *kept;

static uint64_t random_below(uint64_t n)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (state >> 11) % n;
}

static void read_seed(const char *path)
{
    static uint8_t room[LONGEST];
    FILE *f = fopen(path, "rb");
    if (f == NULL || seed_count == SEEDS) {
        fprintf(stderr, "driver: cannot read %s: %s\n", path, f == NULL ? strerror(errno) : "too many files");
        exit(2);
    }
    size_t n = fread(room, 1, sizeof room, f);
    fclose(f);
    seeds[seed_count].data = malloc(n + 1);
    if (seeds[seed_count].data == NULL)
        exit(2);
    memcpy(seeds[seed_count].data, room, n);
    seeds[seed_count++].size = n;
}

static size_t noise(size_t most)
{
    size_t n = 1 + random_below(most);
    for (size_t i = 0; i < n; i++)
        data[i] = (uint8_t)random_below(256);
    return n;
}

/* One change: bytes replaced, taken out, doubled, or taken from another seed. */
static size_t mutate(size_t n, size_t most)
{
    size_t at = n > 0 ? random_below(n) : 0, size = n - at > 0 ? 1 + random_below(n - at < 16 ? n - at : 16) : 0;
    size_t other = random_below(seed_count), from = 0;
    switch (random_below(6)) {
    case 0:
        if (n > 0)
            data[at] ^= (uint8_t)(1u << random_below(8));
        break;
    case 1:
        if (n > 0)
            data[at] = (uint8_t)random_below(256);
        break;
    case 2:
        memmove(data + at, data + at + size, n - at - size);
        n -= size;
        break;
    case 3:
        if (n + size <= most) {
            memmove(data + at + size, data + at, n - at);
            n += size;
        }
        break;
    case 4:
        if (n < most) {
            memmove(data + at + 1, data + at, n - at);
            data[at] = (uint8_t) " ,:=\n#0x\"\\"[random_below(10)];
            n++;
        }
        break;
    default:
        if (seeds[other].size == 0)
            break;
        from = random_below(seeds[other].size);
        size = 1 + random_below(seeds[other].size - from);
        if (at + size <= most) {
            memcpy(data + at, seeds[other].data + from, size);
            n = at + size > n ? at + size : n;
        }
    }
    return n;
}

static size_t next_input(size_t most)
{
    if (seed_count == 0 || (fuzz_takes_noise && random_below(2) == 0))
        return noise(most);
    size_t which = random_below(seed_count), n = seeds[which].size < most ? seeds[which].size : most;
    memcpy(data, seeds[which].data, n);
    for (uint64_t changes = random_below(8); changes > 0; changes--)
        n = mutate(n, most);
    return n;
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* The harness aborts, or moat does in it: the input is what somebody will want. */
static void keep(int signal)
{
    static const char text[] = "driver: the input is kept\n";
    int fd = open(kept, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd >= 0 && write(fd, data, data_size) == (ssize_t)data_size)
        (void)!write(STDERR_FILENO, text, sizeof text - 1);
    (void)signal; /* abort() goes on when this returns */
}

static unsigned long long number(const char *text)
{
    char *end;
    errno = 0;
    unsigned long long n = text != NULL ? strtoull(text, &end, 10) : 0;
    if (text == NULL || errno != 0 || end == text || *end != '\0') {
        fprintf(stderr, "driver: '%s' is not a number\n", text != NULL ? text : "");
        exit(2);
    }
    return n;
}

int main(int argc, char **argv)
{
    unsigned long long seed = 0, operations = 0, seconds = 0, inputs = 0;
#ifdef __AFL_COMPILER
    if (argc == 1) {
        serve();
        return 0;
    }
#endif
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--seed") == 0)
            seed = number(argv[++i]);
        else if (strcmp(argv[i], "--operations") == 0)
            operations = number(argv[++i]);
        else if (strcmp(argv[i], "--seconds") == 0)
            seconds = number(argv[++i]);
        else if (strcmp(argv[i], "--keep") == 0 && i + 1 < argc)
            kept = argv[++i];
        else
            read_seed(argv[i]);
    }
    if (kept != NULL)
        signal(SIGABRT, keep);
    double start = now();
    for (size_t i = 0; i < seed_count; i++, inputs++) {
        data_size = seeds[i].size;
        memcpy(data, seeds[i].data, data_size);
        (void)LLVMFuzzerTestOneInput(data, data_size);
    }
    state = (seed + 1) * 0x9e3779b97f4a7c15ull | 1;
    while (seed != 0 && (operations == 0 || fuzz_operations < operations) &&
           (seconds == 0 || now() - start < (double)seconds)) {
        data_size = next_input(fuzz_longest);
        (void)LLVMFuzzerTestOneInput(data, data_size);
        inputs++;
    }
    printf("%llu inputs, %llu operations, %.1f s\n", inputs, (unsigned long long)fuzz_operations, now() - start);
    return 0;
}
