#include "mem/large.h"

#include "diag/report.h"
#include "mem/dense.h"
#include "mem/large_table.h"
#include "mem/large_wait.h"

enum {
    GUARD_PAGES = 8,           /* most pages of a guard; at least 1, at random */
    ALIGN = 64,                /* of payloads */
    MOVE_PAGES_FROM = 1 << 20, /* below, copying is cheaper than moving page tables */
    COPY_STEP = 1 << 20,
    HUGE_PLACES = 8,     /* where huge pages may begin: as random as guards are long */
    HUGE_PAGE = 2 << 20, /* as x86-64 and aarch64 with 4 KiB pages have; elsewhere huge pages come by chance */
};

/* Guarded by the table's lock. */
static struct mo_random *large_random;
static size_t live_bytes, live_count;
static size_t splits; /* live mappings whose guards take mappings of their own; atomic */

bool mo_large_start(struct mo_random *r)
{
    large_random = r;
    return mo_large_wait_start() && mo_large_table_start(r);
}

static bool enter(const struct mo_large *l)
{
    mo_lock_here(&mo_large_table.lock);
    bool in = mo_large_insert_locked(l);
    if (in) {
        live_bytes += l->open_size;
        live_count++;
    }
    mo_unlock_here(&mo_large_table.lock);
    return in;
}

/* May one more mapping be split by mprotect? Beyond the budget they go without guards, so that neighbours merge. */
static bool take_split(void)
{
    bool yes = __atomic_add_fetch(&splits, 1, __ATOMIC_RELAXED) <= mo_sealed.options.guard_mappings / 2;
    if (!yes)
        __atomic_sub_fetch(&splits, 1, __ATOMIC_RELAXED);
    return yes;
}

/* Opens the middle of a fresh mapping. Guard markers where the kernel has them: neighbouring mappings then
 * merge into one, so that a heap of large chunks does not exhaust vm.max_map_count. */
static bool open_middle(struct mo_large *l)
{
    if (mo_sealed.features.guard_install) {
        size_t before = l->open - l->map, after = l->map_size - before - l->open_size;
        if (!mo_os_open((void *)l->map, l->map_size))
            return false;
        l->guards = MO_LARGE_MARKERS;
        if (mo_os_guard((void *)l->map, before) && mo_os_guard((void *)mo_large_end(l), after))
            return true;
        if (!mo_os_close((void *)l->map, l->map_size))
            return false;
    }
    if (take_split()) {
        l->guards = MO_LARGE_SPLIT;
        if (mo_os_open((void *)l->open, l->open_size))
            return true;
        __atomic_sub_fetch(&splits, 1, __ATOMIC_RELAXED);
    }
    l->guards = MO_LARGE_BARE;
    return mo_os_open((void *)l->map, l->map_size);
}

/* Reserves address space for open_size bytes between random guards. The payload will need `align`. */
static bool reserve(struct mo_large *l, size_t open_size, size_t align, size_t before, size_t after, bool evict)
{
    size_t page = mo_sealed.features.page;
    size_t extra = align > page ? align : 0;
    if (extra > SIZE_MAX / 4 || open_size > SIZE_MAX / 2 - (before + after) * page - extra)
        return false;
    l->map_size = open_size + (before + after) * page + extra;
    /* What waits is given up for what could ever fit: a request for all the world must not empty the quarantine. */
    bool could_fit = l->map_size <= mo_min(mo_sealed.features.address_limit, MO_HIGHEST_RESERVE);
    do
        l->map = (uintptr_t)mo_os_reserve(0, l->map_size, page);
    while (l->map == 0 && could_fit && evict && mo_large_wait_drop());
    l->open_size = open_size;
    l->open = l->map + before * page;
    return l->map != 0;
}

/* Unmaps what an alignment needed only to find its place in: guards of that length would fill page tables. */
static void trim(struct mo_large *l, size_t before, size_t after)
{
    uintptr_t map = l->open - before, end = mo_large_end(l) + after, had_end = l->map + l->map_size;
    if (map != l->map)
        mo_os_unmap((void *)l->map, map - l->map);
    if (end != had_end)
        mo_os_unmap((void *)end, had_end - end);
    l->map = map;
    l->map_size = end - map;
}

/* Makes the pages present of what will be written all over. */
static void fill(const struct mo_large *l, bool huge)
{
    if (huge)
        mo_os_huge((void *)l->map, l->map_size); /* guards too, so that neighbouring mappings still merge */
    mo_os_populate((void *)l->open, huge ? l->open_size % HUGE_PAGE : l->open_size);
}

/* A mapping that has waited long enough, for open_size bytes at another random place in it. What is around them stays
 * inaccessible; they are mapped anew, as the program may have changed what they are. One system call, where a new
 * mapping takes four and its end one more. */
