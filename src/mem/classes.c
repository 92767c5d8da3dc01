#include "mem/classes.h"

#include "mem/heap.h"

enum {
    /* Bytes of a slab of small slots: 64 KiB less a guard. With MO_SMALL less, as what is writable counts where
     * overcommit is off; not where address space is scarce too. */
    SLAB_TARGET = (MO_SMALL && sizeof(void *) > 4 ? 28 : 60) * 1024,
    FEW_SLOTS = 14,        /* slots of a slab where the target holds fewer: a random choice among some */
    FEW_BELOW = 16 * 1024, /* from this stride on as many as the target holds, or one: what waits in a larger slab would
                            * keep its free slots' pages too. Slabs lie at random, each with its guard. */
    /* Ready slots of a class in a thread cache; a byte says how many in a forked child. */
    READY_MOST = MO_SMALL ? 32 : 250,
    LONG_WAIT = 192,    /* so many wait in a stage, if its count allows, whatever their bytes: P7 */
    LONG_WAIT_TO = 272, /* in classes for chunks of up to 256 bytes */
    AROUND = 8 + 16,    /* before the first slot, so that payloads are 16-aligned; behind the last one for its
                            * fence, and so that tails can be read 16 bytes at a time */
};

static uint32_t stride_of(unsigned class)
{
    if (class < 8)
        return 16 * (class + 1);
    unsigned step = class - 8;
    return (((4 + step % 4) << (step / 4)) * 32) + 16;
}

static void lay_out(struct mo_class *k, uint32_t stride)
{
    size_t page = mo_sealed.features.page;
    size_t want = (SLAB_TARGET - AROUND) / stride;
    size_t least = stride < FEW_BELOW ? FEW_SLOTS : 1;
    if (want < least)
        want = least;
    size_t bytes = mo_align_up(want * stride + AROUND, page);
    /* Rounded up, with at least one page of guard; whole granules. */
    size_t span = mo_max(mo_pow2_floor(bytes + page - 1) << 1, MO_GRANULE);
    size_t room = MO_SMALL ? want : (span - page - AROUND) / stride;
    k->slots = (uint16_t)mo_min(room, MO_SLAB_SLOTS);
    k->slab_bytes = (uint32_t)mo_align_up(k->slots * (size_t)stride + AROUND, page);
    k->stride = stride;
    k->inverse = (((uint64_t)1 << MO_INVERSE_SHIFT) + stride - 1) / stride;
    k->span_shift = (uint8_t)mo_log2(span);
    k->word_shift = (uint8_t)mo_log2(stride);
}

/* Entries of one quarantine stage: bounded by count and by bytes, where sizes are rounded down to a power
 * of two so that the count halves at each doubling. */
static size_t stage(size_t most, uint32_t stride)
{
    size_t floor = stride <= LONG_WAIT_TO ? LONG_WAIT : 1;
    return mo_min(most, mo_max(mo_sealed.options.quarantine_bytes / mo_pow2_floor(stride), floor));
}

static void size_cache(struct mo_class *k, size_t *at)
{
    const struct mo_options *o = &mo_sealed.options;
    bool used = mo_class_is_used((unsigned)(k - mo_sealed.classes));
    size_t random = used ? mo_pow2_floor(stage(o->quarantine_random, k->stride)) : 1;
    size_t fifo = used ? stage(o->quarantine_fifo, k->stride) : 1;
    size_t ready = used ? mo_min(o->cache_bytes / k->stride, READY_MOST) : 0;
    if (ready < 2)
        ready = 2;
    k->random_mask = (uint32_t)(random - 1);
    k->draw = random > 256 ? 2 : 1;
    k->random_at = (uint32_t)*at;
    k->fifo_at = (uint32_t)(k->random_at + random * sizeof(uintptr_t));
    k->fifo_end = (uint32_t)(k->fifo_at + fifo * sizeof(uintptr_t));
    k->ready_at = k->fifo_end + (uint32_t)sizeof(uintptr_t); /* a 0 between, which ends the stack */
    k->ready_end = (uint32_t)(k->ready_at + ready * sizeof(uintptr_t));
    *at = k->ready_end + sizeof(uintptr_t);         /* always 0: see MO_CACHE_ASIDE */
    k->gate_end = o->neighbours ? 0 : k->ready_end; /* to verify a chunk's neighbours is for free's slow half */
    /* Never of a class that the hot path looks at whole: its slow half would forgive what it has found. */
    k->sampled = mo_class_capacity(k) - MO_HEADER > mo_max(o->zero_check, MO_MEDIUM_MAX);
}

void mo_classes_start(void)
{
    size_t at = mo_sealed.cache_bytes; /* what the cache's own structure takes */
    const size_t none = at;            /* the place that classes without requests have together */
    if (MO_SMALL)
        size_cache(&mo_sealed.classes[MO_CLASS_FIRST + 1], &at);
    for (unsigned class = MO_CLASS_FIRST; class <= MO_CLASS_LAST; class++) {
        size_t same = none;
        lay_out(&mo_sealed.classes[class], stride_of(class));
        size_cache(&mo_sealed.classes[class], mo_class_is_used(class) ? &at : &same);
    }
    /* Slots of malloc(0) are addresses only: their class is beyond small_last, and free leaves it to its slow half. */
    struct mo_class *zero = &mo_sealed.classes[MO_CLASS_ZERO];
    lay_out(zero, 32);
    size_cache(zero, &at);
    mo_sealed.cache_bytes = at;

    /* Addresses without a region: all have the first state word, or on 32-bit the first two. */
    mo_sealed.classes[0].word_shift = sizeof(size_t) * CHAR_BIT - 1;

    unsigned class = MO_CLASS_FIRST;
    for (size_t i = 1; i < MO_TABLE_SIZE; i++) {
        while (i * 8 > mo_class_capacity(&mo_sealed.classes[class]))
            class++;
        mo_sealed.class_of[i] = MO_SMALL ? (uint8_t)mo_min(class | MO_CLASS_JOIN, 8) : (uint8_t)class;
    }
}
