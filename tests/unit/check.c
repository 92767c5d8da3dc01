/* mo_check_heap: it counts what is live, and finds each kind of damage wherever a slot may be. */
#include <pthread.h>
#include <stdio.h>

#include "cache/cache.h"
#include "child.h"
#include "front/front.h"
#include "front/thread.h"
#include "mem/classes.h"
#include "mem/large_table.h"
#include "moat/moat.h"

/* Headers and slots are looked at: none of the chunks is to be a sampled one. Their tests are guarded.c's. */
const char *moat_options = UNSAMPLED;

static const size_t sizes[] = {1, 16, 24, 100, 129, 1000, 1500, 5000, 65536, 131072};
static const size_t large_sizes[] = {200000, 1 << 20};

static void set_up(void)
{
    mo_front_start();
}

TestSuite(check, .init = set_up);

static uint8_t *take(size_t n)
{
    uint8_t *p = mo_allocate(n, MO_ORIGIN_MALLOC);
    cr_assert_not_null(p);
    return p;
}

static void check(void *unused)
{
    (void)unused;
    (void)mo_check_heap("look");
}

/* What run_child calls: changes the byte, then looks. */
static void change_and_check(void *byte)
{
    *(volatile uint8_t *)byte ^= 1;
    check(NULL);
}

static void expect_found(void *byte, const char *bug)
{
    struct child c = run_child(change_and_check, byte);
    char words[64];
    snprintf(words, sizeof words, "moat: %s: look found", bug);
    expect_report(&c, words);
    c = run_child(check, NULL);
    cr_assert(c.signal == 0 && c.code == 0, "reported without damage: %s", c.text);
}

Test(check, counts_live_chunks)
{
    enum { EACH = 300 };
    void *all[MO_ARRAY_LEN(sizes) + 3][EACH];
    size_t before = mo_check_heap("look"), n = 0;
    for (size_t k = 0; k < MO_ARRAY_LEN(all); k++) {
        for (size_t i = 0; i < EACH; i++, n++) {
            size_t size = k < MO_ARRAY_LEN(sizes) ? sizes[k] : 0;
            if (k == MO_ARRAY_LEN(sizes))
                all[k][i] = mo_allocate_aligned(i * 10, (size_t)32 << i % 10, MO_ORIGIN_MALLOC);
            else
                all[k][i] = take(k == MO_ARRAY_LEN(sizes) + 1 ? 150000 : size);
        }
    }
    cr_assert_eq(mo_check_heap("look"), before + n);
    for (size_t k = 0; k < MO_ARRAY_LEN(all); k++)
        for (size_t i = 0; i < EACH; i++)
            mo_release(all[k][i], MO_ORIGIN_MALLOC);
    cr_assert_eq(mo_check_heap("look"), before);
}

Test(check, live_chunks)
{
    for (size_t i = 0; i < MO_ARRAY_LEN(sizes); i++) {
        uint8_t *p = take(sizes[i]);
        expect_found(p + sizes[i], "heap-buffer-overflow");
        expect_found(p - 1, "heap-buffer-overflow");
        expect_found(p - MO_HEADER, "heap-buffer-overflow");
    }
    for (size_t i = 0; i < MO_ARRAY_LEN(large_sizes); i++) {
        uint8_t *p = take(large_sizes[i] - 3);
        expect_found(p + large_sizes[i] - 3, "heap-buffer-overflow");
        expect_found(p - 1, "heap-buffer-overflow");
    }
}

Test(check, live_aligned_chunks)
{
    for (size_t align = 32; align <= 16384; align *= 2) {
        uint8_t *p = mo_allocate_aligned(100, align, MO_ORIGIN_MALLOC);
        while (p != NULL && (uintptr_t)p % (2 * align) == 0) /* one that does not start its slot by chance */
            p = mo_allocate_aligned(100, align, MO_ORIGIN_MALLOC);
        cr_assert_not_null(p);
        expect_found(p + 100, "heap-buffer-overflow");
        expect_found(p - 1, "heap-buffer-overflow");
        struct mo_place place = {0};
        cr_assert(mo_heap_locate((uintptr_t)p, &place));
        if ((uintptr_t)p > place.slot + 2 * MO_HEADER)
            expect_found(p - MO_HEADER - 1, "heap-buffer-overflow");
    }
}

Test(check, slots_in_quarantine)
{
    for (size_t i = 0; i < MO_ARRAY_LEN(sizes); i++) {
        uint8_t *keeps_slab_open = take(sizes[i]), *p = take(sizes[i]);
        mo_release(p, MO_ORIGIN_MALLOC);
        expect_found(p, "heap-use-after-free");
        expect_found(p + sizes[i] / 2, "heap-use-after-free");
        expect_found(p + sizes[i] - 1, "heap-use-after-free");
        mo_release(keeps_slab_open, MO_ORIGIN_MALLOC);
    }
}

