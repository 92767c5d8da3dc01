/* Figures of the heap, gathered from every layer without stopping anybody. */
#ifndef MO_STATS_H
#define MO_STATS_H

#include "base/base.h"

struct moat_stats;
struct moat_class_stats;
struct moat_shard_stats;

/* Fills every member of *s, but for those that need a look at every chunk; and those too. */
void mo_front_stats(struct moat_stats *s);
void mo_front_stats_all(struct moat_stats *s);

/* Fills *s for class number index from 0; false when there is no such class. */
bool mo_front_class_stats(size_t index, struct moat_class_stats *s);

/* The same for shard number index. */
bool mo_front_shard_stats(size_t index, struct moat_shard_stats *s);

#endif
