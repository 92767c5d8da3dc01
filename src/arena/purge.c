/* Gives wholly free slabs back to the system, in blocks where that can be. */
#include "arena/bin.h"
#include "base/tag.h"

enum {
    RUNS = 16,           /* taken out of a bin before its lock is dropped to close them */
    BLOCK = 256 << 10,   /* bytes of address space */
    SPARE_SHARE = 8,     /* of what is open this part may be spare, up to option spare_most */
    ALLOWANCE_DECAY = 8, /* of what is given back this part less may be spare from then on */
    SLACK = 4,           /* and this part more before a trim, so that a trim is worth its look at all bins */
    HOLES_LEAST = 3,     /* this part of a slab must be free for a look */
};
_Static_assert(BLOCK >> MO_GRANULE_SHIFT <= MO_BLOCK_MOST, "slabs of a block");

/* One thread at a time gives back. Before all bins in the order of locks. */
static struct mo_lock purge_lock = MO_LOCK(MO_RANK_PURGE);
static uintptr_t purger; /* the thread that gives back; 0: none. Atomic */

/* Bytes given back so far; atomic. */
static size_t closed_bytes;

/* Spare bytes that a trim left because the kernel would not take them (locked memory, no guards), so that not every
 * flush tries again; atomic. */
static size_t stuck;

/* Holes are free slots beside others in use. Bytes of them that the last look at them left, or fewer since. Atomic. */
static size_t holes_left;

/* How many spare bytes there may be beyond option spare_bytes: more while slabs that were given back are needed again.
 * A program that frees and builds the same megabytes in turn keeps them; one that has freed for good does not. Two
 * threads may overwrite each other's change: it is a heuristic. Atomic. */
static size_t allowance;

/* purge=delay: since when there are too many spares; 0: there are not. Atomic, and a heuristic as well. */
static uint32_t exceeded_since;

/* purge=delay: have they waited long enough? */
static bool is_due(void)
{
    uint32_t now = mo_os_milliseconds() | 1, since = __atomic_load_n(&exceeded_since, __ATOMIC_RELAXED);
    if (since == 0)
        __atomic_store_n(&exceeded_since, now, __ATOMIC_RELAXED);
    return since != 0 && now - since >= mo_sealed.options.purge_delay;
}

static void allow(size_t bytes)
{
    __atomic_store_n(&allowance, mo_min(bytes, mo_sealed.options.spare_most), __ATOMIC_RELAXED);
}

MO_INLINE size_t open_now(void)
{
    return __atomic_load_n(&mo_open_bytes, __ATOMIC_RELAXED);
}

static size_t allowed(void)
{
    size_t share = mo_min(open_now() / SPARE_SHARE, mo_sealed.options.spare_most);
    return mo_max(mo_max(__atomic_load_n(&allowance, __ATOMIC_RELAXED), share), mo_sealed.options.spare_bytes);
}

MO_INLINE size_t spare(void)
{
    return __atomic_load_n(&mo_spare_bytes, __ATOMIC_RELAXED);
}

/* The count may be a moment old: not below 0. */
static size_t holes(void)
{
    ptrdiff_t n = (ptrdiff_t)__atomic_load_n(&mo_hole_bytes, __ATOMIC_RELAXED);
    return n > 0 ? (size_t)n : 0;
}

/* Memory with tags loses them with its pages, and what purge=lazy offers would have to be followed slot by slot. */
static bool gives_holes(void)
{
    return !MO_SMALL && !mo_tagged() && mo_sealed.options.purge != MO_PURGE_LAZY;
}

static bool holes_exceed(void)
{
    size_t now = holes(), left = __atomic_load_n(&holes_left, __ATOMIC_RELAXED);
    if (now < left) {
        left = now;
        __atomic_store_n(&holes_left, left, __ATOMIC_RELAXED);
    }
    return now - left > mo_max(allowed(), mo_max(open_now() / SPARE_SHARE, BLOCK));
}

