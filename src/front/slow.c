#include "front/slow.h"

#include <errno.h>
#include <string.h>

#include "diag/extra.h"
#include "diag/report.h"
#include "front/big.h"
#include "front/check.h"
#include "front/guarded.h"
#include "front/heaps.h"
#include "front/hot_names.h"
#include "front/limit.h"
#include "front/tagged.h"
#include "front/thread.h"
#include "guard/sampler.h"
#include "mem/classes.h"

/* Makes the free slot, whose state word must name `owner`, a live chunk whose payload is the first multiple
 * of align. r: for samples of a large slot; NULL: it is looked at whole. The state word changes by compare and
 * exchange: caches with MO_OWNER_SHARED share that name. */
static void *hand_out(uintptr_t slot, unsigned class, unsigned owner, size_t n, size_t align, enum mo_origin origin,
                      struct mo_random *r)
{
    struct mo_place place;
    if (mo_unlikely(!mo_heap_locate(slot, &place) || place.slot != slot || place.class != class))
        mo_report_metadata("malloc", slot, NULL, PTRDIFF_MIN, "a thread cache lists what is no slot of its class");
    uint16_t state = (uint16_t)place.seen;
    uint16_t live = (uint16_t)mo_state_next_life(state), made = live | MO_STATE_BUSY;
    uintptr_t p = slot + MO_HEADER;
    if (place.class == MO_CLASS_ZERO)
        made = live | (uint16_t)origin; /* there is no header that could say it */
    if (mo_unlikely(!mo_state_is_free(state, owner) || !mo_state_exchange(place.state, state, made)))
        mo_report_double_free("malloc", p, NULL, PTRDIFF_MIN,
                              "a slot about to be reused is live or another thread's: it was freed twice");
    if (place.class == MO_CLASS_ZERO)
        return (void *)p;
    uintptr_t end = slot + place.k->stride;
    mo_store8(end, mo_sealed.fence);
    if (mo_unlikely((r != NULL ? mo_slot_dirt(slot, place.k, state, r) : mo_slot_dirt_whole(slot, place.k)) != 0))
        mo_report_dirty_slot(slot, place.k, "malloc");
    p = mo_align_up(p, align);
    mo_chunk_seal(p, n, end, align > MO_ALIGN_PLAIN ? MO_CODE_ALIGNED + mo_log2(align) : place.class, origin, live);
    mo_state_publish(place.state, live);
    return (void *)(mo_tagged() ? mo_tagged_make(slot, place.k, p, n, r) : p);
}

/* For a thread that has no cache: at its very end, or without memory for one. */
static void *allocate_bare(unsigned class, size_t n, size_t align, enum mo_origin origin)
{
    uintptr_t slot;
    size_t got = mo_arena_take(0, class, MO_OWNER_SHARED, &slot, 1, mo_thread_random());
    mo_thread_random_done(); /* a report must find no lock held */
    return got == 1 ? hand_out(slot, class, MO_OWNER_SHARED, n, align, origin, NULL) : NULL;
}

void *mo_allocate_in(struct mo_cache *c, unsigned class, size_t n, size_t align, enum mo_origin origin)
{
    mo_thread_settle(c, class);
    if (mo_cache_ready(c, class) == 0 && mo_thread_refill(c, class) == 0)
        return NULL;
    return hand_out(mo_cache_pop(c, &c->stock[class]), class, c->owner, n, align, origin, c->random);
}

/* A chunk of the class by the long way round. NULL without memory or address space for another slab. */
static void *allocate_class(unsigned class, size_t n, size_t align, enum mo_origin origin)
{
    struct mo_cache *c = mo_thread_cache();
    if (c == NULL)
        return allocate_bare(class, n, align, origin);
    return mo_allocate_in(c, class, n, align, origin);
}

static void *no_memory(void)
{
    errno = ENOMEM;
    return NULL;
}

void *mo_or_no_memory(void *p)
{
    if (mo_unlikely(p == NULL)) {
        mo_limit_failed();
        errno = ENOMEM;
    }
    return p;
}

