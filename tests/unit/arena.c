/* Shards: slots go out in batches at random and come home, empty slabs are given back, double puts are reported. */
#include "arena/bin.h"
#include "child.h"
#include "front/front.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* musl 1.2.3 has no name for it */
#endif

/* A class that little else uses, and an owner that no cache has yet. */
enum { CLASS = 29, OWNER = 200 };

static struct mo_random stream;

static void set_up(void)
{
    mo_front_start();
}

TestSuite(arena, .init = set_up);

static struct mo_bin *bin(unsigned shard, unsigned class)
{
    return &mo_sealed.shards[shard].bins[class];
}

static size_t take(unsigned shard, unsigned class, uintptr_t *slots, size_t n)
{
    size_t got = 0;
    while (got < n) {
        size_t more = mo_arena_take(shard, class, OWNER, slots + got, n - got, &stream);
        cr_assert_gt(more, 0);
        got += more;
    }
    return got;
}

static int by_address(const void *a, const void *b)
{
    uintptr_t x = *(const uintptr_t *)a, y = *(const uintptr_t *)b;
    return x < y ? -1 : x > y;
}

static size_t twins(uintptr_t *slots, size_t n)
{
    size_t same = 0;
    qsort(slots, n, sizeof *slots, by_address);
    for (size_t i = 1; i < n; i++)
        same += slots[i] == slots[i - 1];
    return same;
}

/* Whether the bin's counts agree with its slabs' bitmaps. */
static bool is_sound(unsigned shard, unsigned class)
{
    const struct mo_bin *b = bin(shard, class);
    const struct mo_class *k = &mo_sealed.classes[class];
    unsigned all = k->slots;
    size_t empty = 0, away = 0, full = b->open_count - b->partial_count;
    for (uint32_t i = 0; i < b->partial_count; i++) {
        const struct mo_slab *slab = &mo_sealed.slabs[b->partial[i]];
        unsigned bits = 0;
        for (size_t w = 0; w < MO_ARRAY_LEN(slab->free); w++)
            bits += (unsigned)__builtin_popcountll(slab->free[w]);
        if (bits != slab->free_count || slab->at != i || !(slab->flags & MO_SLAB_OPEN) || slab->introduced > all ||
            (bits == 0 && slab->introduced == all))
            return false;
        empty += bits == slab->introduced;
        away += slab->introduced - bits;
    }
    for (uint32_t i = 0; i < b->closed_count; i++) {
        const struct mo_slab *slab = &mo_sealed.slabs[b->closed[i]];
        if (slab->free_count != slab->introduced || slab->introduced == 0 || slab->at != i ||
            (slab->flags & MO_SLAB_OPEN))
            return false;
    }
    return empty == b->empty_count && away + full * all == b->taken && b->open_count + b->closed_count == b->slab_count;
}

Test(arena, slots_go_out_and_come_home)
{
    enum { MOST = 2 * MO_SLAB_SLOTS + 3 };
    static uintptr_t slots[MOST];
    for (unsigned class = MO_CLASS_FIRST; class <= MO_CLASS_LAST; class++) {
        const struct mo_class *k = &mo_sealed.classes[class];
        size_t n = k->slots * 2u + 3;
        size_t before = bin(0, class)->taken, wrong = 0;
        cr_assert_leq(n, MOST);
        take(0, class, slots, n);
        cr_assert_eq(bin(0, class)->taken, before + n);
        for (size_t i = 0; i < n; i++) {
            struct mo_place place;
            wrong += !mo_heap_locate(slots[i], &place) || place.slot != slots[i] || place.class != class ||
                     place.shard != 0 || slots[i] % 16 != 8 || !mo_state_is_free(*place.state, OWNER);
            memset((void *)(slots[i] + 1), 0x5a, k->stride - 1); /* the first byte may be a neighbour's fence */
            memset((void *)(slots[i] + 1), 0, k->stride - 1);
        }
        cr_assert_eq(wrong, 0, "class %u", class);
        cr_assert(is_sound(0, class));
        cr_assert_eq(twins(slots, n), 0, "class %u: a slot was given out twice", class);
        uintptr_t one = slots[0];
        mo_arena_put(class, OWNER, slots, n);
        cr_assert_eq(bin(0, class)->taken, before);
        cr_assert(is_sound(0, class));
        struct mo_place place = {0};
        cr_assert(mo_heap_locate(one, &place));
        cr_assert(mo_state_is_free(*place.state, MO_OWNER_SHARD));
    }
}

