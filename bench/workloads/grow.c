/* Arrays that grow by realloc: doubling, by half, and byte by byte as naive string builders do. */
#include "work.h"

enum { ARRAYS = 64 };

struct array {
    uint32_t *at;
    size_t used;
    size_t room;
};

static void push(struct array *a, uint32_t v, unsigned how)
{
    if (a->used == a->room) {
        a->room = how == 0 ? a->room * 2 + 4 : how == 1 ? a->room + a->room / 2 + 4 : a->room + 8;
        a->at = work_need(realloc(a->at, a->room * sizeof *a->at));
    }
    a->at[a->used++] = v;
}

int main(int argc, char **argv)
{
    size_t pushes = work_scaled(argc, argv, 100000000);
    struct work_random r = work_seed(6);
    struct array arrays[ARRAYS] = {{0}};
    uint64_t sum = 0;
    for (size_t i = 0; i < pushes; i++) {
        size_t k = work_below(&r, ARRAYS);
        struct array *a = &arrays[k];
        unsigned how = k % 3;
        push(a, (uint32_t)i, how);
        size_t full = how == 2 ? 20000 : (size_t)1000 << (k % 9);
        if (a->used == full) {
            sum = work_mix(sum, (uint64_t)a->at[0] + a->at[full / 2] + a->at[full - 1]);
            free(a->at);
            *a = (struct array){0};
        }
    }
    for (size_t k = 0; k < ARRAYS; k++)
        free(arrays[k].at);
    return work_done(sum);
}