static void *filled(void *p, size_t n)
{
    mo_extra_fill(p, n);
    return mo_or_no_memory(p);
}

void *mo_allocate_slow(size_t n, enum mo_origin origin)
{
    mo_front_start();
    MO_TAGGED_DOOR();
    if (mo_unlikely(mo_limit_refuses(n)))
        return mo_or_no_memory(NULL);
    if (n > MO_SMALL_MAX || (n > MO_POOL_MOST && mo_sampler_is_dense())) /* guards for all that is fuzzed */
        return filled(mo_big_allocate(n, 1, origin, 0), n);
    unsigned class = n != 0 ? mo_class_of(n) : MO_CLASS_ZERO;
    struct mo_cache *c = mo_thread_cache();
    bool due = mo_sampler_is_due();
    bool guarded =
        due && !mo_extra_passes(n, (uintptr_t)__builtin_return_address(0), (uintptr_t)__builtin_frame_address(0));
    void *p = guarded ? mo_guarded_allocate(n, 1, origin) : NULL;
    if (p != NULL)
        return filled(p, n);
    /* A refilled stock goes back to the hot path; what it turned down before is looked at here. */
    if (!due && c != NULL && mo_cache_ready(c, class) == 0 && class != MO_CLASS_ZERO &&
        mo_thread_refill(c, class) != 0 && c->owner != MO_OWNER_SHARED)
        return mo_hot_allocate(n, origin);
    p = allocate_class(class, n, 1, origin);
    /* The reservation is full or can't be opened further: a mapping of its own may still fit. */
    return filled(p != NULL ? p : mo_big_allocate(n, 1, origin, 0), n);
}

void *mo_allocate_refused(size_t n, enum mo_origin origin)
{
    struct mo_cache *c = mo_cache_mine;
    struct mo_stock *stock = &c->stock[mo_class_of(n)];
    struct mo_place place;
    uintptr_t slot = *mo_cache_at(c, stock->top);
    stock->top += (uint32_t)sizeof(uintptr_t);
    /* All of the slot: what one set of samples has found the next one may miss (attack sampled_write). */
    if (mo_heap_find(slot, &place) && place.slot == slot && mo_state_is_free(place.seen, c->expect) &&
        mo_slot_dirt_whole(slot, place.k) != 0)
        mo_report_dirty_slot(slot, place.k, "malloc");
    return mo_allocate_slow(n, origin);
}

void *mo_allocate_aligned(size_t n, size_t align, enum mo_origin origin)
{
    if (align <= MO_ALIGN_PLAIN)
        return mo_hot_allocate(n, origin);
    mo_front_start();
    MO_TAGGED_DOOR();
    if (mo_unlikely(mo_limit_refuses(n)))
        return mo_or_no_memory(NULL);
    (void)mo_thread_cache(); /* a thread's first allocation may be due, too */
    void *p = mo_sampler_is_due() ? mo_guarded_allocate(n, align, origin) : NULL;
    if (p != NULL)
        return filled(p, n);
    if (n <= MO_SMALL_MAX && !(n > MO_POOL_MOST && mo_sampler_is_dense()) && align <= MO_SLOT_ALIGN &&
        n + align <= MO_SMALL_MAX)
        p = allocate_class(mo_class_of(n + align - MO_ALIGN_PLAIN), n, align, origin);
    return filled(p != NULL ? p : mo_big_allocate(n, align, origin, 0), n);
}

/* Makes room in the stock and draws random bytes, so that the gate lets the next free pass. */
static void tend(struct mo_cache *c, unsigned class)
{
    const struct mo_class *k = &mo_sealed.classes[class];
    mo_thread_settle(c, class);
    if (c->stock[class].top >= k->ready_end)
        mo_thread_flush(c, class);
    if (c->random->left < (uint32_t)k->draw + mo_tagged()) {
        mo_random_refill(c->random);
        size_t n = MO_RANDOM_WINDOW / (k->draw + mo_tagged()); /* each free draws */
        __atomic_store_n(&c->frees, c->frees + n, __ATOMIC_RELAXED);
        mo_sampler_charge(c, (ptrdiff_t)n);
    }
}

