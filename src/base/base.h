/* Attributes, arithmetic and other small things that every layer uses.
 *
 * Holds no state and makes no system calls. Everything here is a macro, a constant or an inline
 * function, so that it may be used before start-up has run and inside a report.
 */
#ifndef MO_BASE_H
#define MO_BASE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define mo_likely(x)   __builtin_expect(!!(x), 1)
#define mo_unlikely(x) __builtin_expect(!!(x), 0)
#define MO_INLINE      static inline __attribute__((always_inline))
/* An access to bytes that another thread may write at the same time, by design: the fence, which everybody writes
 * alike, and what a 16-byte read takes along and masks. The thread sanitizer is not to look into it. */
#ifdef __SANITIZE_THREAD__
#define MO_RACY static __attribute__((noinline, unused, no_sanitize("thread")))
#else
#define MO_RACY MO_INLINE
#endif
#define MO_HIDDEN       __attribute__((visibility("hidden")))   /* of data that is declared: no look at its address */
#define MO_FORKED       __attribute__((section("moat_forked"))) /* data that forked children write: side by side */
#define MO_COLD         __attribute__((cold, noinline))
#define MO_NORETURN     __attribute__((noreturn))
#define MO_CHECKED      __attribute__((warn_unused_result))
#define MO_PRINTF(f, a) __attribute__((format(printf, f, a)))
#define MO_ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* What was read before this is not read after it. */
MO_INLINE void mo_read_fence(void)
{
#ifdef __SANITIZE_THREAD__
    __asm__ volatile("" ::: "memory"); /* it knows no fences, and runs where reads stay in order */
#else
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
#endif
}

/* Stringify after expansion, for embedding constants in texts. */
#define MO_STR_(x) #x
#define MO_STR(x)  MO_STR_(x)

enum { MO_CACHE_LINE = 64 };

/* Does one instruction load a word from any address? Where not, and gcc does not say, byte after byte is loaded. */
#if defined(__x86_64__) || defined(__i386__) || defined(__aarch64__) || defined(__ARM_FEATURE_UNALIGNED) || \
    defined(__powerpc__) || defined(__s390x__)
enum { MO_LOADS_ANYWHERE = 1 };
#else
enum { MO_LOADS_ANYWHERE = 0 };
#endif

/* CMake's MOAT_SMALL: what only its absence asks for is compiled away. docs/EMBEDDED.md says what that is. */
#ifdef MO_BUILD_SMALL
enum { MO_SMALL = 1 };
#else
enum { MO_SMALL = 0 };
#endif

/* Rounds x down to a multiple of a, which is a power of two. */
MO_INLINE uintptr_t mo_align_down(uintptr_t x, uintptr_t a)
{
    return x & ~(a - 1);
}

/* Rounds x up to a multiple of a, a power of two; the caller has ruled out overflow. */
MO_INLINE uintptr_t mo_align_up(uintptr_t x, uintptr_t a)
{
    return (x + (a - 1)) & ~(a - 1);
}

MO_INLINE bool mo_is_pow2(uintptr_t x)
{
    return x != 0 && (x & (x - 1)) == 0;
}

/* Index of the highest set bit of x, which is not 0. */
MO_INLINE unsigned mo_log2(size_t x)
{
    return (unsigned)(sizeof(unsigned long long) * CHAR_BIT - 1) - (unsigned)__builtin_clzll(x);
}

/* The largest power of two that is not above x, which is not 0. */
MO_INLINE size_t mo_pow2_floor(size_t x)
{
    return (size_t)1 << mo_log2(x);
}

MO_INLINE size_t mo_min(size_t a, size_t b)
{
    return a < b ? a : b;
}

MO_INLINE size_t mo_max(size_t a, size_t b)
{
    return a > b ? a : b;
}

#endif
