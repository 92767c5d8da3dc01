#include "mem/heap.h"

#include "diag/report.h"
#include "mem/table.h"

enum {
    WINDOWS = MO_SMALL ? 96 : 4096, /* 96 reach 5 GiB */
    FIRST_WINDOW = 2 << 20,
    SMALL_WINDOW = 1 << 20,  /* profile embedded and 32-bit */
    LARGE_WINDOW = 64 << 20, /* larger than that only as this part of a large heap: else windows would run out */
    WINDOW_SHARE = 64,
    WINDOW_GRANULES = 65536, /* 4 GiB: what mo_random_below can choose among */
    LARGEST_REGION = 16 << 20,
    FIRST_PLACES = 256,   /* for the first window: 128 KiB of the address table */
    DIRECT_SLABS = 16384, /* on 32-bit: a GiB of the smallest slots, more of larger ones */
    PLACING_TRIES = 64,
    SMALLEST_SPAN = MO_GRANULE,
    FILL_STRIDE = 512, /* largest slots whose pages come when they are introduced: eight to a page */
};

static const uintptr_t PART_MASK = (uintptr_t)(((uint64_t)1 << 39) - 1);

struct window {
    uintptr_t base;
    uint32_t granules;
    uint32_t free;
    bool markers; /* guard markers close its slabs */
};

/* Guarded by heap_lock, but `guards` and `slab_mappings`, which are atomic. */
static struct mo_lock heap_lock = MO_LOCK(MO_RANK_HEAP);
static struct mo_random *heap_random;
static struct window windows[WINDOWS]; /* its place: cmake/order.ld */
static size_t window_count, window_bytes;
static size_t full_for = SIZE_MAX; /* windows from this size on find no place any more */
static struct mo_table states, slabs, lists;
static bool direct; /* 32-bit: the table covers all addresses and windows are mapped one by one */
static size_t guards, slab_mappings;
static size_t slab_count = 1; /* atomic: read without the lock */

/* The next part of a reservation, with an inaccessible page behind it. */
static char *part_of(char **at, size_t size)
{
    char *part = *at;
    *at += mo_align_up(size, mo_sealed.features.page) + mo_sealed.features.page;
    return part;
}

/* Reserves what the tables may grow to, for that many bytes of granules and that many slabs. The address table lies
 * right before the descriptors and is used from its end (see place_window): there both need one page table. */
static bool reserve_tables(size_t granule_bytes, size_t slab_most)
{
    size_t page = mo_sealed.features.page;
    size_t state_bytes = slab_most * (SMALLEST_SPAN / 32) * sizeof(uint16_t);
    size_t slab_bytes = slab_most * sizeof(struct mo_slab), list_bytes = slab_most * 4 * sizeof(uint32_t);
    size_t size = state_bytes + slab_bytes + list_bytes + granule_bytes + 9 * page; /* each rounded up, and guards */
    char *base = mo_os_reserve(0, size, page), *at = base + page;
    if (base == NULL)
        return false;
    states.rest = part_of(&at, states.rest_size = state_bytes);
    lists.rest = part_of(&at, lists.rest_size = list_bytes);
    char *granules = part_of(&at, granule_bytes);
    slabs.base = part_of(&at, slabs.size = mo_align_up(slab_bytes, page));
    if (!mo_os_read_only(granules, granule_bytes)) {
        mo_os_unmap(base, size);
        return false;
    }
    mo_os_name(base, size, "moat tables");
    mo_sealed.granules = (struct mo_granule *)granules;
    return true;
}

/* Reserves the heap and its tables for `size` bytes of heap; all or nothing. */
static bool reserve(size_t size, struct mo_random *r)
{
    size_t slab_most = size / SMALLEST_SPAN;
    if (direct)
        slab_most = mo_min(DIRECT_SLABS, mo_sealed.features.address_limit / 2 / SMALLEST_SPAN);
    char *base = NULL;
    /* 47-bit addresses less a quarter at the top, where libraries and stacks are. Taken as a hint only. */
    uintptr_t hint = sizeof(uintptr_t) < 8 ? 0 : (uintptr_t)(mo_random_u64(r) % 0x5fff00000000ull + 0x100000000ull);
    if (MO_SMALL && hint != 0) /* in the 512 GiB of the first mappings: a page of page tables less */
        hint = (hint & PART_MASK) | ((uintptr_t)r & ~PART_MASK);
    if (!direct) {
        size_t align = mo_min(size, FIRST_WINDOW);
        base = mo_os_reserve(mo_align_down(hint, align), size, align);
        if (base == NULL)
            return false;
    }
    size_t granule_bytes = ((size >> MO_GRANULE_SHIFT) + direct) * sizeof(struct mo_granule);
    if (reserve_tables(mo_align_up(granule_bytes, mo_sealed.features.page), slab_most)) {
        /* Every address but the first granule's: 0, which a stack without a ready slot has on top, lies outside. */
        mo_sealed.heap_base = direct ? MO_GRANULE : (uintptr_t)base;
        mo_sealed.heap_size = direct ? 0 - (size_t)MO_GRANULE : size;
        return true;
    }
    if (base != NULL)
        mo_os_unmap(base, size);
    return false;
}

