#include "front/check.h"

#include "diag/report.h"
#include "front/big.h"
#include "front/guarded.h"
#include "front/hot_names.h"
#include "front/slow.h"
#include "front/tagged.h"
#include "mem/large.h"

enum {
    LOOKS = 12,      /* in a row that must find the same before it is reported: with rests up to a millisecond in all */
    MOST_LOOKS = 64, /* after that it is something that goes on changing, and left alone */
    WINDOW = 8,      /* slots that a patrol verifies at a time: neighbours share cache lines */
    PER = 64,        /* option patrol is for so many slots */
};

/* Is there a chunk of an alignment above 16 in the slot, and is all of it good? Its header is where its alignment puts
 * it, and says so; before that the slot is as a free one. */
static MO_COLD bool aligned_chunk_good(uintptr_t slot, const struct mo_class *k, unsigned state)
{
    uintptr_t first = slot + MO_HEADER, end = slot + k->stride;
    if (mo_free_header_fault(mo_load64(slot), mo_sealed.fence) != 0)
        return false;
    for (size_t align = 2 * MO_ALIGN_PLAIN; align <= MO_SLOT_ALIGN; align *= 2) {
        uintptr_t p = mo_align_up(first, align);
        if (p == first || p >= end || mo_header_align(mo_load64(p - MO_HEADER)) != align ||
            !mo_chunk_good(p, end, state))
            continue;
        uint64_t dirt = 0;
        for (uintptr_t at = first; at < p - MO_HEADER; at += MO_HEADER)
            dirt |= mo_load64(at);
        return dirt == 0;
    }
    return false;
}

/* One look: is the slot as its state word says? mine: the number of a cache whose free slots nobody changes now, or
 * MO_OWNER_SHARD. r: for samples; NULL: all of a free slot. */
static bool looks_good(uintptr_t slot, const struct mo_class *k, unsigned state, unsigned mine, struct mo_random *r)
{
    unsigned owner = state & MO_STATE_OWNER;
    if (k == &mo_sealed.classes[MO_CLASS_ZERO])
        return true;
    if (state == 0) /* it has never lived, and a look at all of it would map its pages */
        return mo_free_header_fault(mo_load64(slot), mo_sealed.fence) == 0;
    if ((state & MO_STATE_LIVE) != 0)
        return mo_likely(mo_chunk_good(slot + MO_HEADER, slot + k->stride, state)) || owner == MO_STATE_BUSY ||
               aligned_chunk_good(slot, k, state);
    if (owner != MO_OWNER_SHARD && owner != mine)
        return true;
    return (r != NULL ? mo_slot_dirt(slot, k, state, r) : mo_slot_dirt_whole(slot, k)) == 0;
}

static unsigned load_state(const uint16_t *word)
{
    mo_read_fence();
    unsigned state = mo_state_load(word);
    mo_read_fence();
    return state;
}

/* What another thread's cache holds. */
MO_RACY uintptr_t load_entry(const uintptr_t *entry)
{
    return *(const volatile uintptr_t *)entry;
}

MO_RACY uint32_t load_place(const uint32_t *place)
{
    return *(const volatile uint32_t *)place;
}

/* Where a cache lists a slot: its entry, and if not NULL the place above which its list does not count. */
struct listed {
    const uintptr_t *entry;
    const uint32_t *top;
    uint32_t at;
};

static bool still_listed(const struct listed *l, uintptr_t slot)
{
    return l == NULL || (load_entry(l->entry) == slot && (l->top == NULL || load_place(l->top) > l->at));
}

/* A slot that has looked bad: is it, or was it being changed? listed: how it was found, or NULL. */
static MO_COLD bool stays_bad(const struct mo_place *place, unsigned state, unsigned mine, const struct listed *listed)
{
    uint64_t before = mo_load64(place->slot);
    unsigned same = 0;
    for (unsigned i = 0; i < MOST_LOOKS && same < LOOKS; i++) {
        unsigned now = load_state(place->state);
        bool good = looks_good(place->slot, place->k, now, mine, NULL);
        if (good || now != state || load_state(place->state) != state || !still_listed(listed, place->slot))
            return false;
        same = mo_load64(place->slot) == before ? same + 1 : 0;
        before = mo_load64(place->slot);
        mo_os_rest(16u << (same < 8 ? same : 8));
    }
    return same == LOOKS;
}

static MO_NORETURN void report(const struct mo_place *place, const char *action)
{
    if (mo_state_load(place->state) & MO_STATE_LIVE)
        mo_report_live_slot(place, action);
    mo_report_dirty_slot(place->slot, place->k, action);
}

