/* Allocate, release and resize, from the requests' side: every size, every alignment, chains of resizes, and the
 * pointers that are none. */
#include <pthread.h>

#include "cache/cache.h"
#include "child.h"
#include "front/chunk.h"
#include "front/front.h"
#include "front/stats.h"
#include "guard/pool.h"
#include "guard/sampler.h"
#include "mem/classes.h"
#include "mem/large.h"
#include "moat/moat.h"

/* Headers and slots are looked at: none of the chunks is to be a sampled one. Their tests are guarded.c's. */
const char *moat_options = UNSAMPLED;

static size_t page;

static void set_up(void)
{
    mo_front_start();
    page = mo_sealed.features.page;
}

TestSuite(front, .init = set_up);

static uint8_t byte_at(size_t i, size_t seed)
{
    return (uint8_t)(seed * 131 + i * 7 + (i >> 8));
}

static void fill(void *p, size_t n, size_t seed)
{
    for (size_t i = 0; i < n; i++)
        ((uint8_t *)p)[i] = byte_at(i, seed);
}

static size_t damage(const void *p, size_t n, size_t seed)
{
    size_t wrong = 0;
    for (size_t i = 0; i < n; i++)
        wrong += ((const uint8_t *)p)[i] != byte_at(i, seed);
    return wrong;
}

/* A chunk of n bytes is aligned, zero, writable, knows its size, and survives being written. */
static size_t flaws(void *p, size_t n, size_t align)
{
    size_t wrong = 0;
    wrong += p == NULL || (uintptr_t)p % align != 0;
    if (wrong != 0)
        return wrong;
    wrong += !all_are((uintptr_t)p, n, 0);
    memset(p, 0xff, n);
    wrong += mo_usable_size(p) != n;
    return wrong;
}

static size_t check_size(size_t n)
{
    void *p = mo_allocate(n, MO_ORIGIN_MALLOC);
    size_t wrong = flaws(p, n, n != 0 ? 16 : 8);
    mo_release(p, MO_ORIGIN_MALLOC);
    return wrong;
}

Test(front, every_small_size)
{
    size_t wrong = 0;
    for (int round = 0; round < 2; round++)
        for (size_t n = 0; n <= 5000; n++)
            wrong += check_size(n);
    cr_assert_eq(wrong, 0);
}

Test(front, sizes_at_the_edges_of_classes)
{
    for (unsigned class = MO_CLASS_FIRST; class <= MO_CLASS_LAST; class++)
        for (int round = 0; round < 8; round++)
            for (size_t d = 0; d < 5; d++)
                cr_assert_eq(check_size(mo_class_capacity(&mo_sealed.classes[class]) + d - 2), 0, "class %u", class);
    for (size_t n = 1 << 17; n <= (size_t)16 << 20; n *= 2)
        for (size_t d = 0; d < 5; d++)
            cr_assert_eq(check_size(n + d - 2), 0, "%zu bytes", n + d - 2);
}

Test(front, aligned_chunks_of_any_size)
{
    static const size_t sizes[] = {0,    1,    7,     8,     15,     16,     17,     24,     100,     1000,
                                   4080, 4096, 16384, 65536, 114688, 131000, 131080, 131081, 1000000, 3 << 20};
    for (size_t align = 1; align <= (size_t)64 << 20; align *= 2) {
        void *p[MO_ARRAY_LEN(sizes)];
        for (size_t i = 0; i < MO_ARRAY_LEN(sizes); i++) {
            p[i] = mo_allocate_aligned(sizes[i], align, MO_ORIGIN_MALLOC);
            cr_assert_eq(flaws(p[i], sizes[i], mo_max(align, sizes[i] != 0 ? 16 : 8)), 0, "%zu at %zu", sizes[i],
                         align);
            for (size_t j = 0; j < i; j++)
                cr_assert_neq(p[i], p[j]);
        }
        for (size_t i = 0; i < MO_ARRAY_LEN(sizes); i++) {
            cr_assert(sizes[i] == 0 || all_are((uintptr_t)p[i], sizes[i], 0xff));
            mo_release(p[i], MO_ORIGIN_MALLOC);
        }
    }
}

