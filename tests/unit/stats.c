/* Statistics: figures follow what is allocated and freed, and their sums agree. */
#include <pthread.h>

#include "cache/cache.h"
#include "child.h"
#include "front/front.h"
#include "front/stats.h"
#include "mem/classes.h"
#include "moat/moat.h"

/* What is counted here are slots of slabs: none of the chunks is to be a sampled one. */
const char *moat_options = "sample_rate=0";

static void set_up(void)
{
    mo_front_start();
}

TestSuite(stats, .init = set_up);

static struct moat_stats all(void)
{
    struct moat_stats s;
    mo_front_stats(&s);
    return s;
}

static struct moat_class_stats of_class(unsigned class)
{
    struct moat_class_stats s;
    cr_assert(mo_front_class_stats(class - MO_CLASS_FIRST, &s));
    return s;
}

Test(stats, classes_are_those_of_the_table)
{
    struct moat_class_stats s;
    struct moat_stats total = all();
    cr_assert_eq(total.classes_count, MO_CLASSES - MO_CLASS_FIRST);
    for (unsigned class = MO_CLASS_FIRST; class <= MO_CLASS_LAST; class++) {
        s = of_class(class);
        cr_assert_eq(s.slot, mo_sealed.classes[class].stride);
        cr_assert_eq(s.largest, mo_class_capacity(&mo_sealed.classes[class]));
    }
    s = of_class(MO_CLASS_ZERO);
    cr_assert(s.slot == 0 && s.largest == 0);
    cr_assert_not(mo_front_class_stats(total.classes_count, &s));
    cr_assert_not(mo_front_class_stats(SIZE_MAX, &s));
}

/* Nothing but mo_allocate and mo_release between the two looks: assertions may allocate. */
Test(stats, live_chunks_are_counted)
{
    enum { N = 300 };
    static void *p[N];
    for (unsigned class = MO_CLASS_FIRST; class <= MO_CLASS_ZERO; class++) {
        size_t n = class == MO_CLASS_ZERO ? 0 : mo_class_capacity(&mo_sealed.classes[class]);
        struct moat_class_stats before = of_class(class), with, after;
        struct moat_stats total = all(), total_with;
        for (size_t i = 0; i < N; i++)
            p[i] = mo_allocate(n, MO_ORIGIN_MALLOC);
        with = of_class(class);
        total_with = all();
        for (size_t i = 0; i < N; i++)
            mo_release(p[i], MO_ORIGIN_MALLOC);
        after = of_class(class);
        cr_assert_eq(with.live_count, before.live_count + N, "class %u", class);
        cr_assert_eq(total_with.live_count, total.live_count + N);
        cr_assert_eq(total_with.allocated, total.allocated + N * with.slot);
        cr_assert_eq(after.live_count, before.live_count, "class %u", class);
        cr_assert_geq(with.slab_count,
                      (with.live_count + mo_sealed.classes[class].slots - 1) / mo_sealed.classes[class].slots);
    }
}

/* A slot is live, ready, waiting or with its shard, and nothing else. */
Test(stats, no_slot_is_lost)
{
    static void *p[3000];
    uint64_t seed = 31337;
    size_t lost = 0;
    for (int round = 0; round < 10; round++) {
        for (size_t i = 0; i < MO_ARRAY_LEN(p); i++) {
            if (next_number(&seed) % 3 == 0) {
                mo_release(p[i], MO_ORIGIN_MALLOC);
                p[i] = NULL;
            } else if (p[i] == NULL) {
                p[i] = mo_allocate(next_number(&seed) % 2000, MO_ORIGIN_MALLOC);
            }
        }
        for (unsigned class = MO_CLASS_FIRST; class <= MO_CLASS_ZERO; class++) {
            struct moat_class_stats s = of_class(class);
            size_t taken = 0;
            for (size_t shard = 0; shard < mo_sealed.shard_count; shard++)
                taken += mo_sealed.shards[shard].bins[class].taken;
            lost += s.live_count + s.cached_count + s.quarantined_count != taken;
        }
    }
    cr_assert_eq(lost, 0);
    for (size_t i = 0; i < MO_ARRAY_LEN(p); i++)
        mo_release(p[i], MO_ORIGIN_MALLOC);
}