bool mo_spares_exceed(void)
{
    size_t most = mo_max(allowed(), __atomic_load_n(&stuck, __ATOMIC_RELAXED));
    bool many = spare() > most + most / SLACK;
    if (mo_sealed.options.purge == MO_PURGE_DELAY)
        return many && is_due();
    return many || (gives_holes() && holes_exceed());
}

void mo_spares_missed(size_t bytes)
{
    allow(allowed() + bytes);
}

size_t mo_arena_closed_bytes(void)
{
    return __atomic_load_n(&closed_bytes, __ATOMIC_RELAXED);
}

struct mo_run mo_bin_block(const struct mo_slab *slab)
{
    const struct mo_class *k = &mo_sealed.classes[slab->class];
    uint32_t number = (uint32_t)(slab - mo_sealed.slabs), count = BLOCK >> k->span_shift;
    uintptr_t start = mo_align_down(slab->base, BLOCK);
    uint32_t at = (uint32_t)((slab->base - start) >> k->span_shift);
    bool whole = count > 1 && slab->class != MO_CLASS_ZERO && number > at;
    for (uint32_t i = 0; whole && i < count; i++) {
        const struct mo_slab *one = &mo_sealed.slabs[number - at + i];
        whole = mo_slab_agrees(number - at + i, slab->class, slab->shard) &&
                one->base == start + ((uintptr_t)i << k->span_shift) &&
                /* another of its flags may just be changed by who closes it */
                (__atomic_load_n(&one->flags, __ATOMIC_RELAXED) & MO_SLAB_MARKERS) != 0;
    }
    return whole ? (struct mo_run){number - at, count} : (struct mo_run){number, 1};
}

/* Is every slab of the run wholly free, and listed? What is closed already may be among them. */
static bool is_free_locked(const struct mo_bin *b, struct mo_run run)
{
    bool yes = true;
    for (uint32_t i = run.first; yes && i < run.first + run.count; i++)
        yes = mo_slab_is_empty(&mo_sealed.slabs[i]) &&
              (mo_list_has(b->partial, b->partial_count, i) || mo_list_has(b->closed, b->closed_count, i));
    return yes;
}

/* Ends the lives of a slab's chunks, but for what is in its pages. */
static void end_lives(struct mo_slab *slab, const struct mo_class *k)
{
    for (unsigned i = 0; i < slab->introduced; i++) {
        uintptr_t slot = slab->base + MO_HEADER + (size_t)i * k->stride;
        uint16_t *word = mo_state_of(mo_granule_of(slot), k, slot);
        mo_state_store(word, mo_state_load(word) & MO_STATE_GENERATION);
    }
    mo_slab_renew(slab, k);
}

/* Takes a run that is wholly free, or to be wiped, off its bin, to be closed without the lock. */
static void detach_locked(struct mo_bin *b, struct mo_run run, unsigned class, int shard, bool wipe)
{
    const struct mo_class *k = &mo_sealed.classes[class];
    for (uint32_t i = run.first; i < run.first + run.count; i++) {
        struct mo_slab *slab = mo_bin_slab(b, i, class, shard);
        mo_bin_check_bitmap(b, slab);
        if (mo_list_has(b->closed, b->closed_count, i)) {
            mo_list_remove(b->closed, &b->closed_count, i);
            continue;
        }
        if (!mo_list_has(b->partial, b->partial_count, i)) /* it is full */
            mo_list_add(b->partial, &b->partial_count, i);
        mo_bin_leaves(b, i, k);
        b->taken -= (size_t)(slab->introduced - slab->free_count);
        if (wipe)
            end_lives(slab, k);
    }
}

/* Gives a slab of a detached run, which was open or not and has been closed or not, back to its bin. */
static void list_again_locked(struct mo_bin *b, uint32_t number, const struct mo_class *k)
{
    struct mo_slab *slab = &mo_sealed.slabs[number];
    if (!(slab->flags & MO_SLAB_OPEN) || (slab->flags & MO_SLAB_LAZY))
        mo_slab_renew(slab, k); /* under the lock: somebody may be checking it */
    if (!(slab->flags & MO_SLAB_OPEN)) {
        mo_list_add(b->closed, &b->closed_count, number);
    } else { /* lazily, or the kernel would not (locked memory, no guards): it stays in use */
        mo_bin_enters(b, number, k);
    }
}

