#include "fuzzing/leaks.h"

#include <string.h>

#include "arena/arena.h"
#include "checked/index.h"
#include "front/bounds.h"
#include "front/stats.h"
#include "guard/pool.h"
#include "mem/large_table.h"
#include "moat/moat.h"
#include "os/roots.h"

enum { APART_MOST = 8, SPARE = 1024 };
#define NONE UINT32_MAX

#if defined(__x86_64__)
enum { SAVED = 5 * 8 }; /* bytes below a frame's address where its function has put its caller's registers */
#else
enum { SAVED = 128 };
#endif

/* What is not the program's memory: chunks, which count only when they are reached, and tables that name them. */
static struct {
    uintptr_t low, high;
} apart[APART_MOST];
static size_t apart_count;

static struct {
    struct mo_leak_set *set;
    uintptr_t lowest, span; /* where all chunks lie */
    uint32_t to_look;       /* the first chunk of the list */
    uint32_t marking;       /* what chunks become that are come to: enum mo_leak_mark */
} now;

static void add(struct mo_leak_set *set, uintptr_t p, size_t n, const struct mo_stack *made)
{
    if (set->count < set->room)
        set->chunks[set->count++] = (struct mo_leak_chunk){.p = p, .n = n, .made = made};
}

/* False: a lock is not to be had. What only a chunk points to that is not known would look like a leak. */
static bool collect_slabs(struct mo_leak_set *set)
{
    for (size_t number = 1; number < mo_heap_slab_count(); number++) {
        const struct mo_slab *slab = &mo_sealed.slabs[number];
        enum mo_hold hold = mo_arena_hold(slab, true);
        if (hold == MO_LOCKED)
            return false;
        if (hold != MO_HELD)
            continue;
        const struct mo_class *k = &mo_sealed.classes[slab->class];
        for (unsigned i = 0; i < slab->introduced; i++) {
            struct mo_bounds b;
            uintptr_t slot = slab->base + MO_HEADER + (size_t)i * k->stride;
            if ((mo_state_load(mo_state_of(mo_granule_of(slot), k, slot)) & MO_STATE_LIVE) == 0)
                continue;
            mo_bounds_find(slot + MO_HEADER, &b);
            if (b.kind == MO_BOUNDS_LIVE)
                add(set, b.p, b.n, NULL);
        }
        mo_arena_let_go(slab);
    }
    return true;
}

static bool collect_pool(struct mo_leak_set *set)
{
    const struct mo_pool_slot *g;
    size_t at = 0;
    if (!mo_pool_hold())
        return false;
    while ((g = mo_pool_next_locked(&at, true)) != NULL) {
        const struct mo_stack *made = mo_sealed.options.malloc_context_size != 0 ? &mo_pool_stacks(g)->allocated : NULL;
        add(set, g->p, g->n, made != NULL && made->count != 0 ? made : NULL);
    }
    mo_pool_unlock();
    return true;
}

static bool collect_large(struct mo_leak_set *set)
{
    struct mo_large l;
    size_t at = 0;
    if (!mo_large_hold())
        return false;
    while (mo_large_next_locked(&at, &l))
        add(set, l.p, l.n, NULL);
    mo_large_unlock();
    return true;
}

static bool is_less(const struct mo_leak_chunk *a, const struct mo_leak_chunk *b, bool by_report);

static void sift(struct mo_leak_chunk *c, size_t from, size_t count, bool by_report)
{
    struct mo_leak_chunk moved = c[from];
    for (size_t child; (child = 2 * from + 1) < count; from = child) {
        if (child + 1 < count && is_less(&c[child], &c[child + 1], by_report))
            child++;
        if (!is_less(&moved, &c[child], by_report))
            break;
        c[from] = c[child];
    }
    c[from] = moved;
}

/* By heap: libc's qsort allocates. */
static void sort(struct mo_leak_chunk *c, size_t count, bool by_report)
{
    for (size_t i = count / 2; i > 0; i--)
        sift(c, i - 1, count, by_report);
    for (size_t i = count; i > 1; i--) {
        struct mo_leak_chunk last = c[i - 1];
        c[i - 1] = c[0];
        c[0] = last;
        sift(c, 0, i - 1, by_report);
    }
}

