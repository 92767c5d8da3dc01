/* Size classes: every request fits, slabs have their guard, the quarantine is as long as the profile says. */
#include "child.h"
#include "mem/classes.h"

static const struct mo_class *class_at(unsigned class)
{
    return &mo_sealed.classes[class];
}

static size_t span_of(const struct mo_class *k)
{
    return (size_t)1 << k->span_shift;
}

static size_t random_of(const struct mo_class *k)
{
    return k->random_mask + (size_t)1;
}

static size_t fifo_of(const struct mo_class *k)
{
    return (k->fifo_end - k->fifo_at) / sizeof(uintptr_t);
}

static size_t ready_of(const struct mo_class *k)
{
    return (k->ready_end - k->ready_at) / sizeof(uintptr_t);
}

static unsigned smallest_that_fits(size_t n)
{
    unsigned class = MO_CLASS_FIRST;
    while (class <= MO_CLASS_LAST && mo_class_capacity(class_at(class)) < n)
        class++;
    return class;
}

Test(classes, every_request_gets_the_smallest_that_fits)
{
    size_t wrong = 0;
    for (size_t n = 1; n <= MO_SMALL_MAX; n++)
        wrong += mo_class_of(n) != smallest_that_fits(n);
    cr_assert_eq(wrong, 0);
    cr_assert_eq(mo_class_of(0), 0);
    cr_assert_eq(mo_class_capacity(class_at(MO_CLASS_LAST)), MO_SMALL_MAX);
}

Test(classes, table_and_arithmetic_agree)
{
    size_t wrong = 0;
    /* Below this, strides are multiples of 16, which the arithmetic does not know. */
    for (size_t n = mo_class_capacity(class_at(7)) + 1; n <= MO_TABLE_MAX; n++)
        wrong += mo_sealed.class_of[(n + 7) / 8] != mo_class_of_medium(n);
    cr_assert_eq(wrong, 0);
}

Test(classes, strides)
{
    cr_assert_eq(class_at(MO_CLASS_FIRST)->stride, 32);
    for (unsigned class = MO_CLASS_FIRST; class <= MO_CLASS_LAST; class++) {
        const struct mo_class *k = class_at(class);
        cr_assert_eq(k->stride % 16, 0, "class %u", class);
        if (class == MO_CLASS_FIRST)
            continue;
        uint32_t before = class_at(class - 1)->stride;
        cr_assert_gt(k->stride, before);
        cr_assert(k->stride - before == 16 || k->stride - before <= before / 4, "class %u steps too far", class);
    }
    /* A power of two fits without a quarter's waste. */
    for (size_t n = 128; n <= 131072; n *= 2)
        cr_assert_eq(mo_class_capacity(class_at(mo_class_of(n))), n + 8);
}

Test(classes, waste_is_an_eighth_at_most)
{
    double unused = 0, lost = 0;
    size_t sizes = 0;
    for (size_t n = 16; n <= 65536; n++, sizes++) {
        const struct mo_class *k = class_at(mo_class_of(n));
        unused += (double)(mo_class_capacity(k) - n) / (double)mo_class_capacity(k);
        lost += (double)(k->stride - n) / (double)n;
    }
    cr_assert_leq(unused / (double)sizes, 0.125, "slack: %f", unused / (double)sizes);
    cr_assert_leq(lost / (double)sizes, 0.125, "header and slack: %f", lost / (double)sizes);
}

Test(classes, slabs_leave_room_for_a_guard)
{
    size_t page = mo_sealed.features.page;
    for (unsigned class = MO_CLASS_FIRST; class <= MO_CLASS_ZERO; class++) {
        const struct mo_class *k = class_at(class);
        size_t used = 8 + (size_t)k->slots * k->stride;
        cr_assert(k->slots >= (k->stride < 16 * 1024 ? 14 : 1) && k->slots <= MO_SLAB_SLOTS, "class %u: %u slots",
                  class, k->slots);
        cr_assert_eq(k->slab_bytes % page, 0);
        cr_assert_leq(k->slab_bytes + page, span_of(k), "class %u has no guard", class);
        /* Behind the last slot: its fence, in a block of 16 that may be read whole. */
        cr_assert_geq(k->slab_bytes, used + 16, "class %u", class);
        cr_assert_lt(k->slab_bytes, used + 16 + page, "class %u opens a page for nothing", class);
        cr_assert_leq(span_of(k), (size_t)1 << 20, "class %u", class);
    }
}

/* Slots at least 1 << word_shift apart: each has a state word of its own. */
Test(classes, words_tell_slots_apart)
{
    for (unsigned class = MO_CLASS_FIRST; class <= MO_CLASS_ZERO; class++) {
        const struct mo_class *k = class_at(class);
        cr_assert_geq(k->stride, (size_t)1 << k->word_shift);
        cr_assert_lt(k->stride, (size_t)2 << k->word_shift, "class %u wastes words", class);
    }
    /* Addresses that belong to no class have one word. */
    cr_assert_eq((UINTPTR_MAX >> 1) >> class_at(0)->word_shift, 0);
}

