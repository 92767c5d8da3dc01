/* The heap's figures as text, in three forms made of one list (front/stats.def).
 *
 * Allocates nothing and uses write(2) only, so that it works after stdio and the program's own exit routines are
 * through. The counters are gauges: the older text format, which node_exporter reads, and OpenMetrics disagree on how
 * a counter is named, and rate() is the same for both.
 */
#include <string.h>
#include <unistd.h>

#include "api/names.h"
#include "api/sight.h"
#include "base/base.h"
#include "diag/sealed.h"
#include "front/front.h"
#include "front/stats.h"
#include "moat/moat.h"
#include "os/os.h"

enum {
    LABEL_WIDTH = 22,
    NUMBER_WIDTH = 16,
    COLUMN_WIDTH = 13,
};

/* Name and help of each figure, in the order of struct moat_stats behind its size. */
const char mo_stats_names[] =
#define STAT(member, name, help) name "\0" help "\0"
#include "front/stats.def"
#undef STAT
    ;
enum {
    STAT_SIZE, /* the first member */
#define STAT(member, name, help) STAT_##member,
#include "front/stats.def"
#undef STAT
    STAT_END
};
#define STAT(member, name, help)                                                            \
    _Static_assert(offsetof(struct moat_stats, member) == STAT_##member * sizeof(size_t) && \
                       sizeof(name help) < MO_OUT_ROW - sizeof "# HELP moat_ ",             \
                   "stats.def has the members in their order");
#include "front/stats.def"
#undef STAT
_Static_assert(sizeof(struct moat_stats) == STAT_END * sizeof(size_t), "stats.def has all members");

/* The same of each class and each shard: the label, then the figures. */
const char mo_stats_class_names[] = "slot\0largest\0live\0cached\0quarantined\0slabs\0";
static const char shard_figures[] = "shard\0slabs_bytes\0taken_bytes\0purged_slabs\0";
enum { CLASS_FIGURES = 6, SHARD_FIGURES = 4 };
_Static_assert(sizeof(struct moat_class_stats) == CLASS_FIGURES * sizeof(size_t), "all of them");
_Static_assert(sizeof(struct moat_shard_stats) == (SHARD_FIGURES - 1) * sizeof(size_t), "all but the label");

void mo_out_start(struct mo_out *o, int fd)
{
    o->fd = fd;
    o->bad = fd < 0;
    o->text = (struct mo_text){o->buf, o->buf + sizeof o->buf};
}

void mo_out_flush(struct mo_out *o)
{
    o->bad = o->bad || !mo_os_write(o->fd, o->buf, (size_t)(o->text.at - o->buf)); /* which may wait each time */
    o->text.at = o->buf;
}

static void put(struct mo_out *o, const char *s)
{
    mo_text_string(&o->text, s);
}

static void end_row(struct mo_out *o, const char *s)
{
    put(o, s);
    if (o->text.end - o->text.at < MO_OUT_ROW)
        mo_out_flush(o);
}

static const char *next(const char *name)
{
    return name + strlen(name) + 1;
}

static void put_spaces(struct mo_out *o, size_t n)
{
    while (n-- > 0)
        put(o, " ");
}

/* v, its end at column `width` from here. */
static void put_number(struct mo_out *o, uint64_t v, size_t width)
{
    size_t digits = 1;
    for (uint64_t rest = v; rest >= 10; rest /= 10)
        digits++;
    put_spaces(o, width > digits ? width - digits : 0);
    mo_text_decimal(&o->text, v);
}

/* a name b v c */
static void put_row(struct mo_out *o, const char *a, const char *name, const char *b, size_t v, const char *c)
{
    put(o, a);
    put(o, name);
    put(o, b);
    mo_text_decimal(&o->text, v);
    end_row(o, c);
}

/* Figures of class or shard number i, with the label first; false behind the last. */
static bool get(bool class, size_t i, size_t *figure)
{
    figure[0] = i;
    return class ? mo_front_class_stats(i, (struct moat_class_stats *)(void *)figure)
                 : mo_front_shard_stats(i, (struct moat_shard_stats *)(void *)(figure + 1));
}

