/* Sampled chunks, with every allocation sampled: they are as any other, and what is wrong with them is reported. */
#include <pthread.h>

#include "child.h"
#include "front/check.h"
#include "front/front.h"
#include "front/guarded.h"
#include "moat/moat.h"

/* More slots than Criterion has chunks. */
enum { SLOTS = 6000 };
const char *moat_options = "sample_rate=1 sample_slots=6000 mismatch=abort";

static size_t page;

static void set_up(void)
{
    mo_front_start();
    page = mo_sealed.features.page;
}

TestSuite(guarded, .init = set_up);

static void *take(size_t n)
{
    void *p = mo_allocate(n, MO_ORIGIN_MALLOC);
    cr_assert(p != NULL && mo_pool_holds((uintptr_t)p), "%zu bytes are not sampled", n);
    return p;
}

/* One of either end of its slot. */
static uint8_t *take_at(size_t n, bool far)
{
    for (int tries = 0; tries < 100; tries++) {
        uint8_t *p = take(n);
        if (((uintptr_t)p % page != 0) == far)
            return p;
        mo_release(p, MO_ORIGIN_MALLOC);
    }
    abort();
}

Test(guarded, chunks_of_every_size)
{
    for (size_t n = 0; n <= MO_POOL_MOST; n = n < 5000 ? n + 1 : n + 117) {
        void *p = take(n);
        cr_assert((uintptr_t)p % 16 == 0 && all_are((uintptr_t)p, n, 0) && mo_usable_size(p) == n, "%zu bytes", n);
        memset(p, 0xff, n);
        cr_assert_eq(mo_usable_size(p), n);
        mo_release(p, MO_ORIGIN_MALLOC);
    }
}

Test(guarded, larger_ones_are_not_sampled)
{
    for (size_t n = MO_POOL_MOST + 1; n < 1 << 20; n *= 2) {
        void *p = mo_allocate(n, MO_ORIGIN_MALLOC);
        cr_assert(p != NULL && !mo_pool_holds((uintptr_t)p));
        mo_release(p, MO_ORIGIN_MALLOC);
    }
}

Test(guarded, aligned_chunks)
{
    for (size_t align = 32; align <= page; align *= 2)
        for (size_t n = 1; n < 5000; n += 321) {
            void *p = mo_allocate_aligned(n, align, MO_ORIGIN_MALLOC);
            cr_assert(mo_pool_holds((uintptr_t)p) && (uintptr_t)p % align == 0);
            memset(p, 0xff, n);
            cr_assert_eq(mo_usable_size(p), n);
            mo_release_aligned(p, align, MO_ORIGIN_MALLOC);
        }
}

Test(guarded, resized_chunks_keep_their_contents)
{
    uint64_t state = 7;
    size_t n = 100;
    uint8_t *p = take(n);
    memset(p, 1, n);
    for (int round = 0; round < 2000; round++) {
        size_t now = 1 + next_number(&state) % (round % 10 == 0 ? 300000 : 5000);
        p = mo_resize(p, now);
        cr_assert_not_null(p);
        cr_assert(all_are((uintptr_t)p, mo_min(n, now), 1));
        cr_assert(now <= n || all_are((uintptr_t)p + n, now - n, 0));
        memset(p, 1, now);
        n = now;
    }
    mo_release(p, MO_ORIGIN_MALLOC);
}

Test(guarded, stacks_and_threads_are_kept)
{
    void *p = take(10);
    const struct mo_pool_slot *g = mo_pool_around((uintptr_t)p);
    cr_assert_not_null(g);
    cr_assert_not_null(mo_pool_stack(g, false));
    cr_assert_eq(mo_pool_stack(g, false)->thread, (uint32_t)mo_os_thread_id());
    cr_assert_null(mo_pool_stack(g, true));
    mo_release(p, MO_ORIGIN_MALLOC);
    cr_assert_not_null(mo_pool_stack(g, true));
}

Test(guarded, a_full_pool_leaves_the_rest_to_the_heap)
{
    static void *p[SLOTS];
    size_t samples = 0;
    for (size_t i = 0; i < MO_ARRAY_LEN(p); i++) {
        p[i] = mo_allocate(i % 1000, MO_ORIGIN_MALLOC);
        cr_assert_not_null(p[i]);
        memset(p[i], 0xff, i % 1000);
        samples += mo_pool_holds((uintptr_t)p[i]);
    }
    cr_assert(samples > 100 && samples <= SLOTS - SLOTS / 4, "%zu", samples);
    for (size_t i = 0; i < MO_ARRAY_LEN(p); i++)
        mo_release(p[i], MO_ORIGIN_MALLOC);
    mo_release(take(1), MO_ORIGIN_MALLOC);
}

/* What a child does to a chunk before it frees it. */
struct damage {
    size_t n;
    bool far;
    ptrdiff_t at; /* of the byte changed */
};

static void damage(void *argument)
{
    struct damage *d = argument;
    uint8_t *p = take_at(d->n, d->far);
    p[d->at] ^= 0x55;
    mo_release(p, MO_ORIGIN_MALLOC);
}

/* Each byte in the open pages around a chunk is checked at free, on either side. */
Test(guarded, changes_around_a_chunk_are_reported)
{
    static const ptrdiff_t behind[] = {0, 1, 2, 15, 16, 17, 100, 2000};
    static const ptrdiff_t before[] = {-1, -2, -8, -16, -17, -100, -2000};
    for (size_t i = 0; i < MO_ARRAY_LEN(behind); i++) {
        struct child c = run_child(damage, &(struct damage){33, false, 33 + behind[i]});
        expect_report(&c, "heap-buffer-overflow");
    }
    for (size_t i = 0; i < MO_ARRAY_LEN(before); i++) {
        struct child c = run_child(damage, &(struct damage){33, true, before[i]});
        expect_report(&c, "heap-buffer-overflow");
    }
    struct child c = run_child(damage, &(struct damage){33, true, 33});
    expect_report(&c, "heap-buffer-overflow");
}

