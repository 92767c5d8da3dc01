/* Heaps for one purpose: whose their slots are, how they end, and what is noticed. */
#include <pthread.h>
#include <stdio.h>

#include "arena/arena.h"
#include "child.h"
#include "front/front.h"
#include "front/heaps.h"
#include "front/slow.h"
#include "mem/large.h"
#include "moat/moat.h"

#include "api/names.h"

static const size_t sizes[] = {0, 1, 24, 100, 129, 1000, 5000, 65536, 131072, 131080, 200000, 1 << 20};
enum { SIZES = sizeof sizes / sizeof sizes[0], EACH = 20 };

static void set_up(void)
{
    mo_front_start();
}

/* Chunks are expected to be resized in place: none of them is to be a sampled one. */
const char *moat_options = UNSAMPLED;

TestSuite(heaps, .init = set_up);

static moat_heap *create(void)
{
    moat_heap *heap = moat_heap_create();
    cr_assert_not_null(heap);
    return heap;
}

static char *take(moat_heap *heap, size_t n)
{
    char *p = moat_heap_malloc(heap, n);
    cr_assert_not_null(p, "%zu bytes", n);
    cr_assert((uintptr_t)p % 16 == 0 && moat_object_size(p) == n, "%p of %zu", (void *)p, n);
    cr_assert(all_are((uintptr_t)p, n, 0), "%zu bytes are not zero", n);
    memset(p, 0x5a, n);
    return p;
}

/* The shard that an address belongs to; 0 of an ordinary one. */
static int heap_of(const void *p)
{
    struct mo_place place;
    struct mo_large l;
    if (mo_heap_find((uintptr_t)p, &place))
        return place.shard < 0 ? place.shard : 0;
    return mo_large_find((uintptr_t)p, &l) ? l.heap : 0;
}

Test(heaps, serve_nobody_else)
{
    moat_heap *a = create(), *b = create();
    char *all[3][SIZES][EACH];
    for (size_t s = 0; s < SIZES; s++) {
        for (size_t i = 0; i < EACH; i++) {
            all[0][s][i] = take(a, sizes[s]);
            all[1][s][i] = take(b, sizes[s]);
            cr_assert_not_null(all[2][s][i] = mo_allocate(sizes[s], MO_ORIGIN_MALLOC));
            cr_assert(heap_of(all[0][s][i]) < 0 && heap_of(all[1][s][i]) < 0 && heap_of(all[2][s][i]) == 0);
            cr_assert_neq(heap_of(all[0][s][i]), heap_of(all[1][s][i]));
        }
    }
    int shard = heap_of(all[0][1][0]);
    /* Freed by plain free, thousands of times: neither malloc nor the other heap ever gets one of a's slots. */
    for (int round = 0; round < 30; round++) {
        for (size_t s = 0; s < 9; s++) {
            for (size_t i = 0; i < EACH; i++) {
                free(all[0][s][i]);
                mo_release(all[2][s][i], MO_ORIGIN_MALLOC);
                cr_assert_not_null(all[2][s][i] = mo_allocate(sizes[s], MO_ORIGIN_MALLOC));
                cr_assert_eq(heap_of(all[2][s][i]), 0);
                all[0][s][i] = take(a, sizes[s]);
                cr_assert_eq(heap_of(all[0][s][i]), shard);
            }
        }
    }
    mo_arena_check("test");
    (void)moat_check_heap();
    moat_heap_destroy(a);
    moat_heap_destroy(b);
    mo_arena_check("test");
}

Test(heaps, end_as_a_whole)
{
    static char *all[SIZES][EACH];
    size_t before = moat_check_heap();
    moat_heap *heap = create();
    for (size_t s = 0; s < SIZES; s++)
        for (size_t i = 0; i < EACH; i++)
            all[s][i] = take(heap, sizes[s]);
    free(all[2][0]); /* waits in the quarantine */
    cr_assert_eq(moat_check_heap(), before + SIZES * EACH - 1);
    moat_heap_destroy(heap);
    cr_assert_eq(moat_check_heap(), before);
    for (size_t s = 0; s < SIZES; s++)
        for (size_t i = 0; i < EACH; i++)
            cr_assert(!can_read((uintptr_t)all[s][i]) && moat_object_base(all[s][i]) == NULL, "%zu bytes", sizes[s]);
}

