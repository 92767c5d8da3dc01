#include "front/bounds.h"

#include "front/guarded.h"
#include "front/slow.h"
#include "front/tagged.h"

enum { LOOKS = 12 }; /* that must find the same before it is reported: with rests up to a millisecond in all */

/* The payload of the chunk in a live slot: plain chunks start the slot, aligned ones where their alignment puts them,
 * with a header before them that says so. Before that header is nothing that looks like one. */
static uintptr_t payload_in(const struct mo_place *place)
{
    uintptr_t first = place->slot + MO_HEADER, end = place->slot + place->k->stride;
    if (((mo_load64(place->slot) >> 8) & 63) == place->class)
        return first;
    for (size_t align = 32; align <= MO_SLOT_ALIGN; align *= 2) {
        uintptr_t p = mo_align_up(first, align);
        if (p < end && mo_header_align(mo_load64(p - MO_HEADER)) == align)
            return p;
    }
    return first; /* its header was changed */
}

static void in_slot(const struct mo_place *place, struct mo_bounds *b)
{
    *b = (struct mo_bounds){MO_BOUNDS_FREED, place->slot + MO_HEADER, 0};
    if ((place->seen & MO_STATE_LIVE) == 0) {
        if ((place->seen & (MO_STATE_GENERATION | MO_STATE_OWNER)) == 0)
            b->kind = MO_BOUNDS_NOTHING;
        return;
    }
    b->kind = MO_BOUNDS_LIVE;
    if (place->class == MO_CLASS_ZERO)
        return;
    b->p = payload_in(place);
    size_t room = place->slot + place->k->stride - b->p;
    b->n = room - mo_min(mo_header_slack(mo_load64(b->p - MO_HEADER)), room);
}

/* The chunk that ends right before the header at a, when it fills its slot. */
static bool ends_before(uintptr_t slot, struct mo_bounds *b)
{
    struct mo_place place;
    struct mo_bounds before;
    if (!mo_heap_find(slot - 1, &place))
        return false;
    in_slot(&place, &before);
    if (before.kind != MO_BOUNDS_LIVE || before.p + before.n != slot)
        return false;
    *b = before;
    return true;
}

static void in_heap(uintptr_t a, struct mo_bounds *b)
{
    struct mo_place place;
    const struct mo_class *k = &mo_sealed.classes[mo_granule_of(a)->class];
    uintptr_t slab = mo_align_down(a, (uintptr_t)1 << k->span_shift);
    uintptr_t end = slab + MO_HEADER + (size_t)k->slots * k->stride; /* where the last slot's fence is */
    *b = (struct mo_bounds){MO_BOUNDS_NOTHING, 0, 0};
    if (mo_heap_find(a, &place)) {
        if (a - place.slot < MO_HEADER && ends_before(place.slot, b))
            return;
        in_slot(&place, b);
    } else if (a >= end && a - end < MO_HEADER) {
        (void)ends_before(end, b);
    }
}

void mo_bounds_find(uintptr_t a, struct mo_bounds *b)
{
    struct mo_large l;
    MO_TAGGED_DOOR();
    a = mo_tagged_address(a);
    *b = (struct mo_bounds){MO_BOUNDS_FOREIGN, 0, 0};
    if (a - mo_sealed.heap_base < mo_sealed.heap_size) {
        bool region = mo_granule_of(a)->class != 0;
        b->kind = sizeof(uintptr_t) == 8 ? MO_BOUNDS_NOTHING : MO_BOUNDS_FOREIGN; /* 32-bit: the table is of all */
        if (region)
            in_heap(a, b);
        if (region || sizeof(uintptr_t) == 8)
            return;
    }
    if (mo_pool_holds(a)) {
        const struct mo_pool_slot *g = mo_pool_around(a);
        b->kind = MO_BOUNDS_NOTHING;
        if (g != NULL)
            *b = (struct mo_bounds){g->state == MO_POOL_LIVE ? MO_BOUNDS_LIVE : MO_BOUNDS_FREED, g->p, g->n};
    } else if (mo_large_around_fault(a, &l)) {
        *b = (struct mo_bounds){l.state != 0 ? MO_BOUNDS_LIVE : MO_BOUNDS_FREED, l.p, l.n};
    }
}

static size_t left_of(uintptr_t a, const struct mo_bounds *b)
{
    if (b->kind == MO_BOUNDS_FOREIGN)
        return SIZE_MAX;
    return b->kind == MO_BOUNDS_LIVE && a - b->p <= b->n ? b->n - (a - b->p) : 0;
}

size_t mo_bounds_left(uintptr_t a)
{
    struct mo_bounds b;
    mo_bounds_find(a, &b);
    return left_of(mo_tagged_address(a), &b);
}

static void describe(uintptr_t a, const struct mo_bounds *b, const char *action, struct mo_report_chunk *chunk)
{
    struct mo_place place;
    const struct mo_pool_slot *g = mo_pool_holds(a) ? mo_pool_around(a) : NULL;
    *chunk =
        (struct mo_report_chunk){.address = b->p,
                                 .requested = b->n,
                                 .state = b->kind == MO_BOUNDS_LIVE ? "live, large" : "freed, large, inaccessible"};
    if (g != NULL) {
        mo_guarded_describe(g, chunk);
    } else if (b->p != 0 && mo_heap_find(b->p - 1, &place)) { /* the header's last byte: p may be the slot's end */
        mo_describe_slot(&place, chunk);
        if (b->kind == MO_BOUNDS_LIVE && place.class != MO_CLASS_ZERO && chunk->origin == NULL)
            mo_report_live_slot(&place, action); /* its header does not verify */
    }
}

void mo_bounds_require(struct mo_given *given)
{
    struct mo_bounds b;
    struct mo_report_chunk chunk;
    if (given->n == 0)
        return; /* allowed anywhere */
    MO_TAGGED_DOOR();
    given->at = mo_tagged_address(given->at);
    for (unsigned i = 0; i < LOOKS; i++) {
        mo_bounds_find(given->at, &b);
        given->left = left_of(given->at, &b);
        if (given->n <= given->left)
            return;
        mo_os_rest(16u << (i < 8 ? i : 8));
        mo_read_fence();
    }
    enum mo_access_bug bug = b.kind == MO_BOUNDS_LIVE    ? MO_ACCESS_OVERFLOW
                             : b.kind == MO_BOUNDS_FREED ? MO_ACCESS_AFTER_FREE
                                                         : MO_ACCESS_WILD;
    describe(given->at, &b, given->function, &chunk);
    /* The first byte that is not the chunk's. */
    mo_report_given(bug, given, &chunk, b.p != 0 ? (ptrdiff_t)(given->at + given->left - b.p) : PTRDIFF_MIN);
}
