/* What a checked function needs to know of a pointer that is in no slab: may it be a large or a sampled chunk's, and
 * which large chunk is it in.
 *
 * A sorted copy of the table of large mappings, those that wait included, written under that table's lock and read
 * without one: a reader sees by a counter that something has changed meanwhile, and reads again; a few times, as it may
 * be a signal's handler that has interrupted the writer. A thread keeps what it was told last, until the counter
 * changes, so that copies to one buffer, or to a stack that lies between large chunks, search once. A signal's handler
 * of the thread may ask at any moment, and what is kept is then another place's: by its turn it is seen.
 */
#ifndef MO_INDEX_H
#define MO_INDEX_H

#include "guard/pool.h"
#include "mem/large.h"

/* Addresses low to last. */
struct mo_reach {
    uintptr_t low, last;
};

/* All large mappings that there have been, and the pool of sampled chunks, lie in the first: it only grows, so that
 * whatever is read of it while it does, and in whichever order, covers what it did before. The second is the same, but
 * reaches everywhere as long as a destination that is not moat's is not all that there is to find out. */
extern struct mo_reach mo_index_reach[2] MO_HIDDEN;
enum { MO_REACH_ANY, MO_REACH_ALONE };

MO_RACY bool mo_index_reaches(const struct mo_reach *r, uintptr_t a)
{
    return mo_unlikely(a >= r->low) && mo_unlikely(a <= r->last);
}

MO_INLINE bool mo_index_may_hold(uintptr_t a)
{
    return mo_index_reaches(&mo_index_reach[MO_REACH_ANY], a);
}

/* From now on the second is the first. */
void mo_index_alone(void);

/* What a thread was told last: `size` bytes at `from` are of a live large chunk, or of no chunk. */
struct mo_kept {
    uintptr_t from;
    size_t size;
    uint32_t seen; /* the counter then */
    uint32_t turn; /* how often this has been written */
    bool busy;     /* it is being written */
};

/* Odd while the table is written; and what this thread was told last, of destinations and of sources. */
extern uint32_t mo_index_counter MO_HIDDEN;
extern __thread struct mo_kept mo_index_kept[2] MO_HIDDEN;

/* n bytes at a are inside of a large chunk, or it is between such: as far as this thread was told last. */
MO_INLINE bool mo_index_fits(uintptr_t a, size_t n, unsigned which)
{
    const volatile struct mo_kept *k = &mo_index_kept[which];
    uint32_t turn = k->turn;
    if (k->seen != __atomic_load_n(&mo_index_counter, __ATOMIC_ACQUIRE))
        return false;
    size_t before = a - k->from, left;
    bool outside = __builtin_sub_overflow(k->size, before, &left);
    return mo_likely(!outside) && mo_likely(n <= left) && mo_likely(k->turn == turn);
}

/* The table, which names large chunks without being the program's, and what this thread was told last: for the search
 * of leaks. */
const void *mo_index_table(void);
void mo_index_forget(void);

/* Bytes from a to the end of the large chunk that it is in, 0 when that one waits; SIZE_MAX: in none, or that can't be
 * told now. which: what is told is kept for destinations or for sources. */
size_t mo_index_left(uintptr_t a, unsigned which);

#endif
