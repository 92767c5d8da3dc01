/* Where small chunks live: windows, regions, slabs, and what is known of each slot out of line.
 *
 * The reservation is inaccessible. A window of it at a random place is made accessible at once, behind guard
 * markers; a region, a random aligned run of granules of a window, is given to one (class, shard) for the
 * life of the process, so that an address never changes class. A region is cut into slabs of a power-of-two
 * span: pages of slots, then a guard. A slab's pages are opened when it is first used and closed (given back,
 * inaccessible) whenever all its slots are free.
 *
 *   region   |<------- span ------->|<------- span ------->|
 *   slab     |8|slot|slot|...|slot|f|guard|8|slot|...
 *             ^ slots start 8 modulo 16, so that payloads are 16-aligned; f: the fence of the last slot
 *
 * Metadata (granule table, state words, slab descriptors) is in mappings of its own between inaccessible
 * pages, out of reach of a linear overflow. Everything below is guarded by the heap lock, but a slab's
 * fields, which its bin's lock guards, and state words, which belong to the chunk's or slot's owner.
 */
#ifndef MO_HEAP_H
#define MO_HEAP_H

#include "diag/sealed.h"
#include "mem/random.h"

enum { MO_GRANULE_SHIFT = 16, MO_GRANULE = 1 << MO_GRANULE_SHIFT };

/* What an address belongs to. All zero where no region is: class 0, whose state word is never live. */
struct mo_granule {
    size_t bias;   /* the index of a slot's state word is bias + (slot >> word_shift) */
    uint32_t slab; /* number of the slab that it is in: a slab is one granule or more */
    uint8_t class;
    int16_t shard; /* below 0: a heap's of the program, see arena/arena.h */
};

/* The authority on a slot: 16 bits.
 *   15..9    generation: counts the slot's lives, part of the header's MAC
 *   8        live
 *   7..0     while free: owner. 0 the shard, 1..254 a thread cache, 255 one of the further caches. While live: 0, or
 *            MO_STATE_BUSY while header and tail are being written, so that a look between two words that are live
 *            and not busy sees a whole chunk (front/check.h); in the class of malloc(0), which has no header, the
 *            chunk's origin
 * Plain aligned loads and stores: a free slot's word belongs to its owner, a live one's to whoever holds the
 * chunk. When two threads free one chunk at the same moment, the word names one of them in the end, and the
 * other's slot does not verify when it leaves the quarantine, hundreds of stores later. */
enum {
    MO_STATE_LIVE = 0x0100,
    MO_STATE_GENERATION = 0xfe00, /* on top, so that a sum of 16 bits counts round */
    MO_STATE_STEP = 0x0200,
    MO_STATE_OWNER = 0x00ff,
    MO_STATE_BUSY = 0x0001,
    MO_OWNER_SHARD = 0,
    MO_OWNER_LAST = 254,
    MO_OWNER_SHARED = 255,
};

enum mo_slab_flags {
    MO_SLAB_OPEN = 1,    /* its pages are accessible */
    MO_SLAB_MARKERS = 2, /* closed by guard markers, else by mprotect */
    MO_SLAB_BARE = 4,    /* opened without a guard: the budget of mappings is used up */
    MO_SLAB_PURGED = 8,  /* has been open before */
    MO_SLAB_LAZY = 16,   /* open and wholly free, its pages the kernel's to take when it needs them */
    MO_SLAB_FILLED = 32, /* its pages were all made present when it was opened */
    MO_SLAB_HOLES = 64,  /* pages of its free slots have been given back */
};

enum {
    MO_SLAB_WORDS = MO_SLAB_SLOTS / 64,
    /* Slots introduced at a time: eight bits of entropy, and two pages of the smallest. With MO_SMALL five, a page. */
    MO_SLAB_STEP = MO_SMALL ? 32 : 256,
    MO_INVERSE_SHIFT = 40,
};

/* A slab's descriptor. Of the bits a slab of large slots touches one word. Slots are introduced by the hundreds, so
 * that small ones that are used together lie together, and a slab of which little is used touches few pages. */
