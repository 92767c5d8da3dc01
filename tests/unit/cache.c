/* Thread caches: the quarantine's order and distribution, the gate, the pool, and where a cache lies. */
#include <math.h>

#include "cache/cache.h"
#include "child.h"
#include "front/front.h"
#include "moat/moat.h"

/* What is counted here are slots of slabs: none of the chunks is to be a sampled one. */
const char *moat_options = UNSAMPLED;

static void set_up(void)
{
    mo_front_start();
}

TestSuite(cache, .init = set_up);

static struct mo_cache *take(void)
{
    struct mo_cache *c = mo_cache_take(0);
    cr_assert_not_null(c);
    mo_random_refill(c->random);
    return c;
}

static size_t random_of(const struct mo_class *k)
{
    return k->random_mask + (size_t)1;
}

static size_t fifo_of(const struct mo_class *k)
{
    return (k->fifo_end - k->fifo_at) / sizeof(uintptr_t);
}

enum { MOST = 400000 };
static uint32_t waited[MOST]; /* frees after a slot's own until it came out, by slot; 0: not yet */

/* Frees slots 1, 2, ... n of a class, numbers that are no addresses: slots are opaque here. How many came out twice or
 * were never put in is returned. */
static size_t free_many(struct mo_cache *c, unsigned class, size_t n)
{
    const struct mo_class *k = &mo_sealed.classes[class];
    struct mo_stock *s = &c->stock[class];
    size_t wrong = 0;
    memset(waited, 0, sizeof waited);
    for (size_t i = 1; i <= n; i++) {
        if (!mo_quarantine_gate(c, k, s, k->ready_end)) {
            mo_random_refill(c->random);
            cr_assert(mo_quarantine_gate(c, k, s, k->ready_end)); /* which draws */
        }
        mo_quarantine_swap(c, k, s, i);
        if (mo_cache_ready(c, class) == 0)
            continue;
        uintptr_t out = mo_cache_pop(c, s);
        if (out == 0 || out >= i || waited[out - 1] != 0)
            wrong++;
        else
            waited[out - 1] = (uint32_t)(i - out);
    }
    return wrong;
}

static void forget(struct mo_cache *c, unsigned class)
{
    const struct mo_class *k = &mo_sealed.classes[class];
    memset(mo_cache_at(c, k->random_at), 0, k->fifo_end - k->random_at);
    c->stock[class].top = k->ready_at;
    mo_cache_give(c);
}

/* P7: a random swap, then a queue. */
Test(cache, quarantine_waits_as_long_as_it_says)
{
    static const unsigned classes[] = {1, 4, 8, 12, 20, 30, MO_CLASS_LAST, MO_CLASS_ZERO};
    for (size_t i = 0; i < MO_ARRAY_LEN(classes); i++) {
        const struct mo_class *k = &mo_sealed.classes[classes[i]];
        struct mo_cache *c = take();
        double random = (double)random_of(k), sum = 0, out = 0, soon = 0, long_ones = 0;
        size_t early = 0, n = mo_min(MOST, 100000 + 40 * (random_of(k) + fifo_of(k)));
        cr_assert_eq(mo_cache_waiting(c, k), 0);
        cr_assert_eq(free_many(c, classes[i], n), 0, "class %u loses or doubles slots", classes[i]);
        size_t last = n - fifo_of(k) - 20 * random_of(k); /* these have nearly all come out */
        for (size_t slot = 0; slot < last; slot++) {
            if (waited[slot] == 0)
                continue;
            double in_random = (double)waited[slot] - (double)fifo_of(k);
            early += in_random <= 0;
            sum += waited[slot];
            out++;
            soon += in_random == 1;
            long_ones += in_random > random;
        }
        cr_assert_eq(early, 0, "class %u: %zu did not queue for their time", classes[i], early);
        cr_assert_geq(out, (double)last - 3);
        double wanted = random + (double)fifo_of(k), slack = 8 * random / sqrt(out);
        cr_assert(fabs(sum / out - wanted) <= slack + 1e-9, "class %u waits %f frees, not %f", classes[i], sum / out,
                  wanted);
        /* Geometric: out at the next swap with p = 1 / random, there after `random` swaps with (1 - p) ^ random. */
        double p = 1 / random, q = pow(1 - p, random);
        cr_assert(fabs(soon / out - p) <= 8 * sqrt(p * (1 - p) / out) + 1e-9);
        cr_assert(fabs(long_ones / out - q) <= 8 * sqrt(q * (1 - q) / out) + 1e-3);
        forget(c, classes[i]);
    }
}

