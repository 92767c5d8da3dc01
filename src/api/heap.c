/* Heaps for one purpose, a walk through all that is live, and what else moat.h has for allocating. */
#include "api/names.h"

#include <errno.h>

#include "front/heaps.h"
#include "front/hot_names.h"
#include "front/walk.h"
#include "moat/moat.h"

static void *fail(int error)
{
    errno = error;
    return NULL;
}

MO_EXPORT void *moat_reallocarray(void *p, size_t count, size_t n)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, n, &bytes))
        return fail(ENOMEM);
    return realloc(p, bytes);
}

MO_EXPORT int moat_resize(void *p, size_t n)
{
    return mo_resize_here(p, n);
}

MO_EXPORT moat_heap *moat_heap_create(void)
{
    uintptr_t name = mo_heaps_create();
    return name != 0 ? (moat_heap *)name : fail(ENOMEM);
}

MO_EXPORT void moat_heap_destroy(moat_heap *heap)
{
    if (heap != NULL)
        mo_heaps_destroy((uintptr_t)heap);
}

MO_EXPORT void *moat_heap_malloc(moat_heap *heap, size_t n)
{
    if (heap == NULL)
        return mo_hot_malloc(n);
    return mo_heaps_allocate(mo_heaps_find((uintptr_t)heap, "moat_heap_malloc"), (uintptr_t)heap, n, 1);
}

MO_EXPORT void *moat_heap_aligned_alloc(moat_heap *heap, size_t align, size_t n)
{
    if (!mo_is_pow2(align))
        return fail(EINVAL);
    if (heap == NULL)
        return mo_allocate_aligned(n, align, MO_ORIGIN_MALLOC);
    return mo_heaps_allocate(mo_heaps_find((uintptr_t)heap, "moat_heap_aligned_alloc"), (uintptr_t)heap, n, align);
}

MO_EXPORT int moat_walk(moat_heap *heap, int (*visit)(void *chunk, size_t size, void *context), void *context)
{
    return mo_walk(heap != NULL ? mo_heaps_find((uintptr_t)heap, "moat_walk") : 0, visit, context);
}
