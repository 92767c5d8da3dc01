#include "guard/pool.h"

#include "diag/sealed.h"

enum {
    STEP = 64, /* slots brought into use at once: their page tables are 5 KiB */
    PLAIN = 16 /* alignment of every payload */
};

uintptr_t mo_pool_base;
size_t mo_pool_size;

/* Guarded by pool_lock. The queue is a ring of the numbers of all slots that are not in use, oldest at queue_at. */
static struct mo_lock pool_lock;
static struct mo_pool_slot *table;
static uint32_t *queue;
static size_t span;        /* bytes from one slot to the next, a guard page included */
static size_t slots, used; /* how many there may be, and how many are in use by now */
static size_t queue_at, queue_count;
static size_t live_bytes, live_count, taken;
static bool refused; /* no address space: there will be no pool */
static bool frozen;  /* atomic */

/* Where slot i starts. The pool starts with a guard page. */
static uintptr_t start_of(size_t i)
{
    return mo_pool_base + mo_sealed.features.page + i * span;
}

/* Without guard markers a live slot splits the mapping around it in up to three. */
static size_t slots_wanted(void)
{
    size_t n = mo_sealed.options.sample_slots;
    return mo_sealed.features.guard_install ? n : mo_min(n, mo_sealed.options.guard_mappings / 3);
}

static bool reserve_locked(void)
{
    size_t page = mo_sealed.features.page;
    span = mo_align_up(MO_POOL_MOST, page) + page;
    slots = slots_wanted();
    size_t size = page + slots * span;
    if (slots == 0 || size > mo_sealed.features.address_limit / 16)
        return false;
    table = mo_os_map_guarded(slots * sizeof *table, "moat guarded");
    queue = mo_os_map_guarded(slots * sizeof *queue, "moat guarded");
    uintptr_t base = (uintptr_t)mo_os_reserve(0, size, page);
    if (table == NULL || queue == NULL || base == 0)
        return false;                                        /* once in a process's life: what did fit stays */
    __atomic_store_n(&mo_pool_base, base, __ATOMIC_RELAXED); /* others compare with it as long as the size is 0 */
    __atomic_store_n(&mo_pool_size, size, __ATOMIC_RELEASE);
    return true;
}

static void enqueue_locked(size_t i)
{
    queue[(queue_at + queue_count) % slots] = (uint32_t)i;
    queue_count++;
}

/* Markers need a mapping that is accessible otherwise, and one piece of it for all slots. */
static void extend_locked(void)
{
    size_t n = mo_min(STEP, slots - used);
    void *area = (void *)start_of(used);
    bool markers = mo_sealed.features.guard_install && mo_os_open(area, n * span);
    if (markers && !mo_os_guard(area, n * span)) { /* locked memory */
        markers = false;
        if (!mo_os_close(area, n * span))
            return;
    }
    for (size_t i = used; i < used + n; i++) {
        table[i].markers = markers;
        table[i].split = !markers;
        enqueue_locked(i);
    }
    __atomic_store_n(&used, used + n, __ATOMIC_RELEASE);
}

/* Takes a slot of the older half of the queue: the oldest one changes places with it. */
static struct mo_pool_slot *dequeue_locked(struct mo_random *r)
{
    refused = refused || (mo_pool_size == 0 && !reserve_locked());
    if (refused || __atomic_load_n(&frozen, __ATOMIC_RELAXED))
        return NULL;
    if (queue_count <= STEP / 2 && used < slots)
        extend_locked();
    if (queue_count == 0 || live_count >= slots - slots / 4)
        return NULL;
    size_t half = mo_min((queue_count + 1) / 2, 65536);
    size_t at = (queue_at + mo_random_below(r, (uint32_t)half)) % slots;
    uint32_t i = queue[at];
    queue[at] = queue[queue_at];
    queue_at = (queue_at + 1) % slots;
    queue_count--;
    return &table[i];
}

