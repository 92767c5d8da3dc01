/* moat top: the heap of a running process, again and again. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "api/sight.h"
#include "base/base.h"
#include "moat.h"
#include "sight.h"

enum { HEAD_ROWS = 13, NO_TERMINAL_ROWS = 1000 };

static volatile sig_atomic_t interrupted;

static void interrupt(int number)
{
    (void)number;
    interrupted = 1;
}

static const char *next(const char *name)
{
    return name + strlen(name) + 1;
}

/* "name":v,... of n figures; step: words for each name. */
static void json_members(const char *name, const size_t *v, size_t n, unsigned step)
{
    for (size_t i = 0; i < n; i++) {
        printf("%s\"%s\":%zu", i != 0 ? "," : "", name, v[i]);
        for (unsigned j = 0; j < step; j++)
            name = next(name);
    }
}

static void show_json(const struct sight *s, const struct sight_figures *f)
{
    printf("{\"version\":\"%s\",\"process\":%ld,\"name\":\"%s\",\"profile\":\"%s\",", moat_version(), (long)s->process,
           s->name, mo_profile_names[s->sealed.options.profile]);
    json_members(mo_stats_names, &f->all.allocated, sizeof f->all / sizeof(size_t) - 1, 2);
    printf(",\"classes\":[");
    for (size_t i = 0; i < SIGHT_CLASSES; i++) {
        printf("%s{", i != 0 ? "," : "");
        json_members(mo_stats_class_names, &f->classes[i].slot, sizeof f->classes[0] / sizeof(size_t), 1);
        putchar('}');
    }
    printf("],\"by_shard\":[");
    for (size_t i = 0; i < f->all.shards_count; i++)
        printf("%s{\"shard\":%zu,\"slabs_bytes\":%zu,\"taken_bytes\":%zu,\"purged_slabs\":%zu}", i != 0 ? "," : "", i,
               f->shards[i].slabs, f->shards[i].taken, f->shards[i].purged_count);
    puts("]}");
}

/* Bytes in four columns and a unit: 999, 1.2K, 35.8M. */
static const char *bytes(size_t v)
{
    static char texts[8][16];
    static unsigned turn;
    char *text = texts[turn++ % 8];
    static const char units[] = " KMGTPE";
    double x = (double)v;
    size_t unit = 0;
    for (; x >= 999.5; x /= 1024)
        unit++;
    snprintf(text, sizeof texts[0], unit == 0 || x >= 99.95 ? "%.0f%c" : "%.1f%c", x, units[unit]);
    return text;
}

static double rate(size_t now, size_t before, double seconds)
{
    return seconds > 0 ? ((double)now - (double)before) / seconds : 0;
}

static void show_head(const struct sight *s, const struct sight_figures *f, const struct sight_figures *before,
                      double seconds)
{
    const struct moat_stats *a = &f->all, *b = &before->all;
    char when[32];
    time_t now = time(NULL);
    struct tm tm;
    strftime(when, sizeof when, "%H:%M:%S", localtime_r(&now, &tm));
    printf("%s: %s (process %ld), profile %s, %s\n", moat_version(), s->name, (long)s->process,
           mo_profile_names[s->sealed.options.profile], when);
    printf("resident %s  active %s  allocated %s  requested about %s  fragmentation %.1f %%\n", bytes(a->resident),
           bytes(a->active), bytes(a->allocated), bytes(a->requested), (double)a->fragmentation / 10);
    printf("chunks   %zu live, %+.0f/s   frees %.0f/s   slabs purged %.0f/s\n", a->live_count,
           rate(a->live_count, b->live_count, seconds), rate(a->frees_count, b->frees_count, seconds),
           rate(a->purged_count, b->purged_count, seconds));
    printf("large    %s in %zu chunks, %s of addresses wait\n", bytes(a->large), a->large_count,
           bytes(a->large_waiting));
    printf("kept     %s quarantined, %s cached by %zu threads, %s in free slabs\n", bytes(a->quarantined),
           bytes(a->cached), a->threads_count, bytes(a->retained));
    printf("slabs    %zu open, %s   guards %zu   mappings %zu   metadata %s   reserved %s\n", a->slab_count,
           bytes(a->slabs), a->guard_count, a->mappings_count, bytes(a->metadata), bytes(a->reserved));
    printf("sampled  %zu, %zu without a place   warnings %zu\n\n", a->sampled_count, a->unsampled_count,
           a->warnings_count);
}

static const struct sight_figures *sorted_figures;

static size_t weight(size_t class)
{
    const struct moat_class_stats *c = &sorted_figures->classes[class];
    return c->slot * (c->live_count + c->cached_count + c->quarantined_count);
}

