/* Sizes of large chunks that are written all over get their pages at once; others do not. */
#include "mem/dense.h"

#include <fcntl.h>
#include <stdio.h>

#include "child.h"
#include "front/big.h"
#include "front/front.h"

static void set_up(void)
{
    mo_front_start();
}

TestSuite(dense, .init = set_up);

enum { MIB = 1 << 20 };

/* Takes and frees a chunk of n bytes, of which the first `part` in 16 are written. */
static void use(size_t n, size_t part)
{
    char *p = mo_allocate(n, MO_ORIGIN_MALLOC);
    cr_assert_not_null(p);
    memset(p, 7, n / 16 * part);
    mo_release(p, MO_ORIGIN_MALLOC);
}

static size_t present_after(size_t n, size_t uses, size_t part)
{
    for (size_t i = 0; i < uses; i++)
        use(n, part);
    char *p = mo_allocate(n, MO_ORIGIN_MALLOC);
    cr_assert_not_null(p);
    size_t count = pages_present((uintptr_t)p, n);
    mo_release(p, MO_ORIGIN_MALLOC);
    return count;
}

Test(dense, nothing_is_expected_of_a_size_not_seen_before)
{
    cr_expect_not(mo_dense_expected(3 * MIB));
    cr_expect_leq(present_after(3 * MIB, 0, 0), 1);
    cr_expect_leq(present_after(3 * MIB, 1, 16), 1, "once is no habit");
}

Test(dense, pages_are_there_of_a_size_that_is_written_all_over)
{
    for (int i = 0; i < 3; i++)
        use(MIB, 16);
    cr_expect(mo_dense_expected(MIB));
    cr_expect_not(mo_dense_expected(2 * MIB), "another size");
    cr_expect_not(mo_dense_expected(MIB / 2));
    cr_expect_geq(present_after(MIB, 0, 0), MIB / mo_sealed.features.page - 1);
    cr_expect_not(mo_dense_expected(MIB), "the last one was not written");
}

Test(dense, what_is_not_written_is_not_expected_any_more)
{
    cr_expect_geq(present_after(MIB, 3, 16), 250);
    cr_expect_leq(present_after(MIB, 3, 2), 1);
    cr_expect_leq(present_after(MIB, 10, 12), 1, "a quarter is never written");
}

Test(dense, small_and_empty_chunks_are_of_no_matter)
{
    for (size_t n = 0; n < 65536; n = n * 2 + 1) {
        void *p = mo_big_allocate(n, MIB, MO_ORIGIN_MALLOC, 0);
        cr_assert_not_null(p);
        mo_release(p, MO_ORIGIN_MALLOC);
        cr_expect_not(mo_dense_expected(n));
    }
}

/* Where the kernel has huge pages for who asks, a chunk of several MiB gets them, and keeps its guards. */
Test(dense, huge_pages)
{
    char line[256], *p = NULL;
    for (int i = 0; i < 4; i++) {
        mo_release(p, MO_ORIGIN_MALLOC);
        p = mo_allocate(9 * MIB, MO_ORIGIN_MALLOC);
        cr_assert_not_null(p);
        memset(p, 1, 9 * MIB);
    }
    FILE *f = fopen("/proc/self/smaps", "r");
    cr_assert_not_null(f);
    bool mine = false, asked = false;
    while (fgets(line, sizeof line, f) != NULL) {
        uintptr_t from, to;
        if (sscanf(line, "%zx-%zx ", &from, &to) == 2)
            mine = (uintptr_t)p + MIB >= from && (uintptr_t)p + MIB < to;
        else if (mine && strncmp(line, "VmFlags:", 8) == 0)
            asked = strstr(line, " hg") != NULL;
    }
    fclose(f);
    /* Where the kernel has none, or is asked not to (profile embedded), there is no flag. */
    bool can = access("/sys/kernel/mm/transparent_hugepage/enabled", F_OK) == 0 && mo_sealed.options.huge_pages;
    cr_expect_eq(asked, can);
    cr_expect(faults(touch_read, (uintptr_t)p + 9 * MIB + 64), "the guard behind it is gone");
    mo_release(p, MO_ORIGIN_MALLOC);
    cr_expect(faults(touch_read, (uintptr_t)p));
}