/* Chooses where in its slot the payload lies. Against the far end: as close as its alignment lets it. */
static void place(struct mo_pool_slot *g, size_t n, size_t align, bool far)
{
    size_t page = mo_sealed.features.page;
    uintptr_t start = start_of((size_t)(g - table)), end = start + span - page;
    g->p = far ? mo_align_down(end - mo_max(n, 1), mo_max(align, PLAIN)) : start;
    g->n = n;
    g->align = align > PLAIN ? align : 0;
    g->open = n != 0 ? mo_align_down(g->p, page) : start;
    g->open_size = n != 0 ? mo_align_up(g->p + n, page) - g->open : 0;
}

static bool open_pages(const struct mo_pool_slot *g)
{
    void *pages = (void *)g->open;
    if (g->open_size == 0)
        return true;
    return (!g->markers || mo_os_unguard(pages, g->open_size)) && (!g->split || mo_os_open(pages, g->open_size));
}

/* By the strongest means that works; zero in any case when they are opened again. */
static void close_pages(struct mo_pool_slot *g)
{
    void *pages = (void *)g->open;
    if (g->open_size == 0 || (g->markers && mo_os_guard_whole(pages, g->open_size)))
        return;
    if (!mo_os_purge(pages, g->open_size)) /* locked memory */
        __builtin_memset(pages, 0, g->open_size);
    g->split = mo_os_close(pages, g->open_size) || g->split;
}

static void give_back(struct mo_pool_slot *g, enum mo_pool_state state)
{
    mo_lock(&pool_lock);
    g->state = (uint8_t)state;
    live_bytes -= g->open_size;
    live_count--;
    enqueue_locked((size_t)(g - table));
    mo_unlock(&pool_lock);
}

struct mo_pool_slot *mo_pool_take(size_t n, size_t align, struct mo_random *r)
{
    if (n > MO_POOL_MOST || align > mo_sealed.features.page || mo_align_up(n, mo_max(align, 1)) > MO_POOL_MOST)
        return NULL;
    mo_lock(&pool_lock);
    struct mo_pool_slot *g = dequeue_locked(r);
    if (g != NULL) {
        g->state = MO_POOL_BUSY;
        place(g, n, align, mo_random_below(r, 2) != 0);
        live_bytes += g->open_size;
        live_count++;
        taken++;
    }
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
    if (!mo_pool_holds(a) || a < start_of(0))
        return NULL;
    size_t i = (a - start_of(0)) / span;
    return i < __atomic_load_n(&used, __ATOMIC_RELAXED) ? &table[i] : NULL;
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

void mo_pool_retire(struct mo_pool_slot *g)
{
    close_pages(g);
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
    size_t page = mo_sealed.features.page;
    struct mo_pool_slot *here = slot_of(a), *best = here;
    /* The guard page behind a slot, and the pages of it that are not open, are the next one's too. */
    struct mo_pool_slot *beside[] = {slot_of(a - span), slot_of(a + span)};
    if (a - mo_pool_base < page)
        beside[1] = slot_of(start_of(0));
    for (size_t i = 0; i < MO_ARRAY_LEN(beside); i++)
        if (distance(beside[i], a) < distance(best, a))
            best = beside[i];
    return distance(best, a) != SIZE_MAX ? best : NULL;
}

void mo_pool_freeze(void)
{
    __atomic_store_n(&frozen, true, __ATOMIC_RELAXED);
}

void mo_pool_figures(struct mo_pool_figures *f)
{
    mo_lock(&pool_lock);
    f->live_bytes = live_bytes;
    f->live_count = live_count;
    f->waiting_count = queue_count;
    f->table_bytes = used * (sizeof *table + sizeof *queue);
    f->taken = taken;
    mo_unlock(&pool_lock);
}

void mo_pool_lock(void)
{
    mo_lock(&pool_lock);
}

void mo_pool_unlock(void)
{
    mo_unlock(&pool_lock);
}

bool mo_pool_hold(void)
{
    return mo_lock_patiently(&pool_lock);
}

const struct mo_pool_slot *mo_pool_next_locked(size_t *at)
{
    while (*at < used) {
        const struct mo_pool_slot *g = &table[(*at)++];
        if (__atomic_load_n(&g->state, __ATOMIC_ACQUIRE) == MO_POOL_LIVE)
            return g;
    }
    return NULL;
}