static bool take_again(struct mo_large *l, size_t open_size)
{
    size_t page = mo_sealed.features.page;
    mo_lock_here(&mo_large_table.lock);
    bool found = mo_large_wait_again_locked(open_size, l);
    size_t spare = found ? (l->map_size - open_size) / page - 1 : 1;
    size_t after = 1 + mo_random_below(large_random, (uint32_t)mo_min(GUARD_PAGES, spare));
    mo_unlock_here(&mo_large_table.lock);
    l->open = l->map + l->map_size - after * page - open_size;
    l->open_size = open_size;
    return found &&
           mo_os_renew((void *)l->open, open_size); /* refused, it may be a hole: its addresses are left alone */
}

bool mo_large_take(size_t n, size_t align, struct mo_large *out)
{
    size_t page = mo_sealed.features.page;
    align = mo_max(align, ALIGN);
    if (align > PTRDIFF_MAX / 2 || n > PTRDIFF_MAX - align - page)
        return false;
    size_t rounded = mo_align_up(n, mo_min(align, ALIGN)); /* beyond 64 the tail takes what alignment leaves */
    size_t open_size = mo_align_up(mo_align_up(rounded, mo_min(align, page)) + MO_HEADER, page);

    mo_lock_here(&mo_large_table.lock);
    size_t before = 1 + mo_random_below(large_random, GUARD_PAGES);
    size_t after = 1 + mo_random_below(large_random, GUARD_PAGES);
    uint32_t generation = mo_random_below(large_random, 128);
    size_t shift = (size_t)mo_random_below(large_random, HUGE_PLACES) * HUGE_PAGE;
    mo_unlock_here(&mo_large_table.lock);

    struct mo_large l = {.n = n, .heap = out->heap, .state = MO_STATE_LIVE | generation * MO_STATE_STEP, .busy = true};
    bool dense = mo_dense_expected(n), huge = dense && open_size >= HUGE_PAGE && mo_sealed.options.huge_pages;
    huge = huge && align <= page && reserve(&l, open_size, HUGE_PLACES * HUGE_PAGE, before, after, false);
    bool again = !huge && align <= page && take_again(&l, open_size);
    if (!huge && !again && !reserve(&l, open_size, align, before, after, true))
        return false;
    if (huge) { /* they end where a huge page does */
        l.open = mo_align_up(mo_large_end(&l), HUGE_PAGE) + shift - open_size;
        trim(&l, before * page, after * page);
    }
    l.p = mo_align_down(mo_large_end(&l) - rounded, align);
    if (align > page) {
        /* The extra room holds an aligned payload with a page for its header before it; the open pages move there. */
        l.p = mo_align_up(l.open + MO_HEADER, align);
        l.open = mo_align_down(l.p - MO_HEADER, page);
        l.open_size = mo_align_up(l.p + rounded, page) - l.open;
        trim(&l, before * page, after * page);
    }
    if (!again && !open_middle(&l)) {
        mo_os_unmap((void *)l.map, l.map_size);
        return false;
    }
    if (dense)
        fill(&l, huge);
    bool in = enter(&l);
    if (!in)
        mo_os_unmap((void *)l.map, l.map_size);
    *out = l;
    return in;
}

/* Makes a part of the open pages inaccessible and gives it back, by the strongest means that works. By markers? */
static bool shut(const struct mo_large *l, uintptr_t at, size_t size)
{
    void *part = (void *)at;
    if (l->guards == MO_LARGE_MARKERS && mo_os_guard_whole(part, size))
        return true;
    if (!mo_os_purge(part, size)) /* locked memory */
        __builtin_memset(part, 0, size);
    if (l->guards != MO_LARGE_BARE)
        (void)!mo_os_close(part, size);
    return false;
}

bool mo_large_claim(uintptr_t p, struct mo_large *l)
{
    mo_lock_here(&mo_large_table.lock);
    struct mo_large *entry = mo_large_entry_locked(p);
    mo_large_check_locked(entry);
    bool live = entry->p == p && entry->state != 0;
    *l = *entry;
    if (live) {
        entry->state = 0; /* from here on a second free is a double free */
        mo_large_prove_locked(entry);
        live_bytes -= l->open_size;
        live_count--;
    }
    mo_unlock_here(&mo_large_table.lock);
    return live;
}

void mo_large_retire(const struct mo_large *l)
{
    bool again = shut(l, l->open, l->open_size);
    if (l->guards == MO_LARGE_SPLIT)
        __atomic_sub_fetch(&splits, 1, __ATOMIC_RELAXED);
    mo_large_wait(l, again);
}

bool mo_large_put(uintptr_t p)
{
    struct mo_large l;
    if (!mo_large_claim(p, &l))
        return false;
    mo_large_retire(&l);
    return true;
}

/* A reservation for n bytes at the same offset in their page as old's, not opened yet. Its far guard has
 * room for half as much again, so that what grows in small steps moves seldom. */
