/* Random streams: even, different for each stream, for a forked child and its parent, and the same for one seed. */
#include <math.h>
#include <stdio.h>
#include <sys/mman.h>

#include "child.h"
#include "front/front.h"
#include "cache/cache.h"
#include "mem/random.h"
#include "moat/moat.h"

/* What is counted here are slots of slabs: none of the chunks is to be a sampled one. */
const char *moat_options = UNSAMPLED;

static struct mo_random *new_stream(void)
{
    size_t page = mo_sealed.features.page;
    struct mo_random *r = mo_os_map_guarded(page, "unit random");
    cr_assert_not_null(r);
    mo_os_wipe_on_fork(r, page);
    return r;
}

static double chi_square(const size_t *counts, size_t bins, size_t draws)
{
    double expected = (double)draws / (double)bins, sum = 0;
    for (size_t i = 0; i < bins; i++)
        sum += ((double)counts[i] - expected) * ((double)counts[i] - expected) / expected;
    return sum;
}

Test(random, below_is_even)
{
    enum { DRAWS = 1 << 20, MOST = 1000 };
    static const uint32_t belows[] = {2, 3, 7, 64, 255, 256, MOST};
    struct mo_random *r = new_stream();
    for (size_t b = 0; b < MO_ARRAY_LEN(belows); b++) {
        size_t counts[MOST] = {0}, outside = 0;
        for (size_t i = 0; i < DRAWS; i++) {
            uint32_t v = mo_random_below(r, belows[b]);
            if (v < belows[b])
                counts[v]++;
            else
                outside++;
        }
        cr_assert_eq(outside, 0);
        /* Mean is the degrees of freedom, deviation sqrt(2 * them); six of them, and 40 as a few degrees have a longer
         * tail: one false alarm in 10^9 or so. */
        double freedom = belows[b] - 1.0, sum = chi_square(counts, belows[b], DRAWS);
        cr_assert_leq(sum, freedom + 6 * sqrt(2 * freedom) + 40, "below %u: chi square %f", belows[b], sum);
    }
}

Test(random, below_at_its_edges)
{
    struct mo_random *r = new_stream();
    uint32_t most = 0, least = UINT32_MAX, wrong = 0;
    for (int i = 0; i < 100000; i++) {
        wrong += mo_random_below(r, 1) != 0;
        uint32_t v = mo_random_below(r, 65536);
        most = v > most ? v : most;
        least = v < least ? v : least;
    }
    cr_assert_eq(wrong, 0);
    cr_assert(least < 100 && most > 65436 && most < 65536, "%u to %u", least, most);
}