Test(stats, totals_are_the_sums_of_classes)
{
    struct moat_stats sum = {0}, s = all();
    for (unsigned class = MO_CLASS_FIRST; class <= MO_CLASS_ZERO; class++) {
        struct moat_class_stats c;
        (void)mo_front_class_stats(class - MO_CLASS_FIRST, &c);
        sum.allocated += c.live_count * c.slot;
        sum.live_count += c.live_count;
        sum.cached += c.cached_count * c.slot;
        sum.quarantined += c.quarantined_count * c.slot;
        if (c.slot != 0) {
            sum.slab_count += c.slab_count;
            sum.slabs += c.slab_count * mo_sealed.classes[class].slab_bytes;
        }
    }
    cr_assert_eq(s.allocated, sum.allocated + s.large);
    cr_assert_eq(s.live_count, sum.live_count + s.large_count);
    cr_assert(s.cached == sum.cached && s.quarantined == sum.quarantined);
    cr_assert(s.slab_count == sum.slab_count && s.slabs == sum.slabs);
    cr_assert_geq(s.slabs, s.allocated - s.large + s.cached + s.quarantined);
}

Test(stats, large_chunks_are_counted)
{
    enum { N = 40, SIZE = 300000 };
    void *p[N];
    struct moat_stats before = all(), with, after;
    for (size_t i = 0; i < N; i++)
        p[i] = mo_allocate(SIZE, MO_ORIGIN_MALLOC);
    with = all();
    for (size_t i = 0; i < N; i++)
        mo_release(p[i], MO_ORIGIN_MALLOC);
    after = all();
    cr_assert_eq(with.large_count, before.large_count + N);
    cr_assert(with.large >= before.large + (size_t)N * SIZE);
    cr_assert(with.large < before.large + (size_t)N * (SIZE + 2 * mo_sealed.features.page));
    cr_assert_eq(with.live_count, before.live_count + N);
    cr_assert_eq(with.allocated - before.allocated, with.large - before.large);
    cr_assert_geq(with.guard_count, before.guard_count + 2 * N);
    cr_assert_geq(with.mappings_count, before.mappings_count + N);
    cr_assert(after.large == before.large && after.large_count == before.large_count);
    cr_assert_geq(after.large_waiting,
                  before.large_waiting + (mo_sealed.options.large_quarantine_count >= N ? N : 1) * (size_t)SIZE);
}

Test(stats, purge_empties_the_cache)
{
    static void *p[2000];
    for (size_t i = 0; i < MO_ARRAY_LEN(p); i++)
        p[i] = mo_allocate(i % 1500, MO_ORIGIN_MALLOC);
    for (size_t i = 0; i < MO_ARRAY_LEN(p); i++)
        mo_release(p[i], MO_ORIGIN_MALLOC);
    struct moat_stats full = all();
    (void)mo_front_purge();
    struct moat_stats s = all();
    cr_assert_gt(full.quarantined, 0);
    cr_assert_gt(full.cached, 0);
    size_t left = 0; /* in this thread's cache; Criterion has another thread */
    for (unsigned class = MO_CLASS_FIRST; class <= MO_CLASS_ZERO; class++)
        left += mo_cache_ready(mo_cache_mine, class) + mo_cache_waiting(mo_cache_mine, &mo_sealed.classes[class]);
    cr_assert_eq(left, 0);
    cr_assert(s.cached < full.cached && s.quarantined < full.quarantined);
    cr_assert(s.slabs < full.slabs && s.slab_count < full.slab_count);
    cr_assert_gt(s.purged_count, full.purged_count);
    cr_assert_eq(s.guard_count, full.guard_count - (full.slab_count - s.slab_count));
    cr_assert_eq(s.allocated, full.allocated);
}

static void *use_a_cache(void *argument)
{
    mo_release(mo_allocate(100, MO_ORIGIN_MALLOC), MO_ORIGIN_MALLOC);
    *(struct moat_stats *)argument = all();
    return NULL;
}

Test(stats, the_rest)
{
    pthread_t thread;
    struct moat_stats inside, s;
    use_a_cache(&s);
    cr_assert_eq(s.size, sizeof s);
    cr_assert_eq(s.reserved, mo_sealed.heap_size);
    cr_assert_eq(s.shards_count, mo_sealed.shard_count);
    cr_assert_gt(s.resident, 0);
    cr_assert(s.metadata > 0 && s.metadata < s.resident + (64 << 20));
    cr_assert_geq(s.threads_count, 1);
    cr_assert_eq(pthread_create(&thread, NULL, use_a_cache, &inside), 0);
    pthread_join(thread, NULL);
    cr_assert_geq(inside.threads_count, 2);
    cr_assert_geq(inside.threads_count, s.threads_count);
}