Test(arena, no_slot_twice_in_a_long_run)
{
    enum { MOST = 5000, ROUNDS = 200 };
    static uintptr_t out[MOST];
    size_t n = 0;
    uint64_t seed = 2463534242;
    for (int round = 0; round < ROUNDS; round++) {
        size_t more = next_number(&seed) % 200 + 1;
        if (n + more > MOST || next_number(&seed) % 3 == 0) {
            size_t back = n * (next_number(&seed) % 100) / 100;
            mo_arena_put(5, OWNER, out + n - back, back);
            n -= back;
        } else {
            n += take(round % (int)mo_sealed.shard_count, 5, out + n, more);
        }
        if (round % 20 == 0) {
            static uintptr_t sorted[MOST];
            memcpy(sorted, out, n * sizeof *out);
            cr_assert_eq(twins(sorted, n), 0);
        }
    }
    for (unsigned shard = 0; shard < mo_sealed.shard_count; shard++)
        cr_assert(is_sound(shard, 5));
}

/* P8: neither the next slot nor the one that was just given back can be expected. */
Test(arena, which_slot_is_random)
{
    enum { DRAWS = 2000 };
    static uintptr_t drawn[DRAWS];
    const struct mo_class *k = &mo_sealed.classes[CLASS];
    uintptr_t hold[8];
    size_t neighbours = 0, again = 0;
    take(0, CLASS, hold, 1); /* its slab stays open */
    for (size_t i = 0; i < DRAWS; i++) {
        uintptr_t slot;
        take(0, CLASS, &slot, 1);
        drawn[i] = slot;
        mo_arena_put(CLASS, OWNER, &slot, 1);
        if (i == 0)
            continue;
        neighbours += drawn[i] - drawn[i - 1] == k->stride || drawn[i - 1] - drawn[i] == k->stride;
        again += drawn[i] == drawn[i - 1];
    }
    size_t places = k->slots - 1u;
    /* Expected: DRAWS / places for each of the two directions and for a repetition. */
    cr_assert_lt(neighbours, 4 * DRAWS / places + 20, "%zu of %d, %zu places", neighbours, DRAWS, places);
    cr_assert_lt(again, 2 * DRAWS / places + 20);
    size_t distinct = DRAWS - twins(drawn, DRAWS);
    cr_assert_geq(distinct, places * 9 / 10);
}

Test(arena, which_slab_is_random)
{
    const struct mo_class *k = &mo_sealed.classes[CLASS];
    static uintptr_t slots[64 * MO_SLAB_SLOTS];
    size_t slabs = 32, n = slabs * k->slots;
    size_t moved = 0;
    take(0, CLASS, slots, n);
    qsort(slots, n, sizeof slots[0], by_address);
    /* One of three goes back, so that every slab has free slots. */
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        if (i % 3 == 0)
            mo_arena_put(CLASS, OWNER, &slots[i], 1);
        else
            slots[kept++] = slots[i];
    }
    uintptr_t before = 0;
    for (size_t i = 0; i < slabs; i++) {
        uintptr_t slot;
        take(0, CLASS, &slot, 1);
        moved += mo_align_down(slot, (uintptr_t)1 << k->span_shift) != before;
        before = mo_align_down(slot, (uintptr_t)1 << k->span_shift);
    }
    cr_assert_gt(moved, slabs / 2, "successive batches come from the same slab: %zu of %zu changed", moved, slabs);
}

Test(arena, slots_of_several_shards_go_home)
{
    enum { EACH = 50 };
    uintptr_t slots[2 * EACH];
    unsigned other = (unsigned)mo_sealed.shard_count - 1;
    size_t first_before = bin(0, CLASS)->taken, other_before = bin(other, CLASS)->taken;
    take(0, CLASS, slots, EACH);
    take(other, CLASS, slots + EACH, EACH);
    for (size_t i = 0; i < EACH; i += 2) { /* mixed */
        uintptr_t slot = slots[i];
        slots[i] = slots[2 * EACH - 1 - i];
        slots[2 * EACH - 1 - i] = slot;
    }
    mo_arena_put(CLASS, OWNER, slots, 2 * EACH);
    cr_assert_eq(bin(0, CLASS)->taken, first_before);
    cr_assert_eq(bin(other, CLASS)->taken, other_before);
    cr_assert(is_sound(0, CLASS) && is_sound(other, CLASS));
}

static void put_one(void *argument)
{
    uintptr_t slot = *(uintptr_t *)argument;
    mo_arena_put(CLASS, OWNER, &slot, 1);
}

static void put_twice(void *argument)
{
    put_one(argument);
    put_one(argument);
}

static void put_pair(void *argument)
{
    uintptr_t twice[2] = {*(uintptr_t *)argument, *(uintptr_t *)argument};
    mo_arena_put(CLASS, OWNER, twice, 2);
}