bool mo_heap_find(uintptr_t p, struct mo_place *place)
{
    return mo_heap_locate(p, place);
}

bool mo_heap_start(struct mo_random *r)
{
    const struct mo_sealed_data *s = &mo_sealed;
    size_t size = mo_pow2_floor(s->options.heap_reserve);

    heap_random = r;
    direct = sizeof(uintptr_t) < 8;
    if (direct)
        size = SIZE_MAX; /* every address */
    /* A limited address space is shared with large chunks, libraries and stacks: half at most. */
    while (!direct && size > s->features.address_limit / 2)
        size /= 2;
    while (s->heap_size == 0 && size >= SMALL_WINDOW && !reserve(size, r))
        size /= 2;
    if (s->heap_size == 0)
        return false;
    if (!direct)
        mo_os_name((void *)s->heap_base, s->heap_size, "moat heap");
    if (!mo_table_start(&states, "moat states") || !mo_table_start(&lists, "moat lists"))
        return false;
    mo_sealed.states = (uint16_t *)states.base;
    mo_sealed.slabs = (struct mo_slab *)slabs.base;
    /* The first state words stand for every address without a region: never live. Slab 0 is nobody's. */
    return (states.used != 0 || mo_table_take(&states, MO_CACHE_LINE) != NULL) &&
           mo_table_take(&slabs, sizeof(struct mo_slab)) != NULL;
}

static bool is_free_place(uintptr_t at, size_t size)
{
    for (size_t i = 0; i < window_count; i++)
        if (at < windows[i].base + ((size_t)windows[i].granules << MO_GRANULE_SHIFT) && windows[i].base < at + size)
            return false;
    return true;
}

/* A random place for a window in the reservation, or 0. Windows stay, so that what found no place once is not looked
 * for again. */
static uintptr_t place_window(size_t size)
{
    size_t places = mo_sealed.heap_size / size;
    if (places == 0 || size >= full_for)
        return 0;
    /* The first one is among the last: its part of the address table is then at the table's end. Its address is as
     * random as if it were anywhere, because the reservation's is. */
    size_t from = window_count == 0 && places > FIRST_PLACES ? places - FIRST_PLACES : 0;
    for (unsigned i = 0; i < PLACING_TRIES; i++) {
        uintptr_t at = mo_sealed.heap_base + (uintptr_t)(from + mo_random_u64(heap_random) % (places - from)) * size;
        if (is_free_place(at, size))
            return at;
    }
    for (size_t i = 0; i < places; i++)
        if (is_free_place(mo_sealed.heap_base + i * size, size))
            return mo_sealed.heap_base + i * size;
    full_for = size;
    return 0;
}

/* Makes the granule table writable where it describes [base, base + size). */
static bool open_granules(uintptr_t base, size_t size)
{
    size_t page = mo_sealed.features.page;
    uintptr_t first = mo_align_down((uintptr_t)mo_granule_of(base), page);
    uintptr_t last = mo_align_up((uintptr_t)mo_granule_of(base + size - 1) + sizeof(struct mo_granule), page);
    bool open = mo_os_open((void *)first, last - first);
    if (open)
        mo_os_populate((void *)first, last - first);
    return open;
}

/* Of slots. */
static bool open_pages(uintptr_t base, size_t size)
{
    return mo_tagged() ? mo_os_open_tagged((void *)base, size) : mo_os_open((void *)base, size);
}

/* Makes the window's pages accessible behind guard markers, or, with *markers false, leaves them inaccessible for
 * mprotect to open and close slabs. A page is tried first: in locked memory the kernel refuses markers, and opening
 * all would fill it with pages. False: a marker may be left where mprotect would open a slab. */
