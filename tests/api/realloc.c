/* realloc: contents through chains of sizes, and its corner cases. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdint.h>
#include <unistd.h>

#include "check.h"
#include "moat/moat.h"

Test(realloc, moat_is_under_test)
{
    cr_assert(moat_is_active());
}

Test(realloc, of_null_is_malloc)
{
    char *p = realloc(NULL, 100);
    cr_assert_not_null(p);
    cr_assert_eq(malloc_usable_size(p), 100);
    free(p);
}

/* As glibc: freed, NULL, errno left alone. That it was freed shows in the figures of the heap. */
Test(realloc, to_zero_frees)
{
    for (int round = 0; round < 100000; round++) {
        void *p = malloc(1000);
        cr_assert_not_null(p);
        errno = EDOM;
        cr_assert_null(realloc(p, 0));
        cr_assert_eq(errno, EDOM);
    }
    struct moat_stats s;
    cr_assert_eq(moat_stats(&s, sizeof s), 0);
    cr_assert_lt(s.allocated, 20u << 20); /* 100 MB if they were not freed */
}

Test(realloc, of_an_empty_chunk)
{
    for (int i = 0; i < 1000; i++) {
        char *p = malloc(0);
        cr_assert_not_null(p);
        p = realloc(p, 50);
        cr_assert_not_null(p);
        fill(p, 50, 1);
        cr_assert(filled(p, 50, 1));
        free(p);
    }
}

Test(realloc, same_size_again)
{
    static const size_t sizes[] = {1, 15, 16, 17, 100, 1024, 5000, 100000, 131080, 131081, 2000000};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        char *p = malloc(sizes[i]);
        cr_assert_not_null(p);
        fill(p, sizes[i], 4);
        for (int round = 0; round < 20; round++) {
            p = realloc(p, sizes[i]);
            cr_assert_not_null(p);
            cr_assert(filled(p, sizes[i], 4));
        }
        free(p);
    }
}

static size_t random_size(uint64_t *state)
{
    unsigned bits = (unsigned)(next_random(state) % 23); /* up to 4 MiB */
    return 1 + next_random(state) % ((size_t)1 << bits);
}

static void walk(uint64_t seed, unsigned steps)
{
    uint64_t state = seed;
    size_t n = random_size(&state);
    char *p = malloc(n);
    cr_assert_not_null(p);
    fill(p, n, 0);
    for (unsigned step = 1; step <= steps; step++) {
        size_t now = random_size(&state), kept = n < now ? n : now;
        p = realloc(p, now);
        cr_assert_not_null(p);
        cr_assert(filled(p, kept, step - 1), "seed %llu, step %u: %zu -> %zu", (unsigned long long)seed, step, n, now);
        cr_assert_eq(malloc_usable_size(p), now);
        n = now;
        fill(p, n, step);
    }
    free(p);
}

Test(realloc, random_walks)
{
    for (uint64_t seed = 1; seed <= 20; seed++)
        walk(seed * 0x9e3779b97f4a7c15u, 200);
}

/* Byte by byte across the borders of many classes, as a program does that appends. */
Test(realloc, growing_byte_by_byte)
{
    char *p = NULL;
    for (size_t n = 1; n <= 20000; n++) {
        p = realloc(p, n);
        cr_assert_not_null(p);
        p[n - 1] = (char)pattern(n - 1, 5);
    }
    cr_assert(filled(p, 20000, 5));
    for (size_t n = 20000; n > 0; n--) {
        p = realloc(p, n);
        cr_assert_not_null(p);
        cr_assert_eq((unsigned char)p[n - 1], pattern(n - 1, 5));
    }
    free(p);
}

Test(realloc, large_growth_and_shrinking)
{
    size_t n = 100000;
    char *p = malloc(n);
    cr_assert_not_null(p);
    fill(p, n, 6);
    while (n < (size_t)64 << 20) {
        p = realloc(p, n * 2);
        cr_assert_not_null(p);
        cr_assert(filled(p, n, 6), "%zu -> %zu", n, n * 2);
        n *= 2;
        fill(p, n, 6);
    }
    while (n > 100) {
        p = realloc(p, n / 3);
        cr_assert_not_null(p);
        n /= 3;
        cr_assert(filled(p, n, 6), "shrunk to %zu", n);
    }
    free(p);
}

/* What realloc has returned is plain to the program, also where it left an aligned chunk in its place: C23 lets
 * free_sized have it. Anything else would be a warning
 * on stderr. */
Test(realloc, what_was_aligned_is_plain_after_it)
{
    static const size_t sizes[] = {100, 3000, 20000, 300000};
    int ends[2], kept = dup(2);
    cr_assert(kept >= 0 && pipe(ends) == 0 && dup2(ends[1], 2) == 2);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        char *p = aligned_alloc(4096, sizes[i]);
        cr_assert_not_null(p);
        p = realloc(p, sizes[i] + 8);
        cr_assert_not_null(p);
        free_sized(p, sizes[i] + 8);
    }
    dup2(kept, 2);
    close(ends[1]);
    char said[200] = "";
    cr_assert_eq(read(ends[0], said, sizeof said - 1), 0, "%s", said);
}

#if !MO_NO_INTERPOSE

/* reallocarray is libc's own and must end up here. */
Test(realloc, reallocarray_of_libc)
{
    volatile size_t many = SIZE_MAX / 2;
    char *volatile p = reallocarray(NULL, 10, 10); /* or the compiler takes p for freed below */
    cr_assert_not_null(p);
    fill(p, 100, 7);
    errno = 0;
    cr_assert_null(reallocarray(p, many, 3));
    cr_assert_eq(errno, ENOMEM);
    p = reallocarray(p, 20, 10);
    cr_assert_not_null(p);
    cr_assert_eq(malloc_usable_size(p), 200);
    cr_assert(filled(p, 100, 7));
    free(p);
}

#endif
