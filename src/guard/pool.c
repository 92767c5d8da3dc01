#include "guard/pool.h"

#include "diag/sealed.h"
#include "guard/sampler.h"
#include "mem/classes.h"
#include "mem/large_table.h"

enum {
    STEP = 64,    /* slots brought into use at once: their page tables are 5 KiB */
    SINGLY = 16,  /* the same where each costs a system call */
    PLAIN = 16,   /* alignment of every payload, but for option align=natural */
    KINDS = 8,    /* of slots, by their pages */
    TRIES = 32,   /* for a slot of the right size class, where there are very many */
    PER_LIVE = 16 /* slots for each sampled chunk that may be live: each belongs to one size class for good */
};

/* Slots of one size, side by side. Guarded by pool_lock; start to slots never change once there is a pool. The queue is
 * a ring of the numbers of those that are not in use, oldest at queue_at. */
struct kind {
    uintptr_t start; /* of the first slot; what lies before it is inaccessible */
    size_t room;     /* bytes of a slot without the guard page behind it */
    size_t span;     /* with it */
    size_t first;    /* the first one's number in the table */
    size_t slots;    /* how many there may be */
    size_t used;     /* how many are in use by now; atomic */
    size_t fresh;    /* of those, how many have been taken or are in the queue */
    size_t known;    /* of those, how many a forked child has from its parent */
    size_t queue_at, queue_count;
    size_t live;
};

uintptr_t mo_pool_base;
size_t mo_pool_size;
uint32_t mo_pool_turn MO_FORKED;

/* Guarded by pool_lock. */
static struct mo_lock pool_lock MO_FORKED = MO_LOCK(MO_RANK_POOL);
static struct kind kinds[KINDS] MO_FORKED;
static size_t kind_count;
struct mo_pool_slot *mo_pool_table;
struct mo_pool_stacks *mo_pool_stacks;
static uint32_t *queue;
static size_t live_bytes MO_FORKED, live_count MO_FORKED, taken MO_FORKED, missed MO_FORKED;
static bool refused; /* no address space: there will be no pool */
static bool frozen;  /* atomic */

static uintptr_t start_of(const struct kind *k, size_t i)
{
    return k->start + i * k->span;
}

/* Without guard markers a live slot splits the mapping around it in up to three. */
static size_t split_most(void)
{
    return mo_sealed.features.guard_install ? SIZE_MAX : mo_sealed.options.guard_mappings / 3;
}

/* Sampled chunks are few: each has room for the largest. Where all are sampled there is a kind for each number of
 * pages, so that address space and page tables are in proportion, and slots of more pages are fewer. Returns bytes. */
static size_t lay_out(size_t slots, size_t *all)
{
    size_t page = mo_sealed.features.page, size = page, most = mo_align_up(MO_POOL_MOST, page);
    kind_count = mo_sampler_is_dense() ? mo_min(most / page, KINDS) : 1;
    *all = 0;
    for (size_t i = 0; i < kind_count; i++) {
        struct kind *k = &kinds[i];
        k->room = i == kind_count - 1 ? most : (i + 1) * page;
        k->span = k->room + page;
        k->start = size; /* from the base, as yet */
        k->first = *all;
        k->slots = slots / (i + 1);
        size += k->slots * k->span;
        *all += k->slots;
    }
    return size;
}

static bool reserve_locked(void)
{
    size_t page = mo_sealed.features.page, slots = mo_sealed.options.sample_slots, all;
    if (!mo_sampler_is_dense())
        slots = mo_min(slots, split_most()) * PER_LIVE;
    size_t size = lay_out(slots, &all);
    while (size > mo_sealed.features.address_limit / 16 && slots > (mo_sampler_is_dense() ? STEP : 1))
        size = lay_out(slots /= 2, &all);
    if (slots == 0 || size > mo_sealed.features.address_limit / 16)
        return false;
    mo_pool_table = mo_os_map_guarded(all * sizeof *mo_pool_table, "moat guarded");
    mo_pool_stacks = mo_os_map_guarded(all * sizeof *mo_pool_stacks, "moat guarded");
    queue = mo_os_map_guarded(all * sizeof *queue, "moat guarded");
    uintptr_t base = (uintptr_t)mo_os_reserve(0, size, page);
    if (mo_pool_table == NULL || mo_pool_stacks == NULL || queue == NULL || base == 0)
        return false; /* once in a process's life: what did fit stays */
    for (size_t i = 0; i < kind_count; i++)
        kinds[i].start += base;
    __atomic_store_n(&mo_pool_base, base, __ATOMIC_RELAXED); /* others compare with it as long as the size is 0 */
    __atomic_store_n(&mo_pool_size, size, __ATOMIC_RELEASE);
    mo_large_watch(NULL, false);
    return true;
}