/* Columns, or "name":[{"slot":32,...},...] */
static void put_list(struct mo_out *o, bool json, bool class)
{
    size_t figure[CLASS_FIGURES], n = class ? CLASS_FIGURES : SHARD_FIGURES;
    const char *names = class ? mo_stats_class_names : shard_figures, *name = names;
    put(o, !json ? "" : class ? ",\"classes\":[" : "],\"by_shard\":[");
    for (size_t j = 0; !json && j < n; j++, name = next(name)) {
        put_spaces(o, COLUMN_WIDTH - strlen(name));
        put(o, name);
    }
    for (size_t i = 0; get(class, i, figure); i++) {
        name = names;
        if (!json && class && (figure[2] | figure[3] | figure[4] | figure[5]) == 0)
            continue;
        end_row(o, !json ? "\n" : i != 0 ? ",{" : "{");
        for (size_t j = 0; j < n; j++, name = next(name)) {
            if (json)
                put_row(o, j != 0 ? ",\"" : "\"", name, "\":", figure[j], "");
            else
                put_number(o, figure[j], COLUMN_WIDTH);
        }
        put(o, json ? "}" : "");
    }
    put(o, json ? "" : "\n");
}

static void put_help(struct mo_out *o, const char *part, const char *name, const char *help)
{
    put(o, "# HELP moat_");
    put(o, part);
    put(o, name);
    put(o, " ");
    put(o, help);
    put(o, "\n# TYPE moat_");
    put(o, part);
    put(o, name);
    end_row(o, " gauge\n");
}

static void put_families(struct mo_out *o, bool class)
{
    const char *part = class ? "class_" : "shard_", *name = class ? mo_stats_class_names : shard_figures;
    size_t figure[CLASS_FIGURES];
    for (size_t j = 1; j < (class ? CLASS_FIGURES : SHARD_FIGURES); j++) {
        name = next(name);
        put_help(o, part, name, "of each");
        for (size_t i = 0; get(class, i, figure); i++) {
            put(o, "moat_");
            put(o, part);
            put_row(o, name, class ? "{slot" : "{shard", "=\"", figure[0], "\"} ");
            put_row(o, "", "", "", figure[j], "\n");
        }
    }
}

/* The figures of the whole heap, in any form. */
static void put_all(struct mo_out *o, unsigned form, const struct moat_stats *s)
{
    const char *name = mo_stats_names, *help;
    for (const size_t *v = &s->size + 1; v < &s->size + STAT_END; v++, name = next(help)) {
        help = next(name);
        if (form == MOAT_STATS_OPENMETRICS) {
            put_help(o, "", name, help);
            put(o, "moat_");
        } else {
            put(o, form == MOAT_STATS_JSON ? ",\"" : "  ");
        }
        if (form == MOAT_STATS_TABLE) {
            put(o, name);
            put_number(o, *v, LABEL_WIDTH + NUMBER_WIDTH - strlen(name));
            put(o, "  ");
            put(o, help);
            end_row(o, "\n");
        } else {
            put_row(o, "", name, form == MOAT_STATS_JSON ? "\":" : " ", *v, form == MOAT_STATS_JSON ? "" : "\n");
        }
    }
}

bool mo_stats_write(int fd, unsigned form)
{
    struct moat_stats s;
    struct mo_out o;
    bool json = form == MOAT_STATS_JSON;
    if (MO_SMALL)
        return false;
    mo_out_start(&o, fd);
    mo_front_start();
    mo_front_stats_all(&s);
    if (form != MOAT_STATS_OPENMETRICS) {
        put_row(&o, json ? "{\"version\":\"" : "", moat_version(), json ? "\",\"process\":" : ": heap of process ",
                (size_t)mo_os_process_id(), json ? ",\"profile\":\"" : ", profile ");
        put(&o, mo_profile_names[mo_sealed.options.profile]);
        end_row(&o, json ? "\"" : "\n");
    }
    put_all(&o, form, &s);
    for (unsigned class = 1; class < 2; class--) {
        if (form == MOAT_STATS_OPENMETRICS)
            put_families(&o, class);
        else
            put_list(&o, json, class);
    }
    put(&o, form == MOAT_STATS_OPENMETRICS ? "# EOF\n" : json ? "]}\n" : "");
    mo_out_flush(&o);
    return !o.bad;
}

MO_EXPORT void moat_stats_write(int fd, enum moat_stats_form form)
{
    (void)!mo_stats_write(fd, form);
}

MO_EXPORT void moat_stats_print(int fd)
{
    (void)!mo_stats_write(fd, MOAT_STATS_TABLE);
}

MO_EXPORT void malloc_stats(void)
{
    moat_stats_print(STDERR_FILENO);
}