void mo_release_raced(uintptr_t p)
{
    mo_report_raced(p, "free");
}

void mo_clear_pages(uintptr_t p, uintptr_t end)
{
    size_t page = mo_sealed.features.page;
    uintptr_t first = mo_align_up(p, page), last = mo_align_down(end, page);
    if (first < last && mo_os_purge((void *)first, last - first)) { /* else locked memory, or large pages */
        memset((void *)p, 0, first - p);
        memset((void *)last, 0, end - last);
    } else {
        memset((void *)p, 0, end - p);
    }
}

void mo_release_place(const struct mo_place *place, struct mo_cache *c)
{
    uintptr_t slot = place->slot;
    unsigned owner = c != NULL ? c->owner : MO_OWNER_SHARED;
    unsigned chance = 0;
    if (mo_tagged()) {
        if (c != NULL)
            tend(c, place->class); /* now: it must not meet a slot that is free and not yet zeroed */
        chance = mo_tagged_chance(c != NULL ? c->random : NULL);
    }
    if (mo_unlikely(!mo_state_replace(place->state, place->seen, (place->seen & MO_STATE_GENERATION) | owner)))
        mo_report_raced(slot + MO_HEADER, "free");
    if (place->class != MO_CLASS_ZERO) {
        if (mo_tagged())
            mo_tagged_retire(slot, place->k, chance);
        else
            mo_clear_medium(slot + MO_HEADER, slot + MO_HEADER + mo_class_capacity(place->k));
        mo_store_header(slot, mo_sealed.fence);
    }
    if (c == NULL) {
        mo_arena_put(place->class, owner, &slot, 1);
        return;
    }
    tend(c, place->class);
    c->random->left -= place->k->draw;
    mo_quarantine_swap(c, place->k, &c->stock[place->class], slot);
}

/* Before an aligned chunk's header the slot is as a free one: what lies there was never handed out. */
static bool gap_is_clean(const struct mo_place *place, uintptr_t p)
{
    uintptr_t at = place->slot + MO_HEADER;
    if (p == at)
        return true;
    uint64_t dirt = mo_free_header_fault(mo_load64(place->slot), mo_sealed.fence);
    for (; at < p - MO_HEADER; at += MO_HEADER)
        dirt |= mo_load64(at);
    return dirt == 0;
}

/* The pointer has the tag of a chunk that was here before. */
static MO_COLD MO_NORETURN void report_stale(uintptr_t given, const struct mo_place *place, const char *action)
{
    struct mo_report_chunk chunk;
    char detail[96];
    mo_describe_slot(place, &chunk);
    mo_tagged_say(detail, sizeof detail, mo_tag_of(given), place->slot + MO_HEADER,
                  ": it is from before the chunk that was here was freed");
    mo_report_double_free(action, given, &chunk, PTRDIFF_MIN, detail);
}

/* Finds the live chunk that the program's pointer `given` is to, at p. Otherwise reports; false only when a foreign
 * pointer is let pass. */
static bool find_chunk(uintptr_t given, struct mo_place *place, const char *action)
{
    uintptr_t p = mo_tagged_address(given);
    place->k = NULL;
    bool good = mo_heap_locate(p, place) && (place->seen & MO_STATE_LIVE) != 0;
    if (good && place->class == MO_CLASS_ZERO) {
        good = p == place->slot + MO_HEADER;
        /* There is no header whose MAC would cover the class. */
        if (mo_unlikely(!mo_slab_agrees((uint32_t)(place->slab - mo_sealed.slabs), place->class, place->shard)))
            mo_report_metadata(action, p, NULL, PTRDIFF_MIN,
                               "a slab's description and the table of addresses disagree");
    } else if (good)
        good = p % 8 == 0 && p >= place->slot + MO_HEADER &&
               mo_chunk_good(p, place->slot + place->k->stride, place->seen) && gap_is_clean(place, p);
    if (!good && place->k != NULL && (place->seen & MO_STATE_LIVE) != 0 && mo_state_load(place->state) != place->seen)
        mo_report_raced(p, action); /* it was good in the life that was seen */
    if (!good)
        mo_report_bad_pointer(p, action);
    if (good && mo_unlikely(!mo_tagged_right(given, place)))
        report_stale(given, place, action);
    return good;
}