static void enqueue_locked(struct kind *k, size_t i)
{
    queue[k->first + (k->queue_at + k->queue_count) % k->slots] = (uint32_t)i;
    k->queue_count++;
}

/* Markers need a mapping that is accessible otherwise, and one piece of it for all slots. Where all chunks are sampled
 * the slots stay open, with markers only between them: that saves each its system call when it is taken first. */
static void extend_locked(struct kind *k)
{
    bool dense = mo_sampler_is_dense();
    size_t n = mo_min(dense ? SINGLY : STEP, k->slots - k->used), page = mo_sealed.features.page;
    char *area = (char *)start_of(k, k->used);
    bool markers = mo_sealed.features.guard_install && mo_os_open(area, n * k->span);
    if (markers && !(dense ? mo_os_guard_each(area + k->room, page, k->span, n) : mo_os_guard(area, n * k->span))) {
        markers = false; /* locked memory */
        if (!mo_os_close(area, n * k->span))
            return;
    }
    for (size_t i = k->used; i < k->used + n; i++) {
        struct mo_pool_slot *g = &mo_pool_table[k->first + i];
        g->markers = markers;
        g->split = !markers;
        g->ready = markers && dense;
        if (!dense)
            enqueue_locked(k, i);
    }
    __atomic_store_n(&k->used, k->used + n, __ATOMIC_RELEASE);
    if (!dense)
        k->fresh = k->used;
}

/* Takes the slot at a place of the queue: the oldest one changes places with it. */
static struct mo_pool_slot *dequeue_locked(struct kind *k, size_t place)
{
    size_t at = k->first + (k->queue_at + place) % k->slots;
    uint32_t i = queue[at];
    queue[at] = queue[k->first + k->queue_at];
    k->queue_at = (k->queue_at + 1) % k->slots;
    k->queue_count--;
    return &mo_pool_table[k->first + i];
}

/* A slot for a chunk of the class: of the older half of the queue one that has been of this class before, or of all of
 * it one that has been of none; the first of those from a random place on. Where all chunks are sampled, which is for
 * hunting bugs, any of the older half. NULL: there is none. */
static struct mo_pool_slot *find_locked(struct kind *k, unsigned class, struct mo_random *r)
{
    size_t count = k->queue_count, half = (count + 1) / 2;
    if (count == 0)
        return NULL;
    if (mo_sampler_is_dense())
        return dequeue_locked(k, mo_random_below(r, (uint32_t)mo_min(half, 65536)));
    size_t place = mo_random_below(r, (uint32_t)mo_min(count, 65536));
    for (size_t looks = count; looks > 0; looks--, place = place + 1 < count ? place + 1 : 0) {
        const struct mo_pool_slot *g = &mo_pool_table[k->first + queue[k->first + (k->queue_at + place) % k->slots]];
        if (g->class == 0 || (g->class == class && place < half))
            return dequeue_locked(k, place);
    }
    return NULL;
}

static struct mo_pool_slot *choose_locked(size_t bytes, unsigned class, struct mo_random *r)
{
    refused = refused || (mo_pool_size == 0 && !reserve_locked());
    if (refused || __atomic_load_n(&frozen, __ATOMIC_RELAXED))
        return NULL;
    struct kind *k = &kinds[kind_count == 1 || bytes == 0 ? 0 : (bytes - 1) / mo_sealed.features.page];
    bool dense = mo_sampler_is_dense();
    size_t most = dense ? k->slots : mo_min(k->slots, mo_sealed.options.sample_slots);
    if (k->live >= most - most / 4 || live_count >= split_most() ||
        (dense && live_bytes + k->room > mo_sealed.options.sample_bytes))
        return NULL;
    struct mo_pool_slot *g = dense ? NULL : find_locked(k, class, r);
    if (g == NULL && k->fresh == k->used && k->used < k->slots)
        extend_locked(k);
    if (g == NULL && k->fresh < k->used)
        g = &mo_pool_table[k->first + k->fresh++];
    if (g == NULL)
        g = find_locked(k, class, r);
    if (g == NULL)
        return NULL;
    g->class = (uint8_t)class;
    k->live++;
    live_count++;
    return g;
}

/* The kind that an address of the pool belongs to. */
static struct kind *kind_of(uintptr_t a)
{
    size_t i = kind_count - 1;
    while (i > 0 && a < kinds[i].start)
        i--;
    return &kinds[i];
}

static struct kind *kind_of_slot(const struct mo_pool_slot *g)
{
    size_t i = kind_count - 1;
    while ((size_t)(g - mo_pool_table) < kinds[i].first)
        i--;
    return &kinds[i];
}

