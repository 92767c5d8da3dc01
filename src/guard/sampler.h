/* Which allocations are sampled: one in option sample_rate, by chance, at no cost to the hot path.
 *
 * Each thread counts down the allocations until its next sample, not one by one but by what passes its slow paths:
 * slots that its cache takes from a shard, less those that it gives back, and draws from its random stream, one a free.
 * What a cache takes in over time is what it hands out, so the sum is right in the mean. When the countdown ends, the
 * marker takes the place of the thread's cache: empty and read-only, like mo_cache_none, so that the hot path leaves
 * every malloc and free to its slow half. There the marker is seen, a few more mallocs pass, so that it is not always
 * the one behind a refill, and then one is served from the guard pool and the cache comes back. The slow half itself
 * goes on with the cache behind the marker.
 *
 * A rate below MO_SAMPLER_DENSE is for fuzzing and tests: the marker stays, all goes the slow way and is counted.
 * All state is the calling thread's own.
 */
#ifndef MO_SAMPLER_H
#define MO_SAMPLER_H

#include "cache/cache.h"

enum { MO_SAMPLER_DENSE = 64 };

MO_INLINE bool mo_sampler_is_dense(void)
{
    return !MO_SMALL && mo_sealed.options.sample_rate < MO_SAMPLER_DENSE && mo_sealed.options.sample_rate != 0;
}

struct mo_sampler {
    struct mo_cache *cache; /* the thread's, while the marker stands in its place */
    ptrdiff_t left;         /* allocations until the next sample, about */
    uint32_t skip;          /* mallocs that the marker lets pass before the sample */
    uint16_t passed;        /* frees and other things that met the marker since a malloc could be sampled */
    bool drawn;             /* `left` has had its first value */
};
extern __thread struct mo_sampler mo_sampler_mine __attribute__((tls_model("initial-exec")));
extern const struct mo_cache mo_sampler_marker;

MO_INLINE bool mo_sampler_is_due(void)
{
    return !MO_SMALL && mo_cache_mine == &mo_sampler_marker;
}

/* What mo_cache_mine would be without the marker. */
MO_INLINE struct mo_cache *mo_sampler_cache(void)
{
    return mo_sampler_is_due() ? mo_sampler_mine.cache : mo_cache_mine;
}

/* n allocations more are on their way through c, the thread's cache; fewer when negative. */
void mo_sampler_charge(struct mo_cache *c, ptrdiff_t n);

/* A malloc has met the marker: is it the one? */
bool mo_sampler_pick(void);

/* It was, whether or not the pool had a place for it. */
void mo_sampler_done(void);

/* Something else has met the marker: a free, or an allocation that is too large for the pool. Too many of them and the
 * cache comes back until more is charged, so that a thread that only frees does not go the slow way for ever. */
void mo_sampler_pass(void);

/* In a forked child: it has its own countdown. */
void mo_sampler_forked(void);

#endif
