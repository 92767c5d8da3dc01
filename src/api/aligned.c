/* aligned_alloc, posix_memalign and the older routines with an alignment. */
#include "api/names.h"

#include <errno.h>

#include "diag/sealed.h"
#include "front/front.h"

static void *fail(int error)
{
    errno = error;
    return NULL;
}

static size_t page_size(void)
{
    mo_front_start();
    return mo_sealed.features.page;
}

static void *allocate(size_t align, size_t n)
{
    return mo_allocate_aligned(n, align, MO_ORIGIN_MALLOC);
}

MO_EXPORT void *aligned_alloc(size_t align, size_t n)
{
    return mo_likely(mo_is_pow2(align)) ? allocate(align, n) : fail(EINVAL);
}

/* As glibc's, which old programs rely on: the next power of two, where there is one. */
MO_EXPORT void *memalign(size_t align, size_t n)
{
    if (mo_likely(mo_is_pow2(align)))
        return allocate(align, n);
    if (align > SIZE_MAX / 2)
        return fail(EINVAL);
    return allocate(align != 0 ? mo_pow2_floor(align) * 2 : 1, n);
}

MO_EXPORT int posix_memalign(void **out, size_t align, size_t n)
{
    if (mo_unlikely(!mo_is_pow2(align) || align % sizeof(void *) != 0))
        return EINVAL;
    int saved = errno; /* POSIX: the error is returned, errno stays */
    void *p = mo_allocate_aligned(n, align, MO_ORIGIN_MALLOC);
    errno = saved;
    if (mo_unlikely(p == NULL))
        return ENOMEM;
    *out = p;
    return 0;
}

MO_EXPORT void free_aligned_sized(void *p, size_t align, size_t n)
{
    mo_release_sized_aligned(p, n, align, MO_ORIGIN_MALLOC);
}

MO_EXPORT void *valloc(size_t n)
{
    return allocate(page_size(), n);
}

MO_EXPORT void *pvalloc(size_t n)
{
    size_t page = page_size();
    if (mo_unlikely(n > PTRDIFF_MAX - page)) /* rounding up must not wrap */
        return fail(ENOMEM);
    return allocate(page, mo_align_up(n, page));
}