/* Aligned chunks start anywhere in their slots: many of each, freed in another order, and their slots used again. */
Test(front, aligned_chunks_everywhere)
{
    enum { N = 2000 };
    static void *p[N];
    static size_t sizes[N];
    uint64_t seed = 99991;
    size_t wrong = 0;
    for (int round = 0; round < 8; round++) {
        for (size_t i = 0; i < N; i++) {
            sizes[i] = next_number(&seed) % (i % 10 == 0 ? 20000 : 600);
            size_t align = (size_t)16 << next_number(&seed) % 11;
            p[i] = i % 3 == 0 ? mo_allocate(sizes[i], MO_ORIGIN_MALLOC)
                              : mo_allocate_aligned(sizes[i], align, MO_ORIGIN_MALLOC);
            if (sizes[i] != 0)
                wrong += flaws(p[i], sizes[i], i % 3 == 0 ? 16 : align);
            fill(p[i], sizes[i], i);
        }
        for (size_t i = 0; i < N; i++) {
            size_t j = (i * 1237) % N; /* every one once: 1237 is prime to N */
            wrong += damage(p[j], sizes[j], j) != 0;
            mo_release(p[j], MO_ORIGIN_MALLOC);
        }
    }
    cr_assert_eq(wrong, 0);
}

/* P11. */
Test(front, zero_size)
{
    enum { N = 1000 };
    static void *p[N];
    size_t wrong = 0;
    for (int round = 0; round < 4; round++) {
        for (size_t i = 0; i < N; i++) {
            p[i] = i % 2 == 0 ? mo_allocate(0, MO_ORIGIN_MALLOC) : mo_allocate_aligned(0, 16, MO_ORIGIN_MALLOC);
            wrong += p[i] == NULL || mo_usable_size(p[i]) != 0;
            wrong += i < 50 && (can_read((uintptr_t)p[i]) || can_write((uintptr_t)p[i]));
            for (size_t j = 0; j < i; j++)
                wrong += p[i] == p[j];
        }
        for (size_t i = 0; i < N; i++)
            mo_release(p[i], MO_ORIGIN_MALLOC);
    }
    cr_assert_eq(wrong, 0);
    void *q = mo_allocate(0, MO_ORIGIN_MALLOC);
    cr_assert(faults(touch_read, (uintptr_t)q));
    cr_assert(faults(touch_write, (uintptr_t)q));
    q = mo_resize(q, 100);
    cr_assert_eq(flaws(q, 100, 16), 0);
    q = mo_resize(q, 0);
    cr_assert(q != NULL && mo_usable_size(q) == 0 && !can_read((uintptr_t)q));
    q = mo_resize(q, 0);
    cr_assert(q != NULL && mo_usable_size(q) == 0);
    q = mo_resize(q, 1 << 20);
    cr_assert_eq(flaws(q, 1 << 20, 16), 0);
    q = mo_resize(q, 0);
    cr_assert(q != NULL && mo_usable_size(q) == 0);
    mo_release(q, MO_ORIGIN_MALLOC);
}

Test(front, null)
{
    errno = 77;
    mo_release(NULL, MO_ORIGIN_MALLOC);
    mo_release_sized_aligned(NULL, 10, 0, MO_ORIGIN_NEW);
    cr_assert_eq(mo_usable_size(NULL), 0);
    cr_assert_eq(errno, 77);
}

/* Contents up to the smaller size stay, what is added is zero, whichever way it goes. */
static void *step(void *p, size_t *n, size_t to, size_t seed)
{
    size_t kept = mo_min(*n, to);
    void *q = mo_resize(p, to);
    cr_assert_not_null(q);
    cr_assert_eq(damage(q, kept, seed), 0, "%zu to %zu", *n, to);
    cr_assert(all_are((uintptr_t)q + kept, to - kept, 0), "%zu to %zu: what is new is not zero", *n, to);
    cr_assert_eq(mo_usable_size(q), to);
    fill(q, to, seed);
    *n = to;
    return q;
}