Test(check, ready_slots)
{
    struct mo_cache *c = mo_thread_cache();
    for (size_t i = 0; i < MO_ARRAY_LEN(sizes); i++) {
        unsigned class = mo_class_of(sizes[i]);
        void *p[16];
        for (size_t k = 0; k < MO_ARRAY_LEN(p); k++)
            p[k] = take(sizes[i]);
        while (mo_sealed.classes[class].slots > 1 && mo_cache_ready(c, class) == 0)
            (void)take(sizes[i]);
        /* Slabs of one slot leave none: only what has waited is ready. */
        for (size_t k = 0; k < MO_ARRAY_LEN(p) && mo_cache_ready(c, class) == 0; k++)
            mo_release(p[k], MO_ORIGIN_MALLOC);
        cr_assert_neq(mo_cache_ready(c, class), 0, "size %zu", sizes[i]);
        uint8_t *slot = (uint8_t *)*mo_cache_at(c, mo_sealed.classes[class].ready_at);
        expect_found(slot + MO_HEADER + sizes[i] / 2, "heap-use-after-free");
    }
}

/* Two of n chunks that share a slab: the second one's index in *other; n: there are none. */
static size_t neighbours(uint8_t *const *p, size_t n, size_t *other)
{
    struct mo_place one = {0}, two = {0};
    for (size_t i = 0; i < n; i++)
        for (*other = i + 1; *other < n; ++*other)
            if (mo_heap_locate((uintptr_t)p[i], &one) && mo_heap_locate((uintptr_t)p[*other], &two) &&
                one.slab == two.slab)
                return i;
    return n;
}

Test(check, slots_with_their_shard)
{
    for (size_t i = 0; i < MO_ARRAY_LEN(sizes); i++) {
        uint8_t *p[40];
        struct mo_place place = {0};
        size_t found;
        for (size_t k = 0; k < MO_ARRAY_LEN(p); k++)
            p[k] = take(sizes[i]);
        cr_assert(mo_heap_locate((uintptr_t)p[0], &place));
        if (mo_sealed.classes[place.slab->class].slots == 1)
            continue;                                         /* what is free there is a free slab */
        size_t kept = neighbours(p, MO_ARRAY_LEN(p), &found); /* it keeps the slab open */
        cr_assert_lt(kept, MO_ARRAY_LEN(p), "size %zu", sizes[i]);
        for (size_t k = 0; k < MO_ARRAY_LEN(p); k++)
            if (k != kept)
                mo_release(p[k], MO_ORIGIN_MALLOC);
        mo_thread_drain(mo_thread_cache());
        expect_found(p[found] + sizes[i] / 2, "heap-use-after-free");
        mo_release(p[kept], MO_ORIGIN_MALLOC);
    }
}

static void *free_it(void *p)
{
    mo_release(p, MO_ORIGIN_MALLOC);
    return NULL;
}

static pthread_barrier_t barrier;

static void *free_and_stay(void *p)
{
    free_it(p);
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    return NULL;
}

Test(check, slots_in_a_cache_of_the_pool)
{
    pthread_t thread;
    uint8_t *p = take(100);
    cr_assert_eq(pthread_create(&thread, NULL, free_it, p), 0);
    pthread_join(thread, NULL); /* its cache is in the pool */
    expect_found(p + 50, "heap-use-after-free");
}

static void change_what_a_thread_holds(void *p)
{
    pthread_t thread;
    pthread_barrier_init(&barrier, NULL, 2);
    if (pthread_create(&thread, NULL, free_and_stay, p) != 0)
        _exit(1);
    pthread_barrier_wait(&barrier);
    change_and_check((uint8_t *)p + 50);
    _exit(2);
}

Test(check, slots_in_a_running_threads_cache)
{
    struct child c = run_child(change_what_a_thread_holds, take(100));
    expect_report(&c, "moat: heap-use-after-free: look found");
}

/* Tables: what run_child changes, of the slab of a live chunk. */
static struct mo_place victim;

static struct mo_bin *bin(void)
{
    return &mo_sealed.shards[victim.shard].bins[victim.class];
}

static void flip_bit(void *unused)
{
    (void)unused;
    victim.slab->free[victim.index / 64] ^= (uint64_t)1 << (victim.index % 64);
    check(NULL);
}

static void flip_last_bit(void *unused)
{
    (void)unused;
    victim.slab->free[MO_SLAB_SLOTS / 64 - 1] ^= (uint64_t)1 << 63;
    check(NULL);
}

static void change_free_count(void *unused)
{
    (void)unused;
    victim.slab->free_count--;
    check(NULL);
}

static void change_state(void *unused)
{
    (void)unused;
    *victim.state = 0;
    check(NULL);
}

static void change_taken(void *unused)
{
    (void)unused;
    bin()->taken++;
    check(NULL);
}

static void change_empty_count(void *unused)
{
    (void)unused;
    bin()->empty_count++;
    check(NULL);
}

static void change_open_count(void *unused)
{
    (void)unused;
    bin()->open_count++;
    check(NULL);
}