static bool open_behind_markers(uintptr_t base, size_t size, bool *markers)
{
    size_t page = mo_sealed.features.page;
    *markers = mo_sealed.features.guard_install && open_pages(base, page) && mo_os_guard((void *)base, page) &&
               open_pages(base, size) && mo_os_guard((void *)base, size);
    if (*markers || !mo_sealed.features.guard_install)
        return true;
    return mo_os_unguard((void *)base, size) && mo_os_close((void *)base, size);
}

static struct window *open_window(size_t size)
{
    uintptr_t base;
    if (window_count == WINDOWS)
        return NULL;
    if (direct)
        base = (uintptr_t)mo_os_reserve(0, size, size);
    else
        base = place_window(size);
    if (base == 0)
        return NULL;
    bool markers;
    if (base - mo_sealed.heap_base > mo_sealed.heap_size - size || !open_granules(base, size) ||
        !open_behind_markers(base, size, &markers)) {
        if (direct)
            mo_os_unmap((void *)base, size);
        return NULL;
    }
    struct window *w = &windows[window_count];
    w->markers = markers;
    w->base = base;
    w->granules = w->free = (uint32_t)(size >> MO_GRANULE_SHIFT);
    window_count++;
    window_bytes += size;
    return w;
}

static bool is_free_run(const struct mo_granule *g, size_t n)
{
    size_t i = 0;
    while (i < n && g[i].class == 0)
        i++;
    return i == n;
}

/* A random aligned run of n free granules of w, or 0. Runs are aligned to their size, so a free first granule may still
 * hide a smaller run: rarely the one that was drawn is not whole, and the first that is serves. */
static uintptr_t pick_run(const struct window *w, size_t n)
{
    size_t places = w->granules / n, fit = 0, at = 0;
    const struct mo_granule *g = mo_granule_of(w->base);
    for (size_t i = 0; i < places; i++)
        fit += g[i * n].class == 0;
    if (fit == 0)
        return 0;
    size_t skip = mo_random_below(heap_random, (uint32_t)fit);
    while (g[at * n].class != 0 || skip-- != 0)
        at++;
    if (!is_free_run(&g[at * n], n))
        for (at = 0; at < places && !is_free_run(&g[at * n], n);)
            at++;
    return at < places ? w->base + (at * n << MO_GRANULE_SHIFT) : 0;
}

static uintptr_t take_run(size_t n, struct window **of)
{
    enum { LOOK_BACK = 8 };
    for (size_t i = window_count; i > 0 && i + LOOK_BACK > window_count; i--) {
        uintptr_t at = windows[i - 1].free >= n ? pick_run(&windows[i - 1], n) : 0;
        if (at != 0) {
            *of = &windows[i - 1];
            return at;
        }
    }
    size_t least = mo_sealed.options.profile == MO_PROFILE_EMBEDDED || direct ? SMALL_WINDOW : FIRST_WINDOW;
    size_t size = mo_max(least, mo_pow2_floor(mo_max(window_bytes / 2, 1)));
    size_t part = MO_SMALL ? 0 : window_bytes / WINDOW_SHARE; /* there they do run out, for little memory */
    size_t most = mo_min(mo_pow2_floor(mo_max(part, LARGE_WINDOW)) >> MO_GRANULE_SHIFT, WINDOW_GRANULES);
    size = mo_max(mo_min(size, most << MO_GRANULE_SHIFT), n << MO_GRANULE_SHIFT);
    struct window *w = NULL;
    while (w == NULL && size >= n << MO_GRANULE_SHIFT) {
        w = open_window(size);
        size /= 2;
    }
    *of = w;
    return w != NULL ? pick_run(w, n) : 0;
}

/* Describes a new region in the tables; the number of its first slab, or 0 without memory. */
static uint32_t describe(uintptr_t base, size_t size, unsigned class, int shard, bool markers)
{
    const struct mo_class *k = &mo_sealed.classes[class];
    size_t count = size >> k->span_shift;
    size_t word_bytes = mo_align_up((size >> k->word_shift) * sizeof(uint16_t), MO_CACHE_LINE);
    uint16_t *words = mo_table_take(&states, word_bytes);
    if (words == NULL)
        return 0;
    struct mo_slab *descriptors = mo_table_take(&slabs, count * sizeof(struct mo_slab));
    if (descriptors == NULL) {
        states.used -= word_bytes;
        return 0;
    }
    uint32_t first = (uint32_t)(descriptors - mo_sealed.slabs);
    for (size_t i = 0; i < count; i++) {
        struct mo_slab *slab = &descriptors[i];
        slab->base = base + (i << k->span_shift);
        slab->class = (uint8_t)class;
        slab->shard = (int16_t)shard;
        slab->flags = markers ? MO_SLAB_MARKERS : 0;
        mo_slab_renew(slab, k);
    }
    struct mo_granule *g = &mo_sealed.granules[(base - mo_sealed.heap_base) >> MO_GRANULE_SHIFT];
    for (size_t i = 0; i < size >> MO_GRANULE_SHIFT; i++) {
        g[i].bias = (size_t)(words - mo_sealed.states) - (base >> k->word_shift);
        g[i].slab = first + (uint32_t)((i << MO_GRANULE_SHIFT) >> k->span_shift);
        g[i].shard = (int16_t)shard;
        g[i].class = (uint8_t)class;
    }
    __atomic_store_n(&slab_count, first + count, __ATOMIC_RELEASE);
    return first;
}

