#include "front/heaps.h"

#include "front/big.h"
#include "front/check.h"
#include "front/limit.h"
#include "front/slow.h"
#include "front/thread.h"
#include "front/walk.h"
#include "guard/sampler.h"
#include "mem/classes.h"

/* Guarded by the lock of bin 0 of shard 0, which has no heap and no class; a fork takes it with all bins'. */
static int16_t waiting[MO_HEAPS]; /* ring of the shards of destroyed heaps */
static size_t first, last;        /* first: the oldest; counted on without end */
static uintptr_t created;         /* heaps so far; atomic */

/* A name is a shard's number below a count of heaps. */
enum { NAME_SHARDS = 2 * MO_HEAPS };

/* See arena.h: what a shard keeps of its heap. */
static struct mo_bin *record_of(int shard)
{
    return &mo_sealed.shards[shard].bins[0];
}

/* Locks the heap and gives its cache; NULL: it has none, as it was destroyed. Damage that is met meanwhile unlocks. The
 * caller's sampler is kept: what passes here is no allocation that it could sample. */
#define DESTROY "moat_heap_destroy"

struct hold {
    struct mo_bin *record;
    struct mo_sampler sampler;
};

static struct mo_cache *hold(int shard, struct hold *h)
{
    h->record = record_of(shard);
    h->sampler = mo_sampler_mine;
    mo_lock(&h->record->lock);
    mo_report_unlocks = &h->record->lock;
    struct mo_cache *c = h->record->cache;
    if (c != NULL)
        mo_thread_inherit(c);
    return c;
}

static void let_go(const struct hold *h)
{
    mo_sampler_mine = h->sampler;
    mo_report_unlocks = NULL;
    mo_unlock(&h->record->lock);
}

static void lock(void)
{
    mo_lock(&record_of(0)->lock);
}

static void unlock(void)
{
    mo_unlock(&record_of(0)->lock);
}

/* The shard of the heap that was destroyed first, where more than `most` wait; or 0. */
static int reuse(size_t most)
{
    lock();
    int shard = last - first > most ? waiting[first++ % MO_HEAPS] : 0;
    unlock();
    return shard;
}

static void wait(int shard)
{
    lock();
    waiting[last++ % MO_HEAPS] = (int16_t)shard;
    unlock();
}

uintptr_t mo_heaps_create(void)
{
    mo_front_start();
    int shard = reuse(MO_HEAPS_WAIT);
    if (shard == 0)
        shard = mo_arena_add();
    if (shard == 0 && (shard = reuse(0)) == 0)
        return 0;
    struct mo_bin *record = record_of(shard);
    record->cache = mo_cache_take(shard);
    if (record->cache == NULL) {
        wait(shard);
        return 0;
    }
    record->large = false;
    uintptr_t name = __atomic_add_fetch(&created, NAME_SHARDS, __ATOMIC_RELAXED) - (uintptr_t)shard;
    __atomic_store_n(&record->heap, name, __ATOMIC_RELEASE);
    return name;
}

int mo_heaps_find(uintptr_t name, const char *action)
{
    int shard = -(int)(name % NAME_SHARDS);
    mo_front_start();
    if (shard >= 0 || shard < mo_arena_first() || __atomic_load_n(&record_of(shard)->heap, __ATOMIC_RELAXED) != name)
        mo_report_bad_free(action, name, NULL, PTRDIFF_MIN, "there is no such heap: it was destroyed, or never made");
    return shard;
}

static int release_one(void *p, size_t n, void *unused)
{
    (void)n;
    (void)unused;
    (void)mo_big_release((uintptr_t)p, (struct mo_routine){.n = MO_NOT_TOLD, .action = DESTROY});
    return 0;
}

void mo_heaps_destroy(uintptr_t name)
{
    int shard = mo_heaps_find(name, DESTROY);
    struct hold h;
    struct mo_cache *c = hold(shard, &h);
    __atomic_store_n(&h.record->heap, 0, __ATOMIC_RELAXED);
    h.record->cache = NULL;
    let_go(&h);
    if (c == NULL)
        (void)mo_heaps_find(name, DESTROY); /* another thread was faster */
    mo_check_shard(shard, DESTROY);
    mo_arena_wipe(shard);
    if (h.record->large)
        (void)mo_walk(shard, release_one, NULL);
    mo_thread_forget(c);
    mo_cache_give(c);
    wait(shard);
}

void *mo_heaps_allocate(int shard, size_t n, size_t align)
{
    void *p = NULL;
    align = mo_max(align, MO_ALIGN_PLAIN);
    if (mo_unlikely(mo_limit_refuses(n)))
        return mo_or_no_memory(NULL);
    if (n <= MO_SMALL_MAX && align <= MO_SLOT_ALIGN && n + align <= MO_SMALL_MAX) {
        struct hold h;
        size_t room = n + align - MO_ALIGN_PLAIN;
        struct mo_cache *c = hold(shard, &h);
        if (c != NULL)
            p = mo_allocate_in(c, room != 0 ? mo_class_of(room) : MO_CLASS_ZERO, n, align, MO_ORIGIN_HEAP);
        let_go(&h);
    }
    if (p == NULL) {
        __atomic_store_n(&record_of(shard)->large, true, __ATOMIC_RELAXED);
        p = mo_big_allocate(n, align, MO_ORIGIN_HEAP, shard);
    }
    return mo_or_no_memory(p);
}

void mo_heaps_release(const struct mo_place *place, const char *action)
{
    struct hold h;
    struct mo_cache *c = hold(place->shard, &h);
    if (c != NULL && mo_sealed.options.neighbours)
        mo_check_neighbours(place, c, action);
    if (c != NULL)
        mo_release_place(place, c);
    let_go(&h);
    if (c == NULL)
        mo_report_raced(place->slot + MO_HEADER, action);
}
