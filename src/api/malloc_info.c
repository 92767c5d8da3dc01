/* malloc_info: the heap as XML. The elements are glibc's, for its consumers; one more, `moat`, has our own.
 *
 * glibc's `size` elements list free chunks by size: ours are the slots ready or waiting in thread caches.
 * Writing may allocate, as it goes through stdio: all figures of one element are taken before it is written.
 */
#include "api/names.h"

#include <errno.h>
#include <string.h>

#include "api/sight.h"
#include "base/base.h"
#include "front/front.h"
#include "front/stats.h"
#include "moat/moat.h"

static void write_sizes(FILE *out, size_t classes)
{
    size_t below = 0; /* largest request of the class before */
    fputs("<sizes>\n", out);
    for (size_t i = 0; i < classes; i++) {
        struct moat_class_stats c;
        if (!mo_front_class_stats(i, &c))
            continue;
        size_t count = c.cached_count + c.quarantined_count;
        if (count != 0)
            fprintf(out, "  <size from=\"%zu\" to=\"%zu\" total=\"%zu\" count=\"%zu\"/>\n",
                    mo_min(below + 1, c.largest), c.largest, count * c.slot, count);
        below = c.largest;
    }
    fputs("</sizes>\n", out);
}

/* <element name="v" ...: the n figures at v, called as the words at names, `step` words a figure. */
static void write_element(FILE *out, const char *element, const char *name, const size_t *v, size_t n, unsigned step)
{
    fprintf(out, "<%s", element);
    for (size_t i = 0; i < n; i++) {
        fprintf(out, " %s=\"%zu\"", name, v[i]);
        for (unsigned j = 0; j < step; j++)
            name += strlen(name) + 1;
    }
}

static void write_classes(FILE *out, size_t classes)
{
    for (size_t i = 0; i < classes; i++) {
        struct moat_class_stats c;
        if (!mo_front_class_stats(i, &c))
            continue;
        if (c.live_count == 0 && c.cached_count == 0 && c.quarantined_count == 0 && c.slab_count == 0)
            continue;
        write_element(out, "class", mo_stats_class_names, &c.slot, sizeof c / sizeof c.slot, 1);
        fputs("/>\n", out);
    }
}

/* What glibc writes for each arena and again for all of them; here there is one. */
static void write_totals(FILE *out, const struct moat_stats *s, size_t fast_count, size_t rest)
{
    fprintf(out, "<total type=\"fast\" count=\"%zu\" size=\"%zu\"/>\n", fast_count, s->cached);
    fprintf(out, "<total type=\"rest\" count=\"%zu\" size=\"%zu\"/>\n", s->slab_count, rest);
}

static void write_system(FILE *out, size_t current, size_t reserved)
{
    fprintf(out, "<system type=\"current\" size=\"%zu\"/>\n<system type=\"max\" size=\"%zu\"/>\n", current, current);
    fprintf(out, "<aspace type=\"total\" size=\"%zu\"/>\n", reserved);
    fprintf(out, "<aspace type=\"mprotect\" size=\"%zu\"/>\n", current);
}

MO_EXPORT int malloc_info(int options, FILE *out)
{
    struct moat_stats s;
    size_t fast_count = 0;

    if (options != 0)
        return EINVAL;
    mo_front_start();
    memset(&s, 0, sizeof s);
    mo_front_stats(&s);
    for (size_t i = 0; i < s.classes_count; i++) {
        struct moat_class_stats c;
        if (mo_front_class_stats(i, &c))
            fast_count += c.cached_count;
    }
    size_t small = s.allocated - mo_min(s.large, s.allocated) + s.cached;
    size_t rest = s.slabs - mo_min(small, s.slabs);

    fputs("<malloc version=\"1\">\n<heap nr=\"0\">\n", out);
    write_sizes(out, s.classes_count);
    write_totals(out, &s, fast_count, rest);
    write_system(out, s.slabs, s.reserved);
    fputs("</heap>\n", out);
    write_totals(out, &s, fast_count, rest);
    fprintf(out, "<total type=\"mmap\" count=\"%zu\" size=\"%zu\"/>\n", s.large_count, s.large);
    write_system(out, s.slabs + s.large, s.reserved + s.large);
    write_element(out, "moat", mo_stats_names, &s.allocated, sizeof s / sizeof s.size - 1, 2);
    fputs(">\n", out);
    write_classes(out, s.classes_count);
    fputs("</moat>\n</malloc>\n", out);
    return 0;
}