static void damage_and_look(void *argument)
{
    struct damage *d = argument;
    uint8_t *p = take_at(d->n, d->far);
    p[d->at] ^= 0x55;
    (void)mo_check_heap("look");
}

/* So does a look at the heap, which counts them. */
Test(guarded, a_look_at_the_heap)
{
    void *p[100];
    size_t before = mo_check_heap("look");
    for (size_t i = 0; i < MO_ARRAY_LEN(p); i++)
        p[i] = take(i);
    cr_assert_eq(mo_check_heap("look"), before + MO_ARRAY_LEN(p));
    for (size_t i = 0; i < MO_ARRAY_LEN(p); i++)
        mo_release(p[i], MO_ORIGIN_MALLOC);
    cr_assert_eq(mo_check_heap("look"), before);
    struct child c = run_child(damage_and_look, &(struct damage){33, false, 33});
    expect_report(&c, "moat: heap-buffer-overflow: look found");
    c = run_child(damage_and_look, &(struct damage){33, true, -1});
    expect_report(&c, "moat: heap-buffer-overflow: look found");
}

/* The next byte faults: behind a chunk of a multiple of 16 that lies at the far end, before one at the near end. */
Test(guarded, the_next_byte_faults)
{
    for (size_t n = 16; n < page; n *= 2) {
        uint8_t *far = take_at(n, true), *near = take_at(n, false);
        cr_assert(can_write((uintptr_t)far + n - 1) && !can_read((uintptr_t)far + n));
        cr_assert(can_write((uintptr_t)near) && !can_read((uintptr_t)near - 1));
        mo_release(far, MO_ORIGIN_MALLOC);
        mo_release(near, MO_ORIGIN_MALLOC);
        cr_assert(!can_read((uintptr_t)far) && !can_read((uintptr_t)near));
    }
}

static void free_twice(void *p)
{
    mo_release(p, MO_ORIGIN_MALLOC);
    mo_release(p, MO_ORIGIN_MALLOC);
}

static void free_inside(void *p)
{
    mo_release((char *)p + 16, MO_ORIGIN_MALLOC);
}

static void free_as_new(void *p)
{
    mo_release(p, MO_ORIGIN_NEW);
}

static void free_with_wrong_size(void *p)
{
    mo_release_sized_aligned(p, 99, 0, MO_ORIGIN_MALLOC);
}

static void resize_freed(void *p)
{
    mo_release(p, MO_ORIGIN_MALLOC);
    p = mo_resize(p, 10);
}

static void measure_freed(void *p)
{
    mo_release(p, MO_ORIGIN_MALLOC);
    (void)mo_usable_size(p);
}

static void free_wild(void *unused)
{
    (void)unused;
    mo_release((void *)(mo_pool_base + mo_pool_size - 64), MO_ORIGIN_MALLOC);
}

Test(guarded, wrong_releases_are_reported)
{
    static const struct {
        void (*what)(void *);
        const char *words;
    } cases[] = {
        {free_twice, "double-free"},
        {free_inside, "bad-free"},
        {free_as_new, "alloc-dealloc-mismatch"},
        {free_with_wrong_size, "alloc-dealloc-mismatch"},
        {resize_freed, "double-free"},
        {measure_freed, "double-free"},
        {free_wild, "bad-free"},
    };
    void *p = take(100);
    for (size_t i = 0; i < MO_ARRAY_LEN(cases); i++) {
        struct child c = run_child(cases[i].what, p);
        expect_report(&c, cases[i].words);
    }
    mo_release(p, MO_ORIGIN_MALLOC);
}

/* Threads that exchange chunks, with the pool full and not, while the process forks. */
enum { SHARED = 64, ROUNDS = 3000 };
static void *shared[SHARED];

static void *exchange(void *argument)
{
    uint64_t state = (uint64_t)(uintptr_t)argument;
    for (size_t i = 0; i < ROUNDS; i++) {
        size_t n = next_number(&state) % 600;
        uint8_t *p = mo_allocate(n + 1, MO_ORIGIN_MALLOC);
        memset(p, (int)n, n + 1);
        p = __atomic_exchange_n(&shared[state % SHARED], p, __ATOMIC_ACQ_REL);
        if (p != NULL && !all_are((uintptr_t)p, mo_usable_size(p), p[0]))
            abort();
        mo_release(p, MO_ORIGIN_MALLOC);
    }
    return NULL;
}

static void use_in_child(void *unused)
{
    (void)unused;
    for (size_t i = 0; i < 500; i++)
        mo_release(mo_allocate(i, MO_ORIGIN_MALLOC), MO_ORIGIN_MALLOC);
}

Test(guarded, threads_and_forks)
{
    pthread_t thread[4];
    for (size_t i = 0; i < MO_ARRAY_LEN(thread); i++)
        cr_assert_eq(pthread_create(&thread[i], NULL, exchange, (void *)(i + 1)), 0);
    for (int i = 0; i < 10; i++)
        cr_assert_eq(run_child(use_in_child, NULL).code, 0);
    for (size_t i = 0; i < MO_ARRAY_LEN(thread); i++)
        pthread_join(thread[i], NULL);
    for (size_t i = 0; i < SHARED; i++)
        mo_release(shared[i], MO_ORIGIN_MALLOC);
}
