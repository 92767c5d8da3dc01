/* Freed large mappings wait, by count and by bytes, so that their addresses are not soon another's. Some more, beyond
 * the count, may be taken for new ones. A ring of their payloads' addresses; what they are the table says. For large.c.
 */
#ifndef MO_LARGE_WAIT_H
#define MO_LARGE_WAIT_H

#include "mem/large_table.h"

enum { MO_LARGE_AGAIN = 16 }; /* so many beyond the count are kept to be taken again */

struct mo_large_waiting {
    uintptr_t *ring; /* oldest at `at` */
    size_t room, at, count, bytes;
};
extern struct mo_large_waiting mo_large_waiting; /* under the table's lock */

bool mo_large_wait_start(void) MO_CHECKED;

/* l, freed and shut, waits; the oldest beyond the budget are unmapped. again: it may be taken again, as all of it
 * is inaccessible. */
void mo_large_wait(const struct mo_large *l, bool again);

/* Address space is short: some of what waits is unmapped. False: nothing waits. */
bool mo_large_wait_drop(void);

/* Takes an inaccessible mapping that has waited long enough and has room for open_size bytes, a page before and one
 * behind them, and not much more: l->map, l->map_size and l->guards. False: there is none. */
bool mo_large_wait_again_locked(size_t open_size, struct mo_large *l);

#endif
