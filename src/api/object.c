/* What moat knows of an address: moat_object_size, moat_object_base, moat_check. */
#include "api/names.h"
#include "front/bounds.h"
#include "front/front.h"
#include "front/tagged.h"
#include "moat/moat.h"

MO_EXPORT size_t moat_object_size(const void *p)
{
    return mo_bounds_left((uintptr_t)p);
}

MO_EXPORT void *moat_object_base(const void *p)
{
    struct mo_bounds b;
    mo_bounds_find((uintptr_t)p, &b);
    bool inside = b.kind == MO_BOUNDS_LIVE && mo_tagged_address((uintptr_t)p) - b.p <= b.n;
    return inside ? (void *)mo_tagged_pointer(b.p) : NULL;
}

MO_EXPORT void moat_check(const void *p, size_t n, int write)
{
    struct mo_given given = {"moat_check", write != 0 ? MO_ACCESS_WRITE : MO_ACCESS_READ, (uintptr_t)p, 0, n, 0};
    if (n > mo_bounds_left(given.at))
        mo_bounds_require(&given);
}