/* As the kernel gives them. */
static void wipe_pages(uintptr_t base, size_t bytes)
{
    if (mo_tagged())
        mo_tag_clear(base, base + bytes, MO_TAG_OURS);
    else
        __builtin_memset((void *)base, 0, bytes);
}

/* Closes detached runs and lists them again; bytes given back. Without the lock: a system call takes a hundred times
 * longer than anything else here. wipe: there may be data in them, and they must be closed whatever the option. */
static size_t close_detached(struct mo_bin *b, const struct mo_class *k, const struct mo_run *runs, size_t n, bool wipe)
{
    size_t bytes = 0;
    for (size_t r = 0; r < n; r++) {
        struct mo_slab *slabs = &mo_sealed.slabs[runs[r].first];
        size_t closed = mo_sealed.options.purge == MO_PURGE_LAZY && !wipe ? mo_slabs_offer(slabs, runs[r].count)
                                                                          : mo_slabs_close(slabs, runs[r].count);
        /* What the kernel would not take of slabs whose chunks have not been cleared; malloc(0)'s have no pages. */
        for (uint32_t i = 0; wipe && i < runs[r].count; i++)
            if ((slabs[i].flags & MO_SLAB_OPEN) && slabs[i].class != MO_CLASS_ZERO)
                wipe_pages(slabs[i].base, k->slab_bytes);
        mo_lock(&b->lock);
        for (uint32_t i = runs[r].first; i < runs[r].first + runs[r].count; i++)
            list_again_locked(b, i, k);
        b->purged += (uint32_t)closed;
        mo_unlock(&b->lock);
        bytes += closed * k->slab_bytes;
    }
    __atomic_add_fetch(&closed_bytes, bytes, __ATOMIC_RELAXED);
    size_t now = allowed();
    allow(now - mo_min(now, bytes / ALLOWANCE_DECAY));
    return bytes;
}

/* Takes runs of the bin, whole blocks or single slabs, until the spares are down to `most`; how many. */
static size_t detach_some_locked(struct mo_bin *b, unsigned class, int shard, bool single, size_t most,
                                 struct mo_run *runs)
{
    size_t n = 0;
    for (uint32_t i = b->partial_count; i > 0 && b->empty_count > 0 && n < RUNS && spare() > most; i--) {
        if (i > b->partial_count) /* a block's slabs were taken */
            continue;
        uint32_t number = b->partial[i - 1];
        const struct mo_slab *slab = mo_bin_slab(b, number, class, shard);
        if (!mo_slab_is_spare(slab))
            continue;
        struct mo_run run = mo_bin_block(slab);
        if (run.count > 1 && !is_free_locked(b, run)) {
            if (!single)
                continue;
            run = (struct mo_run){number, 1};
        }
        detach_locked(b, run, class, shard, false);
        runs[n++] = run;
    }
    return n;
}

static void purge_bin(int shard, unsigned class, bool single, size_t most)
{
    struct mo_bin *b = mo_bin_of(shard, class);
    struct mo_run runs[RUNS];
    size_t n, given;
    do {
        mo_lock(&b->lock);
        n = detach_some_locked(b, class, shard, single, most, runs);
        mo_unlock(&b->lock);
        given = close_detached(b, &mo_sealed.classes[class], runs, n, false);
    } while (n == RUNS && given > 0);
}

/* Is slot i the shard's? The bitmap alone may have been written to, and a slot's contents would go without a trace. */
static bool is_free_slot_locked(struct mo_bin *b, const struct mo_slab *slab, const struct mo_class *k, unsigned i)
{
    uintptr_t slot = slab->base + MO_HEADER + (size_t)i * k->stride;
    if (i >= slab->introduced || !(slab->free[i / 64] >> (i % 64) & 1))
        return false;
    unsigned state = mo_state_load(mo_state_of(mo_granule_of(slot), k, slot));
    if (mo_unlikely(!mo_state_is_free(state, MO_OWNER_SHARD))) {
        mo_unlock(&b->lock);
        mo_purge_abandon();
        mo_report_metadata("free", slot + MO_HEADER, NULL, PTRDIFF_MIN,
                           "a slab's bitmap and the state of a slot disagree");
    }
    return true;
}