Test(random, every_bit_of_a_number_is_even)
{
    enum { DRAWS = 100000 };
    struct mo_random *r = new_stream();
    size_t ones[64] = {0};
    for (size_t i = 0; i < DRAWS; i++) {
        uint64_t v = mo_random_u64(r);
        for (size_t bit = 0; bit < 64; bit++)
            ones[bit] += (v >> bit) & 1;
    }
    for (size_t bit = 0; bit < 64; bit++) /* a deviation is 158 */
        cr_assert(ones[bit] > DRAWS / 2 - 1000 && ones[bit] < DRAWS / 2 + 1000, "bit %zu: %zu", bit, ones[bit]);
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

Test(random, streams_share_no_number)
{
    enum { EACH = 20000 };
    static uint64_t drawn[2 * EACH];
    struct mo_random *a = new_stream(), *b = new_stream();
    for (size_t i = 0; i < EACH; i++) {
        drawn[2 * i] = mo_random_u64(a);
        drawn[2 * i + 1] = mo_random_u64(b);
    }
    qsort(drawn, 2 * EACH, sizeof drawn[0], compare);
    size_t same = 0;
    for (size_t i = 1; i < 2 * EACH; i++)
        same += drawn[i] == drawn[i - 1];
    cr_assert_eq(same, 0);
}

/* A refill replaces the key, so that the state after it does not tell what was drawn before. */
Test(random, a_refill_replaces_the_key)
{
    struct mo_random *r = new_stream();
    uint8_t keys[3][32];
    for (size_t i = 0; i < 3; i++) {
        mo_random_refill(r);
        memcpy(keys[i], r->key, sizeof keys[i]);
        cr_assert_neq(r->seeded, 0);
        cr_assert(r->left >= MO_RANDOM_BYTES - MO_RANDOM_LEFT_OUT && r->left < MO_RANDOM_BYTES,
                  "a draw of one byte reads two");
        cr_assert_not(all_are((uintptr_t)keys[i], sizeof keys[i], keys[i][0]));
    }
    cr_assert(memcmp(keys[0], keys[1], 32) != 0 && memcmp(keys[1], keys[2], 32) != 0);
}

Test(random, one_refill_serves_its_bytes)
{
    struct mo_random *r = new_stream();
    mo_random_refill(r);
    uint32_t left = r->left;
    (void)mo_random_below(r, 10);
    cr_assert_eq(r->left, left - 4);
    (void)mo_random_u64(r);
    cr_assert_eq(r->left, left - 12);
    static const size_t least = MO_RANDOM_BYTES - MO_RANDOM_LEFT_OUT;
    r->left = 3;
    (void)mo_random_below(r, 10);
    cr_assert(r->left >= least - 4 && r->left <= MO_RANDOM_BYTES - 5);
    r->left = 7;
    (void)mo_random_u64(r);
    cr_assert(r->left >= least - 8 && r->left <= MO_RANDOM_BYTES - 9);
}

/* What draws in even steps does not always meet the end at the same one. */
Test(random, a_refill_leaves_out_a_random_number_of_bytes)
{
    enum { REFILLS = 64000 };
    struct mo_random *r = new_stream();
    size_t counts[MO_RANDOM_LEFT_OUT] = {0};
    double sum = 0;
    for (size_t i = 0; i < REFILLS; i++) {
        mo_random_refill(r);
        cr_assert(r->left < MO_RANDOM_BYTES && r->left >= MO_RANDOM_BYTES - MO_RANDOM_LEFT_OUT);
        counts[MO_RANDOM_BYTES - 1 - r->left]++;
        sum += r->left;
    }
    double freedom = MO_RANDOM_LEFT_OUT - 1.0, chi = chi_square(counts, MO_RANDOM_LEFT_OUT, REFILLS);
    cr_assert_leq(chi, freedom + 6 * sqrt(2 * freedom) + 40, "chi square %f", chi);
    cr_assert_float_eq(sum / REFILLS, MO_RANDOM_WINDOW, 1.0);
}

struct draws {
    struct mo_random *stream;
    uint64_t own[8], cache[8];
};

static void draw(void *argument)
{
    struct draws *d = argument;
    mo_release(mo_allocate(16, MO_ORIGIN_MALLOC), MO_ORIGIN_MALLOC); /* a child's cache comes back at its first need */
    for (size_t i = 0; i < MO_ARRAY_LEN(d->own); i++) {
        d->own[i] = mo_random_u64(d->stream);
        d->cache[i] = mo_random_u64(mo_cache_mine->random);
    }
}

static size_t common(const struct draws *a, const struct draws *b)
{
    size_t n = 0;
    for (size_t i = 0; i < MO_ARRAY_LEN(a->own); i++)
        for (size_t j = 0; j < MO_ARRAY_LEN(b->own); j++)
            n += (a->own[i] == b->own[j]) + (a->cache[i] == b->cache[j]);
    return n;
}

/* Wiped at fork: a child shares no numbers with its parent or with its brother. */
Test(random, a_forked_child_draws_its_own)
{
    struct draws *d = mmap(NULL, 3 * sizeof *d, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    void *p = mo_allocate(16, MO_ORIGIN_MALLOC); /* this thread's cache, and random bytes in it */
    mo_release(p, MO_ORIGIN_MALLOC);
    cr_assert_not(mo_cache_is_none(mo_cache_mine));
    d[0].stream = d[1].stream = d[2].stream = new_stream();
    (void)mo_random_u64(d[0].stream);
    (void)mo_random_u64(mo_cache_mine->random);
    cr_assert_eq(run_child(draw, &d[1]).code, 0);
    cr_assert_eq(run_child(draw, &d[2]).code, 0);
    draw(&d[0]);
    cr_assert_eq(common(&d[0], &d[1]), 0);
    cr_assert_eq(common(&d[0], &d[2]), 0);
    cr_assert_eq(common(&d[1], &d[2]), 0);
}

/* What a fresh process draws and where it puts its first chunks. */
__attribute__((constructor)) static void say(void)
{
    static struct mo_random r;
    if (getenv("UNIT_SAY") == NULL)
        return;
    for (size_t i = 0; i < 8; i++) {
        uintptr_t p = (uintptr_t)mo_allocate(100 << i, MO_ORIGIN_MALLOC);
        printf("%llx %zx\n", (unsigned long long)mo_random_u64(&r), (size_t)(p - mo_sealed.heap_base));
    }
    fflush(stdout);
    _exit(0);
}

Test(random, one_seed_one_outcome)
{
    struct child one = run_self("seed=7", 0);
    struct child again = run_self("seed=7", 0);
    struct child other = run_self("seed=8", 0);
    cr_assert(one.code == 0 && again.code == 0 && other.code == 0);
    cr_assert_str_eq(one.text, again.text);
    cr_assert_neq(strcmp(one.text, other.text), 0);
}

Test(random, without_a_seed_no_two_processes_agree)
{
    struct child one = run_self("seed=0", 0);
    struct child two = run_self("seed=0", 0);
    char *a = one.text, *b = two.text, *keep_a, *keep_b;
    size_t lines = 0;
    cr_assert(one.code == 0 && two.code == 0);
    for (a = strtok_r(a, "\n", &keep_a), b = strtok_r(b, "\n", &keep_b); a != NULL && b != NULL;
         a = strtok_r(NULL, "\n", &keep_a), b = strtok_r(NULL, "\n", &keep_b), lines++)
        cr_expect_neq(strcmp(a, b), 0);
    cr_assert_eq(lines, 8);
}
