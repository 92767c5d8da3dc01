/* Random replacement in a working set. usage: churn SCALE OBJECTS LOWEST HIGHEST (bytes) */
#include "work.h"

struct entry {
    unsigned char *at;
    uint32_t size;
};

int main(int argc, char **argv)
{
    size_t objects = argc > 2 ? strtoul(argv[2], NULL, 10) : 10000;
    size_t lowest = argc > 3 ? strtoul(argv[3], NULL, 10) : 16;
    size_t highest = argc > 4 ? strtoul(argv[4], NULL, 10) : 2048;
    size_t rounds = work_scaled(argc, argv, objects > 100000 ? 4000000 : lowest == highest ? 80000000 : 24000000);
    struct work_random r = work_seed(1);
    struct entry *set = work_need(calloc(objects, sizeof *set));
    uint64_t sum = 0;
    for (size_t i = 0; i < rounds; i++) {
        struct entry *e = &set[work_below(&r, objects)];
        if (e->at) {
            sum = work_mix(sum, (uint64_t)e->at[0] + e->at[e->size - 1]);
            free(e->at);
        }
        e->size = (uint32_t)(lowest == highest ? lowest : work_size(&r, lowest, highest));
        e->at = work_alloc(e->size);
        e->at[0] = (unsigned char)i;
        e->at[e->size - 1] = (unsigned char)(i >> 8);
    }
    for (size_t i = 0; i < objects; i++)
        free(set[i].at);
    free(set);
    return work_done(sum);
}
