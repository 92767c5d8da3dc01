/* The guard pool where all allocations are sampled: slots as large as their payload, fresh ones first, a budget of
 * memory, alignment by size, and forked children that go on as their parent would. */
#include "child.h"
#include "front/front.h"
#include "guard/pool.h"
#include "guard/sampler.h"
#include "moat/moat.h"

/* More than Criterion itself has chunks. */
enum { SLOTS = 16384, BYTES = 32 << 20 };
const char *moat_options =
    "profile=fuzz sample_slots=16384 sample_bytes=32M align=natural seed=7 malloc_context_size=0";

static size_t page;

static void set_up(void)
{
    mo_front_start();
    page = mo_sealed.features.page;
}

TestSuite(pool_dense, .init = set_up);

static const struct mo_pool_slot *slot(const void *p)
{
    const struct mo_pool_slot *g = mo_pool_holds((uintptr_t)p) ? mo_pool_find((uintptr_t)p) : NULL;
    cr_assert_not_null(g, "%p is not sampled", p);
    return g;
}

/* Every size is sampled and reaches to a guard to the byte, on one side or the other. */
Test(pool_dense, every_size_touches_a_guard)
{
    size_t left = 0, count = 0;
    for (size_t n = 1; n <= MO_POOL_MOST; n = n < 3000 ? n + 1 : n + 1231) {
        uint8_t *p = mo_allocate(n, MO_ORIGIN_MALLOC);
        const struct mo_pool_slot *g = slot(p);
        uintptr_t at = (uintptr_t)p;
        size_t most = mo_min(n & -n, 16);
        cr_assert_eq(at % most, 0, "%zu bytes", n);
        bool before = at % page == 0 && !can_read(at - 1), behind = !can_read(at + n);
        cr_assert(before || behind, "%zu bytes", n);
        cr_assert(!can_read(g->open - 1) && !can_read(g->open + g->open_size));
        cr_assert_lt(g->open_size, n + page);
        cr_assert(can_write(at) && can_write(at + n - 1));
        left += before && !behind;
        count++;
        mo_release(p, MO_ORIGIN_MALLOC);
        cr_assert(!can_read(at) && !can_read(at + n - 1));
    }
    cr_assert(left > count / 8 && left < count / 2, "%zu of %zu lie left", left, count); /* 25% asked for */
}

/* Larger ones have mappings of their own between guards. */
Test(pool_dense, larger_sizes_have_guards_too)
{
    for (size_t n = MO_POOL_MOST + 1; n < 200000; n += 9973) {
        uint8_t *p = mo_allocate(n, MO_ORIGIN_MALLOC), *q = mo_allocate_aligned(n, 64, MO_ORIGIN_MALLOC);
        cr_assert(!can_read(mo_align_up((uintptr_t)p + n, page)) && !can_read(mo_align_up((uintptr_t)q + n, page)));
        mo_release(p, MO_ORIGIN_MALLOC);
        mo_release(q, MO_ORIGIN_MALLOC);
    }
}

/* Zero bytes have no page, and give none to what comes next. */
Test(pool_dense, no_bytes)
{
    for (size_t i = 0; i < 200; i++) {
        uint8_t *p = mo_allocate(0, MO_ORIGIN_MALLOC);
        cr_assert(!can_read((uintptr_t)p) && slot(p)->open_size == 0);
        mo_release(p, MO_ORIGIN_MALLOC);
    }
    uint8_t *p = mo_allocate(1, MO_ORIGIN_MALLOC);
    cr_assert(p[0] == 0 && can_write((uintptr_t)p));
    mo_release(p, MO_ORIGIN_MALLOC);
}

/* A freed place comes again only when there is no fresh one. */
Test(pool_dense, freed_places_wait)
{
    enum { MANY = 1000 };
    static void *freed[MANY];
    for (size_t i = 0; i < MANY; i++) {
        freed[i] = mo_allocate(100, MO_ORIGIN_MALLOC);
        mo_release(freed[i], MO_ORIGIN_MALLOC);
    }
    for (size_t i = 0; i < MANY; i++)
        cr_assert(!can_read((uintptr_t)freed[i]));
}

/* Beyond the budget of memory, and of slots, the heap serves: nothing fails. */
Test(pool_dense, what_finds_no_place_is_the_heaps)
{
    static uint8_t *p[SLOTS];
    size_t samples = 0;
    for (size_t i = 0; i < SLOTS; i++) {
        p[i] = mo_allocate(50, MO_ORIGIN_MALLOC);
        cr_assert_not_null(p[i]);
        samples += mo_pool_holds((uintptr_t)p[i]);
        p[i][49] = 1;
    }
    cr_assert(samples > 1000 && samples <= BYTES / page, "%zu", samples);
    for (size_t i = 0; i < SLOTS; i++)
        mo_release(p[i], MO_ORIGIN_MALLOC);
    /* And when all slots have been used, freed ones serve again, with zeros. */
    for (size_t i = 0; i < 2 * SLOTS; i++) {
        uint8_t *q = mo_allocate(50, MO_ORIGIN_MALLOC);
        cr_assert(slot(q) != NULL && all_are((uintptr_t)q, 50, 0));
        memset(q, 0xff, 50);
        mo_release(q, MO_ORIGIN_MALLOC);
    }
}

static uint64_t trace(void)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < 500; i++) {
        void *p = mo_allocate(1 + i % 300, MO_ORIGIN_MALLOC);
        sum = sum * 31 + (uintptr_t)p;
        if (i % 3 != 0)
            mo_release(p, MO_ORIGIN_MALLOC);
    }
    return sum;
}

static uint8_t *right_one(void)
{
    for (;;) {
        uint8_t *p = mo_allocate(48, MO_ORIGIN_MALLOC);
        if (slot(p)->open != (uintptr_t)p)
            return p;
    }
}

static void damage_parents(void *p)
{
    ((uint8_t *)p)[-1] ^= 0x55;
    mo_check_exit();
    mo_os_write(2, "passed by ", 10);
    (void)mo_check_heap("look");
}

static void damage_own(void *unused)
{
    (void)unused;
    right_one()[-1] ^= 0x55;
    mo_check_exit();
}

/* A child that exits looks at what it has made itself. */
Test(pool_dense, what_a_child_looks_at)
{
    struct child c = run_child(damage_own, NULL);
    expect_report(&c, "exit found");
    c = run_child(damage_parents, right_one());
    expect_report(&c, "look found");
    cr_assert_not_null(strstr(c.text, "passed by "));
}

/* Two children, then the process itself. */
static void compare(void *unused)
{
    (void)unused;
    uint64_t *told = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    for (size_t i = 0; i < 2; i++) {
        int status;
        pid_t child = fork();
        if (child == 0) {
            told[i] = trace();
            _exit(0);
        }
        if (waitpid(child, &status, 0) != child || status != 0)
            _exit(1);
    }
    uint64_t mine = trace();
    _exit(told[0] == mine && told[1] == mine ? 7 : 2);
}

/* With a seed, children are alike, and as the parent itself goes on: what a fork server's child has met is met again
 * without one. */
Test(pool_dense, seeded_children_are_as_their_parent)
{
    cr_assert_eq(run_child(compare, NULL).code, 7);
}
