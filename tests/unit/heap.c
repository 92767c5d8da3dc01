/* Where small chunks live: regions, state words, slabs, guards, and addresses that never change class. */
#include "child.h"
#include "front/front.h"
#include "mem/heap.h"

/* A region of its own for the test, which no arena knows; the number of its slabs. */
static size_t grow(unsigned class, size_t held, struct mo_slab **first)
{
    uint32_t number = 0;
    size_t count = mo_heap_grow(class, 0, held, &number);
    cr_assert(count > 0 && number > 0, "class %u", class);
    *first = &mo_sealed.slabs[number];
    return count;
}

static uint16_t *word_at(uintptr_t p)
{
    const struct mo_granule *g = mo_granule_of(p);
    return mo_state_of(g, &mo_sealed.classes[g->class], p);
}

static size_t span_of(unsigned class)
{
    return (size_t)1 << mo_sealed.classes[class].span_shift;
}

static void set_up(void)
{
    mo_front_start();
}

TestSuite(heap, .init = set_up);

Test(heap, a_region_belongs_to_its_class_and_shard)
{
    int last_shard = (int)mo_sealed.shard_count - 1;
    for (unsigned class = MO_CLASS_FIRST; class <= MO_CLASS_ZERO; class++) {
        const struct mo_class *k = &mo_sealed.classes[class];
        size_t span = span_of(class);
        uint32_t first = 0;
        size_t count = mo_heap_grow(class, last_shard, 0, &first);
        cr_assert_gt(count, 0);
        uintptr_t base = mo_sealed.slabs[first].base;
        cr_assert_eq(base % mo_max(span, MO_GRANULE), 0);
        for (size_t i = 0; i < count; i++) {
            const struct mo_slab *slab = &mo_sealed.slabs[first + i];
            cr_assert_eq(slab->base, base + i * span);
            cr_assert(slab->class == class && slab->shard == last_shard && !(slab->flags & MO_SLAB_OPEN));
            cr_assert_eq(slab->free_count, mo_min(k->slots, MO_SLAB_STEP));
            size_t bits = 0;
            for (size_t w = 0; w < MO_ARRAY_LEN(slab->free); w++)
                bits += (size_t)__builtin_popcountll(slab->free[w]);
            cr_assert_eq(bits, slab->free_count);
            cr_assert_not(can_read(slab->base), "class %u is open before its time", class);
        }
        for (uintptr_t p = base; p < base + count * span; p += MO_GRANULE) {
            const struct mo_granule *g = mo_granule_of(p);
            cr_assert(g->class == class && g->shard == last_shard);
            const struct mo_slab *slab = &mo_sealed.slabs[g->slab];
            cr_assert(slab->base <= p && p < slab->base + span);
        }
    }
}

Test(heap, regions_grow_with_what_is_held)
{
    struct mo_slab *slab;
    size_t span = span_of(1);
    cr_assert_eq(grow(1, 0, &slab) * span, MO_GRANULE);
    cr_assert_eq(grow(1, 2 * MO_GRANULE, &slab) * span, MO_GRANULE);
    cr_assert_eq(grow(1, 8 * MO_GRANULE, &slab) * span, 4 * MO_GRANULE);
    cr_assert_leq(grow(1, (size_t)1 << (sizeof(size_t) > 4 ? 34 : 30), &slab) * span, (size_t)16 << 20,
                  "and have an end");
}