static bool prepare_move(const struct mo_large *old, size_t n, struct mo_large *now)
{
    size_t page = mo_sealed.features.page;
    size_t offset = old->p - old->open;
    *now = *old;
    if (n > PTRDIFF_MAX - offset - page)
        return false;
    mo_lock_here(&mo_large_table.lock);
    size_t before = 1 + mo_random_below(large_random, GUARD_PAGES);
    size_t after = 1 + mo_random_below(large_random, GUARD_PAGES);
    mo_unlock_here(&mo_large_table.lock);
    size_t open_size = mo_align_up(offset + n, page);
    if (!reserve(now, open_size, page, before, after + n / 2 / page, true) &&
        !reserve(now, open_size, page, before, after, true))
        return false;
    now->n = n;
    now->p = now->open + offset;
    return true;
}

static void forget(const struct mo_large *l)
{
    mo_lock_here(&mo_large_table.lock);
    live_bytes -= l->open_size;
    live_count--;
    mo_large_delete_locked(mo_large_entry_locked(l->p));
    mo_unlock_here(&mo_large_table.lock);
}

/* Copies old's payload into now's reservation, and frees old. */
static bool copy(const struct mo_large *old, struct mo_large *now)
{
    if (!open_middle(now))
        return false;
    /* Pages are made present first, as page faults take several times as long: some at a time, as other threads may
     * wait to map something meanwhile, and as then they are in the cache. */
    for (size_t at = 0; at < old->n; at += COPY_STEP) {
        size_t n = mo_min(old->n - at, COPY_STEP);
        uintptr_t to = now->p + at, first = mo_align_down(to, mo_sealed.features.page);
        mo_os_populate((void *)first, to + n - first);
        __builtin_memcpy((void *)to, (void *)(old->p + at), n);
    }
    return mo_large_put(old->p);
}

/* Moves old's pages to the start of now's reservation, all but its guards, and puts guard markers over what now does
 * not use yet. Where they came from becomes inaccessible and waits like anything freed; the lock keeps others of our
 * threads from being given these addresses in between, and those that somebody else was given are forgotten.
 * Only between mappings with markers: they are of one piece, and a move of several pieces may fail half-way. */
static bool move_pages(const struct mo_large *old, struct mo_large *now)
{
    uintptr_t room_end = now->map + now->map_size - mo_sealed.features.page;
    uintptr_t unused = mo_large_end(now);
    bool hole_kept = false;
    now->guards = MO_LARGE_MARKERS;
    mo_lock_here(&mo_large_table.lock);
    bool moved = mo_os_move((void *)old->open, old->open_size, (void *)now->open, room_end - now->open, &hole_kept);
    if (moved && !hole_kept) {
        live_bytes -= old->open_size;
        live_count--;
        mo_large_delete_locked(mo_large_entry_locked(old->p));
    }
    mo_unlock_here(&mo_large_table.lock);
    if (!moved)
        return false;
    if (unused != room_end && !mo_os_guard((void *)unused, room_end - unused))
        now->guards = MO_LARGE_BARE;
    if (hole_kept)
        return mo_large_put(old->p);
    mo_os_unmap((void *)old->map, old->open - old->map);
    mo_os_unmap((void *)mo_large_end(old), old->map + old->map_size - mo_large_end(old));
    return true;
}

/* Moves the end of the open pages to where n bytes end, and leaves a guard behind it. */
static bool move_end(struct mo_large *l, size_t n)
{
    size_t page = mo_sealed.features.page;
    if (n > l->map + l->map_size - page - l->p)
        return false;
    uintptr_t had = mo_large_end(l), end = mo_align_up(l->p + n, page);
    if (end < had) {
        (void)shut(l, end, had - end);
    } else if (end > had) {
        /* Without guards what is there need not be zero. */
        if (l->guards == MO_LARGE_BARE || (l->guards == MO_LARGE_MARKERS && !mo_os_unguard((void *)had, end - had)))
            return false;
        if (!mo_os_open((void *)had, end - had)) /* with markers too: locked memory was shut without one */
            return false;
    }
    mo_lock_here(&mo_large_table.lock);
    struct mo_large *entry = mo_large_entry_locked(l->p);
    live_bytes += end - had; /* may be negative, modulo 2^n */
    entry->n = l->n = n;
    entry->open_size = l->open_size = end - l->open;
    mo_large_prove_locked(entry);
    mo_unlock_here(&mo_large_table.lock);
    return true;
}

static bool set_busy(uintptr_t p, bool busy, struct mo_large *l)
{
    mo_lock_here(&mo_large_table.lock);
    struct mo_large *entry = mo_large_entry_locked(p);
    bool live = entry->p == p && entry->state != 0;
    if (live)
        entry->busy = busy;
    *l = *entry;
    l->proof = 0; /* the table's alone */
    mo_unlock_here(&mo_large_table.lock);
    return live;
}

