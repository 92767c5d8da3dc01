/* A walk through all live chunks, while other threads go on. */
#ifndef MO_WALK_H
#define MO_WALK_H

#include "base/base.h"

/* Calls visit, without a lock held, for every live chunk of a heap's shard, or of all where shard is 0, until it does
 * not return 0; returns that. What is made, resized or freed at the moment is passed by. */
int mo_walk(int shard, int (*visit)(void *chunk, size_t size, void *context), void *context);

#endif