struct mo_slab {
    uintptr_t base;
    uint32_t at; /* its place in its bin's list of partial or closed slabs */
    uint16_t free_count;
    uint16_t introduced; /* slots that have been handed out or have their bit set; the others follow them */
    uint8_t class;
    uint8_t flags;
    int16_t shard;
    uint32_t next;                /* in its bin's list of all its slabs; 0: none */
    uint32_t hollow;              /* bytes of its free slots that are not in memory, about */
    uint64_t free[MO_SLAB_WORDS]; /* 1: the slot is with the shard */
} __attribute__((aligned(MO_CACHE_LINE)));

MO_INLINE const struct mo_granule *mo_granule_of(uintptr_t p)
{
    return &mo_sealed.granules[(p - mo_sealed.heap_base) >> MO_GRANULE_SHIFT];
}

/* The state word of a slot of class k by the address of its first byte. Words of one region's slots differ, as
 * slots are at least 1 << word_shift apart. Any address of the heap has a word. */
MO_INLINE uint16_t *mo_state_of(const struct mo_granule *g, const struct mo_class *k, uintptr_t slot)
{
    /* The sum first: bias alone is no index. It may be negative: the table's first part lies apart from the rest. */
    return &mo_sealed.states[(ptrdiff_t)(g->bias + (slot >> k->word_shift))];
}

MO_INLINE uint16_t mo_state_load(const uint16_t *s)
{
    return __atomic_load_n(s, __ATOMIC_RELAXED);
}

/* Is the slot free, and with this owner? */
MO_INLINE bool mo_state_is_free(unsigned state, unsigned owner)
{
    return (state & (MO_STATE_LIVE | MO_STATE_OWNER)) == owner;
}

MO_INLINE void mo_state_store(uint16_t *s, unsigned v)
{
    __atomic_store_n(s, (uint16_t)v, __ATOMIC_RELAXED);
}

/* The same, after everything that was written before. */
MO_INLINE void mo_state_publish(uint16_t *s, unsigned v)
{
    __atomic_store_n(s, (uint16_t)v, __ATOMIC_RELEASE);
}

/* Replaces `was` by v, after all that was written before and before all that is read and written later, whatever other
 * CPUs do; false when the word has changed. riscv64's gcc makes the __atomic form a call of libatomic, which is no part
 * of libc; the older form is in libgcc. */
