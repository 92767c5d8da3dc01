/* Shards: independent arenas that hand out free slots in batches and take them back.
 *
 * A shard has a bin for each class: the slabs of that class with free slots, and the closed ones. Slots are opaque
 * here: what is in them is front's business. Random: which partial slab serves a batch, which of its slots, which
 * closed slab is opened next.
 *
 * Locks, in the order in which they may be taken: cache pool, then a bin, then the heap (mem/heap.c); the
 * large table stands alone. Fork takes all of them in that order.
 */
#ifndef MO_ARENA_H
#define MO_ARENA_H

#include "mem/heap.h"

struct mo_bin {
    struct mo_lock lock;
    uint32_t partial_count; /* open slabs with a free slot */
    uint32_t closed_count;  /* slabs whose pages are with the system */
    uint32_t list_room;     /* entries that each list has room for */
    uint32_t slab_count;    /* all slabs of this bin */
    uint32_t open_count;    /* open slabs, full ones included */
    uint32_t empty_count;   /* open slabs that are wholly free: spares, see option spare_bytes */
    uint32_t purged;        /* times a slab was closed */
    uint32_t *partial;
    uint32_t *closed;
    size_t held;  /* bytes of its regions */
    size_t taken; /* slots that are not with the shard */
} __attribute__((aligned(2 * MO_CACHE_LINE)));

struct mo_shard {
    struct mo_bin bins[MO_CLASSES];
};

/* Sets up the shards in a mapping of their own. */
bool mo_arena_start(void) MO_CHECKED;

/* Takes up to n free slots of a class into slots[], which become `owner`'s: their state words say so.
 * Returns how many; 0 without memory. */
size_t mo_arena_take(unsigned shard, unsigned class, unsigned owner, uintptr_t *slots, size_t n, struct mo_random *r);

/* Gives n slots of a class back to the shards they came from. Each must be free and `owner`'s, or the
 * process ends. */
void mo_arena_put(unsigned class, unsigned owner, uintptr_t *slots, size_t n);

/* Closes every wholly free slab, spares included; bytes given back. */
size_t mo_arena_purge(void);

/* Bytes of slabs given back since start. */
size_t mo_arena_closed_bytes(void);

void mo_arena_lock(void);
void mo_arena_unlock(void);

#endif