/* Verifies the slots [from, to) of an open slab and adds those that live to *live. False: one is bad, and *place says
 * which. */
static bool verify(const struct mo_slab *slab, unsigned from, unsigned to, unsigned mine, struct mo_random *r,
                   struct mo_place *place, size_t *live)
{
    const struct mo_class *k = &mo_sealed.classes[slab->class];
    unsigned before = 0;
    for (unsigned i = from; i < to; i++) {
        uintptr_t slot = slab->base + MO_HEADER + (size_t)i * k->stride;
        unsigned state = load_state(mo_state_of(mo_granule_of(slot), k, slot));
        bool mapped = state != 0 || before != 0; /* the slot before has its fence there */
        before = state;
        *live += (state & MO_STATE_LIVE) != 0;
        if (mapped && mo_unlikely(!looks_good(slot, k, state, mine, r)) && mo_heap_find(slot, place) &&
            stays_bad(place, state, mine, NULL))
            return false;
    }
    return true;
}

/* A window of slots of a slab from a random one on; reports what is bad. */
static void patrol_slab(const struct mo_slab *slab, unsigned random, const struct mo_cache *c)
{
    struct mo_place place;
    size_t live = 0;
    if (mo_arena_hold(slab, false) != MO_HELD)
        return;
    unsigned slots = slab->introduced, from = random % slots;
    bool good = verify(slab, from, (unsigned)mo_min(from + WINDOW, slots), MO_OWNER_SHARD, c->random, &place, &live);
    mo_arena_let_go(slab); /* a handler of SIGABRT may allocate */
    if (mo_unlikely(!good))
        report(&place, "patrol");
}

void mo_patrol(struct mo_cache *c, uintptr_t slot, size_t n)
{
    struct mo_place place;
    size_t looks = n * mo_sealed.options.patrol;
    if (looks == 0 || !mo_heap_find(slot, &place))
        return;
    /* Whole windows, and one more with the probability of what is left. */
    size_t windows = (looks + mo_random_below(c->random, WINDOW * PER)) / (WINDOW * PER);
    for (; windows > 0; windows--) {
        uint64_t random = mo_random_u64(c->random);
        const struct mo_slab *slab = place.slab;
        if ((random & 1) != 0)
            slab = &mo_sealed.slabs[1 + (uint32_t)(random >> 32) % (mo_heap_slab_count() - 1)];
        patrol_slab(slab, (unsigned)(random >> 1) & 0xffff, c);
    }
}

void mo_check_neighbours(const struct mo_place *place, const struct mo_cache *c, const char *action)
{
    unsigned mine = c != NULL && c->owner != MO_OWNER_SHARED ? c->owner : MO_OWNER_SHARD;
    unsigned from = place->index > 0 ? place->index - 1 : 0;
    unsigned to = (unsigned)mo_min(place->index + 2, place->k->slots);
    struct mo_place bad;
    size_t live = 0;
    if (mo_unlikely(!verify(place->slab, from, to, mine, NULL, &bad, &live)))
        report(&bad, action);
}

/* Every slot of a slab; how many are live. mine: see looks_good. *patient becomes false when a lock is not to be had:
 * then it may be that we interrupted its holder. */
static size_t check_slab(const struct mo_slab *slab, unsigned mine, bool *patient, const char *action)
{
    struct mo_place place;
    size_t live = 0;
    enum mo_hold hold = mo_arena_hold(slab, *patient);
    *patient = *patient && hold != MO_LOCKED;
    if (hold != MO_HELD)
        return 0;
    bool good = verify(slab, 0, slab->introduced, mine, NULL, &place, &live);
    mo_arena_let_go(slab);
    if (!good)
        report(&place, action);
    return live;
}

/* Slots that a cache lists from place `from` on, and below *top where that is given: they are free and its own, until
 * their thread takes them off the list. Their slabs are held meanwhile: a thread that gives its last slots of one back
 * may close it. */
static void check_listed(const struct mo_cache *c, unsigned class, uint32_t from, uint32_t to, const uint32_t *top,
                         bool *patient, const char *action)
{
    for (uint32_t at = from; at < to; at += (uint32_t)sizeof(uintptr_t)) {
        struct listed listed = {mo_cache_at(c, at), top, at};
        uintptr_t slot = load_entry(listed.entry);
        struct mo_place place;
        if (slot == 0 || !still_listed(&listed, slot))
            continue;
        (void)mo_heap_slab_count(); /* an acquire: what is known of the slot's region is seen too */
        if (!mo_heap_find(slot, &place) || place.class != class || place.slot != slot)
            mo_report_metadata(action, slot, NULL, PTRDIFF_MIN, "a thread cache lists what is no slot of its class");
        enum mo_hold hold = mo_arena_hold(place.slab, *patient);
        *patient = *patient && hold != MO_LOCKED;
        if (hold != MO_HELD)
            continue;
        unsigned state = load_state(place.state);
        bool good = !mo_state_is_free(state, c->owner) || looks_good(slot, place.k, state, c->owner, NULL) ||
                    !stays_bad(&place, state, c->owner, &listed);
        mo_arena_let_go(place.slab);
        if (!good)
            report(&place, action);
    }
}

