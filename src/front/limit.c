#include "front/limit.h"

#include "diag/report.h"
#include "diag/sealed.h"

enum {
    MIB_SHIFT = 20,
    EVERY = 64,              /* calls from one look at resident memory to the next: it takes some microseconds */
    ALWAYS_FROM = 256 * 1024 /* bytes of an allocation that is not given out without one */
};

bool mo_limit_refuses(size_t n)
{
    static uint32_t calls;
    const struct mo_options *o = &mo_sealed.options;
    if (mo_unlikely(!mo_sealed.ready))
        return true;
    if (o->max_allocation_size_mb != 0 && n > o->max_allocation_size_mb << MIB_SHIFT)
        return true;
    if (mo_likely(o->rss_limit_mb == 0) ||
        (n < ALWAYS_FROM && __atomic_fetch_add(&calls, 1, __ATOMIC_RELAXED) % EVERY != 0))
        return false;
    size_t resident = mo_os_resident(), limit = o->rss_limit_mb << MIB_SHIFT;
    return resident > limit || n > limit - resident;
}

void mo_limit_failed(void)
{
    if (mo_sealed.options.allocator_may_return_null == 0)
        mo_out_of_memory();
}
