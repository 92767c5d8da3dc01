#include "arena/arena.h"

#include "diag/report.h"

enum {
    FIRST_LIST = 16,  /* entries of a bin's first lists */
    CLOSE_BATCH = 16, /* slabs taken out of a bin before its lock is dropped to close them */
};

/* Bytes of open slabs that are wholly free, and of those given back so far, in all shards; atomic. */
static size_t spare_bytes, closed_bytes;

bool mo_arena_start(void)
{
    mo_sealed.shards = mo_os_map_guarded(mo_sealed.shard_count * sizeof(struct mo_shard), "moat shards");
    return mo_sealed.shards != NULL;
}

static struct mo_bin *bin_of(unsigned shard, unsigned class)
{
    return &mo_sealed.shards[shard].bins[class];
}

static void list_add(uint32_t *list, uint32_t *count, uint32_t number)
{
    mo_sealed.slabs[number].at = *count;
    list[(*count)++] = number;
}

static void list_remove(uint32_t *list, uint32_t *count, uint32_t number)
{
    uint32_t at = mo_sealed.slabs[number].at;
    if (mo_unlikely(at >= *count || list[at] != number))
        mo_panic("a slab's place in its list is wrong");
    uint32_t last = list[--*count];
    list[at] = last;
    mo_sealed.slabs[last].at = at;
}

static void become_empty_locked(struct mo_bin *b, const struct mo_class *k)
{
    b->empty_count++;
    __atomic_add_fetch(&spare_bytes, k->slab_bytes, __ATOMIC_RELAXED);
}

static void leave_empty_locked(struct mo_bin *b, const struct mo_class *k)
{
    b->empty_count--;
    __atomic_sub_fetch(&spare_bytes, k->slab_bytes, __ATOMIC_RELAXED);
}

static uint32_t number_of(const struct mo_slab *slab)
{
    return (uint32_t)(slab - mo_sealed.slabs);
}

/* Room in both lists for every slab of the bin, so that adding to a list never fails. */
static bool reserve_lists_locked(struct mo_bin *b, uint32_t slabs)
{
    if (slabs <= b->list_room)
        return true;
    uint32_t room = (uint32_t)mo_max(mo_max(FIRST_LIST, (size_t)b->list_room * 2), mo_pow2_floor(slabs) * 2);
    uint32_t *lists = mo_heap_list((size_t)room * 2);
    if (lists == NULL)
        return false;
    for (uint32_t i = 0; i < b->partial_count; i++)
        lists[i] = b->partial[i];
    for (uint32_t i = 0; i < b->closed_count; i++)
        lists[room + i] = b->closed[i];
    b->partial = lists;
    b->closed = lists + room;
    b->list_room = room;
    return true;
}

static bool grow_locked(struct mo_bin *b, unsigned shard, unsigned class)
{
    uint32_t first = 0;
    size_t count = mo_heap_grow(class, shard, b->held, &first);
    /* Slabs for which there is no list are lost: an address range only, and no memory. */
    if (count == 0 || !reserve_lists_locked(b, b->slab_count + (uint32_t)count))
        return false;
    for (uint32_t i = 0; i < count; i++)
        list_add(b->closed, &b->closed_count, first + i);
    b->slab_count += (uint32_t)count;
    b->held += count << mo_sealed.classes[class].span_shift;
    return true;
}

static bool open_one_locked(struct mo_bin *b, unsigned shard, unsigned class, struct mo_random *r)
{
    if (b->closed_count == 0 && !grow_locked(b, shard, class))
        return false;
    uint32_t number = b->closed[mo_random_below(r, (uint32_t)mo_min(b->closed_count, 65536))];
    if (!mo_slab_open(&mo_sealed.slabs[number]))
        return false;
    list_remove(b->closed, &b->closed_count, number);
    list_add(b->partial, &b->partial_count, number);
    b->open_count++;
    become_empty_locked(b, &mo_sealed.classes[class]);
    return true;
}

/* Hands the slot over to its new owner; it must be the shard's until now. */
static uintptr_t hand_over_locked(const struct mo_slab *slab, const struct mo_class *k, unsigned index, unsigned owner)
{
    uintptr_t slot = slab->base + MO_HEADER + (size_t)index * k->stride;
    uint16_t *word = mo_state_of(mo_granule_of(slot), k, slot);
    unsigned state = mo_state_load(word);
    if (mo_unlikely((state & (MO_STATE_LIVE | MO_STATE_OWNER)) != MO_OWNER_SHARD))
        mo_report_double_free(
            "malloc", slot + MO_HEADER, NULL, PTRDIFF_MIN,
            "a slot that its shard lists as free has another owner: it was freed twice at the same time");
    mo_state_store(word, (state & MO_STATE_GENERATION) | owner);
    return slot;
}

