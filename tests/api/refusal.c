/* Refusals: NULL, the right errno, nothing else changed. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdint.h>
#include <sys/mman.h>

#include "check.h"

/* Through a volatile, or the compiler warns of what is tested here. */
static volatile size_t too_large[] = {
    PTRDIFF_MAX,   (size_t)PTRDIFF_MAX + 1, SIZE_MAX / 2 + 4096, SIZE_MAX - 4096,
    SIZE_MAX - 64, SIZE_MAX - 15,           SIZE_MAX - 8,        SIZE_MAX - 1,
    SIZE_MAX,
};
enum { TOO_LARGE = sizeof too_large / sizeof too_large[0] };

#define EXPECT_REFUSAL(call, error)                                               \
    do {                                                                          \
        errno = 0;                                                                \
        void *volatile got = (call); /* or the compiler may leave the call out */ \
        cr_assert_null(got, #call " gave memory");                                \
        cr_assert_eq(errno, error, #call ": errno %d", errno);                    \
    } while (0)

Test(refusal, moat_is_under_test)
{
    cr_assert(moat_is_active());
}

Test(refusal, sizes_beyond_ptrdiff_max)
{
    for (size_t i = 0; i < TOO_LARGE; i++) {
        size_t n = too_large[i];
        EXPECT_REFUSAL(malloc(n), ENOMEM);
        EXPECT_REFUSAL(calloc(1, n), ENOMEM);
        EXPECT_REFUSAL(calloc(n, 1), ENOMEM);
        EXPECT_REFUSAL(realloc(NULL, n), ENOMEM);
        EXPECT_REFUSAL(aligned_alloc(16, n), ENOMEM);
        EXPECT_REFUSAL(aligned_alloc(4096, n), ENOMEM);
        EXPECT_REFUSAL(memalign(64, n), ENOMEM);
        EXPECT_REFUSAL(valloc(n), ENOMEM);
        EXPECT_REFUSAL(pvalloc(n), ENOMEM);
    }
}

Test(refusal, calloc_overflow)
{
    static volatile const size_t factors[][2] = {
        {SIZE_MAX, 2},
        {2, SIZE_MAX},
        {SIZE_MAX / 2 + 1, 2},
        {SIZE_MAX / 16 + 1, 16},
        {(size_t)1 << (sizeof(size_t) * 4), (size_t)1 << (sizeof(size_t) * 4)},
        {((size_t)1 << (sizeof(size_t) * 4)) + 1, (size_t)1 << (sizeof(size_t) * 4)},
        {SIZE_MAX, SIZE_MAX},
    };
    for (size_t i = 0; i < sizeof factors / sizeof factors[0]; i++)
        EXPECT_REFUSAL(calloc(factors[i][0], factors[i][1]), ENOMEM);
}

Test(refusal, realloc_that_fails_keeps_the_chunk)
{
    static const size_t sizes[] = {1, 100, 5000, 300000, 5000000};
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        char *p = malloc(sizes[s]);
        cr_assert_not_null(p);
        fill(p, sizes[s], 3);
        for (size_t i = 0; i < TOO_LARGE; i++) {
            size_t n = too_large[i];
            EXPECT_REFUSAL(realloc(p, n), ENOMEM);
            cr_assert(filled(p, sizes[s], 3));
            cr_assert_eq(malloc_usable_size(p), sizes[s]);
        }
        free(p);
    }
}

Test(refusal, bad_alignments)
{
    static const size_t bad[] = {0, 3, 5, 6, 7, 12, 24, 48, 96, 1000, 4095, 4097, SIZE_MAX, SIZE_MAX - 1, SIZE_MAX / 2};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        volatile size_t align = bad[i];
        EXPECT_REFUSAL(aligned_alloc(align, 100), EINVAL);
    }
    volatile size_t align = SIZE_MAX / 2 + 2;
    EXPECT_REFUSAL(memalign(align, 100), EINVAL);
}

/* A process of 32 bits may have more than 1 GiB in one piece, such as all 4 GiB of an emulator's. */
static void take_large_pieces(void)
{
    while (sizeof(size_t) == 4 &&
           mmap(NULL, (size_t)256 << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) != MAP_FAILED) {
    }
}

Test(refusal, alignments_that_cannot_be_had)
{
    take_large_pieces();
    for (unsigned bit = sizeof(size_t) * 8 - 6; bit < sizeof(size_t) * 8; bit++) {
        volatile size_t align = (size_t)1 << bit;
        EXPECT_REFUSAL(aligned_alloc(align, (size_t)1 << (sizeof(size_t) * 8 - 2)), ENOMEM);
    }
    volatile size_t half = SIZE_MAX / 2 + 1;
    (void)mmap((void *)half, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    EXPECT_REFUSAL(aligned_alloc(half, 1), ENOMEM);
}

Test(refusal, posix_memalign_returns_its_error)
{
    static const size_t bad[] = {0, 1, 2, sizeof(void *) / 2, 3 * sizeof(void *), 100, SIZE_MAX};
    int marker;
    void *const before = &marker;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        void *p = before;
        volatile size_t align = bad[i];
        errno = EDOM;
        cr_assert_eq(posix_memalign(&p, align, 100), EINVAL, "alignment %zu", bad[i]);
        cr_assert_eq(errno, EDOM);
        cr_assert_eq(p, before);
    }
    for (size_t i = 0; i < TOO_LARGE; i++) {
        void *p = before;
        errno = EDOM;
        cr_assert_eq(posix_memalign(&p, sizeof(void *), too_large[i]), ENOMEM);
        cr_assert_eq(posix_memalign(&p, 4096, too_large[i]), ENOMEM);
        cr_assert_eq(errno, EDOM);
        cr_assert_eq(p, before);
    }
}

/* POSIX.1-2024: free leaves errno alone, also where it gives memory back to the system. */
Test(refusal, success_and_free_leave_errno_alone)
{
    static const size_t sizes[] = {0, 1, 16, 1000, 100000, 140000, 1 << 20, 64 << 20};
    for (int round = 0; round < 200; round++) {
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            errno = EDOM;
            void *p = malloc(sizes[i]);
            cr_assert_not_null(p);
            p = realloc(p, sizes[i] + 1);
            cr_assert_not_null(p);
            free(p);
            cr_assert_eq(errno, EDOM, "size %zu: errno %d", sizes[i], errno);
        }
    }
    free(NULL);
    free_sized(NULL, 5);
    free_aligned_sized(NULL, 16, 5);
    cr_assert_eq(errno, EDOM);
}