void mo_large_settle(uintptr_t p)
{
    struct mo_large l;
    (void)set_busy(p, false, &l);
}

bool mo_large_resize(uintptr_t p, size_t n, struct mo_large *out)
{
    struct mo_large old;
    if (!set_busy(p, true, &old))
        return false;
    *out = old;
    if (n < old.n / 4) /* rather a mapping of its size */
        return false;
    if (move_end(out, n))
        return true;
    if (n <= old.n || !prepare_move(&old, n, out))
        return false;
    /* Entered first: once the pages have moved nothing may fail. */
    bool pages = old.guards == MO_LARGE_MARKERS && old.open_size >= MOVE_PAGES_FROM;
    bool in = enter(out), moved = in && (pages ? move_pages(&old, out) : copy(&old, out));
    if (!moved) {
        if (in)
            forget(out);
        /* A move that failed may have unmapped where it was to go, and another thread may have mapped something there:
         * those addresses are left alone. */
        if (!pages)
            mo_os_unmap((void *)out->map, out->map_size);
        return false;
    }
    mo_lock_here(&mo_large_table.lock);
    struct mo_large *entry = mo_large_entry_locked(out->p);
    entry->guards = out->guards;
    mo_large_prove_locked(entry);
    mo_unlock_here(&mo_large_table.lock);
    return true;
}

bool mo_large_find(uintptr_t p, struct mo_large *out)
{
    mo_lock_here(&mo_large_table.lock);
    const struct mo_large *entry = mo_large_entry_locked(p);
    mo_large_check_locked(entry);
    *out = *entry;
    out->proof = 0; /* the table's alone */
    mo_unlock_here(&mo_large_table.lock);
    return out->p == p && p != 0;
}

static bool around_locked(uintptr_t a, struct mo_large *out)
{
    bool found = false;
    for (size_t i = 0; i < mo_large_table.room && !found; i++) {
        if (mo_large_table.entries[i].p != 0 &&
            a - mo_large_table.entries[i].map < mo_large_table.entries[i].map_size) {
            *out = mo_large_table.entries[i];
            found = true;
        }
    }
    return found;
}

bool mo_large_around(uintptr_t a, struct mo_large *out)
{
    mo_lock_here(&mo_large_table.lock);
    bool found = around_locked(a, out);
    mo_unlock_here(&mo_large_table.lock);
    return found;
}

bool mo_large_around_fault(uintptr_t a, struct mo_large *out)
{
    enum { TRIES = 100000 }; /* milliseconds: more than another thread needs, unless it sleeps */
    int tries = 0;
    while (!mo_trylock(&mo_large_table.lock))
        if (++tries == TRIES)
            return false;
    bool found = around_locked(a, out);
    mo_unlock_here(&mo_large_table.lock);
    return found;
}

void mo_large_figures(struct mo_large_figures *f)
{
    bool held = mo_lock_patiently(&mo_large_table.lock);
    f->live_bytes = live_bytes;
    f->live_count = live_count;
    f->waiting_bytes = mo_large_waiting.bytes;
    f->waiting_count = mo_large_waiting.count;
    f->table_bytes = mo_large_table.room * sizeof(struct mo_large) + mo_large_waiting.room * sizeof(uintptr_t);
    if (held)
        mo_unlock_here(&mo_large_table.lock);
}

bool mo_large_hold(void)
{
    return mo_lock_patiently(&mo_large_table.lock);
}

bool mo_large_next_locked(size_t *at, struct mo_large *l)
{
    while (*at < mo_large_table.room) {
        *l = mo_large_table.entries[(*at)++];
        if (l->p != 0 && l->state != 0 && !l->busy)
            return true;
    }
    return false;
}

const char *mo_large_fault_locked(void)
{
    size_t used = 0, live = 0;
    if ((mo_large_table.used | live_count | mo_large_waiting.count) == 0) /* nor the table's */
        return NULL;
    for (const struct mo_large *l = mo_large_table.entries; l < mo_large_table.entries + mo_large_table.room; l++) {
        if (l->p == 0)
            continue;
        if (mo_large_entry_locked(l->p) != l || l->p - l->map >= l->map_size || l->open_size > l->map_size)
            return "an entry of the table of large chunks is impossible";
        used++;
        live += l->state != 0;
    }
    bool agree = used == mo_large_table.used && live == live_count && mo_large_waiting.count <= used - live;
    return agree ? NULL : "the table of large chunks and its counts disagree";
}

void mo_large_lock(void)
{
    mo_lock_here(&mo_large_table.lock);
}

void mo_large_unlock(void)
{
    mo_unlock_here(&mo_large_table.lock);
}

void mo_large_locks(mo_lock_visit *visit)
{
    visit(&mo_large_table.lock);
}
