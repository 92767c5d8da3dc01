/* Alignment of every routine, for every power of two up to 1 MiB, and contents of aligned chunks. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdalign.h>
#include <stdint.h>
#include <unistd.h>

#include "check.h"

enum { LARGEST = 1 << 20, LIVE = 8 };

static bool is_aligned(const void *p, size_t align)
{
    return ((uintptr_t)p & (align - 1)) == 0;
}

static void *take_aligned(int routine, size_t align, size_t n)
{
    void *p = NULL;
    switch (routine) {
    case 0:
        return aligned_alloc(align, n);
    case 1:
        return memalign(align, n);
    default:
        if (align < sizeof(void *))
            align = sizeof(void *);
        cr_assert_eq(posix_memalign(&p, align, n), 0);
        return p;
    }
}

/* Several at a time, so that they can overlap if the arithmetic is wrong; every byte of each is used. */
static void try_aligned(int routine, size_t align, size_t n)
{
    void *p[LIVE];
    for (unsigned i = 0; i < LIVE; i++) {
        p[i] = take_aligned(routine, align, n);
        cr_assert_not_null(p[i], "routine %d, alignment %zu, size %zu", routine, align, n);
        cr_assert(is_aligned(p[i], align), "routine %d, alignment %zu, size %zu: %p", routine, align, n, p[i]);
        cr_assert_eq(malloc_usable_size(p[i]), n);
        fill(p[i], n, i);
    }
    for (unsigned i = 0; i < LIVE; i++) {
        cr_assert(filled(p[i], n, i), "routine %d, alignment %zu, size %zu", routine, align, n);
        if (i % 2 == 0 || routine == 2)
            free(p[i]);
        else
            free_aligned_sized(p[i], align, n);
    }
}

Test(alignment, moat_is_under_test)
{
    cr_assert(moat_is_active());
}

Test(alignment, every_power_of_two)
{
    for (int routine = 0; routine < 3; routine++) {
        for (size_t align = 1; align <= LARGEST; align *= 2) {
            const size_t sizes[] = {0, 1, 7, 24, 100, align - 1, align, align + 1, align + align / 2, 5000};
            for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
                try_aligned(routine, align, sizes[i]);
        }
    }
}

Test(alignment, large_chunks)
{
    for (size_t align = 1; align <= LARGEST; align *= 2) {
        try_aligned(0, align, 200000);
        try_aligned(2, align, 1234567);
    }
}

Test(alignment, beyond_a_megabyte)
{
    for (size_t align = LARGEST; align <= (size_t)64 << 20; align *= 2) {
        void *p = aligned_alloc(align, 100);
        cr_assert_not_null(p, "alignment %zu", align);
        cr_assert(is_aligned(p, align));
        fill(p, 100, 1);
        free(p);
    }
}

Test(alignment, malloc_calloc_realloc)
{
    for (size_t n = 0; n < 3000; n++) {
        void *p = malloc(n), *q = calloc(1, n), *r = realloc(malloc(1), n + 1);
        cr_assert(is_aligned(p, alignof(max_align_t)), "malloc(%zu): %p", n, p);
        cr_assert(is_aligned(q, alignof(max_align_t)), "calloc(1, %zu): %p", n, q);
        cr_assert(is_aligned(r, alignof(max_align_t)), "realloc to %zu: %p", n + 1, r);
        free(p);
        free(q);
        free(r);
    }
}

Test(alignment, valloc_and_pvalloc)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    const size_t sizes[] = {0, 1, 100, page - 1, page, page + 1, 10 * page + 7, 1 << 20};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        size_t n = sizes[i], whole = (n + page - 1) / page * page;
        void *v = valloc(n), *p = pvalloc(n);
        cr_assert_not_null(v);
        cr_assert_not_null(p);
        cr_assert(is_aligned(v, page));
        cr_assert(is_aligned(p, page));
        cr_assert_eq(malloc_usable_size(v), n);
        cr_assert_eq(malloc_usable_size(p), whole);
        fill(v, n, 1);
        fill(p, whole, 2);
        cr_assert(filled(v, n, 1));
        cr_assert(filled(p, whole, 2));
        free(v);
        free(p);
    }
}

/* realloc need not keep the alignment, but must keep the contents and be able to free what it is given. */
Test(alignment, realloc_of_an_aligned_chunk)
{
    for (size_t align = 16; align <= LARGEST; align *= 4) {
        for (size_t n = 1; n <= 300000; n = n * 5 + 1) {
            char *p = aligned_alloc(align, n);
            cr_assert_not_null(p);
            fill(p, n, 9);
            p = realloc(p, n * 2);
            cr_assert_not_null(p);
            cr_assert(filled(p, n, 9), "alignment %zu, size %zu", align, n);
            fill(p, n * 2, 10);
            p = realloc(p, n / 2 + 1);
            cr_assert_not_null(p);
            cr_assert(filled(p, n / 2 + 1, 10));
            free(p);
        }
    }
}
