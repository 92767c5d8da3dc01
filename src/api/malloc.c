/* malloc, free, calloc, realloc and their kin. No policy: errno and the standards' corner cases only. */
#include "api/names.h"

#include <errno.h>

#include "base/base.h"
#include "front/hot_names.h"

/* Out of line, so that the good path neither saves registers for it nor loads errno's address. */
static MO_COLD void *no_memory(void)
{
    errno = ENOMEM;
    return NULL;
}

MO_EXPORT void *malloc(size_t n)
{
    return mo_hot_malloc(n);
}

MO_EXPORT void free(void *p)
{
    mo_hot_free(p);
}

MO_EXPORT void *calloc(size_t count, size_t n)
{
    size_t bytes;
    if (mo_unlikely(__builtin_mul_overflow(count, n, &bytes)))
        return no_memory();
    return mo_hot_malloc(bytes); /* fresh chunks are zero */
}

MO_EXPORT void *realloc(void *p, size_t n)
{
    if (p == NULL)
        return mo_hot_malloc(n);
    if (n != 0)
        return mo_hot_resize(p, n);
    mo_hot_free(p);
    return NULL;
}

MO_EXPORT void free_sized(void *p, size_t n)
{
    mo_hot_release_sized(p, n, MO_ORIGIN_MALLOC);
}

MO_EXPORT size_t malloc_usable_size(void *p)
{
    return mo_hot_usable_size(p);
}
