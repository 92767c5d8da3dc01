/* A burst of mixed sizes, then 95% of it freed at random, then the rest: what stays resident, without waiting.
 *
 * Prints three lines, KiB: what is live, what is resident beyond the start, and the pages that hold a byte of a live
 * chunk. Nothing that leaves chunks where they are can hold less than these.
 * usage: drain MIB LOWEST HIGHEST (bytes; each doubling as often as any other) */
#include "weigh.h"

#include <sys/mman.h>

enum { PAGE = 4096 };

static unsigned char **objects;
static uint32_t *sizes;
static size_t count, live, before;

static void *reserve(size_t n)
{
    void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    return p == MAP_FAILED ? work_need(NULL) : p;
}

static void drop(size_t k)
{
    free(objects[k]);
    live -= sizes[k];
    objects[k] = objects[--count];
    sizes[k] = sizes[count];
}

static int by_address(const void *a, const void *b)
{
    const unsigned char *x = *(unsigned char *const *)a, *y = *(unsigned char *const *)b;
    return (x > y) - (x < y);
}

/* The order of the objects is lost. */
static size_t live_pages(void)
{
    size_t n = 0;
    uintptr_t next = 0; /* the first page not counted yet */
    struct {
        unsigned char *at;
        size_t size;
    } *list = reserve((count + 1) * sizeof *list);
    for (size_t i = 0; i < count; i++) {
        list[i].at = objects[i];
        list[i].size = sizes[i];
    }
    qsort(list, count, sizeof *list, by_address);
    for (size_t i = 0; i < count; i++) {
        uintptr_t first = (uintptr_t)list[i].at / PAGE, last = ((uintptr_t)list[i].at + list[i].size - 1) / PAGE;
        if (first < next)
            first = next;
        if (last + 1 > first)
            n += last + 1 - first;
        if (last + 1 > next)
            next = last + 1;
    }
    munmap(list, (count + 1) * sizeof *list);
    return n * PAGE >> 10;
}

static void tell(const char *when)
{
    size_t rss = weigh_rss();
    printf("%s %zu %zu %zu\n", when, live >> 10, rss > before ? rss - before : 0, live_pages());
}

int main(int argc, char **argv)
{
    size_t wanted = (argc > 1 ? strtoul(argv[1], NULL, 10) : 1024) << 20;
    size_t lowest = argc > 2 ? strtoul(argv[2], NULL, 10) : 16;
    size_t highest = argc > 3 ? strtoul(argv[3], NULL, 10) : 1 << 20;
    size_t most = wanted / 32 + 1000;
    /* in place before the burst, and not of the allocator's memory */
    objects = reserve(most * sizeof *objects);
    sizes = reserve(most * sizeof *sizes);
    free(work_alloc(100));
    before = weigh_rss();
    struct work_random r = work_seed(21);
    while (live < wanted && count < most) {
        size_t size = work_even_size(&r, lowest, highest);
        objects[count] = work_alloc(size);
        memset(objects[count], 1, size);
        sizes[count++] = (uint32_t)size;
        live += size;
    }
    tell("full");
    for (size_t left = count / 20; count > left;)
        drop(work_below(&r, count));
    tell("twentieth");
    while (count)
        drop(work_below(&r, count));
    tell("empty");
    return 0;
}
