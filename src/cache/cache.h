/* Thread caches: ready slots and the quarantine of one thread.
 *
 * Per class an array of ready slots (last in, first out), and the quarantine: a freed slot changes places
 * with a random one of a small array, and what comes out queues in a ring. Slots are opaque here. A cache
 * lies in a mapping of its own between inaccessible pages; its random stream in another, which the kernel
 * wipes at fork. Arrays are found by offsets from the sealed class table, not by pointers in the cache.
 *
 * Only the owning thread touches a cache. A thread without one, and every thread before start, has the read-only
 * empty one: nothing ready and no random bytes left, so that the hot paths leave to their slow halves without
 * a test of their own. When a thread ends its cache goes to a pool as it is, and the next thread takes it
 * warm; beyond a few it is drained first.
 */
#ifndef MO_CACHE_H
#define MO_CACHE_H

#include "arena/arena.h"

/* One class's part of a cache; both are places in bytes from the cache's start. */
struct mo_stock {
    uint32_t top;  /* one past the last ready slot; at or below ready_at when there is none */
    uint32_t fifo; /* the queue's oldest entry */
};

struct mo_cache {
    struct mo_random *random;
    uint16_t owner;  /* what the state words of its slots say */
    uint16_t expect; /* what the hot path of malloc expects there: owner, or nothing that can be for MO_OWNER_SHARED */
    uint32_t shard;
    struct mo_stock stock[MO_CLASSES];
    uint16_t batch[MO_CLASSES]; /* slots of the next refill: grows with demand */
    /* Guarded by the pool's lock: */
    struct mo_cache *next;      /* all caches ever made, linked */
    struct mo_cache *next_idle; /* the pool */
    bool in_use;
};

extern const struct mo_cache mo_cache_none;
extern __thread struct mo_cache *mo_cache_mine __attribute__((tls_model("initial-exec")));

MO_INLINE bool mo_cache_is_none(const struct mo_cache *c)
{
    return c == &mo_cache_none;
}

/* The entry at a place. */
MO_INLINE uintptr_t *mo_cache_at(const struct mo_cache *c, uint32_t place)
{
    return (uintptr_t *)(uintptr_t)((const char *)c + place);
}

/* Ready slots of a class. */
MO_INLINE size_t mo_cache_ready(const struct mo_cache *c, unsigned class)
{
    uint32_t top = c->stock[class].top, bottom = mo_sealed.classes[class].ready_at;
    return top > bottom ? (top - bottom) / sizeof(uintptr_t) : 0;
}

/* Pops a ready slot; there is one. */
MO_INLINE uintptr_t mo_cache_pop(struct mo_cache *c, struct mo_stock *s)
{
    s->top -= (uint32_t)sizeof(uintptr_t);
    return *mo_cache_at(c, s->top);
}

/* Is there room for one more ready slot, and are there random bytes for one more draw? */
MO_INLINE bool mo_quarantine_gate(const struct mo_cache *c, const struct mo_class *k, const struct mo_stock *s)
{
    return s->top < k->ready_end && c->random->left >= k->draw;
}

/* Puts a freed slot into the quarantine; the one that has waited long enough, if any yet, becomes ready. The caller has
 * passed the gate. */
MO_INLINE void mo_quarantine_swap(struct mo_cache *c, const struct mo_class *k, struct mo_stock *s, uintptr_t slot)
{
    struct mo_random *r = c->random;
    uint16_t bits;
    uint32_t left = r->left - k->draw;
    r->left = left;
    __builtin_memcpy(&bits, r->bytes + left, sizeof bits);
    uintptr_t *random = mo_cache_at(c, k->random_at) + (bits & k->random_mask);
    uintptr_t displaced = *random;
    *random = slot;
    uint32_t at = s->fifo;
    uintptr_t out = *mo_cache_at(c, at);
    *mo_cache_at(c, at) = displaced;
    at += (uint32_t)sizeof(uintptr_t);
    s->fifo = at == k->fifo_end ? k->fifo_at : at;
    /* While the quarantine fills, what comes out is 0, and the top stays. */
    uint32_t top = s->top;
    *mo_cache_at(c, top) = out;
    s->top = top + (out != 0) * (uint32_t)sizeof(uintptr_t);
}

/* Sets up the sizes of caches; before mo_classes_start. */
void mo_cache_start(void);

/* Takes a cache from the pool or makes one; NULL without memory. */
struct mo_cache *mo_cache_take(void);

/* Gives a cache back to the pool. The caller drains it first when this says that the pool has enough. */
void mo_cache_give(struct mo_cache *c);
bool mo_cache_pool_is_full(void);

/* Slots that wait in the quarantine of one class. */
size_t mo_cache_waiting(const struct mo_cache *c, const struct mo_class *k);

/* In a forked child: caches of threads that do not exist here are abandoned, as they may have been in the
 * middle of a change. Their slots stay as they are. */
void mo_cache_forked(void);

/* Every cache in use or idle, for statistics: first NULL, then the last one returned. */
const struct mo_cache *mo_cache_next(const struct mo_cache *c);
size_t mo_cache_count(void);

void mo_cache_lock(void);
void mo_cache_unlock(void);

#endif
