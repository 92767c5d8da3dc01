/* Where a look from outside finds everything: what `moat top` and `moat map` read of another process.
 *
 * A note in the library, or in a static program, says where mo_sight is; that has the addresses of what is looked at,
 * which nobody else follows. It costs the library some data and no code. The command has been compiled of the same
 * structures: `layout` tells whether it was. All that it reads may be nonsense: the process goes on, or is hostile.
 */
#ifndef MO_FRONT_SIGHT_H
#define MO_FRONT_SIGHT_H

#include "cache/cache.h"
#include "guard/pool.h"
#include "mem/large_table.h"
#include "mem/table.h"
#include "moat/moat.h"

struct mo_sight {
    char magic[8];
    uint64_t layout;
    const struct mo_sealed_data *sealed;
    const struct mo_heap_places *heap;
    const struct mo_cache_places *cache;
    const struct mo_pool_places *pool;
    const struct mo_large_table *large;
    const size_t *spare_bytes;
    const size_t *warnings;
};
extern const struct mo_sight mo_sight;

#define MO_SIGHT_MAGIC "moat\xc7sig"

/* The note's name, type and the four bytes that it holds: from their own address to mo_sight's. */
#define MO_SIGHT_NOTE "moat"
enum { MO_SIGHT_NOTE_TYPE = 1 };

/* Changes with the version, the size of each structure that is looked at and the place of some members. */
#define MO_SIGHT_MIX(h, v)     (((h) ^ (uint64_t)(v)) * 0x9e3779b97f4a7c15u)
#define MO_SIGHT_MIX2(h, a, b) MO_SIGHT_MIX(MO_SIGHT_MIX(h, a), b)
#define MO_SIGHT_SEALED                                                                    \
    MO_SIGHT_MIX2(MOAT_VERSION_MAJOR << 16 | MOAT_VERSION_MINOR << 8 | MOAT_VERSION_PATCH, \
                  sizeof(struct mo_sealed_data), offsetof(struct mo_sealed_data, options))
#define MO_SIGHT_CACHE MO_SIGHT_MIX2(MO_SIGHT_SEALED, sizeof(struct mo_cache), offsetof(struct mo_cache, frees))
#define MO_SIGHT_SHARD MO_SIGHT_MIX2(MO_SIGHT_CACHE, sizeof(struct mo_shard), offsetof(struct mo_bin, taken))
#define MO_SIGHT_SLAB  MO_SIGHT_MIX2(MO_SIGHT_SHARD, sizeof(struct mo_slab), offsetof(struct mo_slab, flags))
#define MO_SIGHT_LARGE MO_SIGHT_MIX2(MO_SIGHT_SLAB, sizeof(struct mo_large), sizeof(struct mo_large_table))
#define MO_SIGHT_LAYOUT \
    MO_SIGHT_MIX2(MO_SIGHT_LARGE, sizeof(struct mo_granule) << 8 | sizeof(struct mo_table), sizeof(struct mo_sight))

#endif
