#include "front/guarded.h"

#include <string.h>

#include "front/chunk.h"
#include "front/fault.h"
#include "guard/sampler.h"

/* The pattern around a chunk, from both its ends: outwards the first byte is one that a usual write changes, the second
 * is 0, as in a tail. */
struct pattern {
    uint8_t after[MO_TAIL_BLOCK], before[MO_TAIL_BLOCK];
};

static struct pattern pattern_of(const struct mo_pool_slot *g)
{
    struct mo_mark m = mo_mark_of(g->p, mo_sealed.fence | (uint32_t)g->n << 8, MO_STATE_LIVE);
    struct pattern x;
    for (size_t i = 0; i < MO_TAIL_BLOCK; i++)
        x.after[i] = x.before[MO_TAIL_BLOCK - 1 - i] = m.tail.bytes[i];
    return x;
}

static uintptr_t open_end(const struct mo_pool_slot *g)
{
    return g->open + g->open_size;
}

static void seal(const struct mo_pool_slot *g)
{
    struct pattern x = pattern_of(g);
    uintptr_t at = g->p + g->n, end = open_end(g);
    if (g->open_size == 0)
        return;
    for (; at + MO_TAIL_BLOCK <= end; at += MO_TAIL_BLOCK)
        memcpy((void *)at, x.after, MO_TAIL_BLOCK);
    memcpy((void *)at, x.after, end - at);
    for (at = g->p; at >= g->open + MO_TAIL_BLOCK; at -= MO_TAIL_BLOCK)
        memcpy((void *)(at - MO_TAIL_BLOCK), x.before, MO_TAIL_BLOCK);
    size_t rest = at - g->open; /* none, but with option align=natural */
    memcpy((void *)g->open, x.before + MO_TAIL_BLOCK - rest, rest);
}

/* The changed byte that is next to the chunk, behind it or else before it; 0 when there is none. */
static uintptr_t changed_byte(const struct mo_pool_slot *g)
{
    struct pattern x = pattern_of(g);
    uintptr_t at = g->p + g->n, end = open_end(g);
    if (g->open_size == 0)
        return 0;
    while (at + MO_TAIL_BLOCK <= end && memcmp((const void *)at, x.after, MO_TAIL_BLOCK) == 0)
        at += MO_TAIL_BLOCK;
    for (size_t i = 0; at + i < end && i < MO_TAIL_BLOCK; i++)
        if (mo_load8(at + i) != x.after[i])
            return at + i;
    at = g->p;
    while (at >= g->open + MO_TAIL_BLOCK && memcmp((const void *)(at - MO_TAIL_BLOCK), x.before, MO_TAIL_BLOCK) == 0)
        at -= MO_TAIL_BLOCK;
    for (size_t i = 1; at >= g->open + i && i <= MO_TAIL_BLOCK; i++)
        if (mo_load8(at - i) != x.before[MO_TAIL_BLOCK - i])
            return at - i;
    return 0;
}

void mo_guarded_describe(const struct mo_pool_slot *g, struct mo_report_chunk *chunk)
{
    static const char states[][sizeof "never allocated, sampled"] = {"never allocated, sampled", "live, sampled",
                                                                     "being freed, sampled", "freed, sampled"};
    *chunk = (struct mo_report_chunk){.address = g->p,
                                      .requested = g->n,
                                      .slot = g->open_size,
                                      .state = states[g->state & 3],
                                      .origin = mo_origin_name((enum mo_origin)g->origin),
                                      .allocated = mo_pool_stack(g, false),
                                      .freed = mo_pool_stack(g, true)};
}

/* Reports a changed byte around the chunk. */
static void verify(const struct mo_pool_slot *g, const char *action)
{
    struct mo_report_chunk chunk;
    uintptr_t at = changed_byte(g);
    if (mo_likely(at == 0))
        return;
    mo_guarded_describe(g, &chunk);
    if (at >= g->p)
        mo_report_overflow(action, g->p, &chunk, (ptrdiff_t)(at - g->p),
                           "bytes behind the end of the chunk were changed");
    mo_report_underflow(action, g->p, &chunk, -(ptrdiff_t)(g->p - at),
                        "bytes before the start of the chunk were changed");
}

size_t mo_guarded_check(const char *action, bool known)
{
    const struct mo_pool_slot *g = NULL;
    size_t at = 0, live = 0;
    bool good = true;
    if (!mo_pool_hold())
        return 0;
    for (; good && (g = mo_pool_next_locked(&at, known)) != NULL; live++)
        good = changed_byte(g) == 0;
    mo_pool_unlock(); /* a handler of SIGABRT may allocate */
    if (mo_unlikely(!good))
        verify(g, action);
    return live;
}

static struct mo_routine check_routine(const struct mo_pool_slot *g, struct mo_routine used)
{
    struct mo_report_chunk chunk;
    struct mo_routine made = {(enum mo_origin)g->origin, 0, g->align, g->n, used.action};
    mo_guarded_describe(g, &chunk);
    mo_check_routine(&chunk, made, used);
    return made;
}

void *mo_guarded_allocate(size_t n, size_t align, enum mo_origin origin)
{
    if (n > MO_POOL_MOST) {
        mo_sampler_pass();
        return NULL;
    }
    if (!mo_sampler_pick())
        return NULL;
    struct mo_pool_slot *g = mo_pool_take(n, align, mo_sampler_cache()->random);
    mo_sampler_done();
    if (g == NULL)
        return NULL;
    mo_fault_sampled();
    g->origin = (uint8_t)origin;
    mo_pool_keep_stack(g, false);
    seal(g);
    mo_pool_publish(g);
    return (void *)g->p;
}

bool mo_guarded_release(uintptr_t p, struct mo_routine used)
{
    /* Claimed first: of two threads that free it at once only one looks at pages that the other closes. */
    struct mo_pool_slot *g = mo_pool_claim(p);
    if (g == NULL)
        return false;
    verify(g, used.action);
    (void)check_routine(g, used);
    mo_pool_keep_stack(g, true);
    mo_pool_retire(g);
    return true;
}

bool mo_guarded_size(uintptr_t p, size_t *n)
{
    const struct mo_pool_slot *g = mo_pool_find(p);
    if (g == NULL)
        return false;
    verify(g, "malloc_usable_size");
    *n = g->n;
    return true;
}

bool mo_guarded_made(uintptr_t p, struct mo_routine *made)
{
    const struct mo_pool_slot *g = mo_pool_find(p);
    if (g == NULL)
        return false;
    verify(g, made->action);
    *made = check_routine(g, *made);
    return true;
}

void mo_guarded_report(uintptr_t p, const char *action)
{
    struct mo_report_chunk chunk;
    const struct mo_pool_slot *g = mo_pool_around(p);
    if (g == NULL)
        mo_report_bad_free(action, p, NULL, PTRDIFF_MIN, "the address is in moat's guard pool, but in no chunk of it");
    mo_guarded_describe(g, &chunk);
    if (p != g->p)
        mo_report_bad_free(action, p, &chunk, (ptrdiff_t)(p - g->p),
                           "the address is beside the start of a sampled chunk");
    mo_report_double_free(action, p, &chunk, PTRDIFF_MIN, "the sampled chunk has been freed before");
}
