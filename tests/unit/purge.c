/* When empty slabs go back to the system: option purge. Run with each of its values, see CMakeLists.txt. */
#include <sys/mman.h>
#include <time.h>

#include "arena/bin.h"
#include "child.h"
#include "front/front.h"

enum { COUNT = 20000, SIZE = 1000 };

#define SPARE "spare_bytes=0 spare_most=0 purge_delay=300"
const char *moat_options = MO_SMALL ? SPARE : SPARE " sample_rate=0";

static void *all[COUNT];

static void set_up(void)
{
    mo_front_start();
    cr_assert_eq(mo_sealed.options.purge_delay, 300);
}

TestSuite(purge, .init = set_up);

static void take_all(void)
{
    for (size_t i = 0; i < COUNT; i++) {
        cr_assert_not_null(all[i] = mo_allocate(SIZE, MO_ORIGIN_MALLOC));
        cr_assert(all_are((uintptr_t)all[i], SIZE, 0), "%zu bytes are not zero", (size_t)SIZE);
        memset(all[i], 1, SIZE);
    }
}

static void release_all(void)
{
    for (size_t i = 0; i < COUNT; i++)
        mo_release(all[i], MO_ORIGIN_MALLOC);
}

static size_t closed(void)
{
    size_t n = 0;
    for (size_t i = 1; i < mo_heap_slab_count(); i++)
        n += (mo_sealed.slabs[i].flags & (MO_SLAB_PURGED | MO_SLAB_OPEN)) == MO_SLAB_PURGED;
    return n;
}

static size_t lazy(void)
{
    size_t n = 0;
    for (size_t i = 1; i < mo_heap_slab_count(); i++)
        n += (mo_sealed.slabs[i].flags & MO_SLAB_LAZY) != 0;
    return n;
}

static void eagerly(void)
{
    take_all();
    release_all();
    cr_assert(closed() > 0);
    cr_assert_eq(lazy(), 0);
    mo_arena_check("test");
}

/* They stay open, are no longer spare, come back clean, and are offered again when they were used again. */
static void lazily(void)
{
    for (int round = 0; round < 3; round++) {
        take_all();
        cr_assert_lt(lazy(), 4, "%zu offered slabs while all chunks are live", lazy());
        mo_arena_check("test");
        release_all();
        cr_assert(lazy() > 100, "%zu", lazy());
        cr_assert_eq(closed(), 0);
        cr_assert(!mo_spares_exceed());
        mo_arena_check("test");
    }
    /* The kernel takes the offered pages: all zero then, not even the fence is left in their slots. */
    for (size_t i = 1; i < mo_heap_slab_count(); i++) {
        const struct mo_slab *slab = &mo_sealed.slabs[i];
        if (slab->flags & MO_SLAB_LAZY)
            cr_assert_eq(madvise((void *)slab->base, mo_sealed.classes[slab->class].slab_bytes, MADV_DONTNEED), 0);
    }
    take_all();
    release_all();
}

static void after_a_delay(void)
{
    /* How long it takes is not asked: only that nothing goes before, and that it goes. */
    uint32_t began = mo_os_milliseconds();
    take_all();
    release_all();
    bool in_time = mo_os_milliseconds() - began < 250;
    cr_assert(closed() == 0 || !in_time, "given back at once");
    do
        (void)nanosleep(&(struct timespec){.tv_nsec = 20 * 1000 * 1000}, NULL);
    while (mo_os_milliseconds() - began < 1000);
    take_all();
    release_all(); /* somebody must pass by */
    cr_assert(closed() > 0, "never given back");
    mo_arena_check("test");
}

Test(purge, as_the_option_says)
{
    static void (*const cases[])(void) = {eagerly, after_a_delay, lazily};
    cases[mo_sealed.options.purge]();
    mo_check_heap("test");
}

/* Bytes of all open slabs that are in memory. */
static size_t resident(void)
{
    size_t count = 0;
    for (size_t i = 1; i < mo_heap_slab_count(); i++) {
        const struct mo_slab *slab = &mo_sealed.slabs[i];
        if ((slab->flags & MO_SLAB_OPEN) && slab->class != MO_CLASS_ZERO)
            count += pages_present(slab->base, mo_sealed.classes[slab->class].slab_bytes);
    }
    return count * mo_sealed.features.page;
}

