/* Looking at shards from outside: keeping a slab open for a while, and whether all that describes slabs agrees. */
#include "arena/bin.h"
#include "mem/classes.h"

static struct mo_bin *bin_of(const struct mo_slab *slab)
{
    return mo_bin_of(slab->shard, slab->class);
}

static bool is_partial_locked(const struct mo_bin *b, const struct mo_slab *slab)
{
    return mo_list_has(b->partial, b->partial_count, (uint32_t)(slab - mo_sealed.slabs));
}

/* A wholly free slab that its bin does not list is being closed by somebody, without the lock. */
static bool is_open_locked(const struct mo_bin *b, const struct mo_slab *slab)
{
    return slab->free_count < slab->introduced || is_partial_locked(b, slab);
}

enum mo_hold mo_arena_hold(const struct mo_slab *slab, bool patient)
{
    struct mo_bin *b = bin_of(slab);
    if (!(patient ? mo_lock_patiently(&b->lock) : mo_trylock(&b->lock)))
        return MO_LOCKED;
    if (is_open_locked(b, slab))
        return MO_HELD;
    mo_unlock(&b->lock);
    return MO_CLOSED;
}

void mo_arena_let_go(const struct mo_slab *slab)
{
    mo_unlock(&bin_of(slab)->lock);
}

/* What a bin's slabs add up to. */
struct sums {
    size_t taken, full, empty;
    const struct mo_slab *slab; /* the one that is wrong */
};

/* Bitmap, count and state words of a slab of the bin; what disagrees, or NULL. */
static const char *slab_fault_locked(const struct mo_bin *b, const struct mo_slab *slab, struct sums *sums)
{
    const struct mo_class *k = &mo_sealed.classes[slab->class];
    size_t free = 0, bits = 0;
    for (unsigned w = 0; w < MO_SLAB_WORDS; w++)
        bits += (size_t)__builtin_popcountll(slab->free[w]);
    for (unsigned i = 0; i < mo_min(slab->introduced, k->slots); i++) {
        struct mo_place place;
        bool is_free = (slab->free[i / 64] >> (i % 64)) & 1;
        uintptr_t slot = slab->base + MO_HEADER + (size_t)i * k->stride;
        free += is_free;
        if (!mo_heap_find(slot, &place) || place.slab != slab || place.slot != slot)
            return "a slab's description and the table of addresses disagree";
        if (is_free != mo_state_is_free(place.seen, MO_OWNER_SHARD))
            return "a slab's bitmap and the state of a slot disagree";
    }
    bool listed = is_partial_locked(b, slab);
    bool full = free == 0 && slab->introduced == k->slots, empty = free == slab->introduced;
    if (free != slab->free_count || free != bits || slab->introduced > k->slots || (full && listed) ||
        (!full && !empty && !listed))
        return "a slab's bitmap and its count of free slots disagree";
    sums->taken += slab->introduced - free;
    sums->full += full;
    sums->empty += empty && listed && mo_slab_is_spare(slab);
    return NULL;
}

static const char *list_fault_locked(const uint32_t *list, uint32_t count, int shard, unsigned class)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct mo_slab *slab = &mo_sealed.slabs[list[i]];
        if (list[i] >= mo_heap_slab_count() || slab->at != i || slab->class != class || slab->shard != shard)
            return "a shard's list names a slab that is not its own";
    }
    return NULL;
}

static const char *bin_fault_locked(const struct mo_bin *b, int shard, unsigned class, struct sums *sums)
{
    if (b->partial_count > b->list_room || b->closed_count > b->list_room)
        return "a shard's lists are longer than their room";
    const char *fault = list_fault_locked(b->partial, b->partial_count, shard, class);
    if (fault == NULL)
        fault = list_fault_locked(b->closed, b->closed_count, shard, class);
    uint32_t count = 0;
    for (uint32_t number = b->all; fault == NULL && number != 0 && count < b->slab_count; count++) {
        if (!mo_slab_agrees(number, class, shard))
            return "a shard's list names a slab that is not its own";
        sums->slab = &mo_sealed.slabs[number];
        fault = slab_fault_locked(b, sums->slab, sums);
        number = sums->slab->next;
    }
    if (fault != NULL)
        return fault;
    sums->slab = NULL;
    if (count != b->slab_count)
        return "a shard's slabs and its counts disagree";
    bool agree =
        sums->taken == b->taken && sums->empty == b->empty_count && sums->full + b->partial_count == b->open_count;
    return agree ? NULL : "a shard's slabs and its counts disagree";
}

void mo_arena_check(const char *action)
{
    if (mo_heap_slab_count() <= 1) /* number 0 is none: the bins' pages need not be touched */
        return;
    for (int shard = mo_arena_first(); shard < (int)mo_sealed.shard_count; shard++) {
        for (unsigned class = MO_CLASS_FIRST; class < MO_CLASSES; class++) {
            if (!mo_class_is_used(class))
                continue; /* nor are the pages of such bins touched */
            struct mo_bin *b = mo_bin_of(shard, class);
            struct sums sums = {0};
            if (!mo_lock_patiently(&b->lock))
                continue;
            const char *fault = b->slab_count != 0 ? bin_fault_locked(b, shard, class, &sums) : NULL;
            mo_unlock(&b->lock);
            if (fault != NULL)
                mo_report_metadata(action, sums.slab != NULL ? sums.slab->base : (uintptr_t)b, NULL, PTRDIFF_MIN,
                                   fault);
        }
    }
}
