/* What a fuzzer limits: single allocations, resident memory; and the words of AFL++'s libdislocator. */
#include "child.h"
#include "diag/option_text.h"
#include "front/front.h"
#include "moat/moat.h"

const char *moat_options = "max_allocation_size_mb=4";

enum { MIB = 1 << 20 };

Test(limit, the_largest_allocation)
{
    void *p = mo_allocate(4 * MIB, MO_ORIGIN_MALLOC);
    cr_assert_not_null(p);
    errno = 0;
    cr_assert_null(mo_allocate(4 * MIB + 1, MO_ORIGIN_MALLOC));
    cr_assert_eq(errno, ENOMEM);
    cr_assert_null(mo_allocate_aligned(4 * MIB + 1, 64, MO_ORIGIN_MALLOC));
    cr_assert_null(mo_resize(p, 5 * MIB));
    cr_assert_null(mo_allocate(SIZE_MAX, MO_ORIGIN_MALLOC));
    cr_assert_eq(mo_usable_size(p), 4 * MIB); /* as it was */
    mo_release(p, MO_ORIGIN_MALLOC);
}

static const char *const *variables;

static const char *variable(const char *name)
{
    for (const char *const *v = variables; *v != NULL; v++)
        if (strncmp(*v, name, strlen(name)) == 0)
            return *v + strlen(name);
    return NULL;
}

Test(limit, words_of_libdislocator)
{
    struct mo_options o;
    mo_options_default(&o, MO_PROFILE_FUZZ);
    o.align = MO_ALIGN_NATURAL;
    variables = (const char *const[]){"AFL_LD_LIMIT_MB_=7", NULL};
    mo_options_take_afl(&o, variable, NULL);
    cr_assert(o.rss_limit_mb == 0 && o.align == MO_ALIGN_NATURAL && o.allocator_may_return_null);
    variables = (const char *const[]){"AFL_LD_LIMIT_MB=50", "AFL_LD_HARD_FAIL=1", "AFL_LD_VERBOSE=1",
                                      "AFL_ALIGNED_ALLOC=1", NULL};
    mo_options_take_afl(&o, variable, NULL);
    cr_assert_eq(o.rss_limit_mb, 50);
    cr_assert_eq(o.allocator_may_return_null, 0);
    cr_assert_eq(strcmp(o.stats, "exit"), 0);
    cr_assert_eq(o.align, MO_ALIGN_STRICT);
}
