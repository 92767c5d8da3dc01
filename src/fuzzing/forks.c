#include "fuzzing/forks.h"

#include <pthread.h>

#include "diag/sealed.h"
#include "front/slow.h"
#include "fuzzing/reuse.h"
#include "guard/sampler.h"

enum {
    PERIOD = 64,       /* children that are alike */
    CLOSED_ONE_IN = 8, /* periods: in those all that is freed is closed */
    PLACES = 2000,     /* counters; a key has two of them, and is as rare as the lesser says */
};

/* Written by the parent between two periods, but for the counts, which the children add to. */
struct shared {
    uint32_t forks, turn;
    bool opens;
    bool hot[PLACES];
    uint8_t counts[PLACES];
};
_Static_assert(sizeof(struct shared) <= 4096, "one page to fault in");

static struct shared *shared; /* before the first fork: none */
static bool is_child MO_FORKED, counts MO_FORKED, opens MO_FORKED;

static void start_period(struct shared *s, size_t period)
{
    size_t many = mo_sealed.options.sample_forked;
    s->turn = (uint32_t)(period * mo_sealed.options.sample_left % 100);
    s->opens = period % CLOSED_ONE_IN != 0;
    /* Not by one exchange: riscv64 has none for a byte. What a child counts in between may be lost: no harm. */
    for (size_t i = 0; i < PLACES; i++) {
        s->hot[i] = __atomic_load_n(&s->counts[i], __ATOMIC_RELAXED) >= many;
        __atomic_store_n(&s->counts[i], 0, __ATOMIC_RELAXED);
    }
}

static void before_fork(void)
{
    struct shared *s = __atomic_load_n(&shared, __ATOMIC_ACQUIRE), *none = NULL;
    if (is_child || !mo_sampler_is_dense())
        return;
    if (s == NULL) {
        s = mo_os_map_shared(sizeof *s);
        if (s == NULL)
            return;
        if (!__atomic_compare_exchange_n(&shared, &none, s, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
            mo_os_unmap(s, sizeof *s);
            s = none;
        }
    }
    mo_pool_prepare();
    uint32_t before = __atomic_fetch_add(&s->forks, 1, __ATOMIC_RELAXED);
    if (before != 0 && before % PERIOD == 0)
        start_period(s, before / PERIOD);
}

static void forked_child(void)
{
    const struct shared *s = shared;
    if (is_child || s == NULL)
        return;
    is_child = true;
    counts = mo_sealed.options.sample_forked != 0;
    opens = s->opens;
    mo_pool_turn = s->turn;
}

bool mo_forks_counts(void)
{
    return counts;
}

bool mo_forks_is_hot(uint64_t key)
{
    size_t at[] = {(uint32_t)key % PLACES, (key >> 32) % PLACES};
    bool hot = opens;
    for (size_t i = 0; i < MO_ARRAY_LEN(at); i++) {
        uint8_t *count = &shared->counts[at[i]], n = __atomic_load_n(count, __ATOMIC_RELAXED);
        if (n < UINT8_MAX)
            __atomic_store_n(count, n + 1, __ATOMIC_RELAXED); /* two at once may count as one */
        hot = hot && shared->hot[at[i]];
    }
    return hot;
}

/* Behind moat's own, so that it runs without a lock before the fork, and last in the child. */
__attribute__((constructor(102))) static void register_fork(void)
{
    mo_front_start();
    (void)pthread_atfork(before_fork, NULL, forked_child);
}
