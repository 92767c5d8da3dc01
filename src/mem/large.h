/* Large mappings: one each, with a table that alone knows which are live.
 *
 *   | guard 1..8 pages | open pages: [header] payload n [tail < 64] | guard 1..8 pages |
 *
 * The payload is 64-byte aligned and pushed against the far guard. Freed, the whole mapping faults at once and
 * its pages are given back; its addresses then wait, by count and by bytes, before they are unmapped. What is
 * in the open pages is front's business. The table is in a mapping of its own between inaccessible pages;
 * everything is guarded by one lock.
 */
#ifndef MO_LARGE_H
#define MO_LARGE_H

#include "mem/heap.h"

enum mo_large_guards {
    MO_LARGE_MARKERS, /* guard markers */
    MO_LARGE_SPLIT,   /* by mprotect: mappings of their own */
    MO_LARGE_BARE,    /* none: the budget of mappings is used up, and all of it is accessible */
};

struct mo_large {
    uintptr_t p;   /* the payload; 0: an empty table entry */
    size_t n;      /* bytes requested */
    uintptr_t map; /* the mapping with its guards */
    size_t map_size;
    uintptr_t open; /* the accessible pages */
    size_t open_size;
    uint32_t state;  /* MO_STATE_LIVE and a random generation, or 0 while it waits */
    uint16_t guards; /* enum mo_large_guards */
    int16_t heap;    /* below 0: the shard of the heap that it is of */
    uint64_t proof;  /* keyed hash of the above: a write to the table makes no entry and moves none. 0 outside of it */
    bool busy;       /* what is in the pages is being written or moved: see mo_large_settle */
};

MO_INLINE uintptr_t mo_large_end(const struct mo_large *l)
{
    return l->open + l->open_size;
}

/* r: a stream for this module alone. */
bool mo_large_start(struct mo_random *r) MO_CHECKED;

/* A new mapping for n bytes at a multiple of align, for out->heap; it is zero. False without memory. It is busy. */
bool mo_large_take(size_t n, size_t align, struct mo_large *out) MO_CHECKED;

/* Ends the life of the mapping at p: inaccessible when this returns. False: p is not live, nothing was done. */
bool mo_large_put(uintptr_t p) MO_CHECKED;

/* The same in two steps, between which the caller alone looks at the pages: *l is the entry as it was. */
bool mo_large_claim(uintptr_t p, struct mo_large *l) MO_CHECKED;
void mo_large_retire(const struct mo_large *l);

/* Changes the size of the live mapping at p to n: in place, or when it grows beyond its room at another address; *out
 * is how it is after. Fresh pages are zero. False: it is as before. It is busy in either case. */
bool mo_large_resize(uintptr_t p, size_t n, struct mo_large *out) MO_CHECKED;

/* The caller has written what belongs into the pages of the busy mapping at p: others may look at it. */
void mo_large_settle(uintptr_t p);

/* The entry of payload address p, live (state is not 0) or waiting. */
bool mo_large_find(uintptr_t p, struct mo_large *out);

/* The entry that address a lies in or whose guards it lies in; a linear search, for reports. */
bool mo_large_around(uintptr_t a, struct mo_large *out);

/* The same from a fault's handler, which may have interrupted who holds the lock: false when it can't be had soon. */
bool mo_large_around_fault(uintptr_t a, struct mo_large *out);

struct mo_large_figures {
    size_t live_bytes, live_count; /* mappings without guards */
    size_t waiting_bytes;          /* address space */
    size_t waiting_count;
    size_t table_bytes;
};
void mo_large_figures(struct mo_large_figures *f);

/* For a look at all that is live: from hold (false: the lock is not to be had) to mo_large_unlock no mapping changes
 * its life or size. next: the first live mapping, not busy, at or after place *at of the table; false: no more. */
bool mo_large_hold(void) MO_CHECKED;
bool mo_large_next_locked(size_t *at, struct mo_large *l);

/* Do the table and the counts agree? What does not, or NULL. */
const char *mo_large_fault_locked(void);

void mo_large_lock(void);
void mo_large_unlock(void);
void mo_large_locks(mo_lock_visit *visit);

#endif