/* Bits of which each is set with probability 2^-halvings. */
static uint64_t sparse_bits(struct mo_random *r, unsigned halvings)
{
    uint64_t bits = ~(uint64_t)0;
    while (halvings-- > 0)
        bits &= mo_random_u64(r);
    return bits;
}

/* Moves up to n random slots of one slab into slots[]: passes over its words, from a random one on, with random masks
 * as sparse as the batch is small against the slab, until the batch is full. The order is shuffled by the caller. */
static size_t take_from_locked(struct mo_bin *b, uint32_t number, unsigned owner, uintptr_t *slots, size_t n,
                               struct mo_random *r)
{
    enum { WORDS = MO_SLAB_SLOTS / 64 };
    struct mo_slab *slab = &mo_sealed.slabs[number];
    const struct mo_class *k = &mo_sealed.classes[slab->class];
    size_t got = 0;

    if (slab->free_count == k->slots)
        leave_empty_locked(b, k);
    n = mo_min(n, slab->free_count);
    unsigned halvings = mo_log2(slab->free_count / n);
    for (unsigned w = mo_random_below(r, WORDS), pass = 0; got < n; w = (w + 1) % WORDS, pass++) {
        if (pass % WORDS == 0 && pass > 0 && halvings > 0)
            halvings--;
        if (slab->free[w] == 0)
            continue;
        uint64_t chosen = slab->free[w] & sparse_bits(r, halvings);
        for (; chosen != 0 && got < n; chosen &= chosen - 1) {
            unsigned bit = (unsigned)__builtin_ctzll(chosen);
            slab->free[w] &= ~((uint64_t)1 << bit);
            slots[got++] = hand_over_locked(slab, k, w * 64 + bit, owner);
        }
    }
    slab->free_count = (uint16_t)(slab->free_count - got);
    if (slab->free_count == 0)
        list_remove(b->partial, &b->partial_count, number);
    b->taken += got;
    return got;
}

static void shuffle(uintptr_t *slots, size_t n, struct mo_random *r)
{
    for (size_t i = n; i > 1; i--) {
        size_t j = mo_random_below_small(r, (uint32_t)i);
        uintptr_t swap = slots[i - 1];
        slots[i - 1] = slots[j];
        slots[j] = swap;
    }
}

size_t mo_arena_take(unsigned shard, unsigned class, unsigned owner, uintptr_t *slots, size_t n, struct mo_random *r)
{
    struct mo_bin *b = bin_of(shard, class);
    size_t got = 0;
    mo_lock(&b->lock);
    while (got < n) {
        if (b->partial_count == 0 && (got > 0 || !open_one_locked(b, shard, class, r)))
            break; /* a smaller batch rather than another slab */
        uint32_t pick = mo_random_below(r, (uint32_t)mo_min(b->partial_count, 65536));
        got += take_from_locked(b, b->partial[pick], owner, slots + got, n - got, r);
    }
    mo_unlock(&b->lock);
    shuffle(slots, got, r);
    return got;
}

/* Takes a wholly free slab off its bin, to be closed without the lock. */
static void detach_locked(struct mo_bin *b, uint32_t number)
{
    list_remove(b->partial, &b->partial_count, number);
    b->open_count--;
    leave_empty_locked(b, &mo_sealed.classes[mo_sealed.slabs[number].class]);
}

/* Closes detached slabs and gives them back to their bin; bytes given back. Without the lock: a system
 * call takes a hundred times longer than anything else here. */
static size_t close_detached(struct mo_bin *b, const uint32_t *numbers, size_t n)
{
    size_t bytes = 0;
    for (size_t i = 0; i < n; i++) {
        struct mo_slab *slab = &mo_sealed.slabs[numbers[i]];
        bool closed = mo_slab_close(slab);
        bytes += closed ? mo_sealed.classes[slab->class].slab_bytes : 0;
        mo_lock(&b->lock);
        if (closed) {
            b->purged++;
            list_add(b->closed, &b->closed_count, numbers[i]);
        } else { /* the kernel would not (locked memory, no guards): it stays in use */
            list_add(b->partial, &b->partial_count, numbers[i]);
            b->open_count++;
            become_empty_locked(b, &mo_sealed.classes[slab->class]);
        }
        mo_unlock(&b->lock);
    }
    __atomic_add_fetch(&closed_bytes, bytes, __ATOMIC_RELAXED);
    return bytes;
}

size_t mo_arena_closed_bytes(void)
{
    return __atomic_load_n(&closed_bytes, __ATOMIC_RELAXED);
}

