#include "front/thread.h"

#include <pthread.h>

#include "diag/report.h"
#include "front/check.h"
#include "front/slow.h"
#include "front/tagged.h"
#include "guard/pool.h"
#include "guard/sampler.h"
#include "mem/large.h"

enum { NEXT_OUT = 256 }; /* waiting slots of a class that a forked child gives new lives: those that come out first */

static pthread_key_t exit_key;
static bool have_exit_key;
static struct mo_lock shared_lock = MO_LOCK(MO_RANK_THREADS);
static struct mo_random *shared_random;
static struct mo_random *streams; /* those that are no thread's */
static size_t stream_count;       /* 0 where the kernel wipes them in a forked child */
static bool fork_alone;           /* the process that forks has this one thread */
static unsigned forks MO_FORKED;  /* from which this process comes */

/* In a forked child: its cache, until its first need. Children that call exec never touch it. */
static __thread struct mo_cache *inherited __attribute__((tls_model("initial-exec")));

/* Like mo_cache_none, for a thread whose exit has been handled: it gets no other cache. */
static const struct mo_cache gone = MO_CACHE_NONE;

struct mo_random *mo_thread_random(void)
{
    mo_lock(&shared_lock);
    return shared_random;
}

void mo_thread_random_done(void)
{
    mo_unlock(&shared_lock);
}

/* A slot that leaves this thread has changed bytes: it was written after its free, or it is another thread's and lives
 * again, which mo_arena_put reports. */
MO_COLD static void report_if_own(const struct mo_cache *c, uintptr_t slot, const struct mo_class *k)
{
    unsigned state = mo_state_load(mo_state_of(mo_granule_of(slot), k, slot));
    if (mo_state_is_free(state, c->owner) && mo_slot_dirt(slot, k, state, c->random) != 0)
        mo_report_dirty_slot(slot, k, "free");
}

/* Slots leave this thread: what was written into them after their free would be seen by nobody later. */
static void put_clean(struct mo_cache *c, unsigned class, uintptr_t *slots, size_t n)
{
    const struct mo_class *k = &mo_sealed.classes[class];
    for (size_t i = 0; i < n && class != MO_CLASS_ZERO; i++) {
        uintptr_t slot = slots[i];
        if (mo_unlikely(slot - mo_sealed.heap_base >= mo_sealed.heap_size || slot % 16 != MO_HEADER))
            continue; /* mo_arena_put reports it */
        if (mo_unlikely(k->sampled || mo_slot_any_dirt(slot, k) != 0))
            report_if_own(c, slot, k);
    }
    mo_sampler_charge(c, -(ptrdiff_t)n);
    mo_arena_put(class, c->owner, slots, n);
}

size_t mo_thread_refill(struct mo_cache *c, unsigned class)
{
    const struct mo_class *k = &mo_sealed.classes[class];
    mo_thread_settle(c, class);
    size_t room = (k->ready_end - k->ready_at) / sizeof(uintptr_t);
    size_t want = mo_min(c->batch[class], room);
    size_t got = mo_arena_take(c->shard, class, c->owner, mo_cache_at(c, k->ready_at), want, c->random);
    c->stock[class].top = k->ready_at + (uint32_t)(got * sizeof(uintptr_t));
    __atomic_store_n(&c->batch[class], (uint16_t)mo_min(want * 2, room), __ATOMIC_RELAXED); /* see mo_cache_unused */
    mo_sampler_charge(c, (ptrdiff_t)got);
    if (got > 0)
        mo_patrol(c, *mo_cache_at(c, k->ready_at), got);
    return got;
}

void mo_thread_flush(struct mo_cache *c, unsigned class)
{
    size_t count = mo_cache_ready(c, class);
    size_t n = (count + 1) / 2;
    uintptr_t *ready = mo_cache_at(c, mo_sealed.classes[class].ready_at);
    mo_patrol(c, ready[0], n);
    put_clean(c, class, ready, n);
    for (size_t i = n; i < count; i++)
        ready[i - n] = ready[i];
    c->stock[class].top -= (uint32_t)(n * sizeof(uintptr_t));
}

/* Moves the entries of a quarantine array that hold a slot to its front; how many. */
static size_t compact(uintptr_t *slots, size_t n)
{
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        uintptr_t slot = slots[i];
        if (slot == 0)
            continue; /* and stays unwritten: most of a large quarantine's pages have never been touched */
        slots[i] = 0;
        slots[kept++] = slot;
    }
    return kept;
}

static void clear(uintptr_t *slots, size_t n)
{
    for (size_t i = 0; i < n; i++)
        slots[i] = 0;
}

