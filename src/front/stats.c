#include "front/stats.h"

#include <string.h>

#include "arena/bin.h"
#include "cache/cache.h"
#include "diag/report.h"
#include "front/check.h"
#include "front/front.h"
#include "guard/pool.h"
#include "mem/classes.h"
#include "mem/large.h"
#include "moat/moat.h"

struct bins {
    size_t taken, taken_bytes, slab_count, slab_bytes, purged;
};

static void add_bin(struct bins *s, int shard, unsigned class)
{
    const struct mo_class *k = &mo_sealed.classes[class];
    struct mo_bin *b = mo_bin_of(shard, class);
    if (!mo_class_is_used(class))
        return;                              /* its bin's page is not touched either */
    bool held = mo_lock_patiently(&b->lock); /* a handler of this thread's may exit in the middle of a malloc */
    size_t taken = b->taken, open = b->open_count;
    s->purged += b->purged;
    if (held)
        mo_unlock(&b->lock);
    s->taken += taken;
    s->slab_count += open;
    if (class != MO_CLASS_ZERO) { /* its slabs have no pages */
        s->taken_bytes += taken * k->stride;
        s->slab_bytes += open * k->slab_bytes;
    }
}

static void count_class(unsigned class, struct moat_class_stats *s)
{
    const struct mo_class *k = &mo_sealed.classes[class];
    struct bins bins = {0};
    for (int shard = mo_arena_first(); shard < (int)mo_sealed.shard_count; shard++)
        add_bin(&bins, shard, class);
    memset(s, 0, sizeof *s);
    s->slot = class == MO_CLASS_ZERO ? 0 : k->stride;
    s->largest = class == MO_CLASS_ZERO ? 0 : k->stride - MO_HEADER;
    s->slab_count = bins.slab_count;
    for (const struct mo_cache *c = mo_cache_next(NULL); c != NULL; c = mo_cache_next(c)) {
        s->cached_count += mo_cache_ready(c, class);
        s->quarantined_count += mo_cache_waiting(c, k);
    }
    /* Other threads go on meanwhile: never let a difference wrap. */
    size_t away = s->cached_count + s->quarantined_count;
    s->live_count = bins.taken > away ? bins.taken - away : 0;
}

bool mo_front_class_stats(size_t index, struct moat_class_stats *s)
{
    if (!mo_front_start() || index >= MO_CLASSES - MO_CLASS_FIRST)
        return false;
    count_class((unsigned)index + MO_CLASS_FIRST, s);
    return true;
}

bool mo_front_shard_stats(size_t index, struct moat_shard_stats *s)
{
    struct bins bins = {0};
    if (!mo_front_start() || index >= mo_sealed.shard_count)
        return false;
    for (unsigned class = MO_CLASS_FIRST; class < MO_CLASSES; class++)
        add_bin(&bins, (int)index, class);
    *s = (struct moat_shard_stats){bins.slab_bytes, bins.taken_bytes, bins.purged};
    return true;
}

void mo_front_stats(struct moat_stats *s)
{
    struct moat_class_stats class;
    struct mo_heap_figures heap;
    struct mo_large_figures large;
    struct mo_pool_figures pool = {0};

    memset(s, 0, sizeof *s);
    s->size = sizeof *s;
    if (!mo_front_start())
        return;
    for (size_t i = 0; mo_front_class_stats(i, &class); i++) {
        s->allocated += class.live_count * class.slot;
        s->live_count += class.live_count;
        s->cached += class.cached_count * class.slot;
        s->quarantined += class.quarantined_count * class.slot;
        if (class.slot == 0)
            continue; /* malloc(0)'s slabs have no pages */
        s->slab_count += class.slab_count;
    }
    struct bins bins = {0}; /* those of heaps included */
    for (int shard = mo_arena_first(); shard < (int)mo_sealed.shard_count; shard++)
        for (unsigned i = MO_CLASS_FIRST; i < MO_CLASSES; i++)
            add_bin(&bins, shard, i);
    s->slabs = bins.slab_bytes;
    s->purged_count = bins.purged;
    for (const struct mo_cache *c = mo_cache_next(NULL); c != NULL; c = mo_cache_next(c))
        s->frees_count += __atomic_load_n(&c->frees, __ATOMIC_RELAXED);
    mo_heap_figures(&heap);
    mo_large_figures(&large);
    if (!MO_SMALL)
        mo_pool_figures(&pool);
    s->large = large.live_bytes;
    s->large_count = large.live_count;
    s->large_waiting = large.waiting_bytes;
    s->allocated += large.live_bytes + pool.live_bytes;
    s->live_count += large.live_count + pool.live_count;
    s->guard_count =
        heap.guards + 2 * large.live_count + large.waiting_count + 2 * pool.live_count + pool.waiting_count;
    s->threads_count = mo_cache_count();
    s->metadata = heap.metadata + large.table_bytes + pool.table_bytes +
                  (mo_sealed.shard_count - (size_t)mo_arena_first()) * sizeof(struct mo_shard) +
                  s->threads_count * mo_sealed.cache_bytes;
    s->reserved = mo_sealed.heap_size;
    s->resident = mo_os_resident();
    s->mappings_count = heap.mappings + 2 * large.live_count + large.waiting_count + (pool.taken != 0);
    s->shards_count = mo_sealed.shard_count;
    s->classes_count = MO_CLASSES - MO_CLASS_FIRST;
    s->active = s->slabs + large.live_bytes + pool.live_bytes;
    s->retained = __atomic_load_n(&mo_spare_bytes, __ATOMIC_RELAXED);
    s->sampled_count = pool.taken;
    s->unsampled_count = pool.missed;
    s->warnings_count = __atomic_load_n(&mo_warnings, __ATOMIC_RELAXED);
}

void mo_front_stats_all(struct moat_stats *s)
{
    mo_front_stats(s);
    s->requested = mo_requested();
    s->fragmentation = (size_t)((s->active - mo_min(s->requested, s->active)) * (uint64_t)1000 / mo_max(s->active, 1));
}