MO_INLINE bool mo_state_exchange(uint16_t *s, unsigned was, unsigned v)
{
#ifdef __riscv
    return __sync_bool_compare_and_swap(s, (uint16_t)was, (uint16_t)v);
#else
    uint16_t seen = (uint16_t)was;
    return __atomic_compare_exchange_n(s, &seen, (uint16_t)v, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
#endif
}

/* Replaces `was` by v, before anything that is written later; false when the word has changed. One instruction that a
 * thread can't be stopped in the middle of, but not a locked one: against a thread that was stopped between its look at
 * the word and its change of it. What two CPUs do in the same few nanoseconds the owner in the word settles, see
 * above. */
MO_INLINE bool mo_state_replace(uint16_t *s, unsigned was, unsigned v)
{
#if defined(__x86_64__) || defined(__i386__)
    uint16_t seen = (uint16_t)was;
    bool done;
    __asm__ volatile("cmpxchgw %3, %1" : "=@ccz"(done), "+m"(*s), "+a"(seen) : "r"((uint16_t)v) : "memory");
    return done;
#elif defined(__riscv)
    return mo_state_exchange(s, was, v);
#else
    uint16_t seen = (uint16_t)was;
    bool done = __atomic_compare_exchange_n(s, &seen, (uint16_t)v, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_RELEASE);
    return done;
#endif
}

/* The word of a slot's next life. */
MO_INLINE unsigned mo_state_next_life(unsigned state)
{
    return ((state + MO_STATE_STEP) & MO_STATE_GENERATION) | MO_STATE_LIVE;
}

/* Everything about the slot at or around p; for cold paths. */
struct mo_place {
    const struct mo_class *k;
    struct mo_slab *slab;
    uint16_t *state;
    uintptr_t slot; /* its first byte: a plain chunk's header */
    unsigned class, index;
    int shard;
    unsigned seen; /* the state word when it was looked at */
};

/* The number of the slot that lies `in_slab` bytes, MO_HEADER or more, into its slab. Exact below 2^20, the largest
 * span: the inverse is too large by less than stride / 2^40. */
MO_INLINE size_t mo_slot_index(const struct mo_class *k, size_t in_slab)
{
    return (size_t)((in_slab - MO_HEADER) * k->inverse >> MO_INVERSE_SHIFT);
}

/* True where p lies in a slab's slots; false in a guard, an unused granule or outside of the heap. */
MO_INLINE bool mo_heap_locate(uintptr_t p, struct mo_place *place)
{
    if (p - mo_sealed.heap_base >= mo_sealed.heap_size)
        return false;
    const struct mo_granule *g = mo_granule_of(p);
    if (g->class == 0)
        return false;
    const struct mo_class *k = &mo_sealed.classes[g->class];
    size_t in_slab = p & (((size_t)1 << k->span_shift) - 1); /* not by the descriptor: it may not be in the cache */
    size_t index = mo_slot_index(k, in_slab);
    if (in_slab < MO_HEADER || index >= k->slots)
        return false;
    place->k = k;
    place->class = g->class;
    place->shard = g->shard;
    place->index = (unsigned)index;
    place->slab = &mo_sealed.slabs[g->slab];
    place->slot = p - in_slab + MO_HEADER + index * k->stride;
    place->state = mo_state_of(g, k, place->slot);
    place->seen = mo_state_load(place->state);
    return true;
}

/* The same out of line, for what is cold. */
bool mo_heap_find(uintptr_t p, struct mo_place *place);

/* Reserves address space and tables as the options say, or as much as there is room for. */
bool mo_heap_start(struct mo_random *r) MO_CHECKED;

/* Gives a new region to (class, shard), whose regions have `held` bytes so far: returns the number of its
 * slabs and in *first the number of the first; 0 when there is no memory or address space. */
size_t mo_heap_grow(unsigned class, int shard, size_t held, uint32_t *first);

/* Slabs described so far, slab 0 included, which is nobody's: their base, class and shard no longer change. */
size_t mo_heap_slab_count(void);

/* A list of `count` slab numbers in table memory, or NULL. Never freed. */
uint32_t *mo_heap_list(size_t count) MO_CHECKED;

/* A slab whose slots are all free has its first ones introduced; and further ones, while there are any. */
void mo_slab_renew(struct mo_slab *slab, const struct mo_class *k);
void mo_slab_introduce(struct mo_slab *slab, const struct mo_class *k);

/* Do a slab's descriptor and the address table agree that it is one of (class, shard)? Both are writable: one write to
 * either, or to a list of slabs, can't make slots of one slab be taken for another's. */
bool mo_slab_agrees(uint32_t number, unsigned class, int shard) MO_CHECKED;

/* Makes a slab's pages accessible; false without memory. fill: and present, as all of them will soon be written. */
bool mo_slab_open(struct mo_slab *slab, bool fill) MO_CHECKED;

/* Makes those pages of an open slab present that its slots from `first` on, those that were introduced last, lie in:
 * small ones, of which any few touch all pages. */
void mo_slab_fill(const struct mo_slab *slab, const struct mo_class *k, unsigned first);

/* Makes the pages of slabs inaccessible and gives them back: one, or several that lie side by side behind markers, of
 * which some may be closed already. How many have been closed; 0 when the kernel could not take the pages back: they
 * stay accessible. */
size_t mo_slabs_close(struct mo_slab *slab, size_t count);

/* Leaves the pages of those slabs that are open to the kernel, which takes them when it needs them; they stay
 * accessible. How many; those have MO_SLAB_LAZY from then on. */
size_t mo_slabs_offer(struct mo_slab *slab, size_t count);

void mo_heap_locks(mo_lock_visit *visit); /* for fork */

/* For a look from outside: where what mo_heap_figures counts is. */
struct mo_table;
struct mo_heap_places {
    const size_t *guards, *slab_mappings, *slab_count, *window_count, *window_bytes;
    const struct mo_table *states, *slabs, *lists;
};
extern const struct mo_heap_places mo_heap_places;

struct mo_heap_figures {
    size_t metadata; /* bytes of tables in use */
    size_t windows;  /* count */
    size_t guards;   /* count */
    size_t mappings; /* count: beyond the windows, those that slabs took by mprotect */
};
void mo_heap_figures(struct mo_heap_figures *f);

#endif