void mo_thread_drain(struct mo_cache *c)
{
    for (unsigned class = MO_CLASS_FIRST; class < MO_CLASSES; class++) {
        const struct mo_class *k = &mo_sealed.classes[class];
        if (mo_cache_unused(c, class, c->stock[class].top, c->stock[class].fifo))
            continue; /* nor is a page of it touched */
        mo_thread_settle(c, class);
        put_clean(c, class, mo_cache_at(c, k->ready_at), mo_cache_ready(c, class));
        c->stock[class].top = k->ready_at;
        /* The random half and the queue lie side by side. */
        uintptr_t *waiting = mo_cache_at(c, k->random_at);
        size_t n = compact(waiting, (k->fifo_end - k->random_at) / sizeof(uintptr_t));
        put_clean(c, class, waiting, n);
        clear(waiting, n);
    }
}

/* Gives each slot a random generation: the next header there is none that a sibling process has at the same place. */
static void new_lives(struct mo_cache *c, const struct mo_class *k, const uintptr_t *slots, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (slots[i] - mo_sealed.heap_base >= mo_sealed.heap_size)
            continue; /* nothing yet, or a write to the cache, which is found at its use */
        uint16_t *word = mo_state_of(mo_granule_of(slots[i]), k, slots[i]);
        unsigned state = mo_state_load(word);
        if (mo_state_is_free(state, c->owner))
            mo_state_store(word, c->owner | MO_STATE_STEP * (1 + mo_random_below_small(c->random, 127)));
    }
}

/* What a child found ready of a class is in another order than in its parent and siblings, and what it found ready or
 * waiting gets other headers. Else each child of a server that forks for each request would put the same chunks at the
 * same places with the same headers, and what one child's death tells would hold in the next one (attack fork_oracle).
 * A fuzzer's children are to be alike, and cheap. */
static void part_from_siblings(struct mo_cache *c, const struct mo_class *k, struct mo_stock *s)
{
    uintptr_t *ready = mo_cache_at(c, k->ready_at);
    size_t n = (s->top - k->ready_at) / sizeof *ready;
    for (size_t i = n; i > 1; i--) {
        size_t j = mo_random_below(c->random, (uint32_t)i);
        uintptr_t swap = ready[i - 1];
        ready[i - 1] = ready[j];
        ready[j] = swap;
    }
    new_lives(c, k, ready, n);
    uint32_t from = s->fifo, to = (uint32_t)mo_min(k->fifo_end, from + NEXT_OUT * sizeof *ready);
    new_lives(c, k, mo_cache_at(c, from), (to - from) / sizeof *ready);
    to = (uint32_t)mo_min(from, k->fifo_at + NEXT_OUT * sizeof *ready - (to - from));
    new_lives(c, k, mo_cache_at(c, k->fifo_at), (to - k->fifo_at) / sizeof *ready);
}

/* In a forked child: that is done for each class at its first need. Most children need few, and each class is two or
 * three pages that would be copied. */
static void set_aside(struct mo_cache *c)
{
    for (unsigned class = MO_CLASS_FIRST; class <= MO_CLASS_LAST; class++) {
        const struct mo_class *k = &mo_sealed.classes[class];
        struct mo_stock *s = &c->stock[class];
        if (c->aside[class] != 0 || (s->top == k->ready_at && s->fifo == k->fifo_at))
            continue; /* still is, from before another fork; or never used, and its pages untouched */
        c->aside[class] = (uint8_t)(mo_cache_ready(c, class) + 1);
        s->top = MO_CACHE_ASIDE(k);
    }
}

void mo_thread_settle(struct mo_cache *c, unsigned class)
{
    const struct mo_class *k = &mo_sealed.classes[class];
    if (mo_likely(c->aside[class] == 0))
        return;
    c->stock[class].top = k->ready_at + (uint32_t)(mo_cache_ready(c, class) * sizeof(uintptr_t));
    __atomic_store_n(&c->aside[class], 0, __ATOMIC_RELAXED);
    part_from_siblings(c, k, &c->stock[class]);
}

void mo_thread_inherit(struct mo_cache *c)
{
    if (mo_likely(c->forks == forks))
        return;
    c->forks = forks;
    if (mo_sealed.options.profile != MO_PROFILE_FUZZ && mo_sealed.options.seed == 0)
        set_aside(c);
}

void mo_thread_forget(struct mo_cache *c)
{
    for (unsigned class = MO_CLASS_FIRST; class < MO_CLASSES; class++) {
        const struct mo_class *k = &mo_sealed.classes[class];
        struct mo_stock *s = &c->stock[class];
        __atomic_store_n(&c->aside[class], 0, __ATOMIC_RELAXED); /* another thread may check */
        if (mo_cache_unused(c, class, s->top, s->fifo))
            continue; /* and its pages stay untouched */
        clear(mo_cache_at(c, k->random_at), (k->fifo_end - k->random_at) / sizeof(uintptr_t));
        s->top = k->ready_at;
        s->fifo = k->fifo_at;
        __atomic_store_n(&c->batch[class], MO_FIRST_BATCH, __ATOMIC_RELAXED);
    }
    c->forks = forks;
}

