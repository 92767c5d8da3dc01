/* What a chunk holds and how much of it may be used: zeros, exact sizes, unique empty chunks. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdint.h>

#include "check.h"

/* Every size where classes are dense, then a sample of the larger ones on both sides of powers of two. */
static size_t next_size(size_t n)
{
    if (n < 1200)
        return n + 1;
    size_t step = n / 16;
    return n + step + (n & 1);
}

enum { MOST = 3 << 20 };

Test(content, moat_is_under_test)
{
    cr_assert(moat_is_active());
}

Test(content, usable_size_is_what_was_asked_for)
{
    cr_assert_eq(malloc_usable_size(NULL), 0);
    for (size_t n = 0; n < MOST; n = next_size(n)) {
        char *p = malloc(n);
        cr_assert_not_null(p);
        cr_assert_eq(malloc_usable_size(p), n, "malloc(%zu)", n);
        fill(p, n, (unsigned)n);
        cr_assert(filled(p, n, (unsigned)n));
        free(p); /* checks the bytes behind */
    }
}

Test(content, usable_size_follows_realloc)
{
    char *p = NULL;
    for (size_t n = 1; n < MOST; n = next_size(n)) {
        p = realloc(p, n);
        cr_assert_not_null(p);
        cr_assert_eq(malloc_usable_size(p), n);
        p[0] = 1;
        p[n - 1] = 1;
    }
    for (size_t n = MOST; n > 0; n = n * 9 / 10) {
        p = realloc(p, n);
        cr_assert_not_null(p);
        cr_assert_eq(malloc_usable_size(p), n);
        p[n - 1] = 2;
    }
    free(p);
}

Test(content, calloc_is_zero_after_dirty_frees)
{
    enum { BATCH = 64 };
    void *p[BATCH];
    for (size_t n = 1; n < 600000; n = n < 300 ? n + 13 : n * 3 / 2) {
        size_t batch = n > 50000 ? 8 : BATCH;
        for (int round = 0; round < 8; round++) {
            for (size_t i = 0; i < batch; i++) {
                p[i] = round % 2 == 0 ? calloc(1, n) : calloc(n, 1);
                cr_assert_not_null(p[i]);
                cr_assert(all_zero(p[i], n), "calloc of %zu is not zero", n);
                memset(p[i], 0xa5, n);
            }
            for (size_t i = 0; i < batch; i++)
                free(p[i]);
        }
    }
}

/* Not asked for by any standard, but promised: uninitialised reads show nothing. */
Test(content, malloc_is_zero_after_dirty_frees)
{
    for (size_t n = 1; n < 600000; n = n < 300 ? n + 13 : n * 3 / 2) {
        for (int round = 0; round < 400; round++) {
            void *p = malloc(n);
            cr_assert_not_null(p);
            cr_assert(all_zero(p, n), "malloc(%zu) is not zero", n);
            memset(p, 0x5a, n);
            free(p);
            if (n > 5000 && round == 20)
                break;
        }
    }
}

Test(content, empty_chunks_are_unique)
{
    enum { COUNT = 2000 };
    static void *p[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        switch (i % 5) {
        case 0:
            p[i] = malloc(0);
            break;
        case 1:
            p[i] = calloc(0, i);
            break;
        case 2:
            p[i] = calloc(i, 0);
            break;
        case 3:
            p[i] = realloc(NULL, 0);
            break;
        default:
            p[i] = aligned_alloc(64, 0);
            break;
        }
        cr_assert_not_null(p[i]);
        cr_assert_eq(malloc_usable_size(p[i]), 0);
    }
    for (size_t i = 0; i < COUNT; i++)
        for (size_t j = i + 1; j < COUNT; j++)
            cr_assert_neq(p[i], p[j]);
    for (size_t i = 0; i < COUNT; i++)
        free(p[i]);
}

Test(content, sized_frees)
{
    for (size_t n = 0; n < 400000; n = next_size(n)) {
        void *p = malloc(n), *q = calloc(1, n), *r = aligned_alloc(32, n);
        cr_assert(p != NULL && q != NULL && r != NULL);
        free_sized(p, n);
        free_sized(q, n);
        free_aligned_sized(r, 32, n);
    }
}

/* Many live chunks of random sizes: none shares a byte with another. */
Test(content, chunks_do_not_overlap)
{
    enum { COUNT = 4000, STEPS = 60000 };
    static void *p[COUNT];
    static size_t size[COUNT];
    uint64_t state = 88172645463325252u;
    for (unsigned step = 0; step < STEPS; step++) {
        size_t i = next_random(&state) % COUNT;
        if (p[i] != NULL) {
            cr_assert(filled(p[i], size[i], (unsigned)i), "chunk %zu of %zu bytes was changed", i, size[i]);
            free(p[i]);
        }
        size_t most = (size_t)1 << (next_random(&state) % 14);
        size[i] = next_random(&state) % most;
        p[i] = malloc(size[i]);
        cr_assert_not_null(p[i]);
        fill(p[i], size[i], (unsigned)i);
    }
    for (size_t i = 0; i < COUNT; i++) {
        cr_assert(p[i] == NULL || filled(p[i], size[i], (unsigned)i));
        free(p[i]);
    }
}