Test(heaps, of_another_life_are_of_the_same_class)
{
    enum { LIVES = 200 };
    struct mo_place place;
    unsigned reused = 0;
    static uintptr_t seen[LIVES];
    for (size_t life = 0; life < LIVES; life++) {
        moat_heap *heap = create();
        char *p = take(heap, 100), *q = take(heap, 3000);
        cr_assert(mo_heap_find((uintptr_t)p, &place));
        seen[life] = place.slab->base;
        for (size_t i = 0; i < life; i++) {
            cr_assert(seen[i] != mo_align_down((uintptr_t)q, MO_GRANULE), "3,000 bytes where 100 had been");
            cr_assert(i + MO_HEAPS_WAIT < life || seen[i] != place.slab->base, "used again after %zu", life - i);
            reused += seen[i] == place.slab->base;
        }
        moat_heap_destroy(heap);
    }
    cr_assert_gt(reused, 0, "shards are for one life");
    cr_assert_leq(-mo_arena_first(), MO_HEAPS_WAIT + 2);
    mo_arena_check("test");
}

Test(heaps, are_limited_in_number)
{
    static moat_heap *all[MO_HEAPS + 1];
    size_t n = 0;
    errno = 0;
    while (n < MO_ARRAY_LEN(all) && (all[n] = moat_heap_create()) != NULL)
        n++;
    cr_assert(n == mo_sealed.heaps_most && n == MO_HEAPS && errno == ENOMEM, "%zu of %zu", n, mo_sealed.heaps_most);
    for (size_t i = 0; i < n; i++)
        (void)take(all[i], 50);
    mo_arena_check("test");
    moat_heap_destroy(all[5]);
    cr_assert_not_null(all[5] = moat_heap_create());
    cr_assert_null(moat_heap_create());
    for (size_t i = 0; i < n; i++)
        moat_heap_destroy(all[i]);
}

Test(heaps, chunks_may_be_resized_and_aligned)
{
    moat_heap *heap = create();
    char *p = take(heap, 10);
    int shard = heap_of(p);
    for (size_t n = 10; n < 3000000; n = n * 3 / 2 + 1) {
        char *q = realloc(p, n * 3 / 2 + 1);
        cr_assert(q != NULL && all_are((uintptr_t)q, n, 0x5a) && heap_of(q) == shard, "%zu bytes", n);
        memset(q, 0x5a, n * 3 / 2 + 1);
        p = q;
    }
    cr_assert_not_null(p = realloc(p, 5));
    cr_assert(all_are((uintptr_t)p, 5, 0x5a) && heap_of(p) == shard);
    free_sized(p, 5);
    for (size_t align = 1; align <= 1 << 20; align *= 2) {
        for (size_t n = 1; n < 300000; n = n * 7) {
            cr_assert_not_null(p = moat_heap_aligned_alloc(heap, align, n));
            cr_assert((uintptr_t)p % align == 0 && all_are((uintptr_t)p, n, 0) && heap_of(p) == shard);
            free_aligned_sized(p, align, n);
        }
    }
    errno = 0;
    cr_assert(moat_heap_aligned_alloc(heap, 24, 10) == NULL && errno == EINVAL);
    errno = 0;
    cr_assert(moat_heap_malloc(heap, SIZE_MAX / 2) == NULL && errno == ENOMEM);
    moat_heap_destroy(heap);
    cr_assert_not_null(p = moat_heap_malloc(NULL, 100));
    cr_assert_eq(heap_of(p), 0);
    free(p);
    moat_heap_destroy(NULL);
}

static moat_heap *victim;
static char *chunk;

static void use_destroyed(void *what)
{
    moat_heap_destroy(victim);
    if (strcmp(what, "free") == 0)
        free(chunk);
    else if (strcmp(what, "allocate") == 0)
        (void)!moat_heap_malloc(victim, 10);
    else
        moat_heap_destroy(victim);
}

static void damage(void *what)
{
    char *waits = take(victim, 5000);
    if (strcmp(what, "overflow") == 0)
        chunk[100] ^= 1;
    else if (strcmp(what, "underflow") == 0)
        chunk[-1] ^= 1;
    else if (strcmp(what, "large") == 0)
        take(victim, 300001)[300001] ^= 1;
    free(waits);
    if (strcmp(what, "stale") == 0)
        waits[77] = 1;
    if (strcmp(what, "twice") == 0)
        free(waits);
    moat_heap_destroy(victim);
}

