/* The guard pool: what is open and what is not, how long a slot waits, and what becomes of a pool that is full. */
#include "child.h"
#include "front/front.h"
#include "guard/pool.h"
#include "moat/moat.h"

/* The pool is this file's alone. */
const char *moat_options = "sample_rate=0 sample_slots=128";

static struct mo_random *stream;
static size_t page;

static void set_up(void)
{
    mo_front_start();
    page = mo_sealed.features.page;
    stream = mo_os_map_guarded(page, "unit pool");
    cr_assert_not_null(stream);
}

TestSuite(pool, .init = set_up);

static struct mo_pool_slot *take(size_t n, size_t align)
{
    struct mo_pool_slot *g = mo_pool_take(n, align, stream);
    if (g != NULL)
        mo_pool_publish(g);
    return g;
}

static void put(const struct mo_pool_slot *g)
{
    struct mo_pool_slot *claimed = mo_pool_claim(g->p);
    cr_assert_eq(claimed, g);
    mo_pool_retire(claimed);
}

static struct mo_pool_figures figures(void)
{
    struct mo_pool_figures f;
    mo_pool_figures(&f);
    return f;
}

Test(pool, is_not_there_before_its_first_slot)
{
    cr_assert_eq(mo_pool_size, 0);
    cr_assert_not(mo_pool_holds(0));
    cr_assert_not(mo_pool_holds((uintptr_t)stream));
    cr_assert_null(mo_pool_around((uintptr_t)stream));
    struct mo_pool_slot *g = take(1, 1);
    cr_assert_not_null(g);
    cr_assert(mo_pool_holds(g->p));
    cr_assert_not(mo_pool_holds(mo_pool_base - 1));
    cr_assert_not(mo_pool_holds(mo_pool_base + mo_pool_size));
}

/* Open are whole pages around the payload, zero, and nothing next to them. At either end it is often the very next
 * byte that is not: which end is chance. */
static void check_place(size_t n, size_t align, size_t *near, size_t *far)
{
    struct mo_pool_slot *g = take(n, align);
    cr_assert_not_null(g, "%zu bytes", n);
    uintptr_t end = g->open + g->open_size;
    cr_assert(g->p % 16 == 0 && g->p % align == 0 && g->n == n);
    cr_assert(g->open % page == 0 && g->open_size == mo_align_up(g->p + n, page) - mo_align_down(g->p, page));
    cr_assert(g->p >= g->open && g->p + n <= end);
    cr_assert(all_are(g->open, g->open_size, 0));
    cr_assert(can_write(g->open) && can_write(end - 1));
    cr_assert(!can_read(g->open - 1) && !can_read(g->open - page) && !can_read(end) && !can_read(end + page - 1));
    cr_assert_eq(mo_pool_find(g->p), g);
    cr_assert_null(mo_pool_find(g->p + 1));
    *near += g->p == g->open;
    *far += end - g->p - n < mo_max(align, 16);
    memset((void *)g->open, 0xff, g->open_size);
    put(g);
    cr_assert(!can_read(g->p) && !can_read(g->open) && !can_read(end - 1));
}

Test(pool, slots_are_open_only_where_their_payload_is)
{
    static const size_t sizes[] = {1, 15, 16, 17, 100, 4000, 4096, 4097, 10000, MO_POOL_MOST};
    for (size_t i = 0; i < MO_ARRAY_LEN(sizes); i++) {
        size_t near = 0, far = 0;
        for (int round = 0; round < 40; round++)
            check_place(sizes[i], 1, &near, &far);
        cr_assert(near > 2 && far > 2, "%zu bytes: %zu near, %zu far", sizes[i], near, far); /* 2^-40 * 820 */
    }
    for (size_t align = 32; align <= page; align *= 2)
        for (size_t n = 1; n <= MO_POOL_MOST - page; n = 3 * n + align / 2) {
            size_t near = 0, far = 0;
            check_place(n, align, &near, &far);
        }
}