static bool in_heap(uintptr_t p)
{
    return p - mo_sealed.heap_base < mo_sealed.heap_size && mo_granule_of(p)->class != 0;
}

/* How p, the verified chunk of the place, was made. What is used on it is checked against that. */
static struct mo_routine check_routine(uintptr_t p, const struct mo_place *place, struct mo_routine used)
{
    struct mo_routine made = {(enum mo_origin)(place->seen & MO_STATE_OWNER), place->shard, 0, 0, used.action};
    if (place->class != MO_CLASS_ZERO) {
        uint64_t header = mo_load64(p - MO_HEADER);
        made.origin = mo_header_origin(header);
        made.align = mo_header_align(header);
        made.n = place->slot + place->k->stride - p - mo_header_slack(header);
    }
    struct mo_report_chunk chunk = {.address = p,
                                    .requested = made.n,
                                    .slot = place->k->stride,
                                    .state = "live",
                                    .origin = mo_origin_name(made.origin)};
    mo_check_routine(&chunk, made, used);
    return made;
}

static void release(uintptr_t given, struct mo_routine used)
{
    struct mo_place place;
    if (given == 0 || !mo_front_start()) /* then nothing was given out that could come to harm */
        return;
    MO_TAGGED_DOOR();
    uintptr_t p = mo_tagged_address(given);
    if (mo_sampler_is_due())
        mo_sampler_pass();
    if (!in_heap(p)) {
        bool done = mo_pool_holds(p) ? mo_guarded_release(p, used) : mo_big_release(p, used);
        if (!done)
            mo_report_bad_pointer(p, used.action);
        return;
    }
    if (!find_chunk(given, &place, used.action))
        return;
    if (check_routine(p, &place, used).heap < 0) {
        mo_heaps_release(&place, used.action);
        return;
    }
    struct mo_cache *c = mo_thread_cache();
    if (mo_sealed.options.neighbours)
        mo_check_neighbours(&place, c, used.action);
    mo_release_place(&place, c);
}

/* malloc's family gives back aligned chunks too, by free_sized those that realloc left where they were; plain delete
 * does not. */
static size_t any_align(enum mo_origin origin)
{
    return origin == MO_ORIGIN_MALLOC ? MO_NOT_TOLD : 0;
}

void mo_release_slow(void *p, enum mo_origin origin)
{
    mo_release_aligned(p, any_align(origin), origin);
}

void mo_release_sized_slow(void *p, size_t n, enum mo_origin origin)
{
    mo_release_sized_aligned(p, n, any_align(origin), origin);
}

void mo_release_aligned(void *p, size_t align, enum mo_origin origin)
{
    release((uintptr_t)p, (struct mo_routine){origin, 0, align, MO_NOT_TOLD, mo_origin_release_name(origin)});
}

void mo_release_sized_aligned(void *p, size_t n, size_t align, enum mo_origin origin)
{
    n = mo_min(n, MO_NOT_TOLD - 1); /* no chunk has either size */
    release((uintptr_t)p, (struct mo_routine){origin, 0, align, n, mo_origin_release_name(origin)});
}

/* The chunk at p, which has passed verification, gets n bytes in its slot, where they fit. */
static bool resize_here(uintptr_t p, const struct mo_place *place, size_t n)
{
    uintptr_t end = place->slot + place->k->stride;
    if (place->class == MO_CLASS_ZERO || n == 0 || !mo_resizes_in_place(end - p, n))
        return false;
    uint64_t header = mo_load64(p - MO_HEADER);
    size_t had = end - p - mo_header_slack(header);
    /* Busy while header and tail do not agree, for who looks at other threads' chunks (check.c). */
    if (mo_unlikely(!mo_state_replace(place->state, place->seen, place->seen | MO_STATE_BUSY)))
        mo_report_raced(p, "realloc");
    if (n > had) /* a grown part is zero; of a shrunk one the new tail leaves nothing */
        memset((void *)(p + had), 0, n - had);
    mo_chunk_seal(p, n, end, (unsigned)(header >> 8) & 63, mo_header_origin(header), place->seen);
    if (mo_tagged())
        mo_tagged_resize(place->slot, p, had, n);
    mo_state_publish(place->state, place->seen);
    return true;
}