Test(heaps, damage_is_reported)
{
    victim = create();
    chunk = take(victim, 100);
    static const char *const cases[][2] = {{"overflow", "heap-buffer-overflow: moat_heap_destroy"},
                                           {"underflow", "heap-buffer-overflow: moat_heap_destroy"},
                                           {"large", "heap-buffer-overflow: moat_heap_destroy"},
                                           {"stale", "heap-use-after-free: moat_heap_destroy"},
                                           {"twice", "double-free: free"}};
    for (size_t i = 0; i < MO_ARRAY_LEN(cases); i++) {
        struct child c = run_child(damage, (void *)(uintptr_t)cases[i][0]);
        expect_report(&c, cases[i][1]);
    }
    struct child c = run_child(use_destroyed, "free");
    expect_report(&c, "double-free: free");
    c = run_child(use_destroyed, "allocate");
    expect_report(&c, "bad-free: moat_heap_malloc");
    c = run_child(use_destroyed, "destroy");
    expect_report(&c, "bad-free: moat_heap_destroy");
}

/* A handler of SIGABRT that forks must not wait for the heap's lock. */
static void fork_in_handler(int number)
{
    (void)number;
    pid_t pid = fork();
    if (pid == 0)
        _exit(moat_heap_malloc(victim, 10) == NULL);
    int status = -1;
    _exit(waitpid(pid, &status, 0) == pid && status == 0 ? 7 : 8);
}

static void *idle(void *unused)
{
    return unused;
}

static void corrupt_quarantine(void *unused)
{
    (void)unused;
    pthread_t thread; /* so that fork takes locks */
    pthread_create(&thread, NULL, idle, NULL);
    signal(SIGABRT, fork_in_handler);
    char *p = take(victim, 64);
    free(p);
    p[1] = 1;
    for (int i = 0; i < 100000; i++)
        free(moat_heap_malloc(victim, 64));
}

Test(heaps, a_report_holds_no_lock)
{
    victim = create();
    struct child c = run_child(corrupt_quarantine, NULL);
    cr_assert(c.code == 7 && strstr(c.text, "heap-use-after-free") != NULL, "code %d: %s", c.code, c.text);
}

static void fork_and_purge(int number)
{
    (void)number;
    pid_t pid = fork();
    if (pid == 0) {
        free(malloc(10));
        (void)moat_purge();
        _exit(0);
    }
    int status = -1;
    _exit(waitpid(pid, &status, 0) == pid && status == 0 ? 7 : 8);
}

static void destroy_damaged(void *unused)
{
    (void)unused;
    pthread_t thread;
    pthread_create(&thread, NULL, idle, NULL);
    signal(SIGABRT, fork_and_purge);
    mo_sealed.slabs[mo_granule_of((uintptr_t)take(victim, 64))->slab].free_count++;
    moat_heap_destroy(victim);
}

Test(heaps, a_report_at_the_end_holds_no_lock)
{
    victim = create();
    struct child c = run_child(destroy_damaged, NULL);
    cr_assert(c.code == 7 && strstr(c.text, "heap-metadata-corruption") != NULL, "code %d: %s", c.code, c.text);
}

static void fill_in_child(void *unused)
{
    (void)unused;
    printf("%p\n", (void *)take(victim, 100));
    fflush(stdout);
    for (size_t s = 0; s < SIZES; s++)
        for (size_t i = 0; i < EACH; i++)
            free(take(victim, sizes[s]));
    (void)moat_check_heap();
    moat_heap_destroy(victim);
}

Test(heaps, survive_fork_and_children_differ)
{
    victim = create();
    for (int i = 0; i < 500; i++)
        free(take(victim, 100));
    char text[3][64];
    for (int i = 0; i < 3; i++) {
        struct child c = run_child(fill_in_child, NULL);
        cr_assert(c.signal == 0 && c.code == 0, "%s", c.text);
        snprintf(text[i], sizeof text[i], "%.60s", c.text);
    }
    cr_assert(strcmp(text[0], text[1]) != 0 || strcmp(text[1], text[2]) != 0, "all at %s", text[0]);
    (void)take(victim, 100);
    moat_heap_destroy(victim);
}

enum { THREADS = 4, ROUNDS = 10 };
static moat_heap *shared;
static char *mailbox[256];

static void *own_and_shared(void *argument)
{
    uint64_t seed = (uintptr_t)argument * 77777 + 1;
    for (int round = 0; round < ROUNDS; round++) {
        moat_heap *own = moat_heap_create();
        for (int i = 0; i < 500; i++) {
            size_t n = next_number(&seed) % 3000;
            char *p = moat_heap_malloc(own, n), *q = moat_heap_malloc(shared, n);
            if (p == NULL || q == NULL)
                abort();
            memset(p, 1, n);
            memset(q, 2, n);
            if (i % 3 == 0)
                free(p);
            free(__atomic_exchange_n(&mailbox[next_number(&seed) % 256], q, __ATOMIC_ACQ_REL));
        }
        moat_heap_destroy(own);
    }
    return NULL;
}

