/* Resident bytes for each byte asked for: sizes from 16 bytes to 64 KiB, the same number of them for each doubling,
 * some MiB of each, written whole. Prints a line for each size: size, resident KiB, objects. usage: waste MIB */
#include "weigh.h"

#include <math.h>

enum { PER_DOUBLING = 8, DOUBLINGS = 12 };

int main(int argc, char **argv)
{
    size_t each = (argc > 1 ? strtoul(argv[1], NULL, 10) : 4) << 20;
    for (unsigned i = 0; i < PER_DOUBLING * DOUBLINGS; i++) {
        size_t size = (size_t)lround(16 * exp2((i + 0.5) / PER_DOUBLING));
        size_t before = weigh_rss(), objects = each / size;
        for (size_t k = 0; k < objects; k++)
            memset(work_alloc(size), 1, size);
        printf("%zu %zu %zu\n", size, weigh_rss() - before, objects);
    }
    return 0;
}