static int compare_stacks(const struct mo_stack *a, const struct mo_stack *b)
{
    if (a == NULL || b == NULL)
        return (a != NULL) - (b != NULL);
    if (a->count != b->count)
        return a->count < b->count ? -1 : 1;
    return memcmp(a->frames, b->frames, a->count * sizeof *a->frames);
}

/* For the report: direct ones first, then side by side what was made in one place. */
static bool is_less(const struct mo_leak_chunk *a, const struct mo_leak_chunk *b, bool by_report)
{
    if (!by_report)
        return a->p < b->p;
    if (a->mark != b->mark)
        return a->mark < b->mark;
    int order = compare_stacks(a->made, b->made);
    return order != 0 ? order < 0 : a->p < b->p;
}

bool mo_leaks_collect(struct mo_leak_set *set)
{
    struct moat_stats stats;
    *set = (struct mo_leak_set){0};
    if (sizeof(uintptr_t) == 4)
        return false;
    mo_front_stats(&stats);
    size_t room = stats.live_count + stats.live_count / 4 + SPARE; /* other threads go on */
    set->chunks = mo_os_map_guarded(room * sizeof *set->chunks, "moat leaks");
    if (set->chunks == NULL)
        return false;
    set->room = mo_min(room, NONE);
    if (!collect_slabs(set) || !collect_pool(set) || !collect_large(set) || set->count == set->room)
        return false;
    sort(set->chunks, set->count, false);
    return true;
}

void mo_leaks_drop(struct mo_leak_set *set)
{
    if (set->chunks != NULL)
        mo_os_unmap_guarded(set->chunks, set->room * sizeof *set->chunks);
    *set = (struct mo_leak_set){0};
}

/* The first chunk that ends behind a; count: none. */
static size_t first_behind(const struct mo_leak_set *set, uintptr_t a)
{
    size_t from = 0, to = set->count;
    while (from < to) {
        size_t middle = (from + to) / 2;
        if (set->chunks[middle].p + mo_max(set->chunks[middle].n, 1) <= a)
            from = middle + 1;
        else
            to = middle;
    }
    return from;
}

/* A word that may be a pointer. */
static void come_to(uintptr_t word)
{
    struct mo_leak_chunk *c = now.set->chunks;
    if (word - now.lowest >= now.span)
        return;
    size_t i = first_behind(now.set, word);
    if (word < c[i].p || c[i].mark != MO_LEAK_DIRECT)
        return;
    c[i].mark = now.marking;
    c[i].next = now.to_look;
    now.to_look = (uint32_t)i;
}

__attribute__((no_sanitize("address", "thread"))) static void look_into(uintptr_t low, uintptr_t high)
{
    low = mo_align_up(low, sizeof(uintptr_t));
    for (; low + sizeof(uintptr_t) <= high; low += sizeof(uintptr_t))
        come_to(*(const volatile uintptr_t *)low);
}

/* Of a chunk's pages the program may have closed some, where it has whole ones. */
static void look_into_chunk(const struct mo_leak_chunk *c)
{
    size_t page = mo_sealed.features.page;
    if (c->n < page) {
        look_into(c->p, c->p + c->n);
        return;
    }
    for (uintptr_t at = c->p; at < c->p + c->n; at = mo_align_down(at, page) + page)
        if (mo_os_readable(at))
            look_into(at, mo_min(mo_align_down(at, page) + page, c->p + c->n));
}

/* Looks into all that has been come to, and what that leads to. */
static void follow(void)
{
    while (now.to_look != NONE) {
        struct mo_leak_chunk *c = &now.set->chunks[now.to_look];
        now.to_look = c->next;
        c->next = NONE;
        look_into_chunk(c);
    }
}

