#include "front/tagged.h"

#include "diag/report.h"
#include "front/thread.h"

uintptr_t mo_tagged_find(uintptr_t p)
{
    struct mo_place place;
    if (!mo_heap_find(p, &place) || place.class == MO_CLASS_ZERO)
        return p;
    return mo_tag_pointer(p, mo_tag_load(place.slot + MO_HEADER));
}

void mo_tagged_say(char *text, size_t size, unsigned tag, uintptr_t at, const char *more)
{
    struct mo_text t = {text, text + size - 1};
    mo_text_string(&t, "the pointer's tag is ");
    mo_text_decimal(&t, tag);
    mo_text_string(&t, ", the memory's ");
    mo_text_decimal(&t, mo_tag_load(mo_align_down(at, MO_TAG_GRANULE)));
    mo_text_string(&t, more);
    *t.at = '\0';
}

unsigned mo_tagged_chance(struct mo_random *r)
{
    if (r != NULL)
        return mo_random_below_small(r, MO_TAGGED_CHANCES);
    unsigned chance = mo_random_below_small(mo_thread_random(), MO_TAGGED_CHANCES);
    mo_thread_random_done();
    return chance;
}

/* One that is not in the set. */
static unsigned draw(unsigned without, unsigned chance)
{
    unsigned allowed = ~without & 0xffff;
    unsigned skip = chance * (unsigned)__builtin_popcount(allowed) / MO_TAGGED_CHANCES;
    while (skip-- > 0)
        allowed &= allowed - 1;
    return (unsigned)__builtin_ctz(allowed);
}

/* A neighbour's thread may draw at the same moment: who looks after his own store, with a fence between, sees one of
 * both, and takes another. */
unsigned mo_tagged_choose(uintptr_t p, const struct mo_class *k, unsigned without, unsigned chance)
{
    size_t in_slab = (p - MO_HEADER) & (((size_t)1 << k->span_shift) - 1);
    uintptr_t before = in_slab > MO_HEADER ? p - k->stride : p;
    uintptr_t behind = in_slab < MO_HEADER + (size_t)(k->slots - 1) * k->stride ? p + k->stride : p;
    without |= 1u << MO_TAG_OURS;
    for (;;) {
        unsigned tag = draw(without | 1u << mo_tag_load(before) | 1u << mo_tag_load(behind), chance);
        mo_tag_store(p, p + MO_TAG_GRANULE, tag);
        mo_tag_fence();
        if ((before == p || mo_tag_load(before) != tag) && (behind == p || mo_tag_load(behind) != tag))
            return tag;
    }
}