Test(front, resize_chains)
{
    uint64_t random = 424242;
    for (size_t chain = 0; chain < 60; chain++) {
        size_t n = next_number(&random) % 300 + 1;
        void *p = chain % 3 == 2 ? mo_allocate_aligned(n, (size_t)16 << chain % 12, MO_ORIGIN_MALLOC)
                                 : mo_allocate(n, MO_ORIGIN_MALLOC);
        fill(p, n, chain);
        for (int i = 0; i < 60; i++) {
            uint64_t way = next_number(&random) % 8;
            size_t to = way < 4 ? n + next_number(&random) % (n / 2 + 20) : way < 7 ? n - n * (way - 4) / 9 : n / 5;
            p = step(p, &n, to > (3 << 20) ? 1000 : to, chain);
        }
        mo_release(p, MO_ORIGIN_MALLOC);
    }
}

Test(front, resize_byte_by_byte)
{
    size_t n = 1;
    void *p = mo_allocate(n, MO_ORIGIN_MALLOC);
    fill(p, n, 5);
    while (n < 1500)
        p = step(p, &n, n + 1, 5);
    while (n > 1)
        p = step(p, &n, n - 1, 5);
    static const size_t large[] = {131080,        131081,  131144,           140000,  131082,  131080, 1 << 20,
                                   (1 << 20) + 1, 4 << 20, (4 << 20) - 4000, 9 << 20, 2 << 20, 131090, 50};
    for (size_t i = 0; i < MO_ARRAY_LEN(large); i++)
        p = step(p, &n, large[i], 5);
    mo_release(p, MO_ORIGIN_MALLOC);
}

static void resize_too_far(size_t n)
{
    static const size_t sizes[] = {SIZE_MAX, (size_t)PTRDIFF_MAX + 1, PTRDIFF_MAX,
                                   sizeof(size_t) > 4 ? SIZE_MAX / 4 : SIZE_MAX};
    void *p = mo_allocate(n, MO_ORIGIN_MALLOC);
    fill(p, n, 3);
    for (size_t i = 0; i < MO_ARRAY_LEN(sizes); i++)
        cr_assert_null(mo_resize(p, sizes[i]));
    cr_assert_eq(damage(p, n, 3), 0);
    cr_assert_eq(mo_usable_size(p), n);
    mo_release(p, MO_ORIGIN_MALLOC);
}

Test(front, impossible_sizes)
{
    const size_t sizes[] = {SIZE_MAX, SIZE_MAX - 15, SIZE_MAX - page, (size_t)PTRDIFF_MAX + 1, PTRDIFF_MAX};
    for (size_t i = 0; i < MO_ARRAY_LEN(sizes); i++) {
        errno = 0;
        cr_assert_null(mo_allocate(sizes[i], MO_ORIGIN_MALLOC));
        cr_assert_eq(errno, ENOMEM);
        for (size_t align = 1; align != 0; align *= 2)
            cr_assert_null(mo_allocate_aligned(sizes[i], align, MO_ORIGIN_MALLOC));
    }
    cr_assert_null(mo_allocate_aligned(1, (size_t)1 << (sizeof(size_t) * 8 - 1), MO_ORIGIN_MALLOC));
    resize_too_far(100);
    resize_too_far(1 << 20);
}

Test(front, origin_is_kept)
{
    static const enum mo_origin origins[] = {MO_ORIGIN_MALLOC, MO_ORIGIN_NEW, MO_ORIGIN_NEW_ARRAY};
    static const size_t sizes[] = {1, 100, 5000, 200000};
    for (size_t i = 0; i < MO_ARRAY_LEN(origins); i++) {
        for (size_t j = 0; j < MO_ARRAY_LEN(sizes); j++) {
            uintptr_t p = (uintptr_t)mo_allocate(sizes[j], origins[i]);
            if (!mo_pool_holds(p)) /* guarded.c looks at those */
                cr_assert_eq(mo_header_origin(mo_load64(p - MO_HEADER)), origins[i]);
            mo_release_sized_aligned((void *)p, sizes[j], 0, origins[i]);
        }
    }
}

