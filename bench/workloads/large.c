/* Buffers of 64 KiB to 16 MiB: allocate, write every byte, read some, free; a few are alive at a time. */
#include "work.h"

enum { ALIVE = 6 };

int main(int argc, char **argv)
{
    size_t rounds = work_scaled(argc, argv, 1600);
    struct work_random r = work_seed(5);
    unsigned char *alive[ALIVE] = {0};
    size_t sizes[ALIVE] = {0};
    uint64_t sum = 0;
    for (size_t i = 0; i < rounds; i++) {
        size_t k = work_below(&r, ALIVE);
        if (alive[k])
            sum = work_mix(sum, (uint64_t)alive[k][sizes[k] / 3] + alive[k][sizes[k] - 1]);
        free(alive[k]);
        sizes[k] = work_even_size(&r, 64 << 10, 16 << 20);
        alive[k] = work_alloc(sizes[k]);
        memset(alive[k], (int)(i & 255), sizes[k]);
    }
    for (size_t k = 0; k < ALIVE; k++)
        free(alive[k]);
    return work_done(sum);
}
