/* Every replaceable operator new and delete of C++17 and later, in C under their mangled names.
 *
 * Built with -fexceptions: what mo_new_slow throws passes through here.
 */
#include "api/names.h"

#include "api/new.h"
#include "base/base.h"
#include "front/hot_names.h"

#if !MO_NO_INTERPOSE

/* size_t in a mangled name: unsigned long (m) or unsigned int (j). */
#if __SIZEOF_POINTER__ == 8
#define SIZE "m"
#else
#define SIZE "j"
#endif

struct nothrow; /* const std::nothrow_t &: never looked at */

/* Defines the four forms of new, or new[]. */
#define NEW(mangled, name, origin)                                                                                 \
    void *name(size_t n) __asm__(mangled SIZE);                                                                    \
    void *name##_nothrow(size_t n, const struct nothrow *tag) __asm__(mangled SIZE "RKSt9nothrow_t");              \
    void *name##_aligned(size_t n, size_t align) __asm__(mangled SIZE "St11align_val_t");                          \
    void *name##_aligned_nothrow(size_t n, size_t align,                                                           \
                                 const struct nothrow *tag) __asm__(mangled SIZE "St11align_val_tRKSt9nothrow_t"); \
    MO_EXPORT void *name(size_t n)                                                                                 \
    {                                                                                                              \
        void *p = mo_hot_allocate(n, origin);                                                                      \
        return mo_likely(p != NULL) ? p : mo_new_slow(n, 0, origin);                                               \
    }                                                                                                              \
    MO_EXPORT void *name##_nothrow(size_t n, const struct nothrow *tag)                                            \
    {                                                                                                              \
        (void)tag;                                                                                                 \
        void *p = mo_hot_allocate(n, origin);                                                                      \
        return mo_likely(p != NULL) ? p : mo_new_nothrow_slow(n, 0, origin);                                       \
    }                                                                                                              \
    MO_EXPORT void *name##_aligned(size_t n, size_t align)                                                         \
    {                                                                                                              \
        void *p = allocate_aligned(n, align, origin);                                                              \
        return mo_likely(p != NULL) ? p : mo_new_slow(n, align, origin);                                           \
    }                                                                                                              \
    MO_EXPORT void *name##_aligned_nothrow(size_t n, size_t align, const struct nothrow *tag)                      \
    {                                                                                                              \
        (void)tag;                                                                                                 \
        void *p = allocate_aligned(n, align, origin);                                                              \
        return mo_likely(p != NULL) ? p : mo_new_nothrow_slow(n, align, origin);                                   \
    }

/* Defines the six forms of delete, or delete[]. */
#define DELETE(mangled, name, origin)                                                                          \
    void name(void *p) __asm__(mangled "Pv");                                                                  \
    void name##_sized(void *p, size_t n) __asm__(mangled "Pv" SIZE);                                           \
    void name##_nothrow(void *p, const struct nothrow *tag) __asm__(mangled "PvRKSt9nothrow_t");               \
    void name##_aligned(void *p, size_t align) __asm__(mangled "PvSt11align_val_t");                           \
    void name##_sized_aligned(void *p, size_t n, size_t align) __asm__(mangled "Pv" SIZE "St11align_val_t");   \
    void name##_aligned_nothrow(void *p, size_t align,                                                         \
                                const struct nothrow *tag) __asm__(mangled "PvSt11align_val_tRKSt9nothrow_t"); \
    MO_EXPORT void name(void *p)                                                                               \
    {                                                                                                          \
        mo_hot_release(p, origin);                                                                             \
    }                                                                                                          \
    MO_EXPORT void name##_sized(void *p, size_t n)                                                             \
    {                                                                                                          \
        mo_release_sized(p, n, 0, origin);                                                                     \
    }                                                                                                          \
    MO_EXPORT void name##_nothrow(void *p, const struct nothrow *tag)                                          \
    {                                                                                                          \
        (void)tag;                                                                                             \
        mo_hot_release(p, origin);                                                                             \
    }                                                                                                          \
    MO_EXPORT void name##_aligned(void *p, size_t align)                                                       \
    {                                                                                                          \
        mo_release_sized(p, SIZE_MAX, align, origin);                                                          \
    }                                                                                                          \
    MO_EXPORT void name##_sized_aligned(void *p, size_t n, size_t align)                                       \
    {                                                                                                          \
        mo_release_sized(p, n, align, origin);                                                                 \
    }                                                                                                          \
    MO_EXPORT void name##_aligned_nothrow(void *p, size_t align, const struct nothrow *tag)                    \
    {                                                                                                          \
        (void)tag;                                                                                             \
        mo_release_sized(p, SIZE_MAX, align, origin);                                                          \
    }

/* A bad alignment (undefined in C++) goes to the slow half, which throws as libstdc++ does. */
static void *allocate_aligned(size_t n, size_t align, enum mo_origin origin)
{
    return mo_likely(mo_is_pow2(align)) ? mo_allocate_aligned(n, align, origin) : NULL;
}

NEW("_Znw", new_one, MO_ORIGIN_NEW)
NEW("_Zna", new_array, MO_ORIGIN_NEW_ARRAY)
DELETE("_Zdl", delete_one, MO_ORIGIN_NEW)
DELETE("_Zda", delete_array, MO_ORIGIN_NEW_ARRAY)

#endif