Test(cache, quarantine_keeps_what_has_not_come_out)
{
    const unsigned class = 6;
    const struct mo_class *k = &mo_sealed.classes[class];
    struct mo_cache *c = take();
    for (size_t n = 1; n < 3 * (random_of(k) + fifo_of(k)); n = n * 2 + 1) {
        memset(mo_cache_at(c, k->random_at), 0, k->fifo_end - k->random_at);
        cr_assert_eq(free_many(c, class, n), 0);
        size_t out = 0;
        for (size_t slot = 0; slot < n; slot++)
            out += waited[slot] != 0;
        cr_assert_eq(out + mo_cache_waiting(c, k), n);
    }
    forget(c, class);
}

Test(cache, two_caches_swap_differently)
{
    enum { N = 5000 };
    static uint32_t first[N];
    struct mo_cache *a = take(), *b = take();
    cr_assert_eq(free_many(a, 1, N), 0);
    memcpy(first, waited, sizeof first);
    cr_assert_eq(free_many(b, 1, N), 0);
    size_t same = 0;
    for (size_t i = 0; i < N; i++)
        same += first[i] == waited[i] && first[i] != 0;
    cr_assert_lt(same, N / 5);
    forget(a, 1);
    forget(b, 1);
}

Test(cache, gate_wants_room_and_random_bytes)
{
    if (mo_sealed.options.neighbours) { /* the gate is closed: free takes its slow half */
        struct mo_stock s = {mo_sealed.classes[1].ready_at, mo_sealed.classes[1].fifo_at};
        struct mo_cache *closed = take();
        closed->random->left = 100;
        cr_assert_not(mo_quarantine_gate(closed, &mo_sealed.classes[1], &s, mo_sealed.classes[1].gate_end));
        mo_cache_give(closed);
        return;
    }
    struct mo_cache *c = take();
    for (unsigned class = MO_CLASS_FIRST; class <= MO_CLASS_ZERO; class++) {
        const struct mo_class *k = &mo_sealed.classes[class];
        struct mo_stock s = {k->ready_at, k->fifo_at};
        c->random->left = k->draw;
        cr_assert(mo_quarantine_gate(c, k, &s, k->gate_end));
        c->random->left = k->draw - 1u;
        cr_assert_not(mo_quarantine_gate(c, k, &s, k->gate_end), "class %u draws what is not there", class);
        c->random->left = 100;
        s.top = k->ready_end;
        cr_assert_not(mo_quarantine_gate(c, k, &s, k->gate_end), "class %u overflows its ready slots", class);
        s.top -= (uint32_t)sizeof(uintptr_t);
        cr_assert(mo_quarantine_gate(c, k, &s, k->gate_end));
    }
    mo_cache_give(c);
}

/* A slot with no random bytes left over: the draw of the last ones stays inside of the stream. */
Test(cache, last_draw)
{
    const struct mo_class *k = &mo_sealed.classes[1];
    struct mo_cache *c = take();
    c->random->left = k->draw;
    if (!mo_quarantine_gate(c, k, &c->stock[1], k->gate_end))
        c->random->left = 0; /* under `neighbours` it is closed, and the slow half draws */
    mo_quarantine_swap(c, k, &c->stock[1], 1);
    cr_assert_eq(c->random->left, 0);
    cr_assert_eq(mo_cache_waiting(c, k), 1);
    forget(c, 1);
}

Test(cache, ready_slots_are_a_stack)
{
    const struct mo_class *k = &mo_sealed.classes[3];
    struct mo_cache *c = take();
    size_t room = (k->ready_end - k->ready_at) / sizeof(uintptr_t);
    for (size_t i = 0; i < room; i++) {
        *mo_cache_at(c, c->stock[3].top) = 100 + i;
        c->stock[3].top += (uint32_t)sizeof(uintptr_t);
        cr_assert_eq(mo_cache_ready(c, 3), i + 1);
    }
    for (size_t i = room; i > 0; i--)
        cr_assert_eq(mo_cache_pop(c, &c->stock[3]), 99 + i);
    cr_assert_eq(mo_cache_ready(c, 3), 0);
    mo_cache_give(c);
}

Test(cache, the_empty_one_has_nothing)
{
    cr_assert(mo_cache_is_none(&mo_cache_none));
    for (unsigned class = 0; class < MO_CLASSES; class++) {
        cr_assert_eq(mo_cache_ready(&mo_cache_none, class), 0);
        if (class >= MO_CLASS_FIRST)
            cr_assert_not(mo_quarantine_gate(&mo_cache_none, &mo_sealed.classes[class], &mo_cache_none.stock[class],
                                             mo_sealed.classes[class].ready_end));
    }
    cr_assert(faults(touch_write, (uintptr_t)&mo_cache_none), "it is shared by all: nobody may write to it");
}

