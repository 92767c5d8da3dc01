/* The standard names that api/ defines, and how they appear to the world.
 *
 * Normally each is exported under its own name and takes the place of libc's. With MO_NO_INTERPOSE=1, for
 * builds where a sanitizer brings a malloc of its own, each gets the prefix moat_test_ and the C++
 * operators are left out. A test that includes this header after all others calls moat's routines in
 * both builds. Definitions and calls are renamed, function pointers are not.
 */
#ifndef MO_NAMES_H
#define MO_NAMES_H

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <malloc.h>

#ifndef MO_NO_INTERPOSE
#define MO_NO_INTERPOSE 0
#endif

#if MO_NO_INTERPOSE
#define malloc(...)             moat_test_malloc(__VA_ARGS__)
#define free(...)               moat_test_free(__VA_ARGS__)
#define calloc(...)             moat_test_calloc(__VA_ARGS__)
#define realloc(...)            moat_test_realloc(__VA_ARGS__)
#define aligned_alloc(...)      moat_test_aligned_alloc(__VA_ARGS__)
#define posix_memalign(...)     moat_test_posix_memalign(__VA_ARGS__)
#define free_sized(...)         moat_test_free_sized(__VA_ARGS__)
#define free_aligned_sized(...) moat_test_free_aligned_sized(__VA_ARGS__)
#define memalign(...)           moat_test_memalign(__VA_ARGS__)
#define valloc(...)             moat_test_valloc(__VA_ARGS__)
#define pvalloc(...)            moat_test_pvalloc(__VA_ARGS__)
#define malloc_usable_size(...) moat_test_malloc_usable_size(__VA_ARGS__)
#define mallinfo(...)           moat_test_mallinfo(__VA_ARGS__)
#define mallinfo2(...)          moat_test_mallinfo2(__VA_ARGS__)
#define mallopt(...)            moat_test_mallopt(__VA_ARGS__)
#define malloc_info(...)        moat_test_malloc_info(__VA_ARGS__)
#define malloc_stats(...)       moat_test_malloc_stats(__VA_ARGS__)
#define malloc_trim(...)        moat_test_malloc_trim(__VA_ARGS__)
#endif

/* For definitions: seen outside the library. */
#define MO_EXPORT __attribute__((visibility("default")))

/* As libc's headers declare them, so that both declarations agree. */
#if defined(__cplusplus) && defined(__GLIBC__)
#define MO_NOTHROW noexcept(true)
#elif defined(__GLIBC__)
#define MO_NOTHROW __attribute__((__nothrow__))
#else
#define MO_NOTHROW
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* n bytes of zeros, or NULL and ENOMEM: without memory, or n above PTRDIFF_MAX. n may be 0: a unique pointer that
 * must not be read or written. (C23 7.24.3.6, POSIX) */
void *malloc(size_t n) MO_NOTHROW;

/* count * n bytes of zeros, or NULL and ENOMEM: as malloc, or the product overflows. (C23 7.24.3.2) */
void *calloc(size_t count, size_t n) MO_NOTHROW;

/* Changes p's size to n, moving it if need be; NULL and ENOMEM, p as before, without memory. p NULL: malloc(n).
 * n 0 and p not NULL: frees p, returns NULL and leaves errno, as glibc does. C23 makes that undefined and POSIX
 * allows it, but programs written on Linux would leak with anything else. (C23 7.24.3.7, POSIX, glibc manual) */
void *realloc(void *p, size_t n) MO_NOTHROW;

/* Ends p's life; NULL is nothing. Preserves errno. (C23 7.24.3.3, POSIX.1-2024) */
void free(void *p) MO_NOTHROW;

/* free, where the caller states what it asked malloc, calloc or realloc for. (C23 7.24.3.4) */
void free_sized(void *p, size_t n) MO_NOTHROW;

/* free, where the caller states what it asked aligned_alloc for. (C23 7.24.3.5) */
void free_aligned_sized(void *p, size_t align, size_t n) MO_NOTHROW;

/* n bytes at a multiple of align. NULL and EINVAL: align is not a power of two; NULL and ENOMEM: as malloc. n
 * need not be a multiple of align. (C23 7.24.3.1; memalign: glibc manual) */
void *aligned_alloc(size_t align, size_t n) MO_NOTHROW;
void *memalign(size_t align, size_t n) MO_NOTHROW;

/* The same into *out: 0, or EINVAL (align is not a power of two, or no multiple of sizeof(void *)) or ENOMEM; then *out
 * is as before. errno is never changed. (POSIX, glibc manual) */
int posix_memalign(void **out, size_t align, size_t n) MO_NOTHROW;

/* n bytes, for pvalloc rounded up to whole pages, at a multiple of the page size. (glibc manual) */
void *valloc(size_t n) MO_NOTHROW;
void *pvalloc(size_t n) MO_NOTHROW;

/* Bytes that may be read and written at p: exactly what was asked for, as the bytes behind are checked. 0 for NULL. */
size_t malloc_usable_size(void *p) MO_NOTHROW;

/* Accepts glibc's parameters as advice on a heap that is not here: 1, nothing changes. 0: no such parameter, or
 * a value that glibc refuses. */
int mallopt(int parameter, int value) MO_NOTHROW;

/* Writes the state of the heap to out as XML in glibc's vocabulary, and moat's own figures in element `moat`.
 * options must be 0. 0, or EINVAL (not through errno). */
int malloc_info(int options, FILE *out) MO_NOTHROW;

/* moat_stats_print on stderr. */
void malloc_stats(void) MO_NOTHROW;

/* moat_purge: 1 when memory was given back, else 0. pad has no meaning here. */
int malloc_trim(size_t pad) MO_NOTHROW;

#ifdef __GLIBC__
/* The heap's figures; the older form cuts at INT_MAX. musl has neither. */
struct mallinfo mallinfo(void) MO_NOTHROW;
struct mallinfo2 mallinfo2(void) MO_NOTHROW;
#endif

#ifdef __cplusplus
}
#endif

#endif