/* The stocks of class 0 stay empty: requests of 0 bytes look there. */
Test(classes, no_class_has_no_room)
{
    const struct mo_class *k = class_at(0);
    cr_assert(k->ready_end == 0 && k->stride == 0);
}

/* Both stages at a stride, as DESIGN P7 and the profile's options say. */
struct wait {
    uint32_t stride;
    unsigned random, fifo;
};

static const struct wait production[] = {{32, 64, 192},  {144, 64, 192}, {272, 64, 192}, {336, 64, 64},  {528, 32, 32},
                                         {1040, 16, 16}, {4112, 4, 4},   {16400, 1, 1},  {131088, 1, 1}, {0}};
static const struct wait strict[] = {{32, 4096, 4096}, {64, 2048, 2048}, {128, 1024, 1024}, {272, 512, 512},
                                     {1040, 128, 128}, {16400, 8, 8},    {131088, 1, 1},    {0}};
static const struct wait embedded[] = {{32, 16, 48}, {128, 16, 48}, {272, 16, 48},  {528, 16, 16},
                                       {1040, 8, 8}, {16400, 1, 1}, {131088, 1, 1}, {0}};

Test(classes, quarantine_is_as_long_as_the_profile_says)
{
    static const struct wait *const of[MO_PROFILES] = {production, strict, strict, embedded};
    for (const struct wait *w = of[mo_sealed.options.profile]; w->stride != 0; w++) {
        const struct mo_class *k = class_at(mo_class_of(w->stride - MO_HEADER));
        cr_assert_eq(k->stride, w->stride);
        cr_assert_eq(random_of(k), w->random, "stride %u: random %zu", k->stride, random_of(k));
        cr_assert_eq(fifo_of(k), w->fifo, "stride %u: fifo %zu", k->stride, fifo_of(k));
    }
}

Test(classes, quarantine_is_bounded_by_bytes)
{
    for (unsigned class = MO_CLASS_FIRST; class <= MO_CLASS_LAST; class++) {
        const struct mo_class *k = class_at(class);
        size_t random = random_of(k), fifo = fifo_of(k), size = mo_pow2_floor(k->stride);
        cr_assert(mo_is_pow2(random) && fifo >= 1);
        if (mo_sealed.options.profile == MO_PROFILE_PRODUCTION && mo_class_capacity(k) <= 264)
            cr_assert(random >= 64 && random + fifo >= 256, "P7 at %u", k->stride);
        cr_assert_eq(k->draw, random > 256 ? 2 : 1);
        if (k->stride <= 272) /* by count alone */
            continue;
        /* Sizes count as their power of two. */
        cr_assert(random == 1 || random * size <= mo_sealed.options.quarantine_bytes);
        cr_assert(fifo == 1 || fifo * size <= mo_sealed.options.quarantine_bytes);
    }
}

static int by_start(const void *a, const void *b)
{
    const size_t *x = a, *y = b;
    return x[0] < y[0] ? -1 : x[0] > y[0];
}

Test(classes, arrays_of_a_cache_do_not_overlap)
{
    size_t range[3 * MO_CLASSES][2];
    size_t n = 0;
    for (unsigned class = MO_CLASS_FIRST; class <= MO_CLASS_ZERO; class++) {
        const struct mo_class *k = class_at(class);
        const size_t parts[3][2] = {{k->ready_at, k->ready_end},
                                    {k->random_at, k->random_at + random_of(k) * sizeof(uintptr_t)},
                                    {k->fifo_at, k->fifo_end}};
        for (size_t i = 0; i < 3; i++, n++) {
            range[n][0] = parts[i][0];
            range[n][1] = parts[i][1];
            cr_assert_eq(range[n][0] % sizeof(uintptr_t), 0);
            cr_assert_lt(range[n][0], range[n][1]);
        }
        cr_assert_eq(parts[1][1], k->fifo_at, "both stages lie side by side");
        cr_assert(ready_of(k) >= 2 && ready_of(k) < UINT8_MAX); /* a forked child keeps one more in a byte */
        cr_assert(ready_of(k) == 2 || ready_of(k) * k->stride <= mo_sealed.options.cache_bytes);
    }
    qsort(range, n, sizeof range[0], by_start);
    for (size_t i = 1; i < n; i++)
        cr_assert_geq(range[i][0], range[i - 1][1]);
    cr_assert_leq(range[n - 1][1], mo_sealed.cache_bytes);
}

/* Sizes that the hot path looks at whole are never sampled; above, the option says. */
Test(classes, zero_check_follows_its_option)
{
    size_t whole = mo_max(mo_sealed.options.zero_check, MO_MEDIUM_MAX);
    for (unsigned class = MO_CLASS_FIRST; class <= MO_CLASS_LAST; class++) {
        const struct mo_class *k = class_at(class);
        cr_assert_eq(k->sampled, mo_class_capacity(k) - MO_HEADER > whole, "class %u", class);
        cr_assert_eq(k->fields, mo_sealed.fence | class << 8);
    }
    for (size_t n = 1; n <= MO_TABLE_MAX; n++)
        cr_assert_not(class_at(mo_class_of(n))->sampled);
}
