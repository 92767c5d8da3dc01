#include "checked/check.h"

#include "mem/large_table.h"

enum { FIRST_ROOM = 120, TRIES = 200 };

/* A part of the address space: a mapping, or what lies between two. */
struct range {
    uintptr_t low, high;
    uintptr_t p; /* the payload; 0: no large chunk */
    size_t n;
    bool live;
};

/* Read by whoever has the pointer, at any time: a larger one takes its place, and it stays mapped. */
struct table {
    size_t room, count;
    struct range ranges[];
};

struct mo_reach mo_index_reach[2] = {{UINTPTR_MAX, 0}, {0, UINTPTR_MAX}};
static bool alone;
static struct table *table;
uint32_t mo_index_counter;
__thread struct mo_kept mo_index_kept[2];

/* How many ranges start at or before a. */
static size_t before(const struct table *t, size_t count, uintptr_t a)
{
    size_t from = 0, to = count;
    while (from < to) {
        size_t middle = (from + to) / 2;
        if (t->ranges[middle].low <= a)
            from = middle + 1;
        else
            to = middle;
    }
    return from;
}

static struct table *larger_locked(struct table *old)
{
    size_t room = old != NULL ? 2 * old->room : FIRST_ROOM;
    struct table *now = mo_os_map_guarded(sizeof *now + room * sizeof now->ranges[0], "moat index");
    if (now == NULL)
        return NULL;
    now->room = room;
    now->count = old != NULL ? old->count : 0;
    for (size_t i = 0; i < now->count; i++)
        now->ranges[i] = old->ranges[i];
    return now;
}