/* What is counted as it changes is what the slabs add up to. */
static void holes_are_counted(void)
{
    size_t sum = 0;
    for (size_t i = 1; i < mo_heap_slab_count(); i++) {
        const struct mo_slab *slab = &mo_sealed.slabs[i];
        const struct mo_class *k = &mo_sealed.classes[slab->class];
        if ((slab->flags & MO_SLAB_OPEN) && mo_class_has_holes(k) && !mo_slab_is_spare(slab))
            sum += slab->free_count * (size_t)k->stride - slab->hollow;
    }
    cr_assert_eq(mo_hole_bytes, sum, "%zu for %zu", mo_hole_bytes, sum);
}

/* In profile strict slots are looked at whole, and stay. */
static bool gives_single_pages(void)
{
    return mo_sealed.options.purge != MO_PURGE_LAZY && mo_sealed.options.profile != MO_PROFILE_STRICT && !MO_SMALL &&
           !mo_tagged();
}

/* One chunk in 20 stays, which keeps most slabs open: the pages between go back, at once or when asked to, and nothing
 * of what stays changes. */
Test(purge, the_pages_between_live_chunks)
{
    enum { STAYS = 20, LARGER = 3000 };
    for (size_t i = 0; i < COUNT; i++) {
        cr_assert_not_null(all[i] = mo_allocate(LARGER, MO_ORIGIN_MALLOC));
        memset(all[i], 1, LARGER);
    }
    holes_are_counted();
    size_t before = resident();
    for (size_t i = 0; i < COUNT; i++)
        if (i % STAYS != 0)
            mo_release(all[i], MO_ORIGIN_MALLOC);
    mo_arena_check("test");
    holes_are_counted();
    mo_arena_purge();
    holes_are_counted();
    size_t after = resident();
    if (gives_single_pages() && mo_sealed.features.page == 4096)
        cr_expect_lt(after, before / 3, "%zu KiB of %zu", after >> 10, before >> 10);
    for (size_t i = 0; i < COUNT; i += STAYS)
        cr_assert(all_are((uintptr_t)all[i], LARGER, 1), "chunk %zu has changed", i);
    mo_check_heap("test");
    for (size_t i = 0; i < COUNT; i++) {
        if (i % STAYS == 0)
            continue;
        cr_assert_not_null(all[i] = mo_allocate(LARGER, MO_ORIGIN_MALLOC));
        cr_assert(all_are((uintptr_t)all[i], LARGER, 0), "%zu bytes are not zero", (size_t)LARGER);
    }
    release_all();
    holes_are_counted();
    mo_check_heap("test");
}

static void take_forged_slab(void *slab)
{
    struct mo_slab *s = slab;
    size_t bits = 0;
    for (unsigned i = 0; i < s->introduced; i++)
        s->free[i / 64] |= (uint64_t)1 << (i % 64);
    s->free[0] &= ~(uint64_t)1; /* or it were wholly free */
    for (unsigned w = 0; w < MO_SLAB_WORDS; w++)
        bits += (size_t)__builtin_popcountll(s->free[w]);
    s->free_count = (uint16_t)bits;
    mo_arena_purge();
}

/* A bitmap that was written to does not make live chunks' pages go. */
Test(purge, a_forged_bitmap)
{
    struct mo_place place;
    size_t n = 0;
    do { /* until a slab is listed, with few free */
        cr_assert_lt(n, (size_t)COUNT);
        cr_assert_not_null(all[n] = mo_allocate(3000, MO_ORIGIN_MALLOC));
        cr_assert(mo_heap_find((uintptr_t)all[n++] - MO_HEADER, &place));
    } while (place.slab->free_count == 0 || place.slab->free_count > place.slab->introduced / 3u);
    struct child c = run_child(take_forged_slab, place.slab);
    cr_assert_eq(strstr(c.text, "heap-metadata-corruption") != NULL, gives_single_pages(), "%s", c.text);
}