/* Chooses where in its slot the payload lies. Against the far end: as close as its alignment lets it. */
static void place(struct mo_pool_slot *g, size_t n, size_t align, bool far)
{
    size_t page = mo_sealed.features.page;
    const struct kind *k = kind_of_slot(g);
    uintptr_t start = start_of(k, (size_t)(g - mo_pool_table) - k->first), end = start + k->room;
    g->p = far ? mo_align_down(end - mo_max(n, 1), align) : start;
    g->n = n;
    g->open = n != 0 ? mo_align_down(g->p, page) : start;
    g->open_size = n != 0 ? mo_align_up(g->p + n, page) - g->open : 0;
}

/* By the strongest means that works; zero in any case when they are opened again. */
static void close_range(struct mo_pool_slot *g, uintptr_t from, size_t size)
{
    void *pages = (void *)from;
    g->ready = false;
    if (size == 0 || (g->markers && mo_os_guard_whole(pages, size)))
        return;
    if (!mo_os_purge(pages, size)) /* locked memory */
        __builtin_memset(pages, 0, size);
    g->split = mo_os_close(pages, size) || g->split;
}

static bool open_pages(struct mo_pool_slot *g)
{
    void *pages = (void *)g->open;
    if (g->ready && g->open_size == 0)
        close_range(g, g->open, kind_of_slot(g)->room);
    if (g->ready || g->open_size == 0)
        return true;
    return (!g->markers || mo_os_unguard(pages, g->open_size)) && (!g->split || mo_os_open(pages, g->open_size));
}

static void give_back(struct mo_pool_slot *g, enum mo_pool_state state)
{
    mo_lock(&pool_lock);
    struct kind *k = kind_of_slot(g);
    g->state = (uint8_t)state;
    live_bytes -= g->open_size;
    k->live--;
    live_count--;
    enqueue_locked(k, (size_t)(g - mo_pool_table) - k->first);
    mo_unlock(&pool_lock);
}

/* What the payload's address is a multiple of. */
static size_t alignment(size_t n, size_t align)
{
    if (align > PLAIN)
        return align;
    if (mo_sealed.options.align == MO_ALIGN_STRICT || n == 0)
        return PLAIN;
    return mo_max(mo_min(n & -n, PLAIN), align); /* what any type of that size can need */
}

struct mo_pool_slot *mo_pool_take_once(size_t n, size_t align, struct mo_random *r)
{
    if (n > MO_POOL_MOST || align > mo_sealed.features.page)
        return NULL;
    size_t needs = alignment(n, align), bytes = mo_align_up(n, needs);
    if (bytes > MO_POOL_MOST)
        return NULL;
    mo_lock(&pool_lock);
    struct mo_pool_slot *g = choose_locked(bytes, n != 0 ? mo_class_of(bytes) : MO_CLASS_ZERO, r);
    if (g != NULL) {
        g->state = MO_POOL_BUSY;
        g->align = align > PLAIN ? (uint32_t)align : 0;
        place(g, n, needs, mo_pool_is_far(r));
        live_bytes += g->open_size;
    }
    *(g != NULL ? &taken : &missed) += 1;
    mo_unlock(&pool_lock);
    if (g == NULL || open_pages(g))
        return g;
    give_back(g, MO_POOL_UNUSED);
    return NULL;
}

void mo_pool_publish(struct mo_pool_slot *g)
{
    __atomic_store_n(&g->state, MO_POOL_LIVE, __ATOMIC_RELEASE);
}

/* The slot in whose span a lies; NULL before the first and behind those in use. */
static struct mo_pool_slot *slot_of(uintptr_t a)
{
    if (!mo_pool_holds(a))
        return NULL;
    const struct kind *k = kind_of(a);
    if (a < k->start)
        return NULL;
    size_t i = (a - k->start) / k->span;
    return i < __atomic_load_n(&k->used, __ATOMIC_RELAXED) ? &mo_pool_table[k->first + i] : NULL;
}

const struct mo_stack *mo_pool_stack_once(const struct mo_pool_slot *g, bool freed)
{
    const struct mo_stack *s = &mo_pool_stacks[g - mo_pool_table].of[freed];
    return mo_sealed.options.malloc_context_size != 0 && s->count != 0 ? s : NULL;
}

void mo_pool_keep_stack_once(const struct mo_pool_slot *g, bool freed)
{
    if (MO_SMALL || mo_sealed.options.malloc_context_size == 0)
        return;
    struct mo_stack *of = mo_pool_stacks[g - mo_pool_table].of;
    of[true].count = 0;
    mo_stack_take(&of[freed], mo_sealed.options.malloc_context_size);
}

struct mo_pool_slot *mo_pool_find(uintptr_t p)
{
    struct mo_pool_slot *g = slot_of(p);
    bool live = g != NULL && __atomic_load_n(&g->state, __ATOMIC_ACQUIRE) == MO_POOL_LIVE && g->p == p;
    return live ? g : NULL;
}

