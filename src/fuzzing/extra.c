/* What libmoat-fuzz.so has in place of the weak functions of diag/extra.c. */
#include "diag/extra.h"

#include <errno.h>
#include <string.h>

#include "api/names.h"
#include "diag/sealed.h"
#include "front/hot_names.h"
#include "fuzzing/forks.h"
#include "fuzzing/reuse.h"

enum {
    CONTEXTS = 4096, /* places and sizes told apart, about half as many; those beyond them are always closed */
    PROBES = 16,
    ONE_IN = 512, /* behind the first ones: closed when it is freed */
    /* chunks that live before a fork server's first child: all have guards, and of those beyond them one in so many */
    BEFORE = 16384,
    BEFORE_ONE_IN = 16,
    /* under AFL++ */
    OFTEN = 4,
    FREE_FILL = 4096,
};

/* Open addressing by the whole key: which allocations are guarded must not depend on where things happen to lie. */
static struct {
    uintptr_t key; /* atomic; 0: free */
    uint32_t count;
} contexts[CONTEXTS];

const size_t mo_extra_profile = MO_PROFILE_FUZZ;

static uint64_t mix(uint64_t v)
{
    v = (v ^ (v >> 32)) * 0xd6e8feb86659fd93u;
    return (v ^ (v >> 32)) * 0xd6e8feb86659fd93u;
}

/* The count before this one; 0 where the table is full. */
static uint32_t count(uintptr_t key)
{
    for (size_t i = 0; i < PROBES; i++) {
        size_t at = (key + i) % CONTEXTS;
        uintptr_t there = __atomic_load_n(&contexts[at].key, __ATOMIC_RELAXED);
        if (there == 0 &&
            __atomic_compare_exchange_n(&contexts[at].key, &there, key, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
            there = key;
        if (there == key)
            return __atomic_fetch_add(&contexts[at].count, 1, __ATOMIC_RELAXED);
    }
    return 0;
}

/* What a fork server has before its first child: each child copies two page table entries for each guarded chunk. */
static bool is_beyond(void)
{
    static uint32_t turn;
    return mo_sealed.options.sample_forked != 0 && !mo_forks_counts() && *mo_pool_places.live_count >= BEFORE &&
           __atomic_fetch_add(&turn, 1, __ATOMIC_RELAXED) % BEFORE_ONE_IN != 0;
}

/* How deep the stack is tells calls of a wrapper of malloc apart, by who called it. */
bool mo_extra_passes(size_t n, uintptr_t caller, uintptr_t frame)
{
    size_t hot = mo_sealed.options.sample_hot;
    uint64_t key = hot != 0 || mo_forks_counts() ? mix(mix(mix(caller) + frame) + n) : 0;
    if (mo_forks_counts()) {
        mo_reuse_next(mo_forks_is_hot(key));
        return false;
    }
    uint32_t before = hot != 0 ? count((uintptr_t)key | 1) : 0;
    bool many = hot != 0 && before >= hot && before % ONE_IN != ONE_IN - 1;
    mo_reuse_next(many);
    return (many && n - 1 >= mo_sealed.features.page) || is_beyond();
}

/* AFL++ sets the first for all targets, the second for those with its loop, where a child makes many runs. */
void mo_extra_afl(struct mo_options *o, mo_option_variable *variable)
{
    if (variable("__AFL_SHM_ID=") != NULL) {
        o->max_free_fill_size = FREE_FILL;
        o->sample_forked = OFTEN;
    }
    if (variable("__AFL_PERSISTENT=") != NULL) {
        o->sample_forked = 0;
        o->sample_hot = OFTEN;
    }
}

void mo_extra_fill(void *p, size_t n)
{
    size_t most = mo_sealed.options.max_malloc_fill_size;
    if (most != 0 && p != NULL)
        memset(p, (int)mo_sealed.options.malloc_fill_byte, mo_min(n, most));
}

/* In place of src/api's, which relies on new chunks being zero. */
MO_EXPORT void *calloc(size_t each, size_t n)
{
    size_t bytes;
    if (mo_unlikely(__builtin_mul_overflow(each, n, &bytes))) {
        errno = ENOMEM;
        return NULL;
    }
    void *p = mo_hot_malloc(bytes);
    size_t most = mo_sealed.options.max_malloc_fill_size;
    if (mo_unlikely(most != 0) && p != NULL)
        memset(p, 0, mo_min(bytes, most));
    return p;
}
