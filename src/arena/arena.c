#include "arena/bin.h"

bool mo_arena_start(void)
{
    if (mo_sealed.shards == NULL)
        mo_sealed.shards = mo_os_map_guarded(mo_sealed.shard_count * sizeof(struct mo_shard), "moat shards");
    if (mo_sealed.shards == NULL)
        return false;
    for (size_t shard = 0; shard < mo_sealed.shard_count; shard++)
        mo_arena_rank((int)shard);
    size_t below = mo_os_nest_below(mo_sealed.shards), spare = 2 * mo_sealed.features.page;
    mo_sealed.heaps_most = below > spare ? mo_min(MO_HEAPS, (below - spare) / sizeof(struct mo_shard)) : 0;
    return true;
}

struct mo_bin *mo_bin_place_of(int shard, unsigned class)
{
    return &mo_sealed.shards[shard].bins[mo_bin_place(class)];
}

struct mo_slab *mo_bin_slab(struct mo_bin *b, uint32_t number, unsigned class, int shard)
{
    if (mo_unlikely(!mo_slab_agrees(number, class, shard))) {
        mo_unlock(&b->lock);
        mo_purge_abandon();
        mo_report_metadata("malloc", (uintptr_t)&mo_sealed.slabs[number], NULL, PTRDIFF_MIN,
                           "a slab's description, its list and the address table disagree");
    }
    return &mo_sealed.slabs[number];
}

void mo_bin_check_bitmap(struct mo_bin *b, const struct mo_slab *slab)
{
    unsigned bits = 0;
    bool fits = slab->introduced <= mo_sealed.classes[slab->class].slots;
    for (unsigned w = 0; fits && w * 64 < slab->introduced; w++)
        bits += (unsigned)__builtin_popcountll(slab->free[w]);
    if (mo_likely(fits && bits == slab->free_count))
        return;
    mo_unlock(&b->lock);
    mo_purge_abandon();
    mo_report_metadata("malloc", (uintptr_t)slab, NULL, PTRDIFF_MIN,
                       "a slab's bitmap and its count of free slots disagree");
}

static uint32_t number_of(const struct mo_slab *slab)
{
    return (uint32_t)(slab - mo_sealed.slabs);
}

/* Is there a slot in it to be had, a free one or one not yet introduced? */
static bool has_room(const struct mo_slab *slab, const struct mo_class *k)
{
    return slab->free_count != 0 || slab->introduced < k->slots;
}

/* Hands the slot over to its new owner; it must be the shard's until now. */
MO_INLINE void hand_over_locked(struct mo_bin *b, uintptr_t slot, uint16_t *word, unsigned owner)
{
    unsigned state = mo_state_load(word);
    if (mo_unlikely(!mo_state_is_free(state, MO_OWNER_SHARD))) {
        mo_unlock(&b->lock);
        mo_report_double_free(
            "malloc", slot + MO_HEADER, NULL, PTRDIFF_MIN,
            "a slot that its shard lists as free has another owner: it was freed twice at the same time");
    }
    mo_state_store(word, state | owner);
}

/* Bits of which each is set with probability 2^-halvings. */
MO_INLINE uint64_t sparse_bits(struct mo_random *r, unsigned halvings)
{
    uint64_t bits = ~(uint64_t)0;
    while (halvings-- > 0)
        bits &= mo_random_u64(r);
    return bits;
}

/* Moves up to n random slots of one slab into slots[]: passes over its words, from a random one on, with random masks
 * as sparse as the batch is small against a window of the slab, until the batch is full. The order is shuffled by the
 * caller. */
static size_t take_from_locked(struct mo_bin *b, struct mo_slab *slab, unsigned owner, uintptr_t *slots, size_t n,
                               struct mo_random *r)
{
    const struct mo_class *k = &mo_sealed.classes[slab->class];
    const struct mo_granule *g = mo_granule_of(slab->base); /* what states depend on is the same in a whole region */
    size_t got = 0, was_free = slab->free_count;

