/* Large chunks by address: what a checked function needs to know of a pointer that is in no slab.
 *
 * A sorted copy of the table of large mappings, those that wait included, written under that table's lock and read
 * without one: a reader sees by a counter that something has changed meanwhile, and reads again; a few times, as it may
 * be a signal's handler that has interrupted the writer. A thread keeps what it was told last, until the counter
 * changes, so that copies to one buffer, or to a stack that lies between large chunks, search once.
 */
#ifndef MO_INDEX_H
#define MO_INDEX_H

#include "guard/pool.h"
#include "mem/large.h"

/* A part of the address space: a mapping, or what lies between two. */
struct mo_range {
    uintptr_t low, high;
    uintptr_t p; /* the payload; 0: no large chunk */
    size_t n;
    uint32_t seen; /* the counter */
    bool live;
};

/* All large mappings that there have been lie in it. Low is written last and read first. */
extern uintptr_t mo_index_low MO_HIDDEN;
extern size_t mo_index_span MO_HIDDEN;

MO_INLINE bool mo_index_may_hold(uintptr_t a)
{
    uintptr_t low = __atomic_load_n(&mo_index_low, __ATOMIC_ACQUIRE);
    return mo_unlikely(a - low < __atomic_load_n(&mo_index_span, __ATOMIC_RELAXED)) || mo_pool_holds(a);
}

/* Odd while it is written; and what this thread was told last, of destinations and of sources. */
extern uint32_t mo_index_counter MO_HIDDEN;
extern __thread struct mo_range mo_index_last[2] MO_HIDDEN;

/* n bytes at a are inside of a large chunk, or it is between such: as far as this thread was told last. */
MO_INLINE bool mo_index_fits(uintptr_t a, size_t n, unsigned which)
{
    const struct mo_range *r = &mo_index_last[which];
    if (r->seen != __atomic_load_n(&mo_index_counter, __ATOMIC_ACQUIRE) || a - r->low >= r->high - r->low)
        return false;
    return r->p == 0 || (r->live && a - r->p <= r->n && n <= r->n - (a - r->p));
}

/* The part that a lies in; NULL when that can't be told now. */
const struct mo_range *mo_index_find(uintptr_t a, unsigned which);

#endif
