/* Slabs of bins: where they come from, and what is counted of them. */
#include "arena/bin.h"

enum {
    FIRST_LIST = 16, /* entries of a bin's first lists */
    /* Open slabs of a bin from which on the pages of another one are made present by one call: a page fault each takes
     * several times as long, and of one slab among that many little is lost when it is not all used. */
    FILL_FROM = 8,
};

size_t mo_open_bytes, mo_spare_bytes, mo_hole_bytes;

void mo_slab_set_hollow(struct mo_slab *slab, const struct mo_class *k, size_t bytes)
{
    __atomic_add_fetch(&mo_open_bytes, slab->hollow - bytes, __ATOMIC_RELAXED);
    mo_holes_gain(k, 0, slab->hollow - bytes);
    slab->hollow = (uint32_t)bytes;
}

void mo_bin_gains_spare(struct mo_bin *b, const struct mo_slab *slab, const struct mo_class *k)
{
    __atomic_store_n(&b->empty_count, b->empty_count + 1, __ATOMIC_RELAXED); /* purge.c looks without the lock */
    __atomic_add_fetch(&mo_spare_bytes, mo_pages_of(k), __ATOMIC_RELAXED);
    mo_holes_gain(k, 0u - (size_t)slab->free_count, slab->hollow);
}

void mo_bin_loses_spare(struct mo_bin *b, const struct mo_slab *slab, const struct mo_class *k)
{
    __atomic_store_n(&b->empty_count, b->empty_count - 1, __ATOMIC_RELAXED);
    __atomic_sub_fetch(&mo_spare_bytes, mo_pages_of(k), __ATOMIC_RELAXED);
    mo_holes_gain(k, slab->free_count, 0u - (size_t)slab->hollow);
}

void mo_bin_enters(struct mo_bin *b, uint32_t number, const struct mo_class *k)
{
    struct mo_slab *slab = &mo_sealed.slabs[number];
    mo_list_add(b->partial, &b->partial_count, number);
    __atomic_store_n(&b->open_count, b->open_count + 1, __ATOMIC_RELAXED); /* purge.c looks without the lock */
    __atomic_add_fetch(&mo_open_bytes, mo_pages_of(k), __ATOMIC_RELAXED);
    mo_holes_gain(k, slab->free_count, 0);
    if (mo_class_has_holes(k) && !(slab->flags & MO_SLAB_FILLED)) /* nothing has been written there */
        mo_slab_set_hollow(slab, k, slab->free_count * (size_t)k->stride);
    if (mo_slab_is_spare(slab))
        mo_bin_gains_spare(b, slab, k);
}

void mo_bin_leaves(struct mo_bin *b, uint32_t number, const struct mo_class *k)
{
    struct mo_slab *slab = &mo_sealed.slabs[number];
    mo_list_remove(b->partial, &b->partial_count, number);
    __atomic_store_n(&b->open_count, b->open_count - 1, __ATOMIC_RELAXED);
    if (mo_slab_is_spare(slab))
        mo_bin_loses_spare(b, slab, k);
    if (!MO_SMALL && slab->hollow != 0)
        mo_slab_set_hollow(slab, k, 0);
    __atomic_sub_fetch(&mo_open_bytes, mo_pages_of(k), __ATOMIC_RELAXED);
    mo_holes_gain(k, 0u - (size_t)slab->free_count, 0);
}

void mo_slab_fills_hollow(struct mo_slab *slab, const struct mo_class *k, size_t n)
{
    size_t bytes = slab->hollow * n / slab->free_count;
    mo_slab_set_hollow(slab, k, slab->hollow - bytes);
    if ((slab->flags & MO_SLAB_HOLES) && slab->shard >= 0)
        mo_spares_missed(bytes);
}

/* Room in both lists for every slab of the bin, so that adding to a list never fails. */
static bool reserve_lists_locked(struct mo_bin *b, uint32_t slabs)
{
    if (slabs <= b->list_room)
        return true;
    uint32_t room = (uint32_t)mo_max(mo_max(FIRST_LIST, (size_t)b->list_room * 2), mo_pow2_floor(slabs) * 2);
    uint32_t *lists = mo_heap_list((size_t)room * 2);
    if (lists == NULL)
        return false;
    for (uint32_t i = 0; i < b->partial_count; i++)
        lists[i] = b->partial[i];
    for (uint32_t i = 0; i < b->closed_count; i++)
        lists[room + i] = b->closed[i];
    b->partial = lists;
    b->closed = lists + room;
    b->list_room = room;
    return true;
}

static bool grow_locked(struct mo_bin *b, int shard, unsigned class)
{
    uint32_t first = 0;
    size_t count = mo_heap_grow(class, shard, b->held, &first);
    /* Slabs for which there is no list are lost: an address range only, and no memory. */
    if (count == 0 || !reserve_lists_locked(b, b->slab_count + (uint32_t)count))
        return false;
    for (uint32_t i = 0; i < count; i++) {
        mo_list_add(b->closed, &b->closed_count, first + i);
        mo_sealed.slabs[first + i].next = b->all;
        b->all = first + i;
    }
    b->slab_count += (uint32_t)count;
    b->held += count << mo_sealed.classes[class].span_shift;
    return true;
}

/* A closed slab: at random among those of the block that the last one came from, so that blocks are in use or not as a
 * whole and can be given back by one call; else of all. */
static uint32_t closed_slab_locked(struct mo_bin *b, int shard, unsigned class, struct mo_random *r)
{
    uint32_t found[MO_BLOCK_MOST];
    unsigned n = 0;
    if (mo_slab_agrees(b->last_opened, class, shard)) {
        struct mo_run block = mo_bin_block(&mo_sealed.slabs[b->last_opened]);
        for (uint32_t i = 0; block.count > 1 && i < block.count; i++)
            if (mo_list_has(b->closed, b->closed_count, block.first + i))
                found[n++] = block.first + i;
    }
    return n != 0 ? found[mo_random_below(r, n)]
                  : b->closed[mo_random_below(r, (uint32_t)mo_min(b->closed_count, 65536))];
}

bool mo_bin_open_one(struct mo_bin *b, int shard, unsigned class, struct mo_random *r)
{
    if (b->closed_count == 0 && !grow_locked(b, shard, class))
        return false;
    uint32_t number = closed_slab_locked(b, shard, class, r);
    const struct mo_class *k = &mo_sealed.classes[class];
    struct mo_slab *slab = mo_bin_slab(b, number, class, shard);
    /* A heap's slabs are needed again for another heap, which may need little of them. */
    bool again = (slab->flags & MO_SLAB_PURGED) != 0 && shard >= 0;
    if (!mo_slab_open(slab, again || b->open_count >= FILL_FROM))
        return false;
    if (b->open_count != 0) /* of the first one a process may need little */
        mo_slab_fill(slab, k, 0);
    if (again)
        mo_spares_missed(k->slab_bytes);
    mo_list_remove(b->closed, &b->closed_count, number);
    mo_bin_enters(b, number, k);
    b->last_opened = number;
    return true;
}
