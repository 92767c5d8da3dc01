/* The figures of another process: what front/stats.c counts, from outside. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "mem/classes.h"
#include "sight.h"

enum {
    CACHES_MOST = 65536,
    SLABS_MOST = 1 << 24,
    LARGES_MOST = 1 << 24,
    KINDS_MOST = 64,
    PIECE = 1024,      /* entries of a table that are read at a time */
    SAMPLE_SLABS = 24, /* slabs of each class in which chunks are looked at, */
    SAMPLE_SLOTS = 4,  /* and slots of each */
};

/* Slabs of one class, some of all that there are, each with the same chance. */
struct sample {
    size_t seen, count;
    struct mo_slab slabs[SAMPLE_SLABS];
};

static size_t read_size(const struct sight *s, const size_t *at)
{
    size_t v = 0;
    return sight_read(s, at, &v, sizeof v) ? v : 0;
}

static unsigned draw(void)
{
    static uint32_t state = 2463534242u;
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return state;
}

void sight_slabs(const struct sight *s, sight_see_slab *see, void *context)
{
    static struct mo_slab piece[PIECE];
    size_t count = mo_min(read_size(s, s->heap.slab_count), SLABS_MOST);
    for (size_t i = 1; i < count; i += PIECE) { /* the first is nobody's */
        size_t n = mo_min(PIECE, count - i);
        if (!sight_read(s, s->sealed.slabs + i, piece, n * sizeof piece[0]))
            return;
        for (size_t j = 0; j < n; j++) {
            struct mo_slab *slab = &piece[j];
            if (slab->class < MO_CLASS_FIRST || slab->class >= MO_CLASSES ||
                slab->base - s->sealed.heap_base >= s->sealed.heap_size)
                continue;
            const struct mo_class *k = &s->sealed.classes[slab->class];
            slab->introduced = (uint16_t)mo_min(slab->introduced, k->slots);
            slab->free_count = (uint16_t)mo_min(slab->free_count, slab->introduced);
            see(context, slab, k);
        }
    }
}

void sight_larges(const struct sight *s, sight_see_large *see, void *context)
{
    static struct mo_large piece[PIECE];
    struct mo_large_table table;
    if (!sight_read(s, s->places.large, &table, sizeof table))
        return;
    for (size_t i = 0; i < mo_min(table.room, LARGES_MOST); i += PIECE) {
        size_t n = mo_min(PIECE, table.room - i);
        if (!sight_read(s, table.entries + i, piece, n * sizeof piece[0]))
            return;
        for (size_t j = 0; j < n; j++) {
            const struct mo_large *l = &piece[j];
            /* Not what is being written just now. */
            if (l->p != 0 && l->p - l->map < l->map_size && l->open - l->map <= l->map_size &&
                l->open_size <= l->map_size && l->n <= l->open_size)
                see(context, l);
        }
    }
}

static void count_large(void *context, const struct mo_large *l)
{
    struct moat_stats *all = context;
    bool live = l->state != 0;
    all->large += live ? l->open_size : 0;
    all->large_count += live;
    all->large_waiting += live ? 0 : l->map_size;
    all->requested += live ? l->n : 0;
    all->guard_count += live ? 2 : 1;
    all->mappings_count += live ? 2 : 1;
}

static void sample_slab(void *context, const struct mo_slab *slab, const struct mo_class *k)
{
    struct sample *sample = (struct sample *)context + slab->class;
    (void)k;
    if (!(slab->flags & MO_SLAB_OPEN) || slab->introduced == slab->free_count || slab->class == MO_CLASS_ZERO)
        return;
    size_t at = sample->count < SAMPLE_SLABS ? sample->count++ : draw() % (sample->seen + 1);
    sample->seen++;
    if (at < SAMPLE_SLABS)
        sample->slabs[at] = *slab;
}