Test(heaps, threads_share_one_and_have_their_own)
{
    pthread_t threads[THREADS];
    shared = create();
    for (size_t i = 0; i < THREADS; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, own_and_shared, (void *)(i + 1)), 0);
    for (int i = 0; i < 10; i++) {
        (void)moat_purge();
        (void)moat_check_heap();
    }
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    (void)moat_check_heap();
    moat_heap_destroy(shared);
    mo_arena_check("test");
}

struct seen {
    size_t count, bytes, limit;
    void *one;
    bool met;
};

static int see(void *p, size_t n, void *context)
{
    struct seen *s = context;
    void *scratch = mo_allocate(n, MO_ORIGIN_MALLOC); /* no lock is held */
    mo_release(scratch, MO_ORIGIN_MALLOC);
    s->count++;
    s->bytes += n;
    s->met |= p == s->one;
    return s->count == s->limit ? 42 : 0;
}

Test(heaps, a_walk_meets_every_live_chunk)
{
    moat_heap *heap = create();
    size_t bytes = 0;
    struct seen s = {.one = mo_allocate(77, MO_ORIGIN_MALLOC)};
    for (size_t i = 0; i < SIZES; i++) {
        for (size_t j = 0; j < EACH; j++) {
            char *p = take(heap, sizes[i]);
            bytes += sizes[i];
            if (j % 2 == 0) {
                free(p);
                bytes -= sizes[i];
            }
        }
    }
    void *aligned = moat_heap_aligned_alloc(heap, 4096, 100);
    cr_assert_eq(moat_walk(heap, see, &s), 0);
    cr_assert(s.count == SIZES * EACH / 2 + 1 && s.bytes == bytes + 100 && !s.met, "%zu chunks of %zu bytes", s.count,
              s.bytes);
    s = (struct seen){.one = aligned};
    cr_assert_eq(moat_walk(heap, see, &s), 0);
    cr_assert(s.met);
    s = (struct seen){.one = aligned, .limit = 10};
    cr_assert_eq(moat_walk(heap, see, &s), 42);
    cr_assert_eq(s.count, 10);
    size_t live = moat_check_heap();
    s = (struct seen){.one = aligned};
    cr_assert_eq(moat_walk(NULL, see, &s), 0);
    cr_assert(s.met && s.count == live, "%zu of %zu", s.count, live);
    moat_heap_destroy(heap);
}

Test(heaps, reallocarray_minds_overflow)
{
    char *p = moat_reallocarray(NULL, 10, 10);
    cr_assert_eq(moat_object_size(p), 100);
    memset(p, 3, 100);
    errno = 0;
    cr_assert(moat_reallocarray(p, SIZE_MAX / 2, 3) == NULL && errno == ENOMEM);
    cr_assert_not_null(p = moat_reallocarray(p, 20, 10));
    cr_assert(moat_object_size(p) == 200 && all_are((uintptr_t)p, 100, 3));
    free(p);
}

Test(heaps, resize_never_moves)
{
    char *p = mo_allocate(100, MO_ORIGIN_MALLOC);
    cr_assert_eq(moat_resize(p, 104), 1);
    cr_assert_eq(moat_object_size(p), 104);
    memset(p, 3, 104);
    cr_assert_eq(moat_resize(p, 60), 1);
    cr_assert_eq(moat_resize(p, 90), 1);
    cr_assert(moat_object_size(p) == 90 && all_are((uintptr_t)p, 60, 3) && all_are((uintptr_t)p + 60, 30, 0));
    cr_assert_eq(moat_resize(p, 5000), 0);
    cr_assert_eq(moat_resize(p, 0), 0);
    cr_assert_eq(moat_object_size(p), 90);
    free_sized(p, 90);
    cr_assert_eq(moat_resize(p = mo_allocate(200000, MO_ORIGIN_MALLOC), 200001), 0);
    mo_release(p, MO_ORIGIN_MALLOC);
}

/* What the kernel does not take back is cleared. */
Test(heaps, locked_memory_is_cleared)
{
    moat_heap *heap = create();
    char *p = take(heap, 100), *q = take(heap, 5000);
    cr_assert_eq(mlock(p, 100) | mlock(q, 5000), 0);
    moat_heap_destroy(heap);
    cr_assert(!can_read((uintptr_t)p) || all_are((uintptr_t)p, 100, 0));
    cr_assert(!can_read((uintptr_t)q) || all_are((uintptr_t)q, 5000, 0));
    (void)moat_check_heap();
    for (int i = 0; i < 2 * MO_HEAPS_WAIT; i++) {
        heap = create();
        (void)take(heap, 100);
        (void)take(heap, 5000);
        moat_heap_destroy(heap);
    }
}
