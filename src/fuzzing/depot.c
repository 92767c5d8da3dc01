/* The stack depot: each call stack once, in place of a copy for every chunk.
 *
 * Stacks lie one behind the other in a mapping of bounded size, never change and never go; a table of places finds one
 * that is the same. What the pool has for two whole stacks of a slot holds two such places here, next to those of other
 * slots. No lock: places are taken by addition, entries by compare and exchange, so a thread in the middle of it holds
 * up nobody when its process forks or a signal comes. When it is full, further stacks are not known. */
#include <stddef.h>
#include <string.h>

#include "diag/sealed.h"
#include "fuzzing/reuse.h"

enum {
    ENTRIES = 1 << 16,
    PROBES = 32,
    WORDS = 1 << 20,                                    /* of 8 bytes: 60,000 stacks of 16 frames */
    SLACK = sizeof(struct mo_stack) / sizeof(uint64_t), /* who copies a short stack reads a whole one */
};

struct depot {
    uint32_t entries[ENTRIES]; /* atomic; places in words, 0: free */
    uint32_t used;             /* atomic; of words, without the first */
    uint64_t words[WORDS + SLACK];
};

static struct depot *depot MO_FORKED; /* atomic; only read there */

static struct depot *get_depot(void)
{
    struct depot *d = __atomic_load_n(&depot, __ATOMIC_ACQUIRE), *none = NULL;
    if (mo_likely(d != NULL))
        return d;
    d = mo_os_map_guarded(sizeof *d, "moat stacks");
    if (d == NULL || __atomic_compare_exchange_n(&depot, &none, d, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
        return d;
    mo_os_unmap_guarded(d, sizeof *d);
    return none;
}

static size_t bytes_of(const struct mo_stack *s)
{
    return offsetof(struct mo_stack, frames) + s->count * sizeof s->frames[0];
}

static uint64_t hash(const struct mo_stack *s)
{
    uint64_t h = s->thread + ((uint64_t)s->count << 32);
    for (size_t i = 0; i < s->count; i++)
        h = (h ^ s->frames[i] ^ (h >> 29)) * 0xd6e8feb86659fd93u;
    return h ^ (h >> 32);
}

/* 0: it is full. */
static uint32_t add(struct depot *d, const struct mo_stack *s)
{
    uint32_t n = (uint32_t)(mo_align_up(bytes_of(s), sizeof d->words[0]) / sizeof d->words[0]);
    if (__atomic_load_n(&d->used, __ATOMIC_RELAXED) >= WORDS - 1)
        return 0;
    uint32_t at = 1 + __atomic_fetch_add(&d->used, n, __ATOMIC_RELAXED);
    if (at + n > WORDS)
        return 0;
    memcpy(&d->words[at], s, bytes_of(s));
    return at;
}

static uint32_t place_of(struct depot *d, const struct mo_stack *s)
{
    uint64_t h = hash(s);
    uint32_t made = 0;
    for (size_t i = 0; i < PROBES; i++) {
        uint32_t *entry = &d->entries[(h + i) % ENTRIES], there = __atomic_load_n(entry, __ATOMIC_ACQUIRE);
        if (there == 0) {
            made = made != 0 ? made : add(d, s);
            if (made == 0 ||
                __atomic_compare_exchange_n(entry, &there, made, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
                return made;
        }
        if (memcmp(&d->words[there], s, bytes_of(s)) == 0)
            return there;
    }
    return made != 0 ? made : add(d, s);
}

/* In place of the pool's own, as the next one. */
const struct mo_stack *mo_pool_stack(const struct mo_pool_slot *g, bool freed)
{
    const struct depot *d = __atomic_load_n(&depot, __ATOMIC_ACQUIRE);
    if (d == NULL || mo_sealed.options.malloc_context_size == 0)
        return NULL;
    const uint32_t *place = (const uint32_t *)mo_pool_stacks + 2 * (g - mo_pool_table) + freed;
    uint32_t at = __atomic_load_n(place, __ATOMIC_ACQUIRE);
    return at != 0 ? (const struct mo_stack *)&d->words[at] : NULL;
}

void mo_pool_keep_stack(const struct mo_pool_slot *g, bool freed)
{
    struct mo_stack s;
    struct depot *d = mo_sealed.options.malloc_context_size != 0 ? get_depot() : NULL;
    if (d == NULL)
        return;
    mo_stack_take(&s, mo_sealed.options.malloc_context_size);
    uint32_t *places = (uint32_t *)mo_pool_stacks + 2 * (g - mo_pool_table);
    __atomic_store_n(&places[1], 0, __ATOMIC_RELAXED);
    __atomic_store_n(&places[freed], s.count != 0 ? place_of(d, &s) : 0, __ATOMIC_RELEASE);
}