/* The slack of the chunk in a slot; false when there is none. */
static bool slack_of(const struct sight *s, const struct mo_class *k, uintptr_t slot, size_t *slack)
{
    struct mo_granule g;
    uint16_t state;
    uint64_t header;
    const struct mo_granule *granule = s->sealed.granules + ((slot - s->sealed.heap_base) >> MO_GRANULE_SHIFT);
    if (!sight_read(s, granule, &g, sizeof g) ||
        !sight_read(s, s->sealed.states + (ptrdiff_t)(g.bias + (slot >> k->word_shift)), &state, sizeof state) ||
        (state & MO_STATE_LIVE) == 0 || !sight_read(s, (const void *)slot, &header, sizeof header))
        return false;
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    header = __builtin_bswap64(header);
#endif
    *slack = mo_min((header >> 16) & 0xffff, k->stride - MO_HEADER);
    return true;
}

/* What was asked for in `live` chunks of a class, from the slack of some of them. */
static size_t estimate(const struct sight *s, const struct mo_class *k, const struct sample *sample, size_t live)
{
    size_t found = 0, sum = 0, slack;
    for (size_t i = 0; i < sample->count; i++) {
        const struct mo_slab *slab = &sample->slabs[i];
        for (unsigned j = 0; j < SAMPLE_SLOTS; j++) {
            unsigned slot = draw() % slab->introduced;
            bool with_shard = slab->free[slot / 64] >> (slot % 64) & 1;
            if (!with_shard && slack_of(s, k, slab->base + MO_HEADER + (uintptr_t)slot * k->stride, &slack)) {
                sum += slack;
                found++;
            }
        }
    }
    return live * (k->stride - MO_HEADER) - (found != 0 ? (size_t)((uint64_t)sum * live / found) : 0);
}

static void count_bins(const struct sight *s, struct sight_figures *f, size_t *taken)
{
    static struct mo_shard shard;
    for (size_t i = 0; i < s->sealed.shard_count; i++) {
        if (!sight_read(s, s->sealed.shards + i, &shard, sizeof shard))
            continue;
        for (unsigned class = MO_CLASS_FIRST; class < MO_CLASSES; class++) {
            const struct mo_bin *b = &shard.bins[mo_bin_place(class)];
            const struct mo_class *k = &s->sealed.classes[class];
            bool pages = class != MO_CLASS_ZERO;
            taken[class] += b->taken;
            f->classes[class - MO_CLASS_FIRST].slab_count += b->open_count;
            f->shards[i].slabs += pages ? (size_t)b->open_count * k->slab_bytes : 0;
            f->shards[i].taken += pages ? b->taken * k->stride : 0;
            f->shards[i].purged_count += b->purged;
            f->all.slab_count += pages ? b->open_count : 0;
        }
        f->all.slabs += f->shards[i].slabs;
        f->all.purged_count += f->shards[i].purged_count;
    }
}

/* What is ready and waiting in one thread's cache. Arrays that were never used are not looked at. */
static void count_cache(const struct sight *s, struct sight_figures *f, const char *at, const struct mo_cache *c)
{
    for (unsigned class = MO_CLASS_FIRST; class < MO_CLASSES; class++) {
        const struct mo_class *k = &s->sealed.classes[class];
        struct moat_class_stats *to = &f->classes[class - MO_CLASS_FIRST];
        uint32_t top = c->stock[class].top;
        if (c->aside[class] != 0)
            to->cached_count += c->aside[class] - 1u;
        else if (top > k->ready_at && top <= k->ready_end)
            to->cached_count += (top - k->ready_at) / sizeof(uintptr_t);
        if (top == k->ready_at && c->stock[class].fifo == k->fifo_at && c->batch[class] == MO_FIRST_BATCH)
            continue;
        size_t bytes = k->fifo_end - k->random_at;
        uintptr_t *waiting = malloc(bytes);
        if (waiting != NULL && sight_read(s, at + k->random_at, waiting, bytes))
            for (size_t i = 0; i < bytes / sizeof *waiting; i++)
                to->quarantined_count += waiting[i] != 0;
        free(waiting);
    }
}

static void count_caches(const struct sight *s, struct sight_figures *f)
{
    struct mo_cache c, *at = NULL, *mark = NULL;
    if (!sight_read(s, s->cache.all, &at, sizeof at))
        return;
    for (size_t i = 0; at != NULL && at != mark && i < CACHES_MOST && sight_read(s, at, &c, sizeof c);
         i++, at = c.next) {
        if ((i & (i - 1)) == 0) /* a list that goes round comes back to a mark */
            mark = at;
        count_cache(s, f, (const char *)at, &c);
        f->all.frees_count += c.frees;
        f->all.threads_count++;
    }
}