/* Gives back the whole pages of the free slots between others, and adds their bytes. The page where they begin stays:
 * their first byte may be the fence of the chunk before. False: the kernel has refused, and given nothing so far; one
 * that refuses some (locked memory) is asked on. */
static bool punch_locked(struct mo_bin *b, struct mo_slab *slab, const struct mo_class *k, size_t *given)
{
    const uintptr_t page = mo_sealed.features.page, slots = slab->base + MO_HEADER;
    size_t bytes = 0;
    bool refused = false;
    for (unsigned i = 0; i < slab->introduced; i++) {
        uintptr_t from = mo_align_up(slots + (size_t)i * k->stride, page);
        while (is_free_slot_locked(b, slab, k, i))
            i++;
        uintptr_t to = mo_align_down(slots + (size_t)i * k->stride, page);
        if (to <= from)
            continue;
        if (mo_os_purge((void *)from, to - from))
            bytes += to - from;
        else
            refused = true;
    }
    mo_slab_set_hollow(slab, k, bytes);
    if (bytes != 0)
        __atomic_store_n(&slab->flags, (uint8_t)(slab->flags | MO_SLAB_HOLES), __ATOMIC_RELAXED);
    *given += bytes;
    return !refused || *given != 0;
}

static bool punch_bin(int shard, unsigned class, size_t *given)
{
    const struct mo_class *k = &mo_sealed.classes[class];
    struct mo_bin *b = mo_bin_of(shard, class);
    bool goes_on = true;
    if (__atomic_load_n(&b->open_count, __ATOMIC_RELAXED) == 0)
        return true;
    mo_lock(&b->lock);
    for (uint32_t i = b->partial_count; goes_on && i > 0; i--) {
        if (i > b->partial_count)
            continue;
        struct mo_slab *slab = mo_bin_slab(b, b->partial[i - 1], class, shard);
        if (mo_slab_is_empty(slab) || slab->free_count * (size_t)k->stride < k->slab_bytes / HOLES_LEAST + slab->hollow)
            continue;
        mo_bin_check_bitmap(b, slab);
        goes_on = punch_locked(b, slab, k, given);
        mo_unlock(&b->lock); /* a system call takes long: it is others' turn */
        mo_lock(&b->lock);
    }
    mo_unlock(&b->lock);
    return goes_on;
}

static void punch(void)
{
    bool goes_on = true;
    size_t given = 0, now = allowed();
    for (int shard = mo_arena_first(); goes_on && shard < (int)mo_sealed.shard_count; shard++)
        for (unsigned class = MO_CLASS_FIRST; goes_on && class <= MO_CLASS_LAST; class++)
            goes_on = !mo_class_has_holes(&mo_sealed.classes[class]) || punch_bin(shard, class, &given);
    __atomic_store_n(&holes_left, holes(), __ATOMIC_RELAXED);
    allow(now - mo_min(now, given / ALLOWANCE_DECAY));
}

/* Gives back until the spares are down to `most`: whole blocks first, then single slabs. */
static void purge_locked(size_t most)
{
    __atomic_store_n(&purger, mo_os_self(), __ATOMIC_RELAXED);
    static size_t turn; /* the bin to begin with, so that no class loses its spares before all others each time */
    const int first = mo_arena_first();
    const size_t bins = (mo_sealed.shard_count - (size_t)first) * MO_CLASSES;
    for (unsigned single = 0; single <= 1; single++) {
        for (size_t i = 0; i < bins && spare() > most; i++) {
            turn = turn + 1 < bins ? turn + 1 : 0;
            int shard = first + (int)(turn / MO_CLASSES);
            unsigned class = (unsigned)(turn % MO_CLASSES);
            if (class != MO_CLASS_ZERO && __atomic_load_n(&mo_bin_of(shard, class)->empty_count, __ATOMIC_RELAXED) != 0)
                purge_bin(shard, class, single != 0, most);
        }
    }
    if (gives_holes() && (most == 0 || holes_exceed()))
        punch();
    size_t left = spare();
    __atomic_store_n(&stuck, left > most ? left : 0, __ATOMIC_RELAXED);
    __atomic_store_n(&exceeded_since, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&purger, 0, __ATOMIC_RELAXED);
}

