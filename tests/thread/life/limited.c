/* Little memory: under RLIMIT_AS of 64 MiB, set before start, moat starts, gives what there is, says NULL and ENOMEM
 * when there is no more, and works again when some is freed. The argument is the size of the chunks. */
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>

#include <sys/resource.h>

#include "life.h"

enum { LIMIT = 64 << 20 };

/* The chunks are a list through themselves: a table of them would be memory too. */
struct chunk {
    struct chunk *next;
    uintptr_t check;
};

static uintptr_t check_of(const struct chunk *c)
{
    return (uintptr_t)c ^ (uintptr_t)c->next ^ 0x5a5a5a5au;
}

static struct chunk *exhaust(size_t n, size_t *count)
{
    struct chunk *all = NULL;
    for (*count = 0;; ++*count) {
        errno = 0;
        struct chunk *c = malloc(n);
        if (c == NULL)
            break;
        require(*count < LIMIT / n, "more memory than the limit");
        c->next = all;
        c->check = check_of(c);
        all = c;
    }
    require(errno == ENOMEM, "errno is not ENOMEM");
    return all;
}

/* Frees every second one, or all; what is left. */
static struct chunk *check_and_free(struct chunk *all, bool every)
{
    struct chunk *left = NULL;
    for (bool odd = false; all != NULL; odd = !odd) {
        struct chunk *c = all;
        require(c->check == check_of(c), "a chunk was changed when memory ran out");
        all = c->next;
        if (every || odd) {
            free(c);
            continue;
        }
        c->next = left;
        c->check = check_of(c);
        left = c;
    }
    return left;
}

static void *allocate_a_little(void *arg)
{
    void *p = malloc(200);
    require(p != NULL, "no memory for a thread");
    free(p);
    return arg;
}

int main(int argc, char **argv)
{
    struct rlimit limit;
    require(getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur <= LIMIT, "no limit");
    require_moat();
    size_t n = argc > 1 ? strtoul(argv[1], NULL, 10) : 1000;
    require(n >= sizeof(struct chunk), "chunks too small");
    size_t first, again;
    struct chunk *all = exhaust(n, &first);
    printf("%zu chunks of %zu bytes: %zu KiB\n", first, n, first * n >> 10);
    /* Half of the space for the smallest classes is guards. */
    require(first * (n + 16) >= (size_t)LIMIT / 8, "less than an eighth of the limit could be had");

    /* What cannot be had fails again and again, in every routine, and changes nothing. */
    for (int i = 0; i < 100; i++) {
        void *p = &limit;
        require(calloc(1, LIMIT) == NULL && errno == ENOMEM, "calloc");
        require(realloc(all, LIMIT) == NULL && errno == ENOMEM, "realloc");
        require(aligned_alloc(4096, LIMIT) == NULL && errno == ENOMEM, "aligned_alloc");
        require(posix_memalign(&p, 64, LIMIT) == ENOMEM && p == &limit, "posix_memalign");
    }
    all = check_and_free(all, false);
    void *p = malloc(n);
    require(p != NULL, "no memory after half was freed");
    free(p);
    check_and_free(all, true);

    for (int round = 0; round < 3; round++) {
        all = exhaust(n, &again);
        printf("then %zu\n", again);
        require(again >= first - first / 4, "memory was lost from round to round");
        check_and_free(all, true);
    }
    pthread_t thread;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 128 * 1024);
    for (int i = 0; i < 50; i++) {
        require(pthread_create(&thread, &attributes, allocate_a_little, NULL) == 0, "pthread_create");
        pthread_join(thread, NULL);
    }
    return 0;
}
