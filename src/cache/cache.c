#include "cache/cache.h"

/* Its stream is never written: the gate fails before. */
const struct mo_cache mo_cache_none = MO_CACHE_NONE;

__thread struct mo_cache *mo_cache_mine __attribute__((tls_model("initial-exec"))) =
    (struct mo_cache *)(uintptr_t)&mo_cache_none;

/* Guarded by pool_lock. */
static struct mo_lock pool_lock = MO_LOCK(MO_RANK_CACHES);
static struct mo_cache *all, *idle[2]; /* idle: threads', heaps' */
static size_t cache_count, idle_count, heap_count;

const struct mo_cache_places mo_cache_places = {&all, &cache_count};

void mo_cache_start(void)
{
    mo_sealed.cache_bytes = mo_align_up(sizeof(struct mo_cache), MO_CACHE_LINE);
    mo_sealed.classes[0].ready_at = MO_CACHE_EMPTY_TOP; /* requests of 0 bytes look there */
}

static struct mo_cache *fill(struct mo_cache *c, struct mo_random *r, bool wiped, bool heap)
{
    c->random = r;
    c->wiped = wiped;
    c->stock[0].top = MO_CACHE_EMPTY_TOP;
    for (unsigned class = MO_CLASS_FIRST; class < MO_CLASSES; class++) {
        c->batch[class] = MO_FIRST_BATCH;
        c->stock[class].top = mo_sealed.classes[class].ready_at;
        c->stock[class].fifo = mo_sealed.classes[class].fifo_at;
    }
    heap_count += heap;
    size_t number = ++cache_count - heap_count;
    mo_cache_name(c, heap ? MO_OWNER_SHARED : (unsigned)mo_min(number, MO_OWNER_SHARED));
    c->shard = (int32_t)((number - 1) % mo_sealed.shard_count);
    c->next = all;
    __atomic_store_n(&all, c, __ATOMIC_RELEASE); /* read without the lock */
    return c;
}

bool mo_cache_first(struct mo_random *r, bool wiped)
{
    struct mo_cache *c = mo_os_map_guarded(mo_sealed.cache_bytes, "moat cache");
    if (c == NULL)
        return false;
    mo_os_populate(c, mo_sealed.features.page);
    mo_cache_give(fill(c, r, wiped, false));
    return true;
}

/* A mapping with two parts between inaccessible pages: the cache, and its random stream. */
static struct mo_cache *make(bool heap)
{
    size_t page = mo_sealed.features.page;
    size_t bytes = mo_align_up(mo_sealed.cache_bytes, page);
    char *base = mo_os_reserve(0, bytes + 4 * page, page);
    if (base == NULL)
        return NULL;
    struct mo_cache *c = (struct mo_cache *)(base + page);
    struct mo_random *r = (struct mo_random *)(base + page + bytes + page);
    if (!mo_os_open(c, bytes) || !mo_os_open(r, page)) {
        mo_os_unmap(base, bytes + 4 * page);
        return NULL;
    }
    mo_os_name(c, bytes, "moat cache");
    /* Without it mo_cache_forked wipes. With a seed a child goes on with its parent's numbers. */
    return fill(c, r, mo_sealed.options.seed != 0 || mo_os_wipe_on_fork(r, page), heap);
}

struct mo_cache *mo_cache_take(int shard)
{
    bool heap = shard < 0;
    mo_lock(&pool_lock);
    struct mo_cache *c = idle[heap];
    if (c != NULL) {
        idle[heap] = c->next_idle;
        __atomic_sub_fetch(&idle_count, !heap, __ATOMIC_RELAXED); /* read without the lock */
    } else {
        c = make(heap);
    }
    if (c != NULL) {
        c->in_use = true;
        c->shard = heap ? shard : c->shard;
    }
    mo_unlock(&pool_lock);
    return c;
}

bool mo_cache_pool_is_full(void)
{
    return __atomic_load_n(&idle_count, __ATOMIC_RELAXED) >= 2 * mo_sealed.shard_count + 2;
}

void mo_cache_give(struct mo_cache *c)
{
    mo_lock(&pool_lock);
    c->in_use = false;
    bool heap = c->shard < 0;
    c->next_idle = idle[heap];
    idle[heap] = c;
    __atomic_add_fetch(&idle_count, !heap, __ATOMIC_RELAXED);
    mo_unlock(&pool_lock);
}

size_t mo_cache_waiting(const struct mo_cache *c, const struct mo_class *k)
{
    size_t n = 0;
    for (const uintptr_t *at = mo_cache_at(c, k->random_at); at < mo_cache_at(c, k->fifo_end); at++)
        n += *at != 0; /* the random half and the queue lie side by side */
    return n;
}

void mo_cache_forked(void)
{
    for (struct mo_cache *c = all; c != NULL; c = c->next) {
        if (!c->wiped) /* else this would only cost a page fault */
            c->random->left = c->random->seeded = 0;
        if (c != mo_cache_mine && c->in_use) /* never taken again: not in the pool */
            mo_cache_name(c, MO_OWNER_SHARED);
    }
}

const struct mo_cache *mo_cache_next(const struct mo_cache *c)
{
    return c == NULL ? __atomic_load_n(&all, __ATOMIC_ACQUIRE) : c->next;
}

size_t mo_cache_count(void)
{
    return cache_count;
}

void mo_cache_locks(mo_lock_visit *visit)
{
    visit(&pool_lock);
}
