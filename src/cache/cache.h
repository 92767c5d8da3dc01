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

enum { MO_FIRST_BATCH = 4 }; /* slots of the first refill of a class */

/* One class's part of a cache; both are places in bytes from the cache's start. */
struct mo_stock {
    uint32_t top;  /* one past the last ready slot; at ready_at when there is none. Below the first there is a 0 */
    uint32_t fifo; /* the queue's oldest entry */
};

struct mo_cache {
    struct mo_random *random;
    uint16_t owner;   /* what the state words of its slots say */
    uint16_t expect;  /* what the hot path of malloc expects there: owner, or nothing that can be for MO_OWNER_SHARED */
    uint16_t advance; /* + a free slot's state word = the word of its next life */
    uint16_t retire;  /* + a live slot's state word = the word of the slot when it is free and this cache's */
    uintptr_t empty;  /* 0: what a stock's stack has where there is no cache */
    int32_t shard;
    struct mo_stock stock[MO_CLASSES];
    uint16_t batch[MO_CLASSES]; /* slots of the next refill: grows with demand */
    /* In a forked child, of a class that it has not needed yet: how many slots are ready, and 1. Its stack's top is at
     * MO_CACHE_ASIDE then, behind the stack, where a 0 lies: neither hot path takes it. */
    uint8_t aside[MO_CLASSES];
    /* Guarded by the pool's lock: */
    struct mo_cache *next;      /* all caches ever made, linked */
    struct mo_cache *next_idle; /* the pool */
    size_t frees;               /* about: added up when the stream is refilled. The thread's own, read by others */
    bool in_use;
    bool wiped;     /* by the kernel in a forked child: the stream */
    unsigned forks; /* a heap's: forks before its last use */
};

/* For a look from outside: the list of all caches, and how many there are. */
struct mo_cache_places {
    struct mo_cache *const *all;
    const size_t *count;
};
extern const struct mo_cache_places mo_cache_places;

#define MO_CACHE_EMPTY_TOP (offsetof(struct mo_cache, empty) + sizeof(uintptr_t))

/* A read-only cache with nothing in it. */
#define MO_CACHE_NONE                                                                         \
    {                                                                                         \
        .random = (struct mo_random *)(uintptr_t)mo_random_none, .expect = 0xffff, .stock = { \
            [0 ... MO_CLASSES - 1] = {.top = MO_CACHE_EMPTY_TOP}                              \
        }                                                                                     \
    }
extern const struct mo_cache mo_cache_none;
extern __thread struct mo_cache *mo_cache_mine __attribute__((tls_model("initial-exec")));

MO_INLINE bool mo_cache_is_none(const struct mo_cache *c)
{
    return c == &mo_cache_none;
}

/* A class's part; by an address, as compilers take two more instructions for an index of three uses. */
MO_INLINE struct mo_stock *mo_cache_stock(struct mo_cache *c, unsigned class)
{
    return (struct mo_stock *)(void *)((char *)c->stock + class * sizeof(struct mo_stock));
}

#define MO_CACHE_ASIDE(k) ((k)->ready_end + (uint32_t)sizeof(uintptr_t))

/* Has the class never been used in this cache? Its arrays' pages are untouched then, and a look would map them. A
 * refill changes the batch, a free the place in the queue (unless as many came as it has entries). */
MO_INLINE bool mo_cache_unused(const struct mo_cache *c, unsigned class, uint32_t top, uint32_t fifo)
{
    const struct mo_class *k = &mo_sealed.classes[class];
    return top == k->ready_at && fifo == k->fifo_at &&
           __atomic_load_n(&c->batch[class], __ATOMIC_RELAXED) == MO_FIRST_BATCH; /* another thread may refill */
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
    if (mo_unlikely(c->aside[class] != 0))
        return c->aside[class] - 1u;
    return top > bottom ? (top - bottom) / sizeof(uintptr_t) : 0;
}

/* Pops a ready slot; there is one. */
MO_INLINE uintptr_t mo_cache_pop(struct mo_cache *c, struct mo_stock *s)
{
    s->top -= (uint32_t)sizeof(uintptr_t);
    return *mo_cache_at(c, s->top);
}

/* Is there room for one more ready slot below place `end`, and are there random bytes for one more draw? Then they are
 * drawn. */
MO_INLINE bool mo_quarantine_gate(const struct mo_cache *c, const struct mo_class *k, const struct mo_stock *s,
                                  uint32_t end)
{
    struct mo_random *r = c->random;
    uint32_t left;
    if (mo_unlikely(s->top >= end) || mo_unlikely(__builtin_sub_overflow(r->left, (uint32_t)k->draw, &left)))
        return false;
    r->left = left;
    return true;
}

/* Puts a freed slot into the quarantine; the one that has waited long enough, if any yet, becomes ready. The caller has
 * passed the gate. */
MO_INLINE void mo_quarantine_swap(struct mo_cache *c, const struct mo_class *k, struct mo_stock *s, uintptr_t slot)
{
    uint16_t bits;
    __builtin_memcpy(&bits, c->random->bytes + c->random->left, sizeof bits);
    uintptr_t *random = mo_cache_at(c, k->random_at) + (bits & k->random_mask);
    uintptr_t displaced = *random;
    *random = slot;
    uint32_t at = s->fifo;
    uintptr_t out = *mo_cache_at(c, at);
    *mo_cache_at(c, at) = displaced;
    at += (uint32_t)sizeof(uintptr_t);
    s->fifo = at == k->fifo_end ? k->fifo_at : at;
    if (mo_likely(out != 0)) { /* else the quarantine still fills */
        *mo_cache_at(c, s->top) = out;
        s->top += (uint32_t)sizeof(uintptr_t);
    }
}

/* Names the cache's slots in their state words. */
MO_INLINE void mo_cache_name(struct mo_cache *c, unsigned owner)
{
    c->owner = (uint16_t)owner;
    c->expect = owner == MO_OWNER_SHARED ? 0xffff : c->owner;
    c->advance = (uint16_t)(MO_STATE_STEP + MO_STATE_LIVE - owner);
    c->retire = (uint16_t)(owner - MO_STATE_LIVE);
}

/* Sets up the sizes of caches; before mo_classes_start. */
void mo_cache_start(void);

/* Makes the first cache, for the process's first thread, with a stream that lies beside those of start; after
 * mo_classes_start. wiped: the kernel wipes it in a forked child. */
bool mo_cache_first(struct mo_random *r, bool wiped) MO_CHECKED;

/* Takes a cache from the pool or makes one; NULL without memory. shard below 0: for the heap of that shard, from a pool
 * of such, which are empty; its slots have the owner MO_OWNER_SHARED. */
struct mo_cache *mo_cache_take(int shard);

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

void mo_cache_locks(mo_lock_visit *visit);

#endif
