#include "front/heaps.h"

#include "front/big.h"
#include "front/check.h"
#include "front/limit.h"
#include "front/slow.h"
#include "front/tagged.h"
#include "front/thread.h"
#include "guard/sampler.h"
#include "mem/classes.h"
#include "mem/large.h"

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

#define DESTROY "moat_heap_destroy"

struct hold {
    struct mo_bin *record;
    struct mo_sampler sampler;
};

/* Locks the heap and gives its cache; NULL: it has none, as it was destroyed, or it is not the one of that name any
 * more (0: whichever it is). Damage that is met meanwhile unlocks. The caller's sampler is kept: what passes here is no
 * allocation that it could sample. */
static struct mo_cache *hold(int shard, uintptr_t name, struct hold *h)
{
    h->record = record_of(shard);
    h->sampler = mo_sampler_mine;
    mo_lock(&h->record->lock);
    mo_report_unlocks = &h->record->lock;
    struct mo_cache *c = name == 0 || h->record->heap == name ? h->record->cache : NULL;
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
    if (!mo_front_start())
        return 0;
    int shard = reuse(MO_HEAPS_WAIT);
    if (shard == 0)
        shard = mo_arena_add();
    if (shard == 0 && (shard = reuse(0)) == 0)
        return 0;
    struct mo_cache *c = mo_cache_take(shard);
    if (c == NULL) {
        wait(shard);
        return 0;
    }
    struct mo_bin *record = record_of(shard);
    uintptr_t name = __atomic_add_fetch(&created, NAME_SHARDS, __ATOMIC_RELAXED) - (uintptr_t)shard;
    mo_lock(&record->lock); /* a thread with the shard's last name may be on its way here */
    record->cache = c;
    record->large = false;
    __atomic_store_n(&record->heap, name, __ATOMIC_RELEASE);
    mo_unlock(&record->lock);
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

/* In passes, as the table's entries move when one is deleted. */
static void release_large(int shard)
{
    struct mo_large l;
    for (bool found = true; found;) {
        found = false;
        for (size_t at = 0;;) {
            mo_large_lock();
            bool one = false;
            while (!one && mo_large_next_locked(&at, &l))
                one = l.heap == shard;
            mo_large_unlock();
            if (!one)
                break;
            found |= mo_big_release(l.p, (struct mo_routine){.n = MO_NOT_TOLD, .action = DESTROY});
        }
    }
}

void mo_heaps_destroy(uintptr_t name)
{
    int shard = mo_heaps_find(name, DESTROY);
    MO_TAGGED_DOOR();
    struct hold h;
    struct mo_cache *c = hold(shard, name, &h);
    if (c != NULL) {
        __atomic_store_n(&h.record->heap, 0, __ATOMIC_RELAXED);
        h.record->cache = NULL;
    }
    let_go(&h);
    if (c == NULL)
        (void)mo_heaps_find(name, DESTROY); /* another thread was faster */
    mo_check_shard(shard, DESTROY);
    mo_arena_wipe(shard);
    if (h.record->large)
        release_large(shard);
    mo_thread_forget(c);
    mo_cache_give(c);
    wait(shard);
}

void *mo_heaps_allocate(int shard, uintptr_t name, size_t n, size_t align)
{
    MO_TAGGED_DOOR();
    void *p = NULL;
    align = mo_max(align, MO_ALIGN_PLAIN);
    if (mo_unlikely(mo_limit_refuses(n)))
        return mo_or_no_memory(NULL);
    if (n <= MO_SMALL_MAX && align <= MO_SLOT_ALIGN && n + align <= MO_SMALL_MAX) {
        struct hold h;
        size_t room = n + align - MO_ALIGN_PLAIN;
        struct mo_cache *c = hold(shard, name, &h);
        if (c != NULL)
            p = mo_allocate_in(c, room != 0 ? mo_class_of(room) : MO_CLASS_ZERO, n, align, MO_ORIGIN_HEAP);
        let_go(&h);
    }
    if (p == NULL) {
        __atomic_store_n(&record_of(shard)->large, true, __ATOMIC_RELAXED);
        p = mo_big_allocate(n, align, MO_ORIGIN_HEAP, shard);
    }
    if (mo_unlikely(name != 0 && __atomic_load_n(&record_of(shard)->heap, __ATOMIC_RELAXED) != name))
        (void)mo_heaps_find(name, "moat_heap_malloc"); /* destroyed meanwhile */
    return mo_or_no_memory(p);
}

void mo_heaps_release(const struct mo_place *place, const char *action)
{
    struct hold h;
    struct mo_cache *c = hold(place->shard, 0, &h);
    if (c != NULL && mo_sealed.options.neighbours)
        mo_check_neighbours(place, c, action);
    if (c != NULL)
        mo_release_place(place, c);
    let_go(&h);
    if (c == NULL)
        mo_report_raced(place->slot + MO_HEADER, action);
}