/* P5: what is read through a stale pointer is zero or faults, from the moment of the free. */
Test(front, freed_contents_are_gone_at_once)
{
    size_t shown = 0;
    for (size_t n = 1; n < 300000; n = n * 5 / 4 + 1) {
        uint8_t *p = mo_allocate(n, MO_ORIGIN_MALLOC);
        memset(p, 0x77, n);
        mo_release(p, MO_ORIGIN_MALLOC);
        for (size_t i = 0; i < n; i += n / 50 + 1)
            shown += can_read((uintptr_t)p + i) && p[i] != 0;
    }
    cr_assert_eq(shown, 0);
}

static void release_at(void *p)
{
    mo_release(p, MO_ORIGIN_MALLOC);
}

/* A live chunk of a class in the last slot of its slab, which borders on a guard. */
static void *in_last_slot(unsigned class)
{
    struct mo_place place;
    for (int tries = 0; tries < 20000; tries++) {
        void *p = mo_allocate(mo_class_capacity(&mo_sealed.classes[class]), MO_ORIGIN_MALLOC); /* kept */
        if (mo_heap_locate((uintptr_t)p, &place) && place.index == place.k->slots - 1u)
            return p;
    }
    return NULL;
}

/* P3: reported, wherever a look around the pointer would end. */
Test(front, interior_pointers_are_reported)
{
    static const unsigned classes[] = {1, 7, 12, 16, 20, 21, 27, 31, 33, 36, 45, MO_CLASS_LAST};
    for (size_t i = 0; i < MO_ARRAY_LEN(classes); i++) {
        const struct mo_class *k = &mo_sealed.classes[classes[i]];
        if (mo_sampler_is_dense() && k->stride > MO_POOL_MOST)
            break; /* where all chunks are sampled these have mappings of their own */
        char *p = in_last_slot(classes[i]);
        cr_assert_not_null(p, "no last slot of class %u was given out", classes[i]);
        /* Small steps, then larger ones, and the last pages' worth of the slot and what is behind it. */
        for (size_t d = 1; d < k->stride + 64; d += d < 32 ? 1 + d % 8 : k->stride / 11 / 16 * 16 + 16) {
            struct child c = run_child(release_at, p + d);
            cr_assert(c.signal == SIGABRT && strstr(c.text, "bad-free") != NULL, "class %u + %zu: signal %d: %s",
                      classes[i], d, c.signal, c.text);
        }
    }
}

/* The same for aligned chunks, which are anywhere in their slots and must be freed without a fault. */
Test(front, aligned_chunks_in_last_slots)
{
    enum { N = 300 };
    static void *p[N];
    for (size_t align = 64; align <= 16384; align *= 2) {
        for (size_t n = 100; n < 60000; n = n * 3 / 2) {
            for (size_t i = 0; i < N; i++)
                p[i] = mo_allocate_aligned(n, align, MO_ORIGIN_MALLOC);
            for (size_t i = 0; i < N; i++)
                mo_release(p[i], MO_ORIGIN_MALLOC);
        }
    }
    cr_assert_eq(mo_usable_size(p[0] = mo_allocate_aligned(100, 64, MO_ORIGIN_MALLOC)), 100);
    mo_release(p[0], MO_ORIGIN_MALLOC);
}

static void release_twice(void *p)
{
    mo_release(p, MO_ORIGIN_MALLOC);
    mo_release(p, MO_ORIGIN_MALLOC);
}

static void usable_after(void *p)
{
    mo_release(p, MO_ORIGIN_MALLOC);
    (void)!mo_usable_size(p);
}

static void resize_after(void *p)
{
    mo_release(p, MO_ORIGIN_MALLOC);
    (void)!mo_resize(p, 50);
}

Test(front, dead_pointers_are_reported)
{
    static const size_t sizes[] = {0, 1, 24, 1000, 5000, 131080, 131081, 1 << 22};
    static void (*const ways[])(void *) = {release_twice, usable_after, resize_after};
    for (size_t i = 0; i < MO_ARRAY_LEN(sizes); i++) {
        for (size_t j = 0; j < MO_ARRAY_LEN(ways); j++) {
            struct child c = run_child(ways[j], mo_allocate(sizes[i], MO_ORIGIN_MALLOC));
            expect_report(&c, "double-free");
        }
    }
}

