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

enum { APART_MOST = 8, SPARE = 4096, TRIES = 20, COPY = 16384, PAGE = 4096, PAGES_KNOWN = 1024 };
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
    bool stand;             /* no other thread goes on */
    bool good;              /* pagemap could be read */
} now;

static void add(struct mo_leak_set *set, struct mo_leak_chunk c)
{
    c.next = NONE;
    if (set->count < set->room)
        set->chunks[set->count++] = c;
}

/* False: a lock is not to be had. What only a chunk points to that is not known would look like a leak. */
static bool collect_slabs(struct mo_leak_set *set)
{
    for (size_t number = 1; number < mo_heap_slab_count(); number++) {
        const struct mo_slab *slab = &mo_sealed.slabs[number];
        enum mo_hold hold = mo_arena_hold(slab, false); /* its holder may stand */
        if (hold == MO_LOCKED)
            return false;
        if (hold != MO_HELD)
            continue;
        const struct mo_class *k = &mo_sealed.classes[slab->class];
        for (unsigned i = 0; i < slab->introduced; i++) {
            struct mo_bounds b;
            uintptr_t slot = slab->base + MO_HEADER + (size_t)i * k->stride;
            uint32_t state = mo_state_load(mo_state_of(mo_granule_of(slot), k, slot));
            if ((state & MO_STATE_LIVE) == 0)
                continue;
            mo_bounds_find(slot + MO_HEADER, &b);
            if (b.kind == MO_BOUNDS_LIVE)
                add(set, (struct mo_leak_chunk){.p = b.p, .n = b.n, .generation = state & MO_STATE_GENERATION});
        }
        mo_arena_let_go(slab);
    }
    return true;
}

/* Of a slot only what its chunk was made by is known. */
static uint32_t generation_of(const struct mo_stack *made)
{
    uint64_t h = made != NULL ? made->thread : 0;
    for (size_t i = 0; made != NULL && i < mo_min(made->count, MO_STACK_MOST); i++)
        h = (h ^ made->frames[i]) * 0xd6e8feb86659fd93u;
    return (uint32_t)(h >> 32);
}

static bool collect_pool(struct mo_leak_set *set)
{
    const struct mo_pool_slot *g;
    size_t at = 0;
    if (!mo_pool_hold())
        return false;
    while ((g = mo_pool_next_locked(&at, true)) != NULL) {
        const struct mo_stack *made = mo_pool_stack(g, false);
        add(set,
            (struct mo_leak_chunk){.p = g->p, .n = g->n, .made = made, .generation = generation_of(made) + g->lives});
    }
    mo_pool_unlock();
    return true;
}

