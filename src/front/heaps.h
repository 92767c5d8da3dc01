/* Heaps for one purpose (moat_heap_create): slabs that serve nobody else, all of whose chunks end at once.
 *
 * A heap is a shard of its own, one below 0, with a thread cache of its own that stands under the heap's lock. Its
 * regions stay the shard's for the life of the process, so that an address never changes class nor comes to an ordinary
 * malloc; a later heap may get the shard, after MO_HEAPS_WAIT others have been destroyed. Its chunks have an origin of
 * their own in the header: the hot paths of free and realloc, which expect another one, leave them to the slow half,
 * and that comes here. Large chunks have the shard in their table entry.
 *
 * What a program has is a name, no address: one that is used after the heap's end is reported.
 */
#ifndef MO_HEAPS_H
#define MO_HEAPS_H

#include "front/routine.h"
#include "mem/heap.h"

enum { MO_HEAPS_WAIT = 32 }; /* destroyed heaps before a shard serves a new one */

/* A heap's name; 0: there are too many, or no memory. */
uintptr_t mo_heaps_create(void);

/* Verifies every chunk of it and ends their lives: all its addresses are inaccessible then. */
void mo_heaps_destroy(uintptr_t name);

/* The shard of a live heap, or reports. */
int mo_heaps_find(uintptr_t name, const char *action);

/* n bytes of zeros from the heap with that shard and name (0: whichever lives there), at a multiple of align; NULL and
 * ENOMEM without memory. */
void *mo_heaps_allocate(int shard, uintptr_t name, size_t n, size_t align) MO_CHECKED;

/* Gives back a chunk of a heap, which has been verified. */
void mo_heaps_release(const struct mo_place *place, const char *action);

#endif