struct mo_pool_slot *mo_pool_claim(uintptr_t p)
{
    mo_lock(&pool_lock);
    struct mo_pool_slot *g = mo_pool_find(p);
    if (g != NULL)
        g->state = MO_POOL_BUSY; /* from here on a second free is a double free */
    mo_unlock(&pool_lock);
    return g;
}

void mo_pool_retire_once(struct mo_pool_slot *g)
{
    close_range(g, g->open, g->open_size);
    give_back(g, MO_POOL_WAITING);
}

/* How far a is from the payload of g; never used: far away. */
static size_t distance(const struct mo_pool_slot *g, uintptr_t a)
{
    if (g == NULL || g->state == MO_POOL_UNUSED)
        return SIZE_MAX;
    return a < g->p ? g->p - a : a - g->p < g->n ? 0 : a - g->p - g->n;
}

struct mo_pool_slot *mo_pool_around(uintptr_t a)
{
    if (!mo_pool_holds(a))
        return NULL;
    size_t span = kind_of(a)->span, least = SIZE_MAX;
    struct mo_pool_slot *best = NULL;
    /* The guard page behind a slot, and the pages of it that are not open, are the next one's too. */
    uintptr_t beside[] = {a, a - span, a + span, a + mo_sealed.features.page};
    for (size_t i = 0; i < MO_ARRAY_LEN(beside); i++) {
        struct mo_pool_slot *g = slot_of(beside[i]);
        size_t d = distance(g, a);
        if (d < least) {
            least = d;
            best = g;
        }
    }
    return best;
}

void mo_pool_freeze(void)
{
    __atomic_store_n(&frozen, true, __ATOMIC_RELAXED);
}

const struct mo_pool_places mo_pool_places = {&live_bytes, &live_count,           &taken,         &missed,
                                              &kind_count, &kinds[0].queue_count, sizeof kinds[0]};

void mo_pool_figures_once(struct mo_pool_figures *f)
{
    *f = (struct mo_pool_figures){0};
    bool held = mo_lock_patiently(&pool_lock);
    f->live_bytes = live_bytes;
    f->live_count = live_count;
    for (size_t i = 0; i < kind_count; i++) {
        const struct kind *k = &kinds[i];
        f->waiting_count += k->queue_count;
        f->table_bytes += k->used * (sizeof *mo_pool_table + sizeof *queue + sizeof *mo_pool_stacks);
    }
    f->taken = taken;
    f->missed = missed;
    if (held)
        mo_unlock(&pool_lock);
}

void mo_pool_lock(void)
{
    mo_lock(&pool_lock);
}

void mo_pool_locks(mo_lock_visit *visit)
{
    visit(&pool_lock);
}

void mo_pool_unlock(void)
{
    mo_unlock(&pool_lock);
}

bool mo_pool_hold(void)
{
    return mo_lock_patiently(&pool_lock);
}

void mo_pool_prepare(void)
{
    if (!mo_pool_hold())
        return;
    struct kind *k = &kinds[0];
    if (mo_pool_size != 0 && mo_sampler_is_dense() && k->used - k->fresh < SINGLY && k->used < k->slots)
        extend_locked(k);
    mo_unlock(&pool_lock);
}

void mo_pool_forked(void)
{
    for (size_t i = 0; i < kind_count && mo_sampler_is_dense(); i++)
        kinds[i].known = kinds[i].fresh;
}

const struct mo_pool_slot *mo_pool_next_locked(size_t *at, bool known)
{
    for (size_t i = 0; i < kind_count; i++) {
        size_t first = kinds[i].first, end = first + kinds[i].used;
        for (*at = mo_max(*at, first + (known ? 0 : kinds[i].known)); *at < end;) {
            const struct mo_pool_slot *g = &mo_pool_table[(*at)++];
            if (__atomic_load_n(&g->state, __ATOMIC_ACQUIRE) == MO_POOL_LIVE)
                return g;
        }
    }
    return NULL;
}

#define OTHERWISE(name) __attribute__((weak, alias(#name "_once")))
OTHERWISE(mo_pool_take) struct mo_pool_slot *mo_pool_take(size_t n, size_t align, struct mo_random *r);
OTHERWISE(mo_pool_retire) void mo_pool_retire(struct mo_pool_slot *g);
OTHERWISE(mo_pool_figures) void mo_pool_figures(struct mo_pool_figures *f);
OTHERWISE(mo_pool_stack) const struct mo_stack *mo_pool_stack(const struct mo_pool_slot *g, bool freed);
OTHERWISE(mo_pool_keep_stack) void mo_pool_keep_stack(const struct mo_pool_slot *g, bool freed);
