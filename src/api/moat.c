/* The moat_ functions of include/moat/moat.h, but the printing of statistics. */
#include "moat/moat.h"

#include <errno.h>
#include <string.h>

#include "api/names.h"
#include "base/base.h"
#include "diag/options.h"
#include "diag/option_text.h"
#include "diag/report.h"
#include "diag/sealed.h"
#include "front/front.h"
#include "front/stats.h"

static int refuse(int error)
{
    errno = error;
    return -1;
}

MO_EXPORT const char *moat_version(void)
{
    return "moat " MO_STR(MOAT_VERSION_MAJOR) "." MO_STR(MOAT_VERSION_MINOR) "." MO_STR(MOAT_VERSION_PATCH);
}

MO_EXPORT int moat_option(const char *name, size_t *value)
{
    mo_front_start();
    if (strcmp(name, "profile") == 0) { /* sets the others, so it is not in the table */
        *value = mo_sealed.options.profile;
        return 0;
    }
    const struct mo_option_info *option = mo_option_find(name, strlen(name));
    if (option == NULL)
        return refuse(ENOENT);
    const char *at = (const char *)&mo_sealed.options + option->offset;
    if (option->kind == MO_OPTION_TEXT)
        *value = strlen(at);
    else
        memcpy(value, at, sizeof *value);
    return 0;
}

/* A program built against another version knows a shorter or longer structure: it gets what both know. */
MO_EXPORT int moat_stats(struct moat_stats *s, size_t size)
{
    struct moat_stats now;
    if (size < sizeof now.size)
        return refuse(EINVAL);
    mo_front_start();
    memset(&now, 0, sizeof now);
    mo_front_stats_all(&now);
    now.size = sizeof now;
    memset(s, 0, size);
    memcpy(s, &now, mo_min(size, sizeof now));
    return 0;
}

MO_EXPORT int moat_class_stats(size_t index, struct moat_class_stats *s, size_t size)
{
    if (size != sizeof *s)
        return refuse(EINVAL);
    mo_front_start();
    if (!mo_front_class_stats(index, s))
        return refuse(EINVAL);
    return 0;
}

MO_EXPORT int moat_shard_stats(size_t index, struct moat_shard_stats *s, size_t size)
{
    return size == sizeof *s && mo_front_shard_stats(index, s) ? 0 : refuse(EINVAL);
}

MO_EXPORT moat_report_callback *moat_set_report_callback(moat_report_callback *callback)
{
    mo_front_start();
    return (moat_report_callback *)(uintptr_t)mo_report_set_callback((void *)(uintptr_t)callback);
}

MO_EXPORT size_t moat_check_heap(void)
{
    return mo_check_heap("moat_check_heap");
}

MO_EXPORT size_t moat_purge(void)
{
    mo_front_start();
    return mo_front_purge();
}