/* A run of the program's pages, without what is apart and without large chunks. */
static void look_at_root(uintptr_t low, uintptr_t high)
{
    for (size_t i = 0; i < apart_count; i++) {
        if (low >= apart[i].high || high <= apart[i].low)
            continue;
        if (low < apart[i].low)
            look_at_root(low, apart[i].low);
        if (high <= apart[i].high)
            return;
        low = apart[i].high;
    }
    for (size_t i = first_behind(now.set, low); i < now.set->count && now.set->chunks[i].p < high; i++) {
        const struct mo_leak_chunk *c = &now.set->chunks[i];
        if (low < c->p)
            look_into(low, c->p);
        low = mo_max(low, c->p + c->n);
    }
    if (low < high)
        look_into(low, high);
    follow();
}

static void set_apart(uintptr_t low, uintptr_t high)
{
    if (apart_count < APART_MOST && low < high) {
        apart[apart_count].low = low;
        apart[apart_count++].high = high;
    }
}

static void set_mapping_apart(const void *p)
{
    uintptr_t low, high;
    if (p != NULL && mo_os_mapping_of((uintptr_t)p, &low, &high))
        set_apart(low, high);
}

/* This library: what begins where a chunk does is no pointer of the program's. The linker's names for both its ends;
 * its last page may be in one mapping with what the program has behind it. */
extern const char __ehdr_start[] __attribute__((visibility("hidden")));
extern const char _end[] __attribute__((visibility("hidden")));

static void set_all_apart(const struct mo_leak_set *set, const struct mo_leak_set *old)
{
    size_t at = 0;
    apart_count = 0;
    set_apart((uintptr_t)__ehdr_start, (uintptr_t)_end);
    set_apart(mo_sealed.heap_base, mo_sealed.heap_base + mo_sealed.heap_size);
    set_apart(mo_pool_base, mo_pool_base + mo_pool_size);
    if (mo_pool_hold()) {
        const struct mo_pool_slot *g = mo_pool_next_locked(&at, true);
        mo_pool_unlock();
        set_mapping_apart(g);
    }
    set_mapping_apart(mo_large_table.entries);
    set_mapping_apart(mo_index_table());
    set_mapping_apart(set->chunks);
    set_mapping_apart(old->chunks);
    mo_index_forget();
}

static bool is_old(const struct mo_leak_set *old, const struct mo_leak_chunk *c)
{
    size_t i = first_behind(old, c->p);
    return i < old->count && old->chunks[i].p == c->p;
}

/* What is left is in no order yet: a chunk that is reached from another one that has leaked leaks with it. */
static void tell_indirect(void)
{
    now.marking = MO_LEAK_INDIRECT;
    for (size_t i = 0; i < now.set->count; i++) {
        struct mo_leak_chunk *c = &now.set->chunks[i];
        if (c->mark != MO_LEAK_DIRECT)
            continue;
        c->mark = MO_LEAK_REACHED; /* for as long as others are come to from it: of a circle one is direct */
        look_into_chunk(c);
        follow();
        c->mark = MO_LEAK_DIRECT;
    }
}

__attribute__((noinline)) size_t mo_leaks_search(struct mo_leak_set *set, const struct mo_leak_set *old, bool *good)
{
    size_t left = 0;
    __builtin_unwind_init(); /* registers of the caller go to the stack */
    set_all_apart(set, old);
    for (size_t i = 0; i < set->count; i++)
        set->chunks[i].next = NONE;
    now.set = set;
    now.lowest = set->count != 0 ? set->chunks[0].p : 0;
    now.span =
        set->count != 0 ? set->chunks[set->count - 1].p + mo_max(set->chunks[set->count - 1].n, 1) - now.lowest : 0;
    now.to_look = NONE;
    now.marking = MO_LEAK_REACHED;
    mo_os_threads_stop();
    *good = mo_os_roots((uintptr_t)__builtin_frame_address(0) - SAVED, look_at_root);
    mo_os_threads_go();
    if (!*good)
        return 0;
    tell_indirect();
    for (size_t i = 0; i < set->count; i++)
        if (set->chunks[i].mark != MO_LEAK_REACHED && !is_old(old, &set->chunks[i]))
            set->chunks[left++] = set->chunks[i];
    sort(set->chunks, left, true);
    return left;
}