void mo_purge_abandon(void)
{
    if (__atomic_load_n(&purger, __ATOMIC_RELAXED) != mo_os_self())
        return;
    __atomic_store_n(&purger, 0, __ATOMIC_RELAXED);
    mo_unlock(&purge_lock);
}

void mo_arena_trim(void)
{
    if (!mo_trylock(&purge_lock))
        return;
    purge_locked(allowed());
    mo_unlock(&purge_lock);
}

void mo_arena_purge(void)
{
    mo_lock(&purge_lock);
    purge_locked(0);
    mo_unlock(&purge_lock);
}

static int heap_shards; /* how many; changes under purge_lock, atomic */

int mo_arena_first(void)
{
    return -__atomic_load_n(&heap_shards, __ATOMIC_ACQUIRE);
}

size_t mo_arena_heap_room(void)
{
    return mo_min(MO_HEAPS, mo_sealed.features.address_limit >> 20) * sizeof(struct mo_shard) +
           3 * mo_sealed.features.page;
}

int mo_arena_add(void)
{
    int shard = 0;
    mo_lock(&purge_lock);
    size_t page = mo_sealed.features.page, count = (size_t)heap_shards + 1;
    /* Downwards, in whole pages. */
    uintptr_t from = mo_align_down((uintptr_t)(mo_sealed.shards - count), page);
    uintptr_t had = mo_align_down((uintptr_t)(mo_sealed.shards - heap_shards), page);
    if (count <= mo_sealed.heaps_most && (from == had || mo_os_open((void *)from, had - from))) {
        shard = -(int)count;
        mo_arena_rank(shard);
        __atomic_store_n(&heap_shards, (int)count, __ATOMIC_RELEASE);
    }
    mo_unlock(&purge_lock);
    return shard;
}

const struct mo_slab *mo_arena_next(int shard, unsigned class, const struct mo_slab *slab)
{
    struct mo_bin *b = mo_bin_of(shard, class);
    uint32_t number = slab == NULL ? b->all : slab->next;
    return number != 0 ? mo_bin_slab(b, number, class, shard) : NULL;
}

static void wipe_block(struct mo_run run, unsigned class, int shard)
{
    struct mo_bin *b = mo_bin_of(shard, class);
    mo_lock(&b->lock);
    detach_locked(b, run, class, shard, true);
    mo_unlock(&b->lock);
    (void)close_detached(b, &mo_sealed.classes[class], &run, 1, true);
}

void mo_arena_wipe(int shard)
{
    mo_lock(&purge_lock); /* nobody else closes slabs of the shard meanwhile */
    __atomic_store_n(&purger, mo_os_self(), __ATOMIC_RELAXED);
    for (unsigned class = MO_CLASS_FIRST; class < MO_CLASSES; class++) {
        for (const struct mo_slab *slab = NULL; (slab = mo_arena_next(shard, class, slab)) != NULL;)
            if (slab->flags & MO_SLAB_OPEN)
                wipe_block(mo_bin_block(slab), class, shard);
    }
    __atomic_store_n(&purger, 0, __ATOMIC_RELAXED);
    mo_unlock(&purge_lock);
}

void mo_arena_locks(mo_lock_visit *visit)
{
    visit(&purge_lock);
    /* By classes: a thread with a heap's bin 0 may wait for another bin of any shard. */
    for (unsigned class = 0; class < MO_CLASSES; class++)
        for (int shard = mo_arena_first(); mo_bin_place(class) < MO_BINS_USED && shard < (int)mo_sealed.shard_count;
             shard++)
            visit(&mo_bin_of(shard, class)->lock);
}