static void change_place_in_list(void *unused)
{
    (void)unused;
    mo_sealed.slabs[bin()->closed_count > 0 ? bin()->closed[0] : bin()->partial[0]].at++;
    check(NULL);
}

static void list_another_slab(void *unused)
{
    (void)unused;
    bin()->partial[0] = 0xfffffff0;
    check(NULL);
}

static void change_shard(void *unused)
{
    (void)unused;
    victim.slab->base += 16;
    check(NULL);
}

static void change_cache(void *unused)
{
    (void)unused;
    *mo_cache_at(mo_thread_cache(), victim.k->fifo_at) = victim.slot + 16;
    check(NULL);
}

static void change_top(void *unused)
{
    (void)unused;
    mo_thread_cache()->stock[victim.class].top = victim.k->ready_end + 16;
    check(NULL);
}

static void change_large_used(void *unused)
{
    (void)unused;
    mo_large_table.used++;
    check(NULL);
}

static void change_large_live(void *p)
{
    mo_large_lock();
    mo_large_entry_locked((uintptr_t)p)->state = 0;
    mo_large_unlock();
    check(NULL);
}

static void change_large_map(void *p)
{
    mo_large_lock();
    struct mo_large *l = mo_large_entry_locked((uintptr_t)p);
    l->map_size = l->p - l->map;
    mo_large_unlock();
    check(NULL);
}

static void change_large_open(void *p)
{
    mo_large_lock();
    struct mo_large *l = mo_large_entry_locked((uintptr_t)p);
    l->open_size = l->map_size + 1;
    mo_large_unlock();
    check(NULL);
}

static void move_large(void *p)
{
    mo_large_lock();
    mo_large_entry_locked((uintptr_t)p)->p += 64;
    mo_large_unlock();
    check(NULL);
}

static void change_large_size(void *p)
{
    mo_large_lock();
    mo_large_entry_locked((uintptr_t)p)->map_size++;
    mo_large_unlock();
    check(NULL);
}

Test(check, table_of_large_chunks)
{
    static const char counts[] = "the table of large chunks and its counts disagree";
    static const char impossible[] = "an entry of the table of large chunks is impossible";
    static const char changed[] = "an entry of the table of large chunks was changed";
    const struct {
        void (*change)(void *);
        const char *said;
    } all[] = {{change_large_used, counts},     {change_large_live, counts}, {change_large_map, impossible},
               {change_large_open, impossible}, {move_large, impossible},    {change_large_size, changed}};
    uint8_t *p = take(300001);
    for (size_t i = 0; i < MO_ARRAY_LEN(all); i++) {
        struct child c = run_child(all[i].change, p);
        cr_expect(c.signal == SIGABRT && strstr(c.text, "moat: heap-metadata-corruption: look found") &&
                      strstr(c.text, all[i].said),
                  "change %zu: signal %d: %s", i, c.signal, c.text);
    }
    cr_expect_gt(mo_check_heap("look"), 0);
}

Test(check, tables)
{
    void (*const changes[])(void *) = {flip_bit,          flip_last_bit,      change_free_count, change_state,
                                       change_taken,      change_empty_count, change_open_count, change_place_in_list,
                                       list_another_slab, change_shard,       change_cache,      change_top};
    uint8_t *p = take(24);
    cr_assert(mo_heap_locate((uintptr_t)p, &victim));
    /* A slab with free slots, so that its bin lists it. */
    while (bin()->partial_count == 0)
        cr_assert(mo_heap_locate((uintptr_t)take(24), &victim));
    for (size_t i = 0; i < MO_ARRAY_LEN(changes); i++) {
        struct child c = run_child(changes[i], NULL);
        cr_expect(c.signal == SIGABRT && strstr(c.text, "moat: heap-metadata-corruption: look found"),
                  "change %zu: signal %d: %s", i, c.signal, c.text);
    }
}

#ifdef MO_BUILD_SMALL
/* Of classes without requests, which share a page with nothing. */
Test(check, touches_no_bin_that_has_no_use)
{
    struct moat_stats stats;
    uintptr_t page = mo_sealed.features.page;
    uintptr_t last = mo_align_down((uintptr_t)&mo_sealed.shards[0].bins[MO_CLASSES - 1], page);
    cr_assert_eq(mo_sealed.shard_count, 1);
    if (page > 4096) {
        cr_assert_lt(last, (uintptr_t)&mo_sealed.shards[0].bins[MO_BINS_USED], "those without use have a page");
        return;
    }
    cr_assert_geq(last, (uintptr_t)&mo_sealed.shards[0].bins[MO_BINS_USED]);
    (void)take(24);
    cr_expect_gt(mo_check_heap("look"), 0);
    cr_assert_eq(moat_stats(&stats, sizeof stats), 0);
    cr_expect_gt(stats.live_count, 0);
    cr_expect_eq(pages_present(last, page), 0);
}
#endif
