#include "guard/sampler.h"

enum {
    SKIP = 16, /* mallocs behind a slow path among which the sample is drawn */
    PASS = 32, /* what the marker lets pass in vain */
};

/* Like mo_cache_none: nothing ready, no random bytes. */
const struct mo_cache mo_sampler_marker = MO_CACHE_NONE;

__thread struct mo_sampler mo_sampler_mine __attribute__((tls_model("initial-exec")));

/* Allocations from one sample to the next, neither counted: 0 to 2 * (rate - 1), evenly. */
static size_t interval(struct mo_random *r)
{
    return (size_t)(mo_random_u64(r) % (2 * mo_sealed.options.sample_rate - 1));
}

static void arm(struct mo_cache *c)
{
    struct mo_sampler *s = &mo_sampler_mine;
    s->cache = c;
    s->skip = mo_sampler_is_dense() ? (uint32_t)interval(c->random) : mo_random_below(c->random, SKIP);
    s->passed = 0;
    mo_cache_mine = (struct mo_cache *)(uintptr_t)&mo_sampler_marker;
}

void mo_sampler_charge(struct mo_cache *c, ptrdiff_t n)
{
    struct mo_sampler *s = &mo_sampler_mine;
    if (MO_SMALL || mo_sealed.options.sample_rate == 0)
        return;
    if (mo_unlikely(!s->drawn)) {
        /* The first one starts in the middle of an interval. That makes short lives as likely to have a sample as any
         * equal part of a long one: the rest of an even interval is distributed as the lesser of two. */
        s->drawn = true;
        s->left = (ptrdiff_t)mo_min(interval(c->random), interval(c->random));
    }
    s->left -= n;
    /* Not when slots go back: the marker has perhaps just been passed in vain, by a thread that only frees. */
    if (mo_unlikely(((s->left < 0 && n > 0) || mo_sampler_is_dense()) && mo_cache_mine == c))
        arm(c);
}

bool mo_sampler_pick(void)
{
    struct mo_sampler *s = &mo_sampler_mine;
    if (s->skip == 0)
        return true;
    s->skip--;
    return false;
}

void mo_sampler_done(void)
{
    struct mo_sampler *s = &mo_sampler_mine;
    struct mo_cache *c = s->cache;
    mo_cache_mine = c;
    if (!mo_sampler_is_dense())
        s->left += (ptrdiff_t)interval(c->random);
    if (mo_sampler_is_dense() || s->left < 0)
        arm(c);
}

void mo_sampler_pass(void)
{
    struct mo_sampler *s = &mo_sampler_mine;
    if (!mo_sampler_is_dense() && ++s->passed > PASS)
        mo_cache_mine = s->cache;
}

void mo_sampler_forked(void)
{
    if (mo_sealed.options.seed == 0)
        mo_sampler_mine.drawn = false;
}