static size_t used(const struct sight *s, const struct mo_table *at)
{
    struct mo_table t;
    return sight_read(s, at, &t, sizeof t) ? t.before + t.used : 0;
}

static size_t resident(const struct sight *s)
{
    char path[64];
    unsigned long pages = 0;
    snprintf(path, sizeof path, "/proc/%ld/statm", (long)s->process);
    FILE *in = fopen(path, "re");
    if (in == NULL || fscanf(in, "%*u %lu", &pages) != 1)
        pages = 0;
    if (in != NULL)
        fclose(in);
    return pages * s->sealed.features.page;
}

static void count_all(const struct sight *s, struct sight_figures *f)
{
    struct moat_stats *all = &f->all;
    struct mo_large_table table;
    size_t pool_bytes = read_size(s, s->pool.live_bytes), pool_count = read_size(s, s->pool.live_count);
    all->size = sizeof *all;
    sight_larges(s, count_large, all);
    all->allocated += all->large + pool_bytes;
    all->live_count += all->large_count + pool_count;
    all->requested += pool_bytes;
    all->active = all->slabs + all->large + pool_bytes;
    all->retained = read_size(s, s->places.spare_bytes);
    all->guard_count += read_size(s, s->heap.guards) + 2 * pool_count;
    for (size_t i = 0; i < mo_min(read_size(s, s->pool.kind_count), KINDS_MOST); i++)
        all->guard_count += read_size(s, (const size_t *)((const char *)s->pool.queue_count + i * s->pool.kind_size));
    all->mappings_count += read_size(s, s->heap.window_count) + read_size(s, s->heap.slab_mappings);
    all->metadata = used(s, s->heap.states) + used(s, s->heap.slabs) + used(s, s->heap.lists) +
                    (read_size(s, s->heap.window_bytes) >> MO_GRANULE_SHIFT) * sizeof(struct mo_granule) +
                    s->sealed.shard_count * sizeof(struct mo_shard) + all->threads_count * s->sealed.cache_bytes;
    if (sight_read(s, s->places.large, &table, sizeof table))
        all->metadata += table.room * sizeof(struct mo_large);
    all->reserved = s->sealed.heap_size;
    all->resident = resident(s);
    all->shards_count = s->sealed.shard_count;
    all->classes_count = SIGHT_CLASSES;
    all->sampled_count = read_size(s, s->pool.taken);
    all->unsampled_count = read_size(s, s->pool.missed);
    all->warnings_count = read_size(s, s->places.warnings);
    size_t over = all->active - mo_min(all->requested, all->active);
    all->fragmentation = (size_t)((double)over * 1000 / (double)mo_max(all->active, 1));
}

bool sight_figures(const struct sight *s, struct sight_figures *f)
{
    static struct sample samples[MO_CLASSES];
    size_t taken[MO_CLASSES] = {0};
    memset(f, 0, sizeof *f);
    memset(samples, 0, sizeof samples);
    count_bins(s, f, taken);
    count_caches(s, f);
    sight_slabs(s, sample_slab, samples);
    for (unsigned class = MO_CLASS_FIRST; class < MO_CLASSES; class++) {
        const struct mo_class *k = &s->sealed.classes[class];
        struct moat_class_stats *c = &f->classes[class - MO_CLASS_FIRST];
        size_t away = c->cached_count + c->quarantined_count;
        c->slot = class == MO_CLASS_ZERO ? 0 : k->stride;
        c->largest = class == MO_CLASS_ZERO ? 0 : k->stride - MO_HEADER;
        c->live_count = taken[class] - mo_min(away, taken[class]);
        f->all.allocated += c->live_count * c->slot;
        f->all.live_count += c->live_count;
        f->all.cached += c->cached_count * c->slot;
        f->all.quarantined += c->quarantined_count * c->slot;
        f->all.requested += class != MO_CLASS_ZERO ? estimate(s, k, &samples[class], c->live_count) : 0;
    }
    count_all(s, f);
    return !sight_gone(s);
}
