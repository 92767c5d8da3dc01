/* Shards: independent arenas that hand out free slots in batches and take them back.
 *
 * A shard has a bin for each class: the slabs of that class with free slots, and the closed ones. Slots are opaque
 * here: what is in them is front's business. Random: which partial slab serves a batch, which of its slots, which
 * closed slab is opened next.
 *
 * Locks, in the order in which they may be taken: cache pool, purges, bin 0 of a heap, a bin, the heap (mem/heap.c);
 * the large table and the guard pool stand alone. Fork takes all of them in that order (os/os.h).
 */
#ifndef MO_ARENA_H
#define MO_ARENA_H

#include "mem/heap.h"

enum { MO_BLOCK_MOST = 4 }; /* slabs that may be closed by one call */

struct mo_bin {
    struct mo_lock lock;
    uint32_t all;           /* the newest of its slabs, each of which names the next; 0: none */
    uint32_t partial_count; /* open slabs with a free slot */
    uint32_t closed_count;  /* slabs whose pages are with the system */
    uint32_t list_room;     /* entries that each list has room for */
    uint32_t slab_count;    /* all slabs of this bin */
    uint32_t open_count;    /* open slabs, full ones included */
    uint32_t empty_count;   /* open slabs that are wholly free: spares, see option spare_bytes */
    uint32_t purged;        /* times a slab was closed */
    uint32_t last_opened;   /* slab number; 0 at first */
    uint32_t *partial;
    uint32_t *closed;
    size_t held;  /* bytes of its regions */
    size_t taken; /* slots that are not with the shard */
    /* Bin 0, as there is no class 0, has what front/heaps.c knows of a heap, and its lock: */
    void *cache;
    uintptr_t heap; /* its name for the program; 0: there is none at present */
    bool large;     /* it has had large chunks */
} __attribute__((aligned(2 * MO_CACHE_LINE)));

struct mo_shard {
    struct mo_bin bins[MO_CLASSES];
};

/* With MO_SMALL the bins of classes without requests lie behind the others, so that those are in one page. */
enum { MO_BINS_USED = MO_SMALL ? 30 : MO_CLASSES };
MO_INLINE unsigned mo_bin_place(unsigned class)
{
    if (!MO_SMALL || class < 9)
        return class;
    return class == MO_CLASS_ZERO ? MO_BINS_USED - 1 : class / 2 + (class % 2 != 0 ? MO_BINS_USED - 4 : 4);
}

/* Shards below 0, from -1 down, are those of heaps that the program has made: one each, which serves nobody else. */
enum { MO_HEAPS = sizeof(void *) == 8 ? 1024 : 64 };

/* Sets up the shards in a mapping of their own, with room for those of heaps before them. Last in the nest. */
bool mo_arena_start(void) MO_CHECKED;

/* Address space for the shards of heaps. */
size_t mo_arena_heap_room(void);

/* One more heap's shard; 0: there are too many, or no memory. */
int mo_arena_add(void);

/* The first shard in use; they go on to shard_count. */
int mo_arena_first(void);

/* The slab of a bin behind `slab`, NULL: its first one; NULL behind the last. Only for what has no other user. */
const struct mo_slab *mo_arena_next(int shard, unsigned class, const struct mo_slab *slab);

/* Ends the lives of all chunks of a heap's shard, which nobody uses any more, and closes its slabs. */
void mo_arena_wipe(int shard);

/* Takes up to n free slots of a class into slots[], which become `owner`'s: their state words say so.
 * Returns how many; 0 without memory. */
size_t mo_arena_take(int shard, unsigned class, unsigned owner, uintptr_t *slots, size_t n, struct mo_random *r);

/* Gives n slots of a class back to the shards they came from. Each must be free and `owner`'s, or the
 * process ends. */
void mo_arena_put(unsigned class, unsigned owner, uintptr_t *slots, size_t n);

/* Closes wholly free slabs: so many that the spares are what options allow; or all, spares included. */
void mo_arena_trim(void);
void mo_arena_purge(void);

/* Bytes of slabs given back since start. */
size_t mo_arena_closed_bytes(void);

/* MO_HELD: an open slab stays open, and its free slots with the shard, until let_go, which must come soon. MO_CLOSED:
 * its pages are with the system. MO_LOCKED: the lock is not to be had, at once or within milliseconds (patient). */
enum mo_hold { MO_HELD, MO_CLOSED, MO_LOCKED };
enum mo_hold mo_arena_hold(const struct mo_slab *slab, bool patient) MO_CHECKED;
void mo_arena_let_go(const struct mo_slab *slab);

/* Verifies that lists, counts, bitmaps and state words agree, or reports for `action`. Other threads may go on. */
void mo_arena_check(const char *action);

void mo_arena_locks(mo_lock_visit *visit);

#endif