struct mo_cache *mo_thread_cache(void)
{
    struct mo_cache *c = mo_sampler_cache();
    if (mo_likely(!mo_cache_is_none(c)))
        return c == &gone ? NULL : c;
    if (inherited != NULL) {
        c = mo_cache_mine = inherited;
        inherited = NULL;
        if (mo_sealed.options.profile != MO_PROFILE_FUZZ && mo_sealed.options.seed == 0)
            set_aside(c);
        if (mo_sampler_is_dense())
            mo_sampler_charge(c, 0);
        return c;
    }
    c = mo_cache_take(0);
    if (c == NULL)
        return NULL;
    mo_cache_mine = c; /* before pthread_setspecific, which may allocate */
    if (have_exit_key)
        (void)pthread_setspecific(exit_key, (void *)(uintptr_t)1);
    mo_sampler_charge(c, 0);
    return c;
}

/* Other keys' destructors may still allocate. The key is set again so that this one runs in every later
 * round as well, and the cache is left in the last round that POSIX promises. */
static void thread_exit(void *round)
{
    struct mo_cache *c = inherited != NULL ? mo_thread_cache() : mo_sampler_cache();
    uintptr_t n = (uintptr_t)round;
    if (n < 3 && pthread_setspecific(exit_key, (void *)(n + 1)) == 0)
        return;
    if (mo_cache_is_none(c) || c == &gone)
        return;
    mo_cache_mine = (struct mo_cache *)(uintptr_t)&gone;
    MO_TAGGED_DOOR();
    if (mo_cache_pool_is_full())
        mo_thread_drain(c);
    mo_cache_give(c);
}

/* Glibc's, which says so before the first thread is made: without another thread nobody can be in the middle of a
 * change, and the locks' pages need not be copied. */
extern char __libc_single_threaded __attribute__((weak));

/* In their order. */
static void each_lock(mo_lock_visit *visit)
{
    visit(&shared_lock);
    mo_cache_locks(visit);
    mo_arena_locks(visit);
    mo_heap_locks(visit);
    mo_large_locks(visit);
    mo_pool_locks(visit);
}

static void before_fork(void)
{
    bool alone = !mo_sealed.ready || (&__libc_single_threaded != NULL && __libc_single_threaded != 0);
    if (__atomic_load_n(&fork_alone, __ATOMIC_RELAXED) != alone) /* threads that fork at once all say no */
        __atomic_store_n(&fork_alone, alone, __ATOMIC_RELAXED);
    if (alone)
        return;
    each_lock(mo_lock_fork_look);
    each_lock(mo_lock_fork_take);
    mo_lock_fork_begin();
}

static void after_fork(mo_lock_visit *give)
{
    if (__atomic_load_n(&fork_alone, __ATOMIC_RELAXED))
        return;
    mo_lock_fork_end();
    each_lock(give);
}

static void forked_parent(void)
{
    after_fork(mo_lock_fork_give);
}

static void forked_child(void)
{
    /* The only cache that goes on is the forking thread's: in use, behind the marker, or without a need so far. */
    struct mo_cache *mine = inherited != NULL ? inherited : mo_sampler_cache();
    mo_cache_mine = mine;
    forks++;
    mo_cache_forked();
    mo_sampler_forked();
    mo_pool_forked();
    mo_report_forked();
    mo_os_thread_forked();
    inherited = NULL;
    if (!mo_cache_is_none(mine) && mine != &gone) {
        inherited = mine;
        mo_cache_mine = (struct mo_cache *)(uintptr_t)&mo_cache_none;
    }
    for (size_t i = 0; i < stream_count; i++)
        streams[i].left = streams[i].seeded = 0;
    after_fork(mo_lock_fork_give_in_child);
}

void mo_thread_start(struct mo_random *shared, struct mo_random *all, size_t count)
{
    shared_random = shared;
    streams = all;
    stream_count = count;
    have_exit_key = pthread_key_create(&exit_key, thread_exit) == 0;
}

/* Not in mo_thread_start: registering may allocate, and may be too early when the loader allocates first.
 * Of the program's own handlers, those registered before ours run while all locks are held, see mo_lock_fork_begin. */
__attribute__((constructor(101))) static void register_fork(void)
{
    mo_os_populate(&mo_sealed_page, sizeof mo_sealed); /* here and elsewhere: a page fault takes longer */
    mo_front_start();
    (void)pthread_atfork(before_fork, forked_parent, forked_child);
}
