/* Large chunks: a header and a tail in a mapping of mem/large.h. */
#ifndef MO_BIG_H
#define MO_BIG_H

#include "front/routine.h"

/* heap: the shard of the heap that it is to be of, or 0. */
void *mo_big_allocate(size_t n, size_t align, enum mo_origin origin, int heap);

/* False: p is no live large chunk. A corrupted one is reported, and one that is not released as it was made. */
bool mo_big_release(uintptr_t p, struct mo_routine used);

/* The requested size of the large chunk at p; false: it is none. */
bool mo_big_size(uintptr_t p, size_t *n);

/* Verifies every live large chunk and their table, or reports for `action`; how many. */
size_t mo_big_check(const char *action);

enum mo_big_result { MO_BIG_NOT, MO_BIG_DONE, MO_BIG_MOVE };

/* Resizes in place or by moving pages: DONE and *q. MOVE: the caller is to copy. NOT: no such chunk. *made is what is
 * used, and then how the chunk was made. */
enum mo_big_result mo_big_resize(uintptr_t p, size_t n, struct mo_routine *made, void **q);

#endif