Test(pool, no_bytes_have_no_pages)
{
    for (int round = 0; round < 20; round++) {
        struct mo_pool_slot *g = take(0, 1);
        cr_assert_not_null(g);
        cr_assert(g->open_size == 0 && g->p % 16 == 0 && !can_read(g->p) && !can_read(g->p - 1));
        put(g);
    }
}

Test(pool, refuses_what_is_too_large)
{
    cr_assert_null(take(MO_POOL_MOST + 1, 1));
    cr_assert_null(take(SIZE_MAX, 1));
    cr_assert_null(take(1, 2 * page));
}

Test(pool, a_slot_is_claimed_once)
{
    struct mo_pool_slot *g = take(100, 1);
    cr_assert_null(mo_pool_claim(g->p + 16));
    cr_assert_eq(mo_pool_claim(g->p), g);
    cr_assert_null(mo_pool_claim(g->p));
    cr_assert_null(mo_pool_find(g->p));
    mo_pool_retire(g);
    cr_assert_null(mo_pool_claim(g->p));
    cr_assert_eq(g->state, MO_POOL_WAITING);
}

/* All but a quarter can be live at a time; what is given back serves again. */
Test(pool, a_quarter_always_waits)
{
    static struct mo_pool_slot *taken[128];
    size_t n = 0;
    while (n < MO_ARRAY_LEN(taken) && (taken[n] = take(50, 1)) != NULL)
        n++;
    cr_assert_eq(n, 96);
    cr_assert(figures().live_count == 96 && figures().waiting_count == 32 && figures().live_bytes == 96 * page);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < i; j++)
            cr_assert(taken[i] != taken[j] && taken[i]->p != taken[j]->p);
    put(taken[5]);
    put(taken[90]);
    cr_assert_not_null(take(1, 1));
    cr_assert_not_null(take(1, 1));
    cr_assert_null(take(1, 1));
}

/* With one live at a time half of the queue passes before a slot comes again, and which comes is chance. */
Test(pool, a_slot_waits_before_it_comes_again)
{
    enum { ROUNDS = 20000, STEP = 64 };
    static size_t last[256];
    size_t least = SIZE_MAX, sum = 0, count = 0;
    for (size_t i = 1; i <= ROUNDS; i++) {
        struct mo_pool_slot *g = take(1, 1);
        size_t at = (g->p - mo_pool_base - page) / (MO_POOL_MOST + page);
        if (last[at] != 0) {
            least = mo_min(least, i - last[at]);
            sum += i - last[at];
            count++;
        }
        last[at] = i;
        put(g);
    }
    cr_assert_geq(least, STEP / 2);
    cr_assert(sum / count >= STEP - 4 && sum / count <= STEP + 4, "%zu in the mean", sum / count);
}

Test(pool, addresses_lead_to_the_nearest_slot)
{
    struct mo_pool_slot *g = take(100, 1);
    cr_assert_eq(mo_pool_around(g->p), g);
    cr_assert_eq(mo_pool_around(g->p + 99), g);
    cr_assert_eq(mo_pool_around(g->p + 100), g);
    cr_assert_eq(mo_pool_around(g->p - 1), g);
    cr_assert_eq(mo_pool_around(g->open + g->open_size + 10), g);
    cr_assert_eq(mo_pool_around(g->open - 10), g);
    put(g);
    cr_assert_eq(mo_pool_around(g->p), g);
    cr_assert_null(mo_pool_around(mo_pool_base + mo_pool_size - 1));
    cr_assert_null(mo_pool_around(mo_pool_base + mo_pool_size));
}

static void freeze(void *unused)
{
    (void)unused;
    mo_pool_freeze();
    _exit(take(1, 1) == NULL ? 7 : 8);
}

Test(pool, a_frozen_pool_gives_nothing)
{
    cr_assert_not_null(take(1, 1));
    cr_assert_eq(run_child(freeze, NULL).code, 7);
    cr_assert_not_null(take(1, 1));
}
