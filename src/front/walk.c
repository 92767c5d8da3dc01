#include "front/walk.h"

#include "arena/arena.h"
#include "front/bounds.h"
#include "front/front.h"
#include "front/tagged.h"
#include "guard/pool.h"

/* Each finds the next chunk from place *at on, which moves behind it; false: there is none. */
static bool next_in_slab(const struct mo_slab *slab, size_t *at, struct mo_bounds *b)
{
    const struct mo_class *k = &mo_sealed.classes[slab->class];
    bool found = false;
    if (mo_arena_hold(slab, true) != MO_HELD)
        return false;
    for (; !found && *at < slab->introduced; ++*at) {
        uintptr_t slot = slab->base + MO_HEADER + *at * k->stride;
        unsigned state = mo_state_load(mo_state_of(mo_granule_of(slot), k, slot));
        if ((state & MO_STATE_LIVE) != 0 && ((state & MO_STATE_BUSY) == 0 || slab->class == MO_CLASS_ZERO)) {
            mo_bounds_find(slot + MO_HEADER, b);
            found = b->kind == MO_BOUNDS_LIVE;
        }
    }
    mo_arena_let_go(slab);
    return found;
}

/* By address, *at being the last one: their table has no order that lasts. */
static bool next_large(int shard, size_t *at, struct mo_bounds *b)
{
    struct mo_large l;
    size_t place = 0;
    if (!mo_large_hold())
        return false;
    b->p = UINTPTR_MAX;
    while (mo_large_next_locked(&place, &l)) {
        if ((shard == 0 || l.heap == shard) && l.p > *at && l.p < b->p) {
            b->p = l.p;
            b->n = l.n;
        }
    }
    mo_large_unlock();
    *at = b->p;
    return b->p != UINTPTR_MAX;
}

static bool next_guarded(size_t *at, struct mo_bounds *b)
{
    if (MO_SMALL || !mo_pool_hold())
        return false;
    const struct mo_pool_slot *g = mo_pool_next_locked(at, true);
    mo_pool_unlock();
    if (g != NULL) {
        b->p = g->p;
        b->n = g->n;
    }
    return g != NULL;
}

int mo_walk(int shard, int (*visit)(void *chunk, size_t size, void *context), void *context)
{
    int result = 0;
    mo_front_start();
    /* Slabs by number, then the large ones, then those of the guard pool. */
    size_t at = 0, number = 1, count = mo_heap_slab_count();
    while (number < count + 2 && result == 0) {
        const struct mo_slab *slab = &mo_sealed.slabs[number];
        struct mo_bounds b;
        bool found = false;
        if (number == count)
            found = next_large(shard, &at, &b);
        else if (number > count)
            found = shard == 0 && next_guarded(&at, &b);
        else if (shard == 0 || slab->shard == shard)
            found = next_in_slab(slab, &at, &b);
        if (found) {
            result = visit((void *)mo_tagged_pointer(b.p), b.n, context);
        } else {
            number++;
            at = 0;
        }
    }
    return result;
}
