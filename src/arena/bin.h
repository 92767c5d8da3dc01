/* Bins from inside: what arena.c (slots go out and come home) and purge.c (slabs are given back) share. The bin's lock
 * is held in everything here. */
#ifndef MO_BIN_H
#define MO_BIN_H

#include "arena/arena.h"
#include "diag/report.h"

/* Slabs of one bin that lie side by side. */
struct mo_run {
    uint32_t first, count;
};

/* Bytes of open slabs, and of those that are wholly free, in all shards; atomic. */
extern size_t mo_open_bytes, mo_spare_bytes;

struct mo_bin *mo_bin_place_of(int shard, unsigned class); /* with MO_SMALL: shorter by a call */

MO_INLINE struct mo_bin *mo_bin_of(int shard, unsigned class)
{
    return MO_SMALL ? mo_bin_place_of(shard, class) : &mo_sealed.shards[shard].bins[class];
}

/* Its locks get their ranks, in debug builds. */
MO_INLINE void mo_arena_rank(int shard)
{
    for (unsigned class = 0; class < MO_CLASSES; class++)
        mo_lock_set_rank(&mo_bin_of(shard, class)->lock, MO_RANK_BIN(class, (uint32_t)shard));
}

MO_INLINE void mo_list_add(uint32_t *list, uint32_t *count, uint32_t number)
{
    mo_sealed.slabs[number].at = *count;
    list[(*count)++] = number;
}

MO_INLINE bool mo_list_has(const uint32_t *list, uint32_t count, uint32_t number)
{
    uint32_t at = mo_sealed.slabs[number].at;
    return at < count && list[at] == number;
}

MO_INLINE void mo_list_remove(uint32_t *list, uint32_t *count, uint32_t number)
{
    uint32_t at = mo_sealed.slabs[number].at;
    if (mo_unlikely(!mo_list_has(list, *count, number)))
        mo_panic("a slab's place in its list is wrong");
    uint32_t last = list[--*count];
    list[at] = last;
    mo_sealed.slabs[last].at = at;
}

MO_INLINE bool mo_slab_is_empty(const struct mo_slab *slab)
{
    return slab->free_count == slab->introduced;
}

/* Is it one of those that mo_spare_bytes counts? What the kernel may take lazily is not. */
MO_INLINE bool mo_slab_is_spare(const struct mo_slab *slab)
{
    return mo_slab_is_empty(slab) && !(slab->flags & MO_SLAB_LAZY);
}

/* Bytes that an open slab of the class keeps from others: malloc(0)'s have no pages. */
MO_INLINE size_t mo_pages_of(const struct mo_class *k)
{
    return k != &mo_sealed.classes[MO_CLASS_ZERO] ? k->slab_bytes : 0;
}

MO_INLINE void mo_bin_gains_spare(struct mo_bin *b, const struct mo_class *k)
{
    __atomic_store_n(&b->empty_count, b->empty_count + 1, __ATOMIC_RELAXED); /* purge.c looks without the lock */
    __atomic_add_fetch(&mo_spare_bytes, mo_pages_of(k), __ATOMIC_RELAXED);
}

MO_INLINE void mo_bin_loses_spare(struct mo_bin *b, const struct mo_class *k)
{
    __atomic_store_n(&b->empty_count, b->empty_count - 1, __ATOMIC_RELAXED);
    __atomic_sub_fetch(&mo_spare_bytes, mo_pages_of(k), __ATOMIC_RELAXED);
}

/* An open, wholly free slab enters its bin, or leaves it. */
MO_INLINE void mo_bin_enters(struct mo_bin *b, uint32_t number, const struct mo_class *k)
{
    mo_list_add(b->partial, &b->partial_count, number);
    b->open_count++;
    __atomic_add_fetch(&mo_open_bytes, mo_pages_of(k), __ATOMIC_RELAXED);
    if (mo_slab_is_spare(&mo_sealed.slabs[number]))
        mo_bin_gains_spare(b, k);
}

MO_INLINE void mo_bin_leaves(struct mo_bin *b, uint32_t number, const struct mo_class *k)
{
    mo_list_remove(b->partial, &b->partial_count, number);
    b->open_count--;
    __atomic_sub_fetch(&mo_open_bytes, mo_pages_of(k), __ATOMIC_RELAXED);
    if (mo_slab_is_spare(&mo_sealed.slabs[number]))
        mo_bin_loses_spare(b, k);
}

/* The slab that a list of the bin names. Lists, descriptors and bitmaps are writable; a write there shows here, before
 * anything is handed out or closed because of it (attack corrupt). */
struct mo_slab *mo_bin_slab(struct mo_bin *b, uint32_t number, unsigned class, int shard);
void mo_bin_check_bitmap(struct mo_bin *b, const struct mo_slab *slab);

/* The slabs that are opened one after the other and closed by one call: those of an aligned block, or the slab alone.
 * Blocks are of more pages than kernels flush one by one from the address caches of CPUs (33 on x86): under a
 * hypervisor giving back 15 pages by themselves took seven times as long as 63 at once (measured). */
struct mo_run mo_bin_block(const struct mo_slab *slab);

/* Before this thread reports damage: it may have met it while it gave back, and what a handler of SIGABRT or a callback
 * calls (fork) must find no lock held. */
void mo_purge_abandon(void);

/* How many spare bytes there may be before some are given back. A slab that had been given back was needed again: more
 * from now on. */
bool mo_spares_exceed(void);
void mo_spares_missed(size_t bytes);

#endif