size_t mo_heap_grow(unsigned class, int shard, size_t held, uint32_t *first)
{
    size_t span = (size_t)1 << mo_sealed.classes[class].span_shift;
    size_t least = mo_max(span, MO_GRANULE);
    size_t size = mo_max(mo_min(mo_pow2_floor(mo_max(held / 2, 1)), LARGEST_REGION), least);
    size_t count = 0;

    mo_lock(&heap_lock);
    while (count == 0 && size >= least) {
        struct window *w = NULL;
        uintptr_t base = take_run(size >> MO_GRANULE_SHIFT, &w);
        if (base != 0)
            *first = describe(base, size, class, shard, w->markers);
        if (base != 0 && *first != 0) {
            w->free -= (uint32_t)(size >> MO_GRANULE_SHIFT);
            count = size / span;
        }
        size /= 2;
    }
    mo_unlock(&heap_lock);
    return count;
}

size_t mo_heap_slab_count(void)
{
    return __atomic_load_n(&slab_count, __ATOMIC_ACQUIRE);
}

uint32_t *mo_heap_list(size_t count)
{
    mo_lock(&heap_lock);
    uint32_t *list = mo_table_take(&lists, count * sizeof *list);
    mo_unlock(&heap_lock);
    return list;
}

/* Sets the bits of further slots. */
void mo_slab_introduce(struct mo_slab *slab, const struct mo_class *k)
{
    unsigned first = slab->introduced, last = (unsigned)mo_min(k->slots, first + MO_SLAB_STEP);
    for (unsigned s = first; s < last; s++)
        slab->free[s / 64] |= (uint64_t)1 << (s % 64);
    slab->introduced = (uint16_t)last;
    slab->free_count = (uint16_t)(slab->free_count + last - first);
}

void mo_slab_renew(struct mo_slab *slab, const struct mo_class *k)
{
    for (unsigned w = 0; w * 64 < slab->introduced; w++)
        slab->free[w] = 0;
    slab->introduced = slab->free_count = 0;
    mo_slab_introduce(slab, k);
}

bool mo_slab_agrees(uint32_t number, unsigned class, int shard)
{
    if (number >= mo_heap_slab_count())
        return false;
    const struct mo_slab *slab = &mo_sealed.slabs[number];
    size_t span = (size_t)1 << mo_sealed.classes[class].span_shift;
    if (slab->class != class || slab->shard != shard || slab->base - mo_sealed.heap_base >= mo_sealed.heap_size)
        return false;
    const struct mo_granule *g = mo_granule_of(slab->base);
    return g->class == class && g->shard == shard && (slab->base & (span - 1)) == 0 && g->slab == number;
}

bool mo_slab_open(struct mo_slab *slab, bool fill)
{
    const struct mo_class *k = &mo_sealed.classes[slab->class];
    if (slab->class == MO_CLASS_ZERO) { /* addresses only */
        slab->flags |= MO_SLAB_OPEN;
        return true;
    }
    if (slab->flags & MO_SLAB_MARKERS) {
        if (!mo_os_unguard((void *)slab->base, k->slab_bytes))
            return false;
    } else if (mo_sealed.options.guards != MO_GUARDS_OFF &&
               __atomic_load_n(&slab_mappings, __ATOMIC_RELAXED) + 2 <= mo_sealed.options.guard_mappings) {
        if (!open_pages(slab->base, k->slab_bytes))
            return false;
        __atomic_add_fetch(&slab_mappings, 2, __ATOMIC_RELAXED);
    } else {
        /* Its neighbours' pages and its own then are one mapping. */
        if (!open_pages(slab->base, (size_t)1 << k->span_shift))
            return false;
        slab->flags |= MO_SLAB_BARE;
    }
    if (!(slab->flags & MO_SLAB_BARE))
        __atomic_add_fetch(&guards, 1, __ATOMIC_RELAXED);
    slab->flags |= MO_SLAB_OPEN;
    if (fill) {
        slab->flags |= MO_SLAB_FILLED;
        mo_os_populate((void *)slab->base, k->slab_bytes);
    }
    return true;
}