/* Every slot of a region has a word of its own, and addresses in guards have those of no slot. */
Test(heap, state_words)
{
    for (unsigned class = MO_CLASS_FIRST; class <= MO_CLASS_ZERO; class++) {
        const struct mo_class *k = &mo_sealed.classes[class];
        struct mo_slab *slab;
        size_t count = grow(class, 0, &slab), wrong = 0;
        const uint16_t *before = NULL;
        for (size_t i = 0; i < count; i++) {
            for (size_t s = 0; s < k->slots; s++) {
                uintptr_t slot = slab[i].base + MO_HEADER + s * k->stride;
                const uint16_t *word = word_at(slot);
                /* Rising all along, so no two are the same. */
                wrong += before != NULL && word <= before;
                before = word;
                wrong += *word != 0;
                for (uintptr_t p = slot; p < slot + k->stride; p += p + 16 < slot + k->stride ? 16 : 1) {
                    struct mo_place place;
                    wrong += !mo_heap_locate(p, &place) || place.state != word || place.slot != slot ||
                             place.index != s || place.slab != &slab[i] || place.class != class || place.k != k ||
                             place.shard != 0;
                }
            }
            uintptr_t end = slab[i].base + MO_HEADER + (size_t)k->slots * k->stride;
            for (uintptr_t p = end; p < slab[i].base + span_of(class); p += 8)
                wrong += word_at(p) <= before;
            before = word_at(slab[i].base + span_of(class) - 1);
        }
        cr_assert_eq(wrong, 0, "class %u: %zu wrong", class, wrong);
    }
}

Test(heap, state_words_of_regions_do_not_overlap)
{
    enum { REGIONS = 40 };
    const uint16_t *low[REGIONS], *high[REGIONS];
    for (unsigned i = 0; i < REGIONS; i++) {
        struct mo_slab *slab;
        unsigned class = 1 + i % MO_CLASS_ZERO;
        size_t count = grow(class, 0, &slab);
        low[i] = word_at(slab->base);
        high[i] = word_at(slab->base + count * span_of(class) - 1);
        for (unsigned j = 0; j < i; j++)
            cr_assert(high[i] < low[j] || high[j] < low[i]);
    }
}

Test(heap, zero_size_slots_have_no_memory)
{
    struct mo_slab *slab;
    (void)grow(MO_CLASS_ZERO, 0, &slab);
    cr_assert(mo_slab_open(slab, false));
    cr_assert_not(can_read(slab->base + MO_HEADER));
    cr_assert_not(mo_slabs_close(slab, 1), "there is nothing to give back");
}

Test(heap, addresses_without_a_region)
{
    struct mo_place place;
    uint64_t seed = 88172645463325252u;
    size_t unused = 0, wrong = 0;
    for (size_t i = 0; i < 100000; i++) {
        uintptr_t p = mo_sealed.heap_base + next_number(&seed) % mo_sealed.heap_size;
        if (mo_granule_of(p)->class != 0)
            continue;
        unused++;
        wrong += mo_heap_locate(p, &place) || (mo_state_load(word_at(p)) & MO_STATE_LIVE) != 0;
        wrong += sizeof p == 8 && i < 100 && can_read(p); /* with 32 bits it is all address space, others' too */
    }
    cr_assert_gt(unused, 1000);
    cr_assert_eq(wrong, 0);
    cr_assert_not(mo_heap_locate(mo_sealed.heap_base - 1, &place));
    cr_assert_not(mo_heap_locate(mo_sealed.heap_base + mo_sealed.heap_size, &place));
    cr_assert_not(mo_heap_locate(0, &place));
    cr_assert_not(mo_heap_locate((uintptr_t)&place, &place));
    cr_assert_not(mo_heap_locate(UINTPTR_MAX, &place));
}

Test(heap, locate_at_the_edges_of_a_slab)
{
    for (unsigned class = MO_CLASS_FIRST; class <= MO_CLASS_LAST; class++) {
        const struct mo_class *k = &mo_sealed.classes[class];
        struct mo_slab *slab;
        struct mo_place place;
        (void)grow(class, 0, &slab);
        uintptr_t end = slab->base + MO_HEADER + (size_t)k->slots * k->stride;
        cr_expect_not(mo_heap_locate(slab->base, &place));
        cr_expect_not(mo_heap_locate(slab->base + MO_HEADER - 1, &place));
        cr_expect(mo_heap_locate(slab->base + MO_HEADER, &place) && place.index == 0);
        cr_expect(mo_heap_locate(end - 1, &place) && place.index == k->slots - 1u);
        cr_expect_not(mo_heap_locate(end, &place));
        cr_expect_not(mo_heap_locate(slab->base + span_of(class) - 1, &place), "a guard is no slot");
    }
}

