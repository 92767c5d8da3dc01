#include "checked/check.h"

#include "mem/large_table.h"

enum { FIRST_ROOM = 120, TRIES = 200 };
enum { NONE = 1, BUSY = 3 }; /* a range's `seen` that is never a counter's outside of a write */

/* Read by whoever has the pointer, at any time: a larger one takes its place, and it stays mapped. */
struct table {
    size_t room, count;
    struct mo_range ranges[];
};

uintptr_t mo_index_low;
size_t mo_index_span;
static struct table *table;
uint32_t mo_index_counter;
__thread struct mo_range mo_index_last[2];

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

static void widen_locked(uintptr_t low, uintptr_t high)
{
    uintptr_t had_low = mo_index_low, had_high = mo_index_low + mo_index_span;
    if (mo_index_span != 0) {
        low = mo_min(low, had_low);
        high = mo_max(high, had_high);
    }
    /* Too much in between, never too little. */
    __atomic_store_n(&mo_index_span, mo_index_span != 0 ? high - low : 0, __ATOMIC_RELEASE);
    __atomic_store_n(&mo_index_low, low, __ATOMIC_RELEASE);
    __atomic_store_n(&mo_index_span, high - low, __ATOMIC_RELEASE);
}

void mo_large_watch_locked(const struct mo_large *l, bool deleted)
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
    __atomic_store_n(&mo_index_counter, mo_index_counter + 1, __ATOMIC_RELAXED);
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
        t->ranges[at - 1] = (struct mo_range){l->map, l->map + l->map_size, l->p, l->n, 0, l->state != 0};
    __atomic_store_n(&table, t, __ATOMIC_RELEASE);
    if (!there)
        widen_locked(l->map, l->map + l->map_size);
    __atomic_store_n(&mo_index_counter, mo_index_counter + 1, __ATOMIC_RELEASE);
}

static struct mo_range look(const struct table *t, uintptr_t a)
{
    size_t count = mo_min(__atomic_load_n(&t->count, __ATOMIC_RELAXED), t->room), at = before(t, count, a);
    struct mo_range r = {.low = 0, .high = UINTPTR_MAX};
    if (at > 0)
        r = t->ranges[at - 1];
    if (at > 0 && a >= r.high) /* behind it */
        r = (struct mo_range){.low = r.high, .high = UINTPTR_MAX};
    if (r.p == 0 && at < count)
        r.high = t->ranges[at].low;
    return r;
}

const struct mo_range *mo_index_find(uintptr_t a, unsigned which)
{
    struct mo_range *r = &mo_index_last[which];
    for (unsigned i = 0; i < TRIES; i++) {
        uint32_t seen = __atomic_load_n(&mo_index_counter, __ATOMIC_ACQUIRE);
        const struct table *t = __atomic_load_n(&table, __ATOMIC_ACQUIRE);
        if (t == NULL)
            return NULL;
        if ((seen & 1) != 0) {
            mo_os_rest(16);
            continue;
        }
        if (r->seen == seen && a - r->low < r->high - r->low)
            return r;
        struct mo_range now = look(t, a);
        mo_read_fence();
        if (__atomic_load_n(&mo_index_counter, __ATOMIC_RELAXED) != seen)
            continue;
        if (r->seen == BUSY)
            return NULL; /* in a signal's handler, which has come in the middle of the lines below */
        now.seen = BUSY;
        r->seen = BUSY;
        __atomic_signal_fence(__ATOMIC_SEQ_CST);
        *r = now;
        __atomic_signal_fence(__ATOMIC_SEQ_CST);
        r->seen = seen;
        return r;
    }
    return NULL;
}

const void *mo_index_table(void)
{
    return table;
}

void mo_index_forget(void)
{
    mo_index_last[0] = mo_index_last[1] = (struct mo_range){.seen = NONE};
}