/* False as well while one is being moved, where that matters: what is in it is only known after. */
static bool collect_large(struct mo_leak_set *set, bool all_settled)
{
    bool settled = true;
    if (!mo_large_hold())
        return false;
    for (size_t i = 0; i < mo_large_table.room; i++) {
        const struct mo_large *l = &mo_large_table.entries[i];
        if (l->p == 0)
            continue;
        if (l->state == 0)
            add(set, (struct mo_leak_chunk){.p = l->map, .n = l->map_size, .mark = MO_LEAK_NONE});
        else
            add(set, (struct mo_leak_chunk){.p = l->p, .n = l->n, .generation = l->state});
        settled = settled && (l->state == 0 || !l->busy);
    }
    mo_large_unlock();
    return settled || !all_settled;
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

/* Before threads are stopped: one of them may have a lock that this waits for. */
static bool make_room(struct mo_leak_set *set)
{
    struct moat_stats stats;
    struct mo_large_figures large;
    *set = (struct mo_leak_set){0};
    if (sizeof(uintptr_t) == 4)
        return false;
    mo_front_stats(&stats);
    mo_large_figures(&large);
    size_t room = stats.live_count + stats.live_count / 4 + large.waiting_count + SPARE; /* other threads go on */
    set->chunks = mo_os_map_guarded(room * sizeof *set->chunks, "moat leaks");
    if (set->chunks == NULL)
        return false;
    set->room = mo_min(room, NONE);
    return true;
}

static bool collect(struct mo_leak_set *set, bool all_settled)
{
    set->count = 0;
    if (!collect_slabs(set) || !collect_pool(set) || !collect_large(set, all_settled) || set->count == set->room)
        return false;
    sort(set->chunks, set->count, false);
    return true;
}

bool mo_leaks_collect(struct mo_leak_set *set)
{
    for (unsigned i = 0; i < TRIES; i++) {
        if (!make_room(set))
            break;
        if (collect(set, false))
            return true;
        mo_leaks_drop(set);
        mo_os_pause(1);
    }
    return false;
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

__attribute__((no_sanitize("address", "thread"))) static void look_at_words(uintptr_t low, uintptr_t high)
{
    low = mo_align_up(low, sizeof(uintptr_t));
    for (; low + sizeof(uintptr_t) <= high; low += sizeof(uintptr_t))
        come_to(*(const volatile uintptr_t *)low);
}

/* What may be inaccessible, or become so, is copied: pages that the program has closed, and all while a thread goes on
 * that may free it. */
static void look_into_copy(uintptr_t low, uintptr_t high)
{
    static uintptr_t copy[COPY / sizeof(uintptr_t)];
    low = mo_align_up(low, sizeof(uintptr_t));
    while (low < high) {
        size_t got = mo_os_copy(low, copy, mo_min(high - low, sizeof copy));
        look_at_words((uintptr_t)copy, (uintptr_t)copy + got);
        low = got != 0 ? mo_align_up(low + got, sizeof(uintptr_t))
                       : mo_align_down(low, mo_sealed.features.page) + mo_sealed.features.page;
    }
}

static void look_into(uintptr_t low, uintptr_t high)
{
    if (now.stand)
        look_at_words(low, high);
    else
        look_into_copy(low, high);
}

/* Pages known to be readable, while all threads stand: many small chunks are in one. */
static uintptr_t open_pages[PAGES_KNOWN];

static bool is_open(uintptr_t page)
{
    uintptr_t *known = &open_pages[page / PAGE % PAGES_KNOWN];
    if (*known != page && mo_os_readable(page))
        *known = page;
    return *known == page;
}

/* The program may have closed some of its pages. */
static void look_into_chunk(const struct mo_leak_chunk *c)
{
    uintptr_t end = c->p + c->n;
    if (!now.stand || c->n > PAGE) {
        look_into_copy(c->p, end);
        return;
    }
    for (uintptr_t at = c->p, next; at < end; at = next) {
        next = mo_min(mo_align_down(at, PAGE) + PAGE, end);
        if (is_open(mo_align_down(at, PAGE)))
            look_at_words(at, next);
    }
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

static void look_at_part(uintptr_t low, uintptr_t high)
{
    if (low < high)
        now.good = now.good && mo_os_present(low, high, look_into);
}

/* A mapping of the program's, without what is apart and without large chunks. */
static bool look_at_root(uintptr_t low, uintptr_t high)
{
    for (size_t i = 0; i < apart_count; i++) {
        if (low >= apart[i].high || high <= apart[i].low)
            continue;
        if (low < apart[i].low)
            (void)look_at_root(low, apart[i].low);
        if (high <= apart[i].high)
            return now.good;
        low = apart[i].high;
    }
    for (size_t i = first_behind(now.set, low); i < now.set->count && now.set->chunks[i].p < high; i++) {
        const struct mo_leak_chunk *c = &now.set->chunks[i];
        look_at_part(low, c->p);
        low = mo_max(low, c->p + c->n);
    }
    look_at_part(low, high);
    follow();
    return now.good;
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
    return i < old->count && old->chunks[i].p == c->p && old->chunks[i].generation == c->generation;
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

/* Has it been freed by a thread that goes on? */
static bool is_live(const struct mo_leak_chunk *c)
{
    struct mo_bounds b;
    if (now.stand)
        return true;
    mo_bounds_find(c->p, &b);
    return b.kind == MO_BOUNDS_LIVE && b.p == c->p;
}

/* While the others stand. */
static size_t look(struct mo_leak_set *set, const struct mo_leak_set *old, uintptr_t stack)
{
    size_t left = 0;
    now.set = set;
    now.lowest = set->count != 0 ? set->chunks[0].p : 0;
    now.span =
        set->count != 0 ? set->chunks[set->count - 1].p + mo_max(set->chunks[set->count - 1].n, 1) - now.lowest : 0;
    now.to_look = NONE;
    now.marking = MO_LEAK_REACHED;
    now.good = true;
    memset(open_pages, 0, sizeof open_pages);
    set_all_apart(set, old);
    now.good = mo_os_roots(stack, look_at_root);
    if (!now.good)
        return 0;
    tell_indirect();
    for (size_t i = 0; i < set->count; i++)
        if (set->chunks[i].mark < MO_LEAK_REACHED && !is_old(old, &set->chunks[i]) && is_live(&set->chunks[i]))
            set->chunks[left++] = set->chunks[i];
    sort(set->chunks, left, true);
    mo_leaks_keep(set, left);
    return left;
}

__attribute__((noinline)) size_t mo_leaks_search(struct mo_leak_set *set, const struct mo_leak_set *old, bool *good)
{
    __builtin_unwind_init(); /* registers of the caller go to the stack */
    *good = false;
    for (unsigned i = 0; i < TRIES; i++) {
        size_t left = 0;
        if (!make_room(set))
            return 0;
        now.stand = mo_os_threads_stop();
        bool all = collect(set, i < TRIES / 2); /* a forked child has those of its parent's other threads so for good */
        if (all)
            left = look(set, old, (uintptr_t)__builtin_frame_address(0) - SAVED);
        mo_os_threads_go();
        *good = all && now.good;
        if (all)
            return left;
        mo_leaks_drop(set); /* a thread stood with a lock, or there are more chunks than before */
        mo_os_pause(1);
    }
    return 0;
}