Test(heap, slabs_open_and_close)
{
    for (unsigned class = MO_CLASS_FIRST; class <= MO_CLASS_LAST; class++) {
        const struct mo_class *k = &mo_sealed.classes[class];
        struct mo_slab *slab;
        (void)grow(class, 0, &slab);
        struct mo_heap_figures before, open, closed;
        mo_heap_figures(&before);
        cr_assert(mo_slab_open(slab, false));
        mo_heap_figures(&open);
        cr_assert(slab->flags & MO_SLAB_OPEN);
        cr_assert_eq(!!(slab->flags & MO_SLAB_MARKERS), mo_sealed.features.guard_install);
        cr_assert_eq(open.guards, before.guards + 1);
        cr_assert_eq(open.mappings, before.mappings + (mo_sealed.features.guard_install ? 0 : 2));
        cr_assert(all_are(slab->base, k->slab_bytes, 0));
        memset((void *)slab->base, 0xa5, k->slab_bytes);
        for (uintptr_t p = slab->base + k->slab_bytes; p < slab->base + span_of(class); p += mo_sealed.features.page)
            cr_assert_not(can_read(p), "class %u has a hole in its guard", class);
        cr_assert(mo_slabs_close(slab, 1));
        mo_heap_figures(&closed);
        cr_assert_not(slab->flags & MO_SLAB_OPEN);
        cr_assert(closed.guards == before.guards && closed.mappings == before.mappings);
        cr_assert_not(can_read(slab->base) || can_read(slab->base + k->slab_bytes - 1));
        cr_assert(mo_slab_open(slab, false));
        cr_assert(all_are(slab->base, k->slab_bytes, 0), "class %u shows old contents", class);
    }
}

Test(heap, guards_fault)
{
    static const unsigned classes[] = {1, 9, 25, MO_CLASS_LAST};
    for (size_t i = 0; i < MO_ARRAY_LEN(classes); i++) {
        const struct mo_class *k = &mo_sealed.classes[classes[i]];
        struct mo_slab *slab;
        (void)grow(classes[i], 0, &slab);
        cr_assert(mo_slab_open(slab, false));
        cr_assert_not(faults(touch_write, slab->base + k->slab_bytes - 1));
        cr_assert(faults(touch_write, slab->base + k->slab_bytes));
        cr_assert(faults(touch_read, slab->base + k->slab_bytes));
        cr_assert(faults(touch_write, slab->base + span_of(classes[i]) - 1));
        cr_assert(mo_slabs_close(slab, 1));
        cr_assert(faults(touch_read, slab->base + k->stride));
    }
}

/* P10: what a granule is given to, it keeps, whatever happens to its chunks. */
Test(heap, granules_never_change)
{
    enum { MOST = 4096, CHUNKS = 3000 };
    static struct mo_granule known[MOST];
    static uintptr_t at[MOST];
    static void *chunks[CHUNKS];
    size_t n = 0, changed = 0;
    uint64_t seed = 362436069;
    for (int round = 0; round < 6; round++) {
        for (size_t i = 0; i < CHUNKS; i++) {
            chunks[i] = mo_allocate(1 + next_number(&seed) % (round % 2 ? 60000 : 700), MO_ORIGIN_MALLOC);
            uintptr_t p = mo_align_down((uintptr_t)chunks[i], MO_GRANULE);
            size_t known_at = 0;
            if (p - mo_sealed.heap_base >= mo_sealed.heap_size) /* sampled */
                continue;
            while (known_at < n && at[known_at] != p)
                known_at++;
            if (known_at == n && n < MOST) {
                at[n] = p;
                known[n++] = *mo_granule_of(p);
            }
        }
        for (size_t i = 0; i < CHUNKS; i++)
            mo_release(chunks[i], MO_ORIGIN_MALLOC);
        (void)mo_front_purge();
        for (size_t i = 0; i < n; i++)
            changed += memcmp(mo_granule_of(at[i]), &known[i], sizeof known[i]) != 0;
    }
    cr_assert_gt(n, 50);
    cr_assert_eq(changed, 0);
}

