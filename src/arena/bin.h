/* Bins from inside: what arena.c (slots go out and come home), slabs.c (slabs come) and purge.c (they are given back)
 * share. The bin's lock is held in everything here. */
#ifndef MO_BIN_H
#define MO_BIN_H

#include "arena/arena.h"
#include "diag/report.h"

/* Slabs of one bin that lie side by side. */
struct mo_run {
    uint32_t first, count;
};

/* Bytes in all shards: of open slabs, without free slots whose pages have been given back or never touched; of those of
 * them that are wholly free; of the free slots of the others that can be given back. Atomic. */
extern size_t mo_open_bytes, mo_spare_bytes, mo_hole_bytes;

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

/* Are the pages of the class's free slots given back when others of their slab are in use? Not of slots that are looked
 * at whole before their reuse: a write after free would be lost. Smaller ones seldom free a page. Never with MO_SMALL,
 * for less text: freed chunks of 8 KiB or more give theirs back at once there. */
MO_INLINE bool mo_class_has_holes(const struct mo_class *k)
{
    enum { SMALLEST = 1024 };
    return !MO_SMALL && k->sampled && k->stride >= SMALLEST;
}

/* Slabs that have others in use get or lose so many free slots of the class, and bytes given back. */
MO_INLINE void mo_holes_gain(const struct mo_class *k, size_t slots, size_t hollow)
{
    if (mo_class_has_holes(k) && (slots | hollow) != 0)
        __atomic_add_fetch(&mo_hole_bytes, slots * k->stride + hollow, __ATOMIC_RELAXED);
}

/* So many bytes of the slab's free slots are with the system now. */
void mo_slab_set_hollow(struct mo_slab *slab, const struct mo_class *k, size_t bytes);

/* n of the free slots of a slab with hollow ones are needed: their part of these comes again. */
void mo_slab_fills_hollow(struct mo_slab *slab, const struct mo_class *k, size_t n);

/* A slab becomes wholly free, or is no longer. */
void mo_bin_gains_spare(struct mo_bin *b, const struct mo_slab *slab, const struct mo_class *k);
void mo_bin_loses_spare(struct mo_bin *b, const struct mo_slab *slab, const struct mo_class *k);

/* Opens another slab of the bin; false: there is no memory. */
bool mo_bin_open_one(struct mo_bin *b, int shard, unsigned class, struct mo_random *r) MO_CHECKED;

/* An open, wholly free slab enters its bin, or leaves it. */
void mo_bin_enters(struct mo_bin *b, uint32_t number, const struct mo_class *k);
void mo_bin_leaves(struct mo_bin *b, uint32_t number, const struct mo_class *k);

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
