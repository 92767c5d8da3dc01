/* Verifying what nobody frees: any slot, also other threads', while they go on.
 *
 * Whoever changes a slot says so in its state word first and last: free becomes live, and not busy, only after header
 * and tail are written; live becomes free, or busy, before they are changed. So a look between two equal words, live
 * and not busy, has seen a whole chunk. The one exception, a chunk that changed and came back to the same word within
 * the look (a resize in place does, and 128 lives of the slot), can't happen look after look in step with us: what is
 * bad is looked at again, with growing rests, until it has been bad in the same way many times in a row.
 */
#ifndef MO_CHECK_H
#define MO_CHECK_H

#include "cache/cache.h"

/* A thread has moved n slots of a class from or to its shard, `slot` one of them, which is still its own: verifies as
 * many others as option patrol says for that, half of them of the same slab, half anywhere. */
void mo_patrol(struct mo_cache *c, uintptr_t slot, size_t n);

/* Verifies every chunk and every freed slot of a heap's shard, which nobody uses any more. */
void mo_check_shard(int shard, const char *action);

/* Verifies the slots on both sides of a place, whose slab is open. */
void mo_check_neighbours(const struct mo_place *place, const struct mo_cache *c, const char *action);

/* Bytes requested of all live chunks; of those aligned to more than 16 their slots. */
size_t mo_requested(void);

#endif