    mo_bin_check_bitmap(b, slab); /* or the search below has no end */
    if (mo_slab_is_spare(slab))
        mo_bin_loses_spare(b, slab, k);
    if (mo_unlikely(slab->flags & MO_SLAB_LAZY))
        __atomic_store_n(&slab->flags, (uint8_t)(slab->flags & ~MO_SLAB_LAZY), __ATOMIC_RELAXED);
    if (slab->free_count == 0) {
        unsigned first = slab->introduced;
        mo_slab_introduce(slab, k);
        mo_slab_fill(slab, k, first);
    }
    n = mo_min(n, slab->free_count);
    unsigned words = (slab->introduced + 63u) / 64;
    unsigned halvings = mo_log2(mo_max(mo_min(slab->free_count, MO_SLAB_STEP) / n, 1));
    for (unsigned w = mo_random_below_small(r, words), pass = 0; got < n; w = w + 1 < words ? w + 1 : 0, pass++) {
        if (pass == words && halvings > 0) {
            halvings--;
            pass = 0;
        }
        if (slab->free[w] == 0)
            continue;
        uint64_t chosen = slab->free[w] & sparse_bits(r, halvings), left = slab->free[w];
        for (; chosen != 0 && got < n; chosen &= chosen - 1) {
            uintptr_t slot = slab->base + MO_HEADER + (w * 64 + (size_t)__builtin_ctzll(chosen)) * k->stride;
            left ^= chosen & (0 - chosen);
            hand_over_locked(b, slot, mo_state_of(g, k, slot), owner);
            slots[got++] = slot;
        }
        slab->free[w] = left;
    }
    if (!MO_SMALL && mo_unlikely(slab->hollow != 0))
        mo_slab_fills_hollow(slab, k, got);
    slab->free_count = (uint16_t)(slab->free_count - got);
    mo_holes_gain(k, slab->free_count - was_free, 0);
    if (!has_room(slab, k))
        mo_list_remove(b->partial, &b->partial_count, number_of(slab));
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

size_t mo_arena_take(int shard, unsigned class, unsigned owner, uintptr_t *slots, size_t n, struct mo_random *r)
{
    struct mo_bin *b = mo_bin_of(shard, class);
    size_t got = 0;
    mo_lock_here(&b->lock);
    while (got < n) {
        if (b->partial_count == 0 && (got > 0 || !mo_bin_open_one(b, shard, class, r)))
            break; /* a smaller batch rather than another slab */
        uint32_t pick = mo_random_below(r, (uint32_t)mo_min(b->partial_count, 65536));
        struct mo_slab *slab = mo_bin_slab(b, b->partial[pick], class, shard);
        got += take_from_locked(b, slab, owner, slots + got, n - got, r);
    }
    mo_unlock_here(&b->lock);
    shuffle(slots, got, r);
    return got;
}

/* Marks a slot of the shard free. */
MO_INLINE void put_one_locked(struct mo_bin *b, struct mo_slab *slab, unsigned index, uint16_t *word, unsigned owner)
{
    const struct mo_class *k = &mo_sealed.classes[slab->class];
    uint64_t bit = (uint64_t)1 << (index % 64);
    unsigned state = mo_state_load(word), count = slab->free_count;
    if (mo_unlikely(!mo_state_is_free(state, owner) || (slab->free[index / 64] & bit) != 0)) {
        mo_unlock(&b->lock);
        mo_report_double_free(
            "free", slab->base + 2 * MO_HEADER + (size_t)index * k->stride, NULL, PTRDIFF_MIN,
            "a freed slot has another owner when it leaves the thread cache: it was freed twice at the same time");
    }
    mo_state_store(word, (state & MO_STATE_GENERATION) | MO_OWNER_SHARD);
    if (mo_unlikely(count == 0) && !has_room(slab, k))
        mo_list_add(b->partial, &b->partial_count, number_of(slab));
    slab->free[index / 64] |= bit;
    slab->free_count = (uint16_t)(count + 1);
    b->taken--;
    if (mo_unlikely(mo_slab_is_empty(slab)))
        mo_bin_gains_spare(b, slab, k);
}

MO_COLD static MO_NORETURN void report_stranger(struct mo_bin *b, uintptr_t slot)
{
    if (b != NULL)
        mo_unlock(&b->lock);
    mo_report_metadata("free", slot, NULL, PTRDIFF_MIN, "a thread cache lists what is no slot of its class");
}

/* Puts those of the slots that came from `shard`, keeps the others at the front; returns how many are left. */
static size_t put_shard(int shard, unsigned class, unsigned owner, uintptr_t *slots, size_t n)
{
    const struct mo_class k = mo_sealed.classes[class]; /* a copy, as what is stored below could change it */
    const uintptr_t base = mo_sealed.heap_base, size = mo_sealed.heap_size;
    const uintptr_t in_span = ((uintptr_t)1 << k.span_shift) - 1;
    const struct mo_granule *const granules = mo_sealed.granules;
    struct mo_bin *b = mo_bin_of(shard, class);
    size_t left = 0;

    mo_lock_here(&b->lock);
    for (size_t i = 0; i < n; i++) {
        uintptr_t slot = slots[i], in_slab = slot & in_span;
        size_t index = mo_slot_index(&k, in_slab);
        const struct mo_granule *g = &granules[(slot - base) >> MO_GRANULE_SHIFT];
        if (mo_unlikely(slot - base >= size || g->class != class || index >= k.slots ||
                        MO_HEADER + index * k.stride != in_slab))
            report_stranger(b, slot);
        if (g->shard != shard)
            slots[left++] = slot;
        else
            put_one_locked(b, &mo_sealed.slabs[g->slab], (unsigned)index, mo_state_of(g, &k, slot), owner);
    }
    mo_holes_gain(&mo_sealed.classes[class], n - left, 0);
    mo_unlock_here(&b->lock);
    return left;
}

void mo_arena_put(unsigned class, unsigned owner, uintptr_t *slots, size_t n)
{
    while (n > 0) {
        if (mo_unlikely(slots[0] - mo_sealed.heap_base >= mo_sealed.heap_size))
            report_stranger(NULL, slots[0]);
        n = put_shard(mo_granule_of(slots[0])->shard, class, owner, slots, n);
    }
    if (mo_unlikely(mo_spares_exceed()))
        mo_arena_trim();
}
