/* Places that stay open: one page between two guards each, as guard/pool.h has them, that chunks of places in the
 * program that allocate all the time take by turns. Taking and freeing one is no system call and no page fault, so that
 * in a persistent loop an overflow still runs into a guard at every allocation. What it lacks: a stale read gets zeros,
 * or free_fill_byte, and no fault, and a stale write is found when the place is taken again, at the end of the epoch or
 * of the process.
 *
 *   guard | 0 ... 0 | pattern | payload | guard        or the payload against the other guard
 *
 * All of a waiting place is zero, but what is filled. At least MO_REUSE_WAIT places wait before the oldest is taken,
 * fewer in the short life of a fork server's child, where each costs a page fault; at most MO_REUSE_MOST are kept open.
 * The list is under the pool's lock. */
#ifndef MO_REUSE_H
#define MO_REUSE_H

#include "guard/pool.h"

enum { MO_REUSE_WAIT = 32, MO_REUSE_WAIT_FORKED = 8, MO_REUSE_MOST = 512 };

/* The calling thread's next allocation of n bytes, if it comes to the pool, may have such a place. */
void mo_reuse_next(bool may);

/* Looks at all that wait; reports one that has been written to. */
void mo_reuse_check(const char *action);

#endif