static int by_weight(const void *a, const void *b)
{
    size_t x = weight(*(const size_t *)a), y = weight(*(const size_t *)b);
    return (x < y) - (x > y);
}

static void show_classes(const struct sight_figures *f, const struct sight_figures *before, double seconds, size_t rows)
{
    size_t order[SIGHT_CLASSES];
    for (size_t i = 0; i < SIGHT_CLASSES; i++)
        order[i] = i;
    sorted_figures = f;
    qsort(order, SIGHT_CLASSES, sizeof order[0], by_weight);
    printf("%8s %8s %9s %9s %9s %11s %7s\n", "up to", "bytes", "live", "live/s", "cached", "quarantined", "slabs");
    for (size_t i = 0; i < SIGHT_CLASSES && i < rows; i++) {
        const struct moat_class_stats *c = &f->classes[order[i]];
        if (c->live_count + c->cached_count + c->quarantined_count + c->slab_count == 0)
            continue;
        printf("%8zu %8s %9zu %+9.0f %9zu %11zu %7zu\n", c->largest, bytes(c->slot * c->live_count), c->live_count,
               rate(c->live_count, before->classes[order[i]].live_count, seconds), c->cached_count,
               c->quarantined_count, c->slab_count);
    }
}

static void show_shards(const struct sight_figures *f)
{
    printf("\n%8s %8s %8s %9s\n", "shard", "slabs", "taken", "purged");
    for (size_t i = 0; i < f->all.shards_count; i++)
        printf("%8zu %8s %8s %9zu\n", i, bytes(f->shards[i].slabs), bytes(f->shards[i].taken),
               f->shards[i].purged_count);
}

static size_t terminal_rows(void)
{
    struct winsize w;
    return isatty(STDOUT_FILENO) && ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_row != 0 ? w.ws_row
                                                                                               : NO_TERMINAL_ROWS;
}

static double seconds_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

struct how {
    double delay;
    unsigned long times; /* 0: until it ends */
    bool json;
};

static int watch(const struct sight *s, const struct how *how)
{
    static struct sight_figures figures[2];
    double then = 0;
    signal(SIGINT, interrupt);
    for (unsigned long i = 0; !interrupted && (how->times == 0 || i < how->times); i++) {
        struct sight_figures *now = &figures[i % 2], *before = i != 0 ? &figures[(i + 1) % 2] : now;
        struct timespec rest = {(time_t)how->delay, (long)((how->delay - (double)(time_t)how->delay) * 1e9)};
        if (i != 0)
            nanosleep(&rest, NULL);
        if (interrupted)
            break;
        if (!sight_figures(s, now)) {
            fprintf(stderr, "moat top: process %ld has ended\n", (long)s->process);
            return i != 0 ? 0 : 1;
        }
        double at = seconds_now();
        size_t rows = terminal_rows(), fixed = HEAD_ROWS + now->all.shards_count;
        if (how->json) {
            show_json(s, now);
        } else {
            if (isatty(STDOUT_FILENO) && how->times != 1)
                fputs("\033[H\033[J", stdout);
            show_head(s, now, before, i != 0 ? at - then : 0);
            show_classes(now, before, i != 0 ? at - then : 0, rows > fixed ? rows - fixed : 4);
            show_shards(now);
        }
        fflush(stdout);
        then = at;
    }
    return 0;
}

int moat_top_main(int argc, char **argv)
{
    static const struct option options[] = {{"json", no_argument, NULL, 'j'},
                                            {"once", no_argument, NULL, '1'},
                                            {"times", required_argument, NULL, 'n'},
                                            {"delay", required_argument, NULL, 'd'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    struct how how = {.delay = 1};
    static struct sight s;
    char *end = NULL;
    for (int c; (c = getopt_long(argc, argv, "+jn:d:h", options, NULL)) != -1;) {
        if (c == 'h')
            return moat_help("top") ? 0 : 1;
        if (c == '?')
            return EXIT_USAGE;
        if (c == 'j')
            how.json = true;
        if (c == '1')
            how.times = 1;
        if (c == 'n')
            how.times = strtoul(optarg, &end, 10);
        if (c == 'd')
            how.delay = strtod(optarg, &end);
        bool bad = (c == 'n' || c == 'd') && (*end != '\0' || end == optarg);
        if (bad || (c == 'n' && how.times == 0) || !(how.delay >= 0.01 && how.delay <= 86400)) {
            fprintf(stderr, "moat top: -%c: '%s' is no number that is allowed. See 'moat help top'.\n", c, optarg);
            return EXIT_USAGE;
        }
    }
    if (argc - optind != 1) {
        fputs("moat top: which process? See 'moat help top'.\n", stderr);
        return EXIT_USAGE;
    }
    return sight_open(&s, "moat top", argv[optind]) ? watch(&s, &how) : 1;
}