Test(cache, the_pool_gives_the_warm_one_back)
{
    struct mo_cache *a = take(), *b = take();
    cr_assert(a != b && a->owner != b->owner && a->in_use && b->in_use);
    cr_assert(a->owner != MO_OWNER_SHARD && b->owner != MO_OWNER_SHARD);
    mo_cache_give(a);
    cr_assert_not(a->in_use);
    cr_assert_eq(mo_cache_take(0), a);
    mo_cache_give(b);
    mo_cache_give(a);
    cr_assert_eq(mo_cache_take(0), a);
    cr_assert_eq(mo_cache_take(0), b);
}

Test(cache, the_pool_has_enough_at_some_point)
{
    enum { MANY = 80 };
    struct mo_cache *c[MANY];
    size_t n = 0;
    for (size_t i = 0; i < MANY; i++)
        c[i] = take();
    cr_assert_not(mo_cache_pool_is_full());
    while (n < MANY && !mo_cache_pool_is_full())
        mo_cache_give(c[n++]);
    cr_assert(n >= 2 && n < MANY && n == 2 * mo_sealed.shard_count + 2, "full with %zu", n);
    cr_assert_not_null(mo_cache_take(0));
    cr_assert_not(mo_cache_pool_is_full());
}

/* State words have 8 bits for the owner: caches beyond the 254th share a name, which the hot path never takes. */
Test(cache, the_many_share_an_owner)
{
    enum { MANY = 300 };
    static bool seen[MO_OWNER_SHARED + 1];
    size_t before = mo_cache_count(), shared = 0, twice = 0;
    for (size_t i = 0; i < MANY; i++) {
        struct mo_cache *c = mo_cache_take(0);
        cr_assert_not_null(c);
        cr_assert(c->owner != MO_OWNER_SHARD && c->owner <= MO_OWNER_SHARED);
        cr_assert_lt(c->shard, (int)mo_sealed.shard_count);
        if (c->owner == MO_OWNER_SHARED) {
            cr_assert_gt(c->expect, MO_STATE_OWNER);
            shared++;
        } else {
            cr_assert_eq(c->expect, c->owner);
            twice += seen[c->owner];
            seen[c->owner] = true;
        }
    }
    cr_assert_eq(twice, 0);
    size_t total = mo_cache_count(); /* the first was made at start; under a sanitizer it is still idle */
    cr_assert(total == before + MANY || total + 1 == before + MANY);
    cr_assert_eq(shared, total - MO_OWNER_LAST);
    size_t listed = 0;
    for (const struct mo_cache *c = mo_cache_next(NULL); c != NULL; c = mo_cache_next(c))
        listed++;
    cr_assert_eq(listed, total);
}

Test(cache, a_cache_lies_between_guards)
{
    struct mo_cache *c = take();
    uintptr_t at = (uintptr_t)c, end = at + mo_align_up(mo_sealed.cache_bytes, mo_sealed.features.page);
    uintptr_t stream = mo_align_down((uintptr_t)c->random, mo_sealed.features.page);
    cr_assert(faults(touch_write, at - 1));
    cr_assert(faults(touch_write, end));
    cr_assert(faults(touch_write, stream - 1));
    cr_assert(faults(touch_write, stream + mo_sealed.features.page));
    cr_assert(can_write(at) && can_write(end - 1));
    cr_assert(stream < at || stream >= end);
}

static void look_at_fork(void *argument)
{
    struct mo_cache *other = argument;
    if (!mo_cache_is_none(mo_cache_mine)) /* taken at the first need */
        _exit(1);
    if (other->owner != MO_OWNER_SHARED || other->expect == other->owner || other->random->seeded)
        _exit(2); /* its thread is not here: the hot path must not use what it names */
    void *p = mo_allocate(100, MO_ORIGIN_MALLOC);
    if (p == NULL)
        _exit(4);
    if (mo_cache_mine->owner == MO_OWNER_SHARED || mo_cache_mine->expect != mo_cache_mine->owner)
        _exit(3);
    mo_release(p, MO_ORIGIN_MALLOC);
}

Test(cache, a_forked_child_abandons_the_caches_of_others)
{
    mo_release(mo_allocate(100, MO_ORIGIN_MALLOC), MO_ORIGIN_MALLOC);
    cr_assert_not(mo_cache_is_none(mo_cache_mine));
    struct mo_cache *other = take();
    struct child c = run_child(look_at_fork, other);
    cr_assert(c.signal == 0 && c.code == 0, "signal %d, code %d: %s", c.signal, c.code, c.text);
    cr_assert_neq(other->owner, MO_OWNER_SHARED, "the parent's are as they were");
}