static void check_cache(const struct mo_cache *c, bool *patient, const char *action)
{
    for (unsigned class = MO_CLASS_FIRST; class <= MO_CLASS_LAST; class++) {
        const struct mo_class *k = &mo_sealed.classes[class];
        const uint32_t *top = &c->stock[class].top;
        uint32_t fifo = load_place(&c->stock[class].fifo), ready = load_place(top);
        unsigned aside = __atomic_load_n(&c->aside[class], __ATOMIC_RELAXED);
        if (aside != 0 && ready == MO_CACHE_ASIDE(k))
            ready = k->ready_at + (aside - 1) * (uint32_t)sizeof(uintptr_t);
        if (ready < k->ready_at || ready > k->ready_end || fifo < k->fifo_at || fifo >= k->fifo_end)
            mo_report_metadata(action, (uintptr_t)top, NULL, PTRDIFF_MIN, "a thread cache's places are out of bounds");
        if (mo_cache_unused(c, class, ready, fifo))
            continue;
        check_listed(c, class, k->random_at, k->fifo_end, NULL, patient, action);
        check_listed(c, class, k->ready_at, ready, top, patient, action);
    }
}

static size_t requested_of(const struct mo_slab *slab, bool *patient)
{
    const struct mo_class *k = &mo_sealed.classes[slab->class];
    size_t sum = 0;
    if (slab->class == MO_CLASS_ZERO)
        return 0;
    enum mo_hold hold = mo_arena_hold(slab, *patient);
    *patient = *patient && hold != MO_LOCKED;
    if (hold != MO_HELD)
        return 0;
    for (unsigned i = 0; i < slab->introduced; i++) {
        uintptr_t slot = slab->base + MO_HEADER + (size_t)i * k->stride;
        if ((load_state(mo_state_of(mo_granule_of(slot), k, slot)) & MO_STATE_LIVE) != 0)
            sum += k->stride - MO_HEADER - mo_min(mo_header_slack(mo_load64(slot)), k->stride - MO_HEADER);
    }
    mo_arena_let_go(slab);
    return sum;
}

size_t mo_requested(void)
{
    MO_TAGGED_DOOR();
    struct mo_large l;
    const struct mo_pool_slot *g;
    size_t sum = 0, at = 0;
    bool patient = true;
    for (size_t number = 1; number < mo_heap_slab_count(); number++)
        sum += requested_of(&mo_sealed.slabs[number], &patient);
    if (mo_large_hold()) {
        while (mo_large_next_locked(&at, &l))
            sum += l.n;
        mo_large_unlock();
    }
    at = 0;
    if (!MO_SMALL && mo_pool_hold()) {
        while ((g = mo_pool_next_locked(&at, true)) != NULL)
            sum += g->n;
        mo_pool_unlock();
    }
    return sum;
}

static size_t check_all(const char *action, bool known)
{
    size_t live = 0;
    bool patient = true;
    if (!mo_front_start())
        return 0;
    MO_TAGGED_DOOR();
    mo_arena_check(action);
    for (size_t number = 1; number < mo_heap_slab_count(); number++)
        live += check_slab(&mo_sealed.slabs[number], MO_OWNER_SHARD, &patient, action);
    for (const struct mo_cache *c = mo_cache_next(NULL); c != NULL; c = mo_cache_next(c))
        check_cache(c, &patient, action);
    return live + (MO_SMALL ? 0 : mo_guarded_check(action, known)) + mo_big_check(action);
}

void mo_check_shard(int shard, const char *action)
{
    bool patient = true;
    for (unsigned class = MO_CLASS_FIRST; class <= MO_CLASS_LAST; class++)
        for (const struct mo_slab *slab = NULL; (slab = mo_arena_next(shard, class, slab)) != NULL;)
            (void)check_slab(slab, MO_OWNER_SHARED, &patient, action);
}

size_t mo_check_heap(const char *action)
{
    return check_all(action, true);
}

/* A fuzzer's child has thousands of chunks from its parent, each on a page of its own; to look at them all takes ten
 * times as long as the child's own work. A write past one of them has met a guard, but for the bytes in its page. */
void mo_check_exit(void)
{
    (void)check_all("exit", false);
}
