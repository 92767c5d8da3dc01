/* moat_stats_print: the heap's figures as text. And what options stats and check_at_exit do when the process exits.
 *
 * Allocates nothing and uses write(2) only, so that it works after stdio and the program's own exit
 * routines are through.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <sys/stat.h>

#include "api/names.h"
#include "base/base.h"
#include "diag/report.h"
#include "diag/sealed.h"
#include "front/front.h"
#include "front/stats.h"
#include "moat/moat.h"
#include "os/os.h"

enum {
    LINE_MAX_BYTES = 160,
    LABEL_WIDTH = 14,
    NUMBER_WIDTH = 14,
    HIGH_FD = 200, /* out of the way of programs that count on the numbers below */
};

/* One line in the making. */
struct line {
    char buf[LINE_MAX_BYTES];
    struct mo_text text;
};

static void line_start(struct line *l)
{
    l->text.at = l->buf;
    l->text.end = l->buf + sizeof l->buf - 1; /* leaves room for the newline */
}

static void line_write(struct line *l, int fd)
{
    *l->text.at++ = '\n';
    (void)mo_os_write(fd, l->buf, (size_t)(l->text.at - l->buf));
    line_start(l);
}

static void put_spaces(struct line *l, size_t n)
{
    while (n-- > 0)
        mo_text_string(&l->text, " ");
}

/* v in decimal, its end at column `width` from here. */
static void put_number(struct line *l, uint64_t v, size_t width)
{
    size_t digits = 1;
    for (uint64_t rest = v; rest >= 10; rest /= 10)
        digits++;
    put_spaces(l, width > digits ? width - digits : 0);
    mo_text_decimal(&l->text, v);
}

static void put_label(struct line *l, const char *label, size_t width)
{
    size_t n = strlen(label);
    mo_text_string(&l->text, label);
    put_spaces(l, width > n ? width - n : 0);
}

/* "label  value  remark", with a count between the two halves of the remark where `after` is given. */
static void print_row(struct line *l, int fd, const char *label, size_t v, const char *before, size_t count,
                      const char *after)
{
    put_spaces(l, 2);
    put_label(l, label, LABEL_WIDTH);
    put_number(l, v, NUMBER_WIDTH);
    put_spaces(l, 2);
    mo_text_string(&l->text, before);
    if (after != NULL) {
        mo_text_decimal(&l->text, count);
        mo_text_string(&l->text, after);
    }
    line_write(l, fd);
}

static void print_heap(struct line *l, int fd, const struct moat_stats *s)
{
    print_row(l, fd, "allocated", s->allocated, "bytes in ", s->live_count, " live chunks");
    print_row(l, fd, "large", s->large, "of these, in ", s->large_count, " mappings of their own");
    print_row(l, fd, "cached", s->cached, "bytes ready in the caches of ", s->threads_count, " threads");
    print_row(l, fd, "quarantined", s->quarantined, "freed bytes that wait in them", 0, NULL);
    print_row(l, fd, "large waiting", s->large_waiting, "bytes of address space of freed large mappings", 0, NULL);
    print_row(l, fd, "slabs", s->slabs, "bytes open in ", s->slab_count, " slabs");
    print_row(l, fd, "purged", s->purged_count, "slabs given back to the system so far", 0, NULL);
    print_row(l, fd, "guards", s->guard_count, "in place", 0, NULL);
    print_row(l, fd, "mappings", s->mappings_count, "held by moat", 0, NULL);
    print_row(l, fd, "metadata", s->metadata, "bytes of tables and caches", 0, NULL);
    print_row(l, fd, "reserved", s->reserved, "bytes of address space for small chunks, in ", s->shards_count,
              " shards");
    print_row(l, fd, "resident", s->resident, "bytes of the whole process", 0, NULL);
}

static void print_classes(struct line *l, int fd, size_t count)
{
    static const char *const titles[] = {"up to", "slot", "live", "cached", "quarantined", "slabs"};
    for (size_t i = 0; i < MO_ARRAY_LEN(titles); i++) {
        put_spaces(l, 12 - strlen(titles[i]));
        mo_text_string(&l->text, titles[i]);
    }
    line_write(l, fd);
    for (size_t i = 0; i < count; i++) {
        struct moat_class_stats c;
        if (!mo_front_class_stats(i, &c))
            continue;
        if (c.live_count == 0 && c.cached_count == 0 && c.quarantined_count == 0 && c.slab_count == 0)
            continue;
        const size_t columns[] = {c.largest, c.slot, c.live_count, c.cached_count, c.quarantined_count, c.slab_count};
        for (size_t j = 0; j < MO_ARRAY_LEN(columns); j++)
            put_number(l, columns[j], 12);
        line_write(l, fd);
    }
}

MO_EXPORT void moat_stats_print(int fd)
{
    struct moat_stats s;
    struct line l;

    if (MO_SMALL)
        return;
    mo_front_start();
    memset(&s, 0, sizeof s);
    mo_front_stats(&s);
    line_start(&l);
    mo_text_string(&l.text, moat_version());
    mo_text_string(&l.text, ": heap of process ");
    mo_text_signed(&l.text, mo_os_process_id());
    mo_text_string(&l.text, ", profile ");
    mo_text_string(&l.text, mo_profile_names[mo_sealed.options.profile]);
    line_write(&l, fd);
    print_heap(&l, fd, &s);
    print_classes(&l, fd, s.classes_count);
}

MO_EXPORT void malloc_stats(void)
{
    moat_stats_print(STDERR_FILENO);
}

/* Where statistics and reports go at exit: the file that was stderr at start. Many programs close descriptor 2 on their
 * way out, and some reuse its number for their own files, which must not get our text. */
static struct {
    struct stat file;
    int copy;
    long process; /* the one that was started, not a forked child */
} exit_output = {.copy = -1};

static bool is_exit_output(int fd)
{
    struct stat now;
    return fstat(fd, &now) == 0 && now.st_dev == exit_output.file.st_dev && now.st_ino == exit_output.file.st_ino;
}

__attribute__((constructor)) static void keep_stderr(void)
{
    mo_front_start();
    exit_output.process = mo_os_process_id();
    if ((mo_sealed.options.stats != MO_STATS_OFF || mo_sealed.options.check_at_exit != MO_CHECK_OFF) &&
        fstat(STDERR_FILENO, &exit_output.file) == 0)
        exit_output.copy = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, HIGH_FD);
}

static void print_at_exit(void)
{
    if (MO_SMALL || mo_sealed.options.stats != MO_STATS_EXIT)
        return;
    if (is_exit_output(STDERR_FILENO))
        moat_stats_print(STDERR_FILENO);
    else if (exit_output.copy >= 0 && is_exit_output(exit_output.copy))
        moat_stats_print(exit_output.copy);
}

static void check_at_exit(void)
{
    size_t when = mo_sealed.options.check_at_exit;
    if (when == MO_CHECK_OFF || (when == MO_CHECK_MAIN && mo_os_process_id() != exit_output.process))
        return;
    if (exit_output.copy >= 0 && is_exit_output(exit_output.copy) && fcntl(STDERR_FILENO, F_GETFD) < 0)
        (void)dup2(exit_output.copy, STDERR_FILENO); /* nobody's any more */
    mo_check_exit();
}

/* Priority 101 is the last of this object's destructors to run; libc runs those of a preloaded library last. */
__attribute__((destructor(101))) static void at_exit(void)
{
    print_at_exit();
    check_at_exit();
}
