/* P6: one byte at a random place of a freed chunk is written. Samples find it now and then: counted.
 * SIZE TRIES */
#include "attack.h"

enum { MOST_PAIRS = 2000 }; /* 30 times the longest mean wait of these sizes */

static size_t size, place;

static void write_and_reuse(void *unused)
{
    (void)unused;
    char *p = take(size);
    free(hide(p));
    ((volatile char *)hide(p))[place] = 0x41;
    bool reused = false;
    for (size_t i = 0; i < MOST_PAIRS && !reused; i++) {
        char *now = take(size);
        reused = now == p;
        free(now);
    }
}

int main(int argc, char **argv)
{
    (void)argc;
    size = number(argv, 1);
    size_t tries = number(argv, 2), noticed = 0, kept[8];
    for (int i = 0; i < 8; i++)
        kept[i] = (size_t)take(size); /* so that the slab stays open */
    srandom((unsigned)getpid());
    step("children");
    for (size_t i = 0; i < tries; i++) {
        place = (size_t)random() % size;
        noticed += child_reports(write_and_reuse, NULL, "moat: heap-use-after-free");
    }
    printf("tries %zu\nnoticed %zu\n", tries, noticed);
    fflush(stdout);
    for (int i = 0; i < 8; i++)
        free((void *)kept[i]);
    return finish();
}
