/* calloc of small to middling sizes, some of it checked to be zero, with aligned allocations between. */
#include "work.h"

enum { OBJECTS = 4000 };

int main(int argc, char **argv)
{
    size_t rounds = work_scaled(argc, argv, 18000000);
    struct work_random r = work_seed(11);
    static unsigned char *objects[OBJECTS];
    uint64_t sum = 0;
    for (size_t i = 0; i < rounds; i++) {
        size_t k = work_below(&r, OBJECTS);
        free(objects[k]);
        size_t size = work_size(&r, 16, i % 64 == 0 ? 65536 : 1024);
        if (i % 16 == 5) {
            void *p = NULL;
            if (posix_memalign(&p, (size_t)64 << (i % 3), size) != 0)
                return 2;
            objects[k] = p;
            objects[k][0] = 0;
        } else {
            objects[k] = work_need(calloc(size / 8 + 1, 8));
            if (objects[k][size / 2] != 0 || objects[k][size - 1] != 0)
                return 3;
        }
        sum = work_mix(sum, objects[k][0] + size);
        objects[k][size / 2] = 0xff;
        objects[k][size - 1] = 0xff;
    }
    for (size_t k = 0; k < OBJECTS; k++)
        free(objects[k]);
    return work_done(sum);
}
