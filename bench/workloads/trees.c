/* Binary trees built and taken down while a long-lived one stays: nodes of one size, freed in another order. */
#include "work.h"

struct tree {
    struct tree *left;
    struct tree *right;
    uint64_t value;
};

static struct tree *grow(unsigned depth, uint64_t value)
{
    struct tree *t = work_alloc(sizeof *t);
    *t = (struct tree){NULL, NULL, value};
    if (depth) {
        t->left = grow(depth - 1, value * 2);
        t->right = grow(depth - 1, value * 2 + 1);
    }
    return t;
}

static uint64_t fell(struct tree *t)
{
    uint64_t sum = t->value;
    if (t->left)
        sum += fell(t->right) + 3 * fell(t->left);
    free(t);
    return sum;
}

int main(int argc, char **argv)
{
    enum { DEEPEST = 18 };
    size_t rounds = work_scaled(argc, argv, 1200);
    struct tree *lasting = grow(DEEPEST, 1);
    uint64_t sum = 0;
    for (size_t i = 0; i < rounds; i++) {
        unsigned depth = 6 + (unsigned)(i % 10);
        for (unsigned k = 0; k < 1u << (15 - depth); k++)
            sum = work_mix(sum, fell(grow(depth, i + k)));
    }
    return work_done(work_mix(sum, fell(lasting)));
}
