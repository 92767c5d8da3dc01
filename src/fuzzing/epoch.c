/* Epochs of a persistent harness, and the look for leaks when the process exits. */
#include <errno.h>
#include <stdio.h>

#include "api/names.h"
#include "cache/cache.h"
#include "diag/report_form.h"
#include "front/front.h"
#include "front/thread.h"
#include "fuzzing/leaks.h"
#include "guard/pool.h"
#include "moat/moat.h"

/* Between begin and end: what there was at its begin. One harness's, so without a lock. */
static struct {
    bool open;
    size_t number;
    struct mo_leak_set old; /* of option detect_leaks */
    struct mo_pool_figures pool;
} epoch;

/* Ends the process where there are leaks, as option leak_exitcode says; else says how many, and of how many bytes. */
static size_t look_for_leaks(const struct mo_leak_set *old, const char *what, bool at_exit, size_t *bytes)
{
    static const char blind[] = "moat: detect_leaks: not looked for: no /proc/self/pagemap, no memory or no lock\n";
    struct mo_leak_set set;
    bool good = mo_leaks_collect(&set);
    size_t leaks = good ? mo_leaks_search(&set, old, &good) : 0;
    if (!good)
        (void)mo_os_write(2, blind, sizeof blind - 1);
    if (leaks != 0)
        mo_leaks_report(&set, leaks, what);
    for (size_t i = 0; i < leaks; i++)
        *bytes += set.chunks[i].n;
    mo_leaks_drop(&set);
    if (leaks == 0 || mo_sealed.options.leak_exitcode == 0)
        return leaks;
    if (at_exit)
        (void)fflush(NULL); /* libc does it after us */
    mo_os_exit((int)mo_sealed.options.leak_exitcode);
}

MO_EXPORT int moat_epoch_begin(void)
{
    mo_front_start();
    if (epoch.open) {
        errno = EBUSY;
        return -1;
    }
    epoch.open = true;
    epoch.number++;
    mo_pool_figures(&epoch.pool);
    if (mo_sealed.options.detect_leaks != 0 && !mo_leaks_collect(&epoch.old))
        mo_leaks_drop(&epoch.old);
    return 0;
}

MO_EXPORT int moat_epoch_end(struct moat_epoch *e, size_t size)
{
    struct moat_epoch now = {.size = sizeof now, .number = epoch.number};
    struct mo_pool_figures pool;
    if (!epoch.open || (e != NULL && size < sizeof now.size)) {
        errno = EINVAL;
        return -1;
    }
    epoch.open = false;
    struct mo_cache *c = mo_thread_cache();
    if (c != NULL)
        mo_thread_drain(c); /* what waits is looked at, while it is known whose run it was */
    mo_pool_figures(&pool);
    now.guarded_count = pool.taken - epoch.pool.taken;
    now.guarded_live = pool.live_count;
    now.guarded_grown = (ptrdiff_t)(pool.live_count - epoch.pool.live_count);
    if (mo_sealed.options.detect_leaks != 0 && epoch.old.chunks != NULL)
        now.leaked_count = look_for_leaks(&epoch.old, "the epoch", false, &now.leaked_bytes);
    mo_leaks_drop(&epoch.old);
    if (e != NULL)
        __builtin_memcpy(e, &now, mo_min(size, sizeof now));
    return 0;
}

/* Before moat's own last look, which has the priority 101. */
__attribute__((destructor(102))) static void at_exit(void)
{
    size_t bytes = 0;
    const struct mo_leak_set none = {0};
    if (mo_sealed.options.detect_leaks != 0)
        (void)look_for_leaks(&none, "the process", true, &bytes);
}
