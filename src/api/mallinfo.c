/* What programs ask glibc's malloc about itself: mallinfo, mallinfo2, mallopt, malloc_trim. */
#include "api/names.h"

#include <string.h>

#include "base/base.h"
#include "front/front.h"
#include "front/stats.h"
#include "moat/moat.h"

/* mallopt's parameters by value, as musl's headers do not name them. */
enum {
    LOWEST_PARAMETER = -8, /* M_ARENA_MAX */
    HIGHEST_PARAMETER = 1, /* M_MXFAST */
    MXFAST = 1,
    MXFAST_MOST = 80 * (int)sizeof(size_t) / 4,
};

MO_EXPORT int mallopt(int parameter, int value)
{
    if (parameter < LOWEST_PARAMETER || parameter > HIGHEST_PARAMETER || parameter == 0)
        return 0;
    if (parameter == MXFAST && (value < 0 || value > MXFAST_MOST))
        return 0;
    return 1;
}

MO_EXPORT int malloc_trim(size_t pad)
{
    (void)pad;
    mo_front_start();
    return mo_front_purge() > 0;
}

#ifdef __GLIBC__

MO_EXPORT struct mallinfo2 mallinfo2(void)
{
    struct moat_stats s;
    struct mallinfo2 m;

    mo_front_start();
    memset(&s, 0, sizeof s);
    memset(&m, 0, sizeof m);
    mo_front_stats(&s);
    m.hblks = s.large_count;
    m.hblkhd = s.large;
    m.uordblks = s.allocated - mo_min(s.large, s.allocated);
    m.arena = mo_max(s.slabs, m.uordblks); /* a snapshot: keep arena = uordblks + fordblks */
    m.fordblks = m.arena - m.uordblks;
    m.fsmblks = mo_min(s.cached, m.fordblks);
    for (size_t i = 0; i < s.classes_count; i++) {
        struct moat_class_stats c;
        if (mo_front_class_stats(i, &c)) {
            m.smblks += c.cached_count;
            m.ordblks += c.cached_count + c.quarantined_count;
        }
    }
    return m;
}

static int cut(size_t v)
{
    return (int)mo_min(v, INT_MAX);
}

MO_EXPORT struct mallinfo mallinfo(void)
{
    struct mallinfo2 m = mallinfo2();
    struct mallinfo old = {
        .arena = cut(m.arena),
        .ordblks = cut(m.ordblks),
        .smblks = cut(m.smblks),
        .hblks = cut(m.hblks),
        .hblkhd = cut(m.hblkhd),
        .usmblks = cut(m.usmblks),
        .fsmblks = cut(m.fsmblks),
        .uordblks = cut(m.uordblks),
        .fordblks = cut(m.fordblks),
        .keepcost = cut(m.keepcost),
    };
    return old;
}

#endif