/* To a chunk of n bytes elsewhere, which is as the old one was made but for its alignment. */
static void *move(uintptr_t p, struct mo_routine made, size_t n)
{
    void *q = made.heap < 0 ? mo_heaps_allocate(made.heap, 0, n, 1) : mo_hot_allocate(n, made.origin);
    if (q == NULL)
        return NULL;
    memcpy(q, (void *)p, mo_min(made.n, n));
    if (made.align == 0 && made.heap >= 0)
        mo_hot_release((void *)p, made.origin);
    else
        release(p, made);
    return q;
}

static const struct mo_routine realloced = {MO_ORIGIN_MALLOC, 0, MO_NOT_TOLD, MO_NOT_TOLD, "realloc"};

static void *resize_small(uintptr_t given, size_t n)
{
    struct mo_place place;
    if (!find_chunk(given, &place, realloced.action))
        return no_memory();
    uintptr_t p = mo_tagged_address(given);
    struct mo_routine made = check_routine(p, &place, realloced);
    return resize_here(p, &place, n) ? (void *)given : move(given, made, n);
}

bool mo_resize_here(void *ptr, size_t n)
{
    struct mo_place place;
    mo_front_start();
    MO_TAGGED_DOOR();
    uintptr_t p = mo_tagged_address((uintptr_t)ptr);
    if (!in_heap(p) || !find_chunk((uintptr_t)ptr, &place, realloced.action))
        return false;
    (void)check_routine(p, &place, realloced);
    return resize_here(p, &place, n);
}

void *mo_resize(void *ptr, size_t n)
{
    mo_front_start();
    MO_TAGGED_DOOR();
    uintptr_t p = mo_tagged_address((uintptr_t)ptr);
    if (in_heap(p))
        return resize_small((uintptr_t)ptr, n);
    struct mo_routine made = realloced;
    void *q = NULL;
    if (mo_unlikely(mo_limit_refuses(n)))
        return mo_or_no_memory(NULL);
    if (mo_pool_holds(p) && mo_guarded_made(p, &made))
        return move(p, made, n);
    switch (mo_big_resize(p, n, &made, &q)) {
    case MO_BIG_DONE:
        return q;
    case MO_BIG_MOVE:
        return move(p, made, n);
    default:
        mo_report_bad_pointer(p, "realloc");
        return no_memory(); /* how much there is to copy nobody here knows: it stays as it is */
    }
}

size_t mo_usable_size(const void *ptr)
{
    struct mo_place place;
    if (ptr == NULL || !mo_front_start())
        return 0;
    MO_TAGGED_DOOR();
    uintptr_t p = mo_tagged_address((uintptr_t)ptr);
    if (!in_heap(p)) {
        size_t n = 0;
        bool found = mo_pool_holds(p) ? mo_guarded_size(p, &n) : mo_big_size(p, &n);
        if (!found)
            mo_report_bad_pointer(p, "malloc_usable_size");
        return n;
    }
    if (!find_chunk((uintptr_t)ptr, &place, "malloc_usable_size") || place.class == MO_CLASS_ZERO)
        return 0;
    return place.slot + place.k->stride - p - mo_header_slack(mo_load64(p - MO_HEADER));
}

void *mo_allocate(size_t n, enum mo_origin origin)
{
    return mo_hot_allocate(n, origin);
}

void mo_release(void *p, enum mo_origin origin)
{
    mo_hot_release(p, origin);
}

size_t mo_front_purge(void)
{
    if (!mo_front_start())
        return 0;
    MO_TAGGED_DOOR();
    struct mo_cache *c = mo_thread_cache();
    size_t before = mo_arena_closed_bytes();
    if (c != NULL)
        mo_thread_drain(c);
    mo_arena_purge();
    return mo_arena_closed_bytes() - before; /* what other threads give back meanwhile included */
}