static void put_of_another(void *argument)
{
    uintptr_t slot = *(uintptr_t *)argument;
    mo_arena_put(CLASS, OWNER + 1, &slot, 1);
}

static void put_live(void *argument)
{
    struct mo_place place;
    if (mo_heap_locate(*(uintptr_t *)argument, &place))
        *place.state |= MO_STATE_LIVE;
    put_one(argument);
}

static void put_other_class(void *argument)
{
    uintptr_t slot = *(uintptr_t *)argument;
    mo_arena_put(CLASS + 1, OWNER, &slot, 1);
}

static void put_inner(void *argument)
{
    uintptr_t slot = *(uintptr_t *)argument + 16;
    mo_arena_put(CLASS, OWNER, &slot, 1);
}

static void put_nowhere(void *argument)
{
    uintptr_t slot = (uintptr_t)argument;
    mo_arena_put(CLASS, OWNER, &slot, 1);
}

/* A shard's own list of free slots against the state words. */
static void take_changed(void *argument)
{
    struct mo_place place;
    uintptr_t slot = *(uintptr_t *)argument;
    mo_arena_put(CLASS, OWNER, &slot, 1);
    if (mo_heap_locate(slot, &place))
        *place.state |= MO_STATE_LIVE;
    static uintptr_t slots[MO_SLAB_SLOTS];
    for (int i = 0; i < 1000; i++)
        (void)mo_arena_take(0, CLASS, OWNER, slots, MO_SLAB_SLOTS, &stream);
}

Test(arena, what_is_not_the_owners_is_reported)
{
    uintptr_t slots[2]; /* the second keeps the slab open */
    take(0, CLASS, slots, 2);
    struct child c;
    cr_assert_eq(run_child(put_one, slots).code, 0);
    c = run_child(put_twice, slots);
    expect_report(&c, "double-free");
    c = run_child(put_pair, slots);
    expect_report(&c, "double-free");
    c = run_child(put_of_another, slots);
    expect_report(&c, "double-free");
    c = run_child(put_live, slots);
    expect_report(&c, "double-free");
    c = run_child(put_other_class, slots);
    expect_report(&c, "heap-metadata-corruption");
    c = run_child(put_inner, slots);
    expect_report(&c, "heap-metadata-corruption");
    c = run_child(put_nowhere, slots);
    expect_report(&c, "heap-metadata-corruption");
    c = run_child(take_changed, slots);
    expect_report(&c, "double-free");
}

/* What trims leave in all bins together. */
static size_t most_spare(void)
{
    size_t share = mo_min(mo_open_bytes / 8, mo_sealed.options.spare_most);
    return mo_max(mo_max(share, mo_sealed.options.spare_most), mo_sealed.options.spare_bytes) * 5 / 4;
}

Test(arena, purged_slabs_fault_and_come_back_zero)
{
    static const unsigned classes[] = {1, 14, CLASS, 40, MO_CLASS_LAST};
    static uintptr_t slots[4 * MO_SLAB_SLOTS];
    mo_arena_purge();
    for (size_t c = 0; c < MO_ARRAY_LEN(classes); c++) {
        unsigned class = classes[c];
        const struct mo_class *k = &mo_sealed.classes[class];
        struct mo_bin *b = bin(0, class);
        size_t n = k->slots * 3u, shown = 0, dirty = 0;
        take(0, class, slots, n);
        for (size_t i = 0; i < n; i++)
            memset((void *)(slots[i] + 1), 0xa5, k->stride - 1);
        uint32_t purged = b->purged;
        mo_arena_put(class, OWNER, slots, n);
        cr_assert_leq((size_t)b->empty_count * k->slab_bytes, most_spare());
        uint32_t at_once = b->purged;
        size_t given = mo_arena_closed_bytes();
        mo_arena_purge();
        given = mo_arena_closed_bytes() - given;
        cr_assert_geq(b->purged, purged + 2, "class %u", class);
        cr_assert(b->purged == at_once || given >= k->slab_bytes);
        cr_assert_eq(b->empty_count, 0);
        cr_assert(is_sound(0, class));
        for (size_t i = 0; i < n; i++) {
            struct mo_place place = {0};
            cr_assert(mo_heap_locate(slots[i], &place));
            if (place.slab->flags & MO_SLAB_OPEN) /* somebody else has a slot of it; he shall find it clean */
                memset((void *)(slots[i] + 1), 0, k->stride - 1);
            else
                shown += can_read(slots[i]) || can_read(slots[i] + k->stride - 1);
        }
        cr_assert_eq(shown, 0, "class %u can be read after its purge", class);
        take(0, class, slots, n);
        for (size_t i = 0; i < n; i++)
            dirty += !all_are(slots[i] + 1, k->stride - 1, 0);
        cr_assert_eq(dirty, 0, "class %u: %zu of %zu slots show old contents", class, dirty, n);
        mo_arena_put(class, OWNER, slots, n);
    }
}

