/* Sampled chunks: one alone in a slot of guard/pool.h, with the stacks of its allocation and of its free.
 *
 * It has no header, so that it may lie right behind a guard: the pool's table knows it. Its open pages around the
 * payload carry a keyed pattern, checked at free; what reaches further faults at the access. */
#ifndef MO_GUARDED_H
#define MO_GUARDED_H

#include "front/routine.h"
#include "guard/pool.h"

/* An allocation that has met the sampler's marker. NULL: not this one, or not here. */
void *mo_guarded_allocate(size_t n, size_t align, enum mo_origin origin);

/* p lies in the pool. False: no live chunk starts there. A corrupted one is reported, and one that is not released
 * as it was made. Made: *made is what is used on it, and then how it was made. */
bool mo_guarded_release(uintptr_t p, struct mo_routine used) MO_CHECKED;
bool mo_guarded_size(uintptr_t p, size_t *n) MO_CHECKED; /* as requested */
bool mo_guarded_made(uintptr_t p, struct mo_routine *made) MO_CHECKED;

/* Verifies all live chunks of the pool (known: see mo_pool_next_locked), and reports one that is corrupted; returns how
 * many there are. */
size_t mo_guarded_check(const char *action, bool known);

/* p lies in the pool and no live chunk starts there: says what is there instead. */
MO_NORETURN void mo_guarded_report(uintptr_t p, const char *action);

/* What is known of the chunk in a slot. */
void mo_guarded_describe(const struct mo_pool_slot *g, struct mo_report_chunk *chunk);

#endif
