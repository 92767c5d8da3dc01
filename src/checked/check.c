#include "checked/check.h"

#include "front/bounds.h"

static bool is_off(enum mo_side side)
{
    return mo_checked.heap_size[side] == 0;
}

/* Bytes from a to the end of its chunk; SIZE_MAX: foreign, or it can't be told now. */
static size_t left_at(uintptr_t a, enum mo_side side)
{
    a = mo_tagged_address(a);
    bool in_heap = a - mo_sealed.heap_base < mo_sealed.heap_size;
    if ((in_heap && (sizeof a == 8 || mo_granule_of(a)->class != 0)) || mo_pool_holds(a))
        return mo_bounds_left(a);
    return mo_index_left(a, side);
}

void mo_read_checked(const char *function, const void *s, size_t n, const void *d)
{
    if (mo_unlikely(!mo_fits((uintptr_t)s, n, MO_SRC)))
        mo_look(function, (uintptr_t)s, n, (uintptr_t)d, MO_SRC);
}

void mo_look(const char *function, uintptr_t a, size_t n, uintptr_t other, enum mo_side side)
{
    if (n == 0 || is_off(side) || mo_index_fits(a, n, side) || n <= left_at(a, side))
        return;
    struct mo_given given = {function, side == MO_DST ? MO_ACCESS_WRITE : MO_ACCESS_READ, a, other, n, 0};
    mo_bounds_require(&given);
}

size_t mo_room_slow(const char *function, uintptr_t d, size_t n, uintptr_t other)
{
    struct mo_bounds b;
    if (n == 0 || is_off(MO_DST))
        return n;
    size_t left = left_at(d, MO_DST);
    if (n <= left)
        return n;
    mo_bounds_find(d, &b);
    if (b.kind != MO_BOUNDS_LIVE) /* SIZE_MAX: how many is not known yet */
        mo_look(function, d, n != SIZE_MAX ? n : 1, other, MO_DST);
    return left;
}