/* Marks one slot free. True when its slab is now wholly free and should be closed. */
static bool put_one_locked(struct mo_bin *b, struct mo_place *place, unsigned owner)
{
    struct mo_slab *slab = place->slab;
    uint64_t bit = (uint64_t)1 << (place->index % 64);
    unsigned state = mo_state_load(place->state);
    if (mo_unlikely((state & (MO_STATE_LIVE | MO_STATE_OWNER)) != owner ||
                    (slab->free[place->index / 64] & bit) != 0)) {
        mo_unlock(&b->lock);
        mo_report_double_free(
            "free", place->slot + MO_HEADER, NULL, PTRDIFF_MIN,
            "a freed slot has another owner when it leaves the thread cache: it was freed twice at the same time");
    }
    mo_state_store(place->state, (state & MO_STATE_GENERATION) | MO_OWNER_SHARD);
    slab->free[place->index / 64] |= bit;
    b->taken--;
    if (slab->free_count++ == 0)
        list_add(b->partial, &b->partial_count, number_of(slab));
    if (slab->free_count < place->k->slots)
        return false;
    become_empty_locked(b, place->k);
    return place->class != MO_CLASS_ZERO &&
           __atomic_load_n(&spare_bytes, __ATOMIC_RELAXED) > mo_sealed.options.spare_bytes;
}

/* Puts those of the slots that came from `shard`, keeps the others at the front; returns how many are left. */
static size_t put_shard(unsigned shard, unsigned class, unsigned owner, uintptr_t *slots, size_t n)
{
    struct mo_bin *b = bin_of(shard, class);
    uint32_t empty[CLOSE_BATCH];
    size_t empties = 0, left = 0;
    struct mo_place place;

    mo_lock(&b->lock);
    for (size_t i = 0; i < n; i++) {
        if (mo_unlikely(!mo_heap_locate(slots[i], &place) || place.class != class || place.slot != slots[i])) {
            mo_unlock(&b->lock);
            mo_report_metadata("free", slots[i], NULL, PTRDIFF_MIN,
                               "a thread cache lists what is no slot of its class");
        }
        if (place.shard != shard) {
            slots[left++] = slots[i];
            continue;
        }
        if (!put_one_locked(b, &place, owner))
            continue;
        empty[empties] = number_of(place.slab);
        detach_locked(b, empty[empties++]);
        if (empties == CLOSE_BATCH) {
            mo_unlock(&b->lock);
            close_detached(b, empty, empties);
            empties = 0;
            mo_lock(&b->lock);
        }
    }
    mo_unlock(&b->lock);
    close_detached(b, empty, empties);
    return left;
}

void mo_arena_put(unsigned class, unsigned owner, uintptr_t *slots, size_t n)
{
    struct mo_place place;
    while (n > 0) {
        if (mo_unlikely(!mo_heap_locate(slots[0], &place)))
            mo_report_metadata("free", slots[0], NULL, PTRDIFF_MIN, "a thread cache lists what is no slot");
        n = put_shard(place.shard, class, owner, slots, n);
    }
}

size_t mo_arena_purge(void)
{
    size_t bytes = 0;
    for (unsigned shard = 0; shard < mo_sealed.shard_count; shard++) {
        for (unsigned class = MO_CLASS_FIRST; class <= MO_CLASS_LAST; class++) {
            struct mo_bin *b = bin_of(shard, class);
            uint32_t empty[CLOSE_BATCH];
            size_t n;
            size_t given;
            do {
                n = 0;
                mo_lock(&b->lock);
                for (uint32_t i = b->partial_count; i > 0 && b->empty_count > 0 && n < CLOSE_BATCH; i--) {
                    uint32_t number = b->partial[i - 1];
                    if (mo_sealed.slabs[number].free_count == mo_sealed.classes[class].slots) {
                        detach_locked(b, number);
                        empty[n++] = number;
                    }
                }
                mo_unlock(&b->lock);
                given = close_detached(b, empty, n);
                bytes += given;
            } while (n == CLOSE_BATCH && given > 0);
        }
    }
    return bytes;
}

void mo_arena_lock(void)
{
    for (unsigned shard = 0; shard < mo_sealed.shard_count; shard++)
        for (unsigned class = 0; class < MO_CLASSES; class++)
            mo_lock(&bin_of(shard, class)->lock);
}

void mo_arena_unlock(void)
{
    for (unsigned shard = 0; shard < mo_sealed.shard_count; shard++)
        for (unsigned class = 0; class < MO_CLASSES; class++)
            mo_unlock(&bin_of(shard, class)->lock);
}
