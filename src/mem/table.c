#include "mem/table.h"

#include "diag/sealed.h"

enum {
    COMMIT_STEP = 64 << 10,
    FIRST_PART = 64 << 10,
};

bool mo_table_start(struct mo_table *t, const char *name)
{
    if (t->base == NULL)
        t->base = mo_os_map_guarded(FIRST_PART, name);
    t->open = t->size = FIRST_PART;
    if (t->base != NULL)
        mo_os_populate(t->base, mo_sealed.features.page);
    return t->base != NULL;
}

void *mo_table_take(struct mo_table *t, size_t bytes)
{
    if (bytes > t->size - t->used && bytes <= t->rest_size) {
        t->before = t->used;
        t->base = t->rest;
        t->size = t->rest_size;
        t->open = t->used = t->rest_size = 0;
    }
    if (bytes > t->size - t->used)
        return NULL;
    if (t->used + bytes > t->open) {
        size_t step = mo_max(mo_max(COMMIT_STEP, t->open / 2), bytes);
        step = mo_min(mo_align_up(step, mo_sealed.features.page), t->size - t->open);
        if (!mo_os_open(t->base + t->open, step))
            return NULL;
        mo_os_populate(t->base + t->open, mo_sealed.features.page);
        t->open += step;
    }
    void *p = t->base + t->used;
    __atomic_store_n(&t->used, t->used + bytes, __ATOMIC_RELAXED); /* mo_slab_agrees has no lock */
    return p;
}
