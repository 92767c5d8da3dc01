/* P1: no writable mapping of moat, be it heap or table, touches another: on both sides its neighbour can't be
 * written, or its own last page faults (a guard that the kernel keeps inside the mapping).
 * THREADS: how many threads have caches of their own meanwhile. */
#define _GNU_SOURCE
#include "attack.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>

enum { MOST = 4000, THREADS = 8, LIBRARIES = 8 };
static struct {
    size_t from, to;
    bool readable, writable, foreign;
} maps[MOST];
static char text[1 << 20];
static size_t known[THREADS + 1 + LIBRARIES], count;
static pthread_barrier_t barrier;

static void read_maps(void)
{
    size_t n = 0;
    int fd = open("/proc/self/maps", O_RDONLY);
    for (ssize_t k; n < sizeof text - 1 && (k = read(fd, text + n, sizeof text - 1 - n)) > 0;)
        n += (size_t)k;
    close(fd);
    char *line = text, *next;
    for (; count < MOST && (next = strchr(line, '\n')); line = next + 1, count++) {
        char rights[5], path[2] = "";
        if (sscanf(line, "%zx-%zx %4s %*s %*s %*s%*[ ]%1[/[]", &maps[count].from, &maps[count].to, rights, path) < 3)
            fail("can't read %.60s", line);
        maps[count].writable = rights[1] == 'w';
        maps[count].readable = rights[0] == 'r';
        maps[count].foreign = path[0] != 0; /* a file, the program's stack or its break */
    }
}

static void *busy(void *arg)
{
    size_t *stack = arg;
    *stack = (size_t)(uintptr_t)&stack;
    for (size_t n = 1; n < 300000; n = n * 3 / 2 + 1)
        churn(n, 20);
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    return NULL;
}

/* Stacks, thread control blocks and the loader's own memory are not moat's; zeroed data behind that of a library,
 * which moat's sealed page cuts in two, is not between guards. */
static bool of_others(size_t i)
{
    size_t first = i;
    while (first && maps[first - 1].to == maps[first].from && maps[first - 1].readable)
        first--;
    bool others = false;
    for (size_t k = first; k <= i; k++)
        others |= maps[k].foreign;
    for (size_t k = 0; k < sizeof known / sizeof *known; k++)
        others |= known[k] >= maps[i].from && known[k] < maps[i].to;
    return others;
}

static bool faults(size_t at)
{
    return distance_to_fault((char *)(uintptr_t)at, 1, 1, false) == 0;
}

int main(int argc, char **argv)
{
    (void)argc;
    size_t threads = number(argv, 1), judged = 0;
    pthread_t ids[THREADS];
    for (size_t n = 1; n < 300000; n = n * 3 / 2 + 1)
        (void)take(n);
    pthread_barrier_init(&barrier, NULL, (unsigned)threads + 1);
    for (size_t i = 0; i < threads; i++)
        if (pthread_create(&ids[i], NULL, busy, &known[i]) != 0)
            fail("no thread");
    known[THREADS] = (size_t)(uintptr_t)pthread_self();
    struct link_map *loaded = dlopen(NULL, RTLD_NOW); /* the loader's description of this program, then of libraries */
    for (size_t i = THREADS + 1; i < sizeof known / sizeof *known && loaded != NULL; i++, loaded = loaded->l_next)
        known[i] = (size_t)(uintptr_t)loaded;
    pthread_barrier_wait(&barrier);
    read_maps();
    for (size_t i = 1; i + 1 < count; i++) {
        if (!maps[i].writable || of_others(i))
            continue;
        judged++;
        bool below = !maps[i - 1].writable && maps[i - 1].to == maps[i].from;
        bool above = !maps[i + 1].writable && maps[i + 1].from == maps[i].to;
        if ((!below && !faults(maps[i].from)) || (!above && !faults(maps[i].to - 1)))
            fail("writable %#zx-%#zx is not closed off\n%s", maps[i].from, maps[i].to, text);
    }
    if (judged < 3)
        fail("only %zu writable mappings of moat's: what happened to its heap?", judged);
    pthread_barrier_wait(&barrier);
    for (size_t i = 0; i < threads; i++)
        pthread_join(ids[i], NULL);
    return finish();
}
