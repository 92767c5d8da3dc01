/* Bursts of mixed sizes, drained in random order down to a twentieth, then filled again. */
#include "work.h"

enum { OBJECTS = 300000 };

static unsigned char *objects[OBJECTS];

int main(int argc, char **argv)
{
    size_t bursts = work_scaled(argc, argv, 2000) / 100;
    struct work_random r = work_seed(9);
    uint64_t sum = 0;
    for (size_t burst = 0; burst < (bursts ? bursts : 1); burst++) {
        for (size_t i = 0; i < OBJECTS; i++)
            if (!objects[i]) {
                size_t size = work_size(&r, 16, 1024);
                objects[i] = work_alloc(size);
                objects[i][0] = (unsigned char)i;
                objects[i][size - 1] = 1;
            }
        for (size_t freed = 0; freed < OBJECTS / 20 * 19; freed++) {
            size_t k = work_below(&r, OBJECTS);
            while (!objects[k])
                k = (k + 1) % OBJECTS;
            sum = work_mix(sum, objects[k][0]);
            free(objects[k]);
            objects[k] = NULL;
        }
    }
    for (size_t i = 0; i < OBJECTS; i++)
        free(objects[i]);
    return work_done(sum);
}
