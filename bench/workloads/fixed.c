/* Batches of one size at a time, freed in the order of allocation, against it, or every other one first. */
#include "work.h"

enum { BATCH = 200, SIZES = 8 };

int main(int argc, char **argv)
{
    static const size_t sizes[SIZES] = {16, 24, 32, 48, 64, 128, 256, 512};
    size_t rounds = work_scaled(argc, argv, 400000);
    unsigned char *batch[BATCH];
    uint64_t sum = 0;
    for (size_t round = 0; round < rounds; round++) {
        size_t size = sizes[round / 16 % SIZES];
        for (size_t i = 0; i < BATCH; i++) {
            batch[i] = work_alloc(size);
            batch[i][0] = (unsigned char)i;
            batch[i][size - 1] = (unsigned char)round;
        }
        for (size_t i = 0; i < BATCH; i++) {
            size_t k = round % 3 == 0 ? i : round % 3 == 1 ? BATCH - 1 - i : i * 2 % BATCH + i * 2 / BATCH;
            sum = work_mix(sum, (uint64_t)batch[k][0] + batch[k][size - 1]);
            free(batch[k]);
        }
    }
    return work_done(sum);
}