Test(arena, pages_come_with_their_slots)
{
    static uintptr_t slots[3 * MO_SLAB_SLOTS];
    size_t page = mo_sealed.features.page;
    char *fresh = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    cr_assert_neq(fresh, MAP_FAILED);
    /* Linux 5.14. Emulators say yes and do nothing, or have all pages present. */
    bool can = madvise(fresh, page, MADV_POPULATE_WRITE) == 0 && pages_present((uintptr_t)fresh, 2 * page) == 1;
    munmap(fresh, 2 * page);
    mo_arena_purge();
    for (unsigned class = MO_CLASS_FIRST; mo_sealed.classes[class].stride <= 512; class++) {
        const struct mo_class *k = &mo_sealed.classes[class];
        uint32_t opened = bin(0, class)->open_count;
        size_t n = 0;
        while (bin(0, class)->open_count < opened + 2)
            take(0, class, &slots[n++], 1);
        const struct mo_slab *slab = &mo_sealed.slabs[bin(0, class)->last_opened];
        size_t bytes = mo_min(mo_align_up((size_t)slab->introduced * k->stride, page), k->slab_bytes);
        cr_assert(!can || pages_present(slab->base, bytes) == bytes / page, "class %u", class);
        mo_arena_put(class, OWNER, slots, n);
    }
}

Test(arena, a_stale_pointer_into_a_purged_slab_faults)
{
    enum { UNUSED = 46 }; /* a class of which nobody else holds a slot */
    uintptr_t slot;
    take(0, UNUSED, &slot, 1);
    cr_assert_not(faults(touch_write, slot + MO_HEADER));
    mo_arena_put(UNUSED, OWNER, &slot, 1);
    mo_arena_purge();
    cr_assert(faults(touch_read, slot + MO_HEADER));
    cr_assert(faults(touch_write, slot + MO_HEADER));
}

Test(arena, zero_size_slots)
{
    enum { N = 600 };
    static uintptr_t slots[N];
    size_t wrong = 0;
    take(0, MO_CLASS_ZERO, slots, N);
    for (size_t i = 0; i < N; i++) {
        struct mo_place place;
        wrong += !mo_heap_locate(slots[i], &place) || place.slot != slots[i] || place.class != MO_CLASS_ZERO;
        wrong += can_read(slots[i]);
    }
    cr_assert_eq(wrong, 0);
    cr_assert(is_sound(0, MO_CLASS_ZERO));
    cr_assert_eq(twins(slots, N), 0);
    mo_arena_put(MO_CLASS_ZERO, OWNER, slots, N);
    cr_assert(is_sound(0, MO_CLASS_ZERO));
}

static void take_without_memory(void *argument)
{
    static uintptr_t slots[MO_SLAB_SLOTS];
    struct rlimit limit, none = {4096, 0}; /* 0 would mean something else to the kernel */
    (void)argument;
    getrlimit(RLIMIT_DATA, &limit);
    none.rlim_max = limit.rlim_max;
    setrlimit(RLIMIT_DATA, &none);
    while (mo_arena_take(0, MO_CLASS_LAST, OWNER, slots, MO_SLAB_SLOTS, &stream) > 0)
        continue;
    if (!is_sound(0, MO_CLASS_LAST))
        _exit(1);
    setrlimit(RLIMIT_DATA, &limit);
    if (mo_arena_take(0, MO_CLASS_LAST, OWNER, slots, 1, &stream) != 1 || !is_sound(0, MO_CLASS_LAST))
        _exit(2);
}

Test(arena, without_memory_it_gives_nothing_and_loses_nothing)
{
    struct child c = run_child(take_without_memory, NULL);
    cr_assert(c.signal == 0 && c.code == 0, "signal %d, code %d: %s", c.signal, c.code, c.text);
}

Test(arena, lock_holds_every_bin)
{
    size_t open = 0;
    mo_arena_locks(mo_lock);
    for (unsigned shard = 0; shard < mo_sealed.shard_count; shard++)
        for (unsigned class = 0; class < MO_CLASSES; class++)
            open += mo_trylock(&bin(shard, class)->lock);
    mo_arena_locks(mo_unlock);
    cr_assert_eq(open, 0);
    for (unsigned class = 0; class < MO_CLASSES; class++)
        open += bin(0, class)->lock.word != 0;
    cr_assert_eq(open, 0);
}