/* P8: a region is put anywhere in its window, and the next one is not its neighbour. */
Test(heap, regions_lie_at_random)
{
    enum { REGIONS = 200 };
    uintptr_t before = 0;
    size_t neighbours = 0, rising = 0;
    for (int i = 0; i < REGIONS; i++) {
        struct mo_slab *slab;
        (void)grow(1, 0, &slab);
        neighbours += slab->base - before == MO_GRANULE || before - slab->base == MO_GRANULE;
        rising += slab->base > before;
        before = slab->base;
    }
    /* The last places of a window are few, so some are neighbours by chance. */
    cr_assert_lt(neighbours, REGIONS / 4);
    cr_assert(rising > REGIONS / 4 && rising < REGIONS * 3 / 4, "%zu of %d rise", rising, REGIONS);
}

/* Windows of the size that suits small heaps would run out in a large one. */
Test(heap, windows_grow_with_the_heap)
{
    const uint64_t heap = mo_sealed.heap_size, most = heap / 4 < (uint64_t)1 << 34 ? heap / 4 : (uint64_t)1 << 34;
    uint64_t held = 0;
    struct mo_slab *first;
    while (held < most)
        held += grow(MO_CLASS_LAST, held, &first) * span_of(MO_CLASS_LAST);
    struct mo_heap_figures f;
    mo_heap_figures(&f);
    cr_expect_leq(f.windows, 240, "%zu windows", (size_t)f.windows);
}

Test(heap, lists_are_zero_and_apart)
{
    uint32_t *a = mo_heap_list(1000), *b = mo_heap_list(50000);
    cr_assert(a != NULL && b != NULL);
    cr_assert(all_are((uintptr_t)a, 1000 * sizeof *a, 0) && all_are((uintptr_t)b, 50000 * sizeof *b, 0));
    cr_assert(b >= a + 1000 || a >= b + 50000);
    memset(a, 1, 1000 * sizeof *a);
    memset(b, 2, 50000 * sizeof *b);
    cr_assert(all_are((uintptr_t)a, 1000 * sizeof *a, 1));
    cr_assert_null(mo_heap_list(SIZE_MAX / 8));
}

/* P1: a linear overflow runs into memory that faults before it reaches a table. */
Test(heap, tables_lie_between_guards)
{
    size_t page = mo_sealed.features.page;
    const uintptr_t starts[] = {(uintptr_t)mo_sealed.granules, (uintptr_t)mo_sealed.states, (uintptr_t)mo_sealed.slabs,
                                (uintptr_t)mo_sealed.shards};
    for (size_t i = 0; i < MO_ARRAY_LEN(starts); i++) {
        cr_assert_eq(starts[i] % page, 0);
        cr_assert(faults(touch_write, starts[i] - 1));
        cr_assert_not(can_read(starts[i] - page));
    }
    size_t granules = (mo_sealed.heap_size >> MO_GRANULE_SHIFT) * sizeof(struct mo_granule);
    cr_assert_not(can_read(mo_align_up((uintptr_t)mo_sealed.granules + granules, page)));
    uintptr_t shards_end = (uintptr_t)mo_sealed.shards;
    while (can_read(shards_end))
        shards_end += page;
    cr_assert(faults(touch_write, shards_end));
}

Test(heap, a_life_is_counted)
{
    unsigned state = 0;
    bool seen[128] = {false};
    for (int i = 0; i < 128; i++) {
        unsigned live = mo_state_next_life(state);
        cr_assert(live & MO_STATE_LIVE);
        cr_assert_eq(live & MO_STATE_OWNER, 0);
        unsigned generation = (live & MO_STATE_GENERATION) / MO_STATE_STEP;
        cr_assert_not(seen[generation]);
        seen[generation] = true;
        state = (live & MO_STATE_GENERATION) | 17;
    }
    cr_assert_eq(mo_state_next_life(state), mo_state_next_life(0), "after 128 lives it starts anew");
}

Test(heap, lock_holds_all)
{
    mo_heap_locks(mo_lock);
    mo_heap_locks(mo_unlock);
    struct mo_slab *slab;
    cr_assert_gt(grow(3, 0, &slab), 0);
}