enum { THREADS = 4, EACH = 20000, SHARED = 256 };
static void *shared[SHARED];
static size_t broken;

/* Chunks are freed by whichever thread draws them. */
static void *exchange(void *argument)
{
    uint64_t seed = (uintptr_t)argument * 2654435761u + 17;
    size_t wrong = 0;
    for (int i = 0; i < EACH; i++) {
        size_t n = 8 + next_number(&seed) % (i % 50 == 0 ? 200000 : 800);
        size_t *p = mo_allocate(n, MO_ORIGIN_MALLOC);
        wrong += p == NULL || p[0] != 0 || ((char *)p)[n - 1] != 0;
        p[0] = n;
        ((char *)p)[n - 1] |= 1;
        size_t *q = __atomic_exchange_n(&shared[next_number(&seed) % SHARED], p, __ATOMIC_ACQ_REL);
        if (q != NULL) {
            wrong += (q[0] != mo_usable_size(q) && mo_usable_size(q) != 8);
            mo_release(q, MO_ORIGIN_MALLOC);
        }
    }
    __atomic_add_fetch(&broken, wrong, __ATOMIC_RELAXED);
    return NULL;
}

Test(front, threads_free_each_others_chunks)
{
    pthread_t threads[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, exchange, (void *)i), 0);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (size_t i = 0; i < SHARED; i++)
        mo_release(shared[i], MO_ORIGIN_MALLOC);
    cr_assert_eq(broken, 0);
}

Test(front, errno_survives)
{
    errno = 77;
    for (size_t n = 0; n < 300000; n = n * 2 + 1) {
        void *p = mo_resize(mo_allocate(n, MO_ORIGIN_MALLOC), n + 100);
        mo_release(p, MO_ORIGIN_MALLOC);
        mo_release(mo_allocate_aligned(n, 256, MO_ORIGIN_MALLOC), MO_ORIGIN_MALLOC);
    }
    (void)mo_front_purge();
    cr_assert_eq(errno, 77);
}

Test(front, purge_gives_back)
{
    enum { N = 3000, SIZE = 3000 };
    static void *p[N];
    for (size_t i = 0; i < N; i++) {
        p[i] = mo_allocate(SIZE, MO_ORIGIN_MALLOC);
        memset(p[i], 1, SIZE);
    }
    struct moat_stats with, after;
    mo_front_stats(&with);
    for (size_t i = 0; i < N; i++)
        mo_release(p[i], MO_ORIGIN_MALLOC);
    (void)mo_front_purge();
    mo_front_stats(&after);
    cr_assert_lt(after.slabs + N * SIZE, with.slabs, "%zu, then %zu bytes of slabs", with.slabs, after.slabs);
    cr_assert(SANITIZED || after.resident + N * SIZE * 8 / 10 < with.resident);
    cr_assert_eq(mo_front_purge(), 0, "nothing is left to give");
}

static void taken_for_nothing(void *resizes)
{
    void *p = mo_allocate(35, MO_ORIGIN_MALLOC);
    struct mo_granule *g = (struct mo_granule *)(uintptr_t)mo_granule_of((uintptr_t)p);
    g->class = MO_CLASS_ZERO; /* its slots have their state words at the same places */
    if (resizes != NULL)
        p = mo_resize(p, 55);
    else
        mo_release(p, MO_ORIGIN_MALLOC);
    _exit(p != NULL ? 3 : 4);
}

/* One write to the address table makes no chunk one of malloc(0), which has no header to disagree: its contents would
 * be lost by realloc, and left by free. */
Test(front, no_chunk_becomes_one_of_malloc_0)
{
    static const char words[] = "heap-metadata-corruption";
    struct child c = run_child(taken_for_nothing, NULL);
    expect_report(&c, words);
    c = run_child(taken_for_nothing, &page);
    expect_report(&c, words);
}