void mo_slab_fill(const struct mo_slab *slab, const struct mo_class *k, unsigned first)
{
    if (k->stride > FILL_STRIDE || slab->class == MO_CLASS_ZERO || (slab->flags & MO_SLAB_FILLED))
        return;
    uintptr_t page = mo_sealed.features.page, slots = slab->base + MO_HEADER;
    uintptr_t from = mo_align_down(slots + (size_t)first * k->stride, page);
    mo_os_populate((void *)from, mo_align_up(slots + (size_t)slab->introduced * k->stride, page) - from);
}

/* One slab without markers. */
static bool close_mapping(struct mo_slab *slab, size_t bytes)
{
    void *base = (void *)slab->base;
    if (!mo_os_purge(base, bytes))
        return false;
    if (slab->flags & MO_SLAB_BARE)
        return false; /* given back, but it stays accessible */
    if (!mo_os_close(base, bytes))
        return false;
    __atomic_sub_fetch(&slab_mappings, 2, __ATOMIC_RELAXED);
    return true;
}

/* The kernel has refused markers for some page of several slabs: each open one loses those it has got, and is tried
 * alone. */
static size_t close_apart(struct mo_slab *slab, size_t count)
{
    size_t closed = 0;
    for (size_t i = 0; i < count; i++) {
        if (!(slab[i].flags & MO_SLAB_OPEN))
            continue;
        (void)!mo_os_unguard((void *)slab[i].base, mo_sealed.classes[slab[i].class].slab_bytes);
        closed += mo_slabs_close(&slab[i], 1);
    }
    return closed;
}

size_t mo_slabs_close(struct mo_slab *slab, size_t count)
{
    const struct mo_class *k = &mo_sealed.classes[slab->class];
    size_t bytes = ((count - 1) << k->span_shift) + k->slab_bytes, closed = 0;
    if (slab->class == MO_CLASS_ZERO)
        return 0;
    if (count > 1) {
        if (!mo_os_guard((void *)slab->base, bytes))
            return close_apart(slab, count);
    } else if (!(slab->flags & MO_SLAB_MARKERS ? mo_os_guard_whole((void *)slab->base, bytes)
                                               : close_mapping(slab, bytes))) {
        return 0;
    }
    for (size_t i = 0; i < count; i++) {
        if (!(slab[i].flags & MO_SLAB_OPEN))
            continue;
        __atomic_store_n(&slab[i].flags,
                         (uint8_t)((slab[i].flags & ~(MO_SLAB_OPEN | MO_SLAB_FILLED | MO_SLAB_HOLES)) | MO_SLAB_PURGED),
                         __ATOMIC_RELAXED);
        closed++;
    }
    __atomic_sub_fetch(&guards, closed, __ATOMIC_RELAXED);
    return closed;
}

size_t mo_slabs_offer(struct mo_slab *slab, size_t count)
{
    const struct mo_class *k = &mo_sealed.classes[slab->class];
    size_t offered = 0;
    for (size_t i = 0; i < count; i++) {
        if (slab[i].class == MO_CLASS_ZERO || !(slab[i].flags & MO_SLAB_OPEN) ||
            !mo_os_offer((void *)slab[i].base, k->slab_bytes))
            continue;
        __atomic_store_n(&slab[i].flags, (uint8_t)(slab[i].flags | MO_SLAB_LAZY), __ATOMIC_RELAXED);
        offered++;
    }
    return offered;
}

void mo_heap_locks(mo_lock_visit *visit)
{
    visit(&heap_lock);
}

const struct mo_heap_places mo_heap_places = {&guards,       &slab_mappings, &slab_count, &window_count,
                                              &window_bytes, &states,        &slabs,      &lists};

void mo_heap_figures(struct mo_heap_figures *f)
{
    f->metadata = states.before + states.used + slabs.used + lists.before + lists.used +
                  window_count * sizeof *windows + (window_bytes >> MO_GRANULE_SHIFT) * sizeof(struct mo_granule);
    f->windows = window_count;
    f->guards = __atomic_load_n(&guards, __ATOMIC_RELAXED);
    f->mappings = window_count + __atomic_load_n(&slab_mappings, __ATOMIC_RELAXED);
}