static void widen(struct mo_reach *r, uintptr_t low, uintptr_t last)
{
    uintptr_t had = __atomic_load_n(&r->low, __ATOMIC_RELAXED);
    while (low < had && !__atomic_compare_exchange_n(&r->low, &had, low, true, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
        continue;
    had = __atomic_load_n(&r->last, __ATOMIC_RELAXED);
    while (last > had && !__atomic_compare_exchange_n(&r->last, &had, last, true, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
        continue;
}

static void widen_both(uintptr_t low, uintptr_t last)
{
    widen(&mo_index_reach[MO_REACH_ANY], low, last);
    if (__atomic_load_n(&alone, __ATOMIC_SEQ_CST))
        widen(&mo_index_reach[MO_REACH_ALONE], low, last);
}

/* Who widens the first meanwhile either comes before the last look here, or sees the flag and widens the second. */
void mo_index_alone(void)
{
    const struct mo_reach *from = &mo_index_reach[MO_REACH_ANY];
    struct mo_reach *to = &mo_index_reach[MO_REACH_ALONE];
    __atomic_store_n(&alone, true, __ATOMIC_SEQ_CST);
    do {
        __atomic_store_n(&to->low, __atomic_load_n(&from->low, __ATOMIC_SEQ_CST), __ATOMIC_SEQ_CST);
        __atomic_store_n(&to->last, __atomic_load_n(&from->last, __ATOMIC_SEQ_CST), __ATOMIC_SEQ_CST);
    } while (to->low > __atomic_load_n(&from->low, __ATOMIC_SEQ_CST) ||
             to->last < __atomic_load_n(&from->last, __ATOMIC_SEQ_CST));
}

static void watch_pool(void)
{
    widen_both(mo_pool_base, mo_pool_base + mo_pool_size - 1);
    __atomic_fetch_add(&mo_index_counter, 2, __ATOMIC_SEQ_CST); /* what is kept may hold it for nobody's */
}

static void watch_locked(const struct mo_large *l, bool deleted)
{
    struct table *t = table;
    size_t at = t != NULL ? before(t, t->count, l->map) : 0;
    bool there = at > 0 && t->ranges[at - 1].low == l->map;
    if (!there && deleted)
        return; /* there was no memory for it */
    if (!there && (t == NULL || t->count == t->room)) {
        t = larger_locked(t);
        if (t == NULL)
            return; /* a chunk that is not checked */
    }
    __atomic_fetch_add(&mo_index_counter, 1, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (there && deleted) {
        for (size_t i = at; i < t->count; i++)
            t->ranges[i - 1] = t->ranges[i];
        t->count--;
    } else if (!there) {
        for (size_t i = t->count; i > at; i--)
            t->ranges[i] = t->ranges[i - 1];
        t->count++;
        at++;
    }
    if (!deleted)
        t->ranges[at - 1] = (struct range){l->map, l->map + l->map_size, l->p, l->n, l->state != 0};
    __atomic_store_n(&table, t, __ATOMIC_RELEASE);
    if (!there)
        widen_both(l->map, l->map + l->map_size - 1);
    __atomic_fetch_add(&mo_index_counter, 1, __ATOMIC_RELEASE);
}

void mo_large_watch(const struct mo_large *l, bool deleted)
{
    if (l != NULL)
        watch_locked(l, deleted);
    else
        watch_pool();
}

/* What lies between large chunks is nobody's, but for slabs and sampled chunks: those have their own looks. */
static void leave_out(struct range *r, uintptr_t a, uintptr_t base, size_t size)
{
    if (size == 0)
        return;
    if (a < base)
        r->high = mo_min(r->high, base);
    else
        r->low = mo_max(r->low, base + size);
}

static struct range look(const struct table *t, uintptr_t a)
{
    size_t count = mo_min(__atomic_load_n(&t->count, __ATOMIC_RELAXED), t->room), at = before(t, count, a);
    struct range r = {.low = 0, .high = UINTPTR_MAX};
    if (at > 0)
        r = t->ranges[at - 1];
    if (at > 0 && a >= r.high) /* behind it */
        r = (struct range){.low = r.high, .high = UINTPTR_MAX};
    if (r.p == 0 && at < count)
        r.high = t->ranges[at].low;
    if (r.p == 0) {
        leave_out(&r, a, mo_sealed.heap_base, mo_sealed.heap_size);
        leave_out(&r, a, mo_pool_base, __atomic_load_n(&mo_pool_size, __ATOMIC_ACQUIRE));
    }
    return r;
}

/* Of a range that has been looked for: what mo_index_fits can go by. Nothing, when this is a signal's handler that has
 * come in the middle of the same. */
static void keep(struct mo_kept *k, const struct range *r, uint32_t seen)
{
    bool good = r->p != 0 ? r->live : sizeof r->p == 8; /* where that is 4, slabs are everywhere */
    if (k->busy || !good)
        return;
    k->busy = true;
    k->seen = seen - 2; /* of the past: it does not hold meanwhile */
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    k->turn++;
    k->from = r->p != 0 ? r->p : r->low;
    k->size = r->p != 0 ? r->n : r->high - r->low;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    k->seen = seen;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    k->busy = false;
}

size_t mo_index_left(uintptr_t a, unsigned which)
{
    for (unsigned i = 0; i < TRIES; i++) {
        uint32_t seen = __atomic_load_n(&mo_index_counter, __ATOMIC_ACQUIRE);
        const struct table *t = __atomic_load_n(&table, __ATOMIC_ACQUIRE);
        if (t == NULL)
            return SIZE_MAX;
        if ((seen & 1) != 0) {
            mo_os_rest(16);
            continue;
        }
        struct range r = look(t, a);
        mo_read_fence();
        if (__atomic_load_n(&mo_index_counter, __ATOMIC_RELAXED) != seen)
            continue;
        keep(&mo_index_kept[which], &r, seen);
        if (r.p == 0)
            return SIZE_MAX;
        return r.live && a - r.p <= r.n ? r.n - (a - r.p) : 0;
    }
    return SIZE_MAX;
}

const void *mo_index_table(void)
{
    return table;
}

void mo_index_forget(void)
{
    for (unsigned i = 0; i < 2; i++) {
        mo_index_kept[i].seen = mo_index_counter - 2;
        mo_index_kept[i].from = mo_index_kept[i].size = 0;
    }
}
