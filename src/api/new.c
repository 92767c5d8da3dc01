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

/* A program may replace some of the operators only, most often new(size_t) and delete(void *). The others then have to
 * call the replaced ones, as the standard defines them. So each is a weak alias of own_<name>, and those that are
 * defined by another look whether that one is still moat's. */
#define DECLARE(type, name, mangled, ...) \
    static type own_##name(__VA_ARGS__);  \
    extern type name(__VA_ARGS__) __asm__(mangled) __attribute__((weak, alias("own_" #name), visibility("default")));

#define DECLARE_ALL(letter, x)                                                                                  \
    DECLARE(void *, new_##x, "_Zn" letter SIZE, size_t n)                                                       \
    DECLARE(void *, new_##x##_nothrow, "_Zn" letter SIZE "RKSt9nothrow_t", size_t n, const struct nothrow *tag) \
    DECLARE(void *, new_##x##_aligned, "_Zn" letter SIZE "St11align_val_t", size_t n, size_t align)             \
    DECLARE(void *, new_##x##_aligned_nothrow, "_Zn" letter SIZE "St11align_val_tRKSt9nothrow_t", size_t n,     \
            size_t align, const struct nothrow *tag)

DECLARE_ALL("w", one)
DECLARE_ALL("a", array)

#undef DECLARE_ALL
#define DECLARE_ALL(letter, x)                                                                                         \
    DECLARE(void, delete_##x, "_Zd" letter "Pv", void *p)                                                              \
    DECLARE(void, delete_##x##_sized, "_Zd" letter "Pv" SIZE, void *p, size_t n)                                       \
    DECLARE(void, delete_##x##_nothrow, "_Zd" letter "PvRKSt9nothrow_t", void *p, const struct nothrow *tag)           \
    DECLARE(void, delete_##x##_aligned, "_Zd" letter "PvSt11align_val_t", void *p, size_t align)                       \
    DECLARE(void, delete_##x##_sized_aligned, "_Zd" letter "Pv" SIZE "St11align_val_t", void *p, size_t n,             \
            size_t align)                                                                                              \
    DECLARE(void, delete_##x##_aligned_nothrow, "_Zd" letter "PvSt11align_val_tRKSt9nothrow_t", void *p, size_t align, \
            const struct nothrow *tag)

DECLARE_ALL("l", one)
DECLARE_ALL("a", array)

/* Is what a form is defined by the program's? An array's forms go by way of new[], whose own form goes on to new. */
#define REPLACED(kind)                                                                                \
    MO_INLINE bool replaced_##kind##_one(void)                                                        \
    {                                                                                                 \
        return kind##_one != own_##kind##_one;                                                        \
    }                                                                                                 \
    MO_INLINE bool replaced_##kind##_array(void)                                                      \
    {                                                                                                 \
        return kind##_array != own_##kind##_array || replaced_##kind##_one();                         \
    }                                                                                                 \
    MO_INLINE bool replaced_##kind##_one_aligned(void)                                                \
    {                                                                                                 \
        return kind##_one_aligned != own_##kind##_one_aligned;                                        \
    }                                                                                                 \
    MO_INLINE bool replaced_##kind##_array_aligned(void)                                              \
    {                                                                                                 \
        return kind##_array_aligned != own_##kind##_array_aligned || replaced_##kind##_one_aligned(); \
    }

REPLACED(new)
REPLACED(delete)

/* A bad alignment (undefined in C++) goes to the slow half, which throws as libstdc++ does. */
static void *allocate_aligned(size_t n, size_t align, enum mo_origin origin)
{
    return mo_likely(mo_is_pow2(align)) ? mo_allocate_aligned(n, align, origin) : NULL;
}

/* first, first_aligned: what new[] looks at before it does the same as new. */
#define NEW(x, origin, first, first_aligned)                                                      \
    static void *own_new_##x(size_t n)                                                            \
    {                                                                                             \
        first;                                                                                    \
        void *p = mo_hot_allocate(n, origin);                                                     \
        return mo_likely(p != NULL) ? p : mo_new_slow(n, 0, origin);                              \
    }                                                                                             \
    static void *own_new_##x##_nothrow(size_t n, const struct nothrow *tag)                       \
    {                                                                                             \
        (void)tag;                                                                                \
        if (mo_unlikely(replaced_new_##x()))                                                      \
            return mo_new_nothrow_by(new_##x, n);                                                 \
        void *p = mo_hot_allocate(n, origin);                                                     \
        return mo_likely(p != NULL) ? p : mo_new_nothrow_slow(n, 0, origin);                      \
    }                                                                                             \
    static void *own_new_##x##_aligned(size_t n, size_t align)                                    \
    {                                                                                             \
        first_aligned;                                                                            \
        void *p = allocate_aligned(n, align, origin);                                             \
        return mo_likely(p != NULL) ? p : mo_new_slow(n, align, origin);                          \
    }                                                                                             \
    static void *own_new_##x##_aligned_nothrow(size_t n, size_t align, const struct nothrow *tag) \
    {                                                                                             \
        (void)tag;                                                                                \
        if (mo_unlikely(replaced_new_##x##_aligned()))                                            \
            return mo_new_nothrow_aligned_by(new_##x##_aligned, n, align);                        \
        void *p = allocate_aligned(n, align, origin);                                             \
        return mo_likely(p != NULL) ? p : mo_new_nothrow_slow(n, align, origin);                  \
    }

NEW(one, MO_ORIGIN_NEW, (void)0, (void)0)
NEW(array, MO_ORIGIN_NEW_ARRAY, if (mo_unlikely(replaced_new_one())) return new_one(n),
    if (mo_unlikely(replaced_new_one_aligned())) return new_one_aligned(n, align))

#define DELETE(x, origin, first, first_aligned)                                                    \
    static void own_delete_##x(void *p)                                                            \
    {                                                                                              \
        first mo_hot_release(p, origin);                                                           \
    }                                                                                              \
    static void own_delete_##x##_sized(void *p, size_t n)                                          \
    {                                                                                              \
        if (mo_unlikely(replaced_delete_##x()))                                                    \
            delete_##x(p);                                                                         \
        else                                                                                       \
            mo_hot_release_sized(p, n, origin);                                                    \
    }                                                                                              \
    static void own_delete_##x##_nothrow(void *p, const struct nothrow *tag)                       \
    {                                                                                              \
        (void)tag;                                                                                 \
        delete_##x(p);                                                                             \
    }                                                                                              \
    static void own_delete_##x##_aligned(void *p, size_t align)                                    \
    {                                                                                              \
        first_aligned mo_release_aligned(p, align, origin);                                        \
    }                                                                                              \
    static void own_delete_##x##_sized_aligned(void *p, size_t n, size_t align)                    \
    {                                                                                              \
        if (mo_unlikely(replaced_delete_##x##_aligned()))                                          \
            delete_##x##_aligned(p, align);                                                        \
        else                                                                                       \
            mo_release_sized_aligned(p, n, align, origin);                                         \
    }                                                                                              \
    static void own_delete_##x##_aligned_nothrow(void *p, size_t align, const struct nothrow *tag) \
    {                                                                                              \
        (void)tag;                                                                                 \
        delete_##x##_aligned(p, align);                                                            \
    }
#define NOTHING
#define UNLESS(replaced, instead) \
    if (mo_unlikely(replaced))    \
        instead;                  \
    else

DELETE(one, MO_ORIGIN_NEW, NOTHING, NOTHING)
DELETE(array, MO_ORIGIN_NEW_ARRAY, UNLESS(replaced_delete_one(), delete_one(p)),
       UNLESS(replaced_delete_one_aligned(), delete_one_aligned(p, align)))

#endif
