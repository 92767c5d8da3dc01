/* The guard pool: places for single allocations, each on pages of its own between inaccessible ones.
 *
 *   slot   |<------------------ span ------------------>|
 *          | inaccessible          | page | page | guard | next slot      payload against its far guard,
 *          | page | inaccessible          |      | guard | next slot      or against the near one
 *
 * A slot is opened for as many pages as its payload needs, at one of its two ends by chance (option sample_left), and
 * closed when the payload's life ends. Closed slots wait in a queue; one of the older half is taken next, by chance,
 * of those that have had the same size class (for each chunk that may be live there are 16 slots); a quarter of as many
 * always waits. What stands around the payload in its open pages is the caller's business.
 *
 * Where all allocations are sampled (the profile fuzz) there are slots of each number of pages, as large as their
 * payload, and new ones are taken before a freed one is used again.
 *
 * Mapped when the first slot is taken, and opened to use in steps, so that a process that never samples has none of it.
 * The table of slots is in a mapping of its own between inaccessible pages; the pointers to it and to the pool are in
 * ordinary writable data. One lock, a leaf: nothing else is locked under it. A slot's fields belong to who has taken
 * or claimed it; a fault handler reads them without a lock.
 */
#ifndef MO_POOL_H
#define MO_POOL_H

#include "diag/sealed.h"
#include "mem/random.h"
#include "os/os.h"
#include "os/stack.h"

enum { MO_POOL_MOST = 32 * 1024 }; /* bytes of the largest payload */

enum mo_pool_state {
    MO_POOL_UNUSED,  /* never taken */
    MO_POOL_LIVE,    /* the program's */
    MO_POOL_BUSY,    /* being opened or closed */
    MO_POOL_WAITING, /* freed, inaccessible */
};

struct mo_pool_slot {
    uintptr_t p;       /* the payload */
    size_t n;          /* its bytes; it may have none */
    uintptr_t open;    /* its open pages */
    size_t open_size;  /* 0 when it has no bytes */
    uint32_t align;    /* as requested; 0 for a plain one */
    uint8_t origin;    /* the caller's */
    uint8_t state;     /* enum mo_pool_state */
    uint8_t class;     /* the size class that its addresses belong to from its first use on; 0: none yet */
    bool markers : 1;  /* closed by guard markers */
    bool split : 1;    /* closed by mprotect; by both, where markers were refused for a time */
    bool ready : 1;    /* open, and never used */
    bool reused : 1;   /* of libmoat-fuzz.so: stays open */
    uint8_t lives : 4; /* of such a one, counted */
};

/* Where the slot's chunk was allocated, or freed; NULL: not known. Keep: it was here, by this thread; one that is
 * allocated has not been freed. They are apart from the table, so that forked children that keep no stacks touch few
 * pages of it; with option malloc_context_size=0 there are none. */
const struct mo_stack *mo_pool_stack(const struct mo_pool_slot *g, bool freed);
void mo_pool_keep_stack(const struct mo_pool_slot *g, bool freed);

/* A slot for n bytes at a multiple of align and, but with option align=natural, of 16, with zeros; BUSY until the
 * caller has filled it in and publishes it. NULL: too large for the pool, or none is free, or no memory. */
struct mo_pool_slot *mo_pool_take(size_t n, size_t align, struct mo_random *r) MO_CHECKED;
void mo_pool_publish(struct mo_pool_slot *g);

/* The live slot whose payload is p; NULL when there is none. Claim: it becomes BUSY and the caller's, of many threads
 * for one alone. Retire: it is inaccessible when this returns, and waits. */
struct mo_pool_slot *mo_pool_find(uintptr_t p);
struct mo_pool_slot *mo_pool_claim(uintptr_t p) MO_CHECKED;
void mo_pool_retire(struct mo_pool_slot *g);

/* The slot that an address of the pool belongs to, or whose guard it is in: the one with the nearer payload. NULL when
 * that was never used. Takes no lock. */
struct mo_pool_slot *mo_pool_around(uintptr_t a);

/* From now on no slot is taken: those that are closed stay closed, so that a fault is met again. Takes no lock. */
void mo_pool_freeze(void);

/* The pool's address space; nothing before the first slot is taken. Written once, the size last. */
extern uintptr_t mo_pool_base MO_HIDDEN;
extern size_t mo_pool_size MO_HIDDEN;

/* Which side a chunk lies on: by chance, and by the turn of a forked child (fuzzing/forks.h), else 0. */
extern uint32_t mo_pool_turn MO_HIDDEN;

MO_INLINE bool mo_pool_is_far(struct mo_random *r)
{
    return (mo_random_below(r, 100) + mo_pool_turn) % 100 >= mo_sealed.options.sample_left;
}

MO_INLINE bool mo_pool_holds(uintptr_t p)
{
    if (MO_SMALL)
        return false;
    size_t size = __atomic_load_n(&mo_pool_size, __ATOMIC_ACQUIRE);
    return mo_unlikely(p - __atomic_load_n(&mo_pool_base, __ATOMIC_RELAXED) < size);
}

/* For a look from outside. */
struct mo_pool_places {
    const size_t *live_bytes, *live_count, *taken, *missed, *kind_count;
    const size_t *queue_count; /* of the first kind; the next is kind_size bytes on */
    size_t kind_size;
};
extern const struct mo_pool_places mo_pool_places;

struct mo_pool_figures {
    size_t live_bytes, live_count; /* open pages, slots that the program has */
    size_t waiting_count;
    size_t table_bytes;
    size_t taken;  /* slots taken since start */
    size_t missed; /* times that there was none */
};
void mo_pool_figures(struct mo_pool_figures *f);

/* libmoat-fuzz.so has others of these names (fuzzing/reuse.h, depot.c); these are what they are in place of. */
struct mo_pool_slot *mo_pool_take_once(size_t n, size_t align, struct mo_random *r) MO_CHECKED;
void mo_pool_retire_once(struct mo_pool_slot *g);
void mo_pool_figures_once(struct mo_pool_figures *f);
const struct mo_stack *mo_pool_stack_once(const struct mo_pool_slot *g, bool freed);
void mo_pool_keep_stack_once(const struct mo_pool_slot *g, bool freed);
extern struct mo_pool_slot *mo_pool_table MO_HIDDEN;
struct mo_pool_stacks {
    struct mo_stack of[2]; /* allocated, freed */
};
extern struct mo_pool_stacks *mo_pool_stacks MO_HIDDEN; /* there are as many; nothing but zeros as yet */

void mo_pool_locks(mo_lock_visit *visit);
void mo_pool_lock(void);
void mo_pool_unlock(void);

/* In a forked child. Prepare: before a fork, so that not each child makes guards for its first slots. */
void mo_pool_forked(void);
void mo_pool_prepare(void);

/* Holds live slots as they are until the unlock; false when the lock is not to be had, as in a signal's handler. Next:
 * the first live slot from *at on, which becomes the place behind it; NULL behind the last. known: with those that a
 * forked child of the profile fuzz has from its parent. */
bool mo_pool_hold(void) MO_CHECKED;
const struct mo_pool_slot *mo_pool_next_locked(size_t *at, bool known);

#endif
