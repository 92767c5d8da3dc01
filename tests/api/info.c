/* What the heap says of itself: malloc_info, mallinfo, mallopt, malloc_trim and the moat_ functions. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include <sys/wait.h>

#include "moat/moat.h"

#include "check.h"

static struct moat_stats stats_now(void)
{
    struct moat_stats s;
    cr_assert_eq(moat_stats(&s, sizeof s), 0);
    cr_assert_eq(s.size, sizeof s);
    return s;
}

Test(info, moat_is_under_test)
{
    cr_assert(moat_is_active());
}

/* Runs xmllint with an XPath expression on what malloc_info writes; its output without the newline. */
static void ask_xml(const char *path, const char *expression, char *answer, size_t size)
{
    char command[512];
    snprintf(command, sizeof command, "xmllint --xpath '%s' '%s'", expression, path);
    FILE *f = popen(command, "r");
    cr_assert_not_null(f);
    size_t n = fread(answer, 1, size - 1, f);
    answer[n] = '\0';
    cr_assert_eq(pclose(f), 0, "xmllint refuses %s of %s", expression, path);
    answer[strcspn(answer, "\n")] = '\0';
}

static unsigned long long ask_number(const char *path, const char *expression)
{
    char answer[64];
    ask_xml(path, expression, answer, sizeof answer);
    char *end;
    double value = strtod(answer, &end); /* XPath's numbers are doubles: 4.3e6 is one */
    cr_assert(end != answer && *end == '\0', "%s is no number: '%s'", expression, answer);
    return (unsigned long long)value;
}

static void write_info(const char *path)
{
    FILE *f = fopen(path, "w");
    cr_assert_not_null(f);
    errno = EDOM;
    cr_assert_eq(malloc_info(0, f), 0);
    cr_assert_eq(fclose(f), 0);
}

Test(info, malloc_info_is_xml_in_glibc_vocabulary)
{
    char path[] = "/tmp/moat-info-XXXXXX";
    int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    close(fd);
    void *large = malloc(10 << 20);
    void *small[1000];
    for (size_t i = 0; i < 1000; i++) {
        small[i] = malloc(i);
        cr_assert_not_null(small[i]);
    }
    write_info(path);
    cr_assert_eq(ask_number(path, "number(/malloc/@version)"), 1);
    cr_assert_eq(ask_number(path, "count(/malloc/heap)"), 1);
    cr_assert_eq(ask_number(path, "count(/malloc/heap/sizes)"), 1);
    cr_assert_eq(ask_number(path, "count(/malloc/heap/total)"), 2);
    cr_assert_eq(ask_number(path, "count(/malloc/total[@type=\"mmap\"])"), 1);
    cr_assert_geq(ask_number(path, "number(/malloc/total[@type=\"mmap\"]/@count)"), 1);
    cr_assert_geq(ask_number(path, "number(/malloc/total[@type=\"mmap\"]/@size)"), 10 << 20);
    cr_assert_gt(ask_number(path, "number(/malloc/system[@type=\"current\"]/@size)"), 10 << 20);
    cr_assert_geq(ask_number(path, "number(/malloc/moat/@live_chunks)"), 1001);
    cr_assert_geq(ask_number(path, "count(/malloc/moat/class)"), 20);
    for (size_t i = 0; i < 1000; i++)
        free(small[i]);
    free(large);
    write_info(path);
    cr_assert_eq(ask_number(path, "count(/malloc/heap/sizes/size[@from > @to])"), 0);
    unlink(path);
}

Test(info, malloc_info_refuses_options)
{
    cr_assert_eq(malloc_info(1, stdout), EINVAL);
    cr_assert_eq(malloc_info(-1, stdout), EINVAL);
}

#ifdef __GLIBC__ /* elsewhere there is no mallinfo */
Test(info, mallinfo_counts)
{
    enum { COUNT = 5000, SIZE = 200, LARGE = 4 << 20 };
    static void *p[COUNT];
    struct mallinfo2 before = mallinfo2();
    for (size_t i = 0; i < COUNT; i++) {
        p[i] = malloc(SIZE);
        cr_assert_not_null(p[i]);
    }
    void *large = malloc(LARGE);
    cr_assert_not_null(large);
    struct mallinfo2 with = mallinfo2();
    cr_assert_geq(with.uordblks, before.uordblks + COUNT * SIZE);
    cr_assert_leq(with.uordblks, before.uordblks + COUNT * SIZE * 2);
    cr_assert_eq(with.hblks, before.hblks + 1);
    cr_assert_geq(with.hblkhd, before.hblkhd + LARGE);
    cr_assert_eq(with.arena, with.uordblks + with.fordblks);
    for (size_t i = 0; i < COUNT; i++)
        free(p[i]);
    free(large);
    struct mallinfo2 after = mallinfo2();
    cr_assert_lt(after.uordblks, before.uordblks + COUNT * SIZE / 10);
    cr_assert_eq(after.hblks, before.hblks);
    cr_assert_eq(after.arena, after.uordblks + after.fordblks);
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
Test(info, old_mallinfo_cuts_at_int_max)
{
    volatile size_t much = (size_t)3 << 30; /* more than 32-bit compilers let pass */
    void *small = malloc(100), *large = malloc(much);
    cr_assert_not_null(small);
    struct mallinfo m = mallinfo();
    cr_assert_geq(m.uordblks, 100);
    cr_assert_geq(m.hblkhd, 0);
    cr_assert(large == NULL || m.hblkhd == INT32_MAX, "3 GiB counted as %d", m.hblkhd);
    free(large);
    free(small);
}
#pragma GCC diagnostic pop
#endif

Test(info, mallopt_takes_what_glibc_takes)
{
    enum { MXFAST = 1 }; /* M_MXFAST, which musl's headers do not name */
    for (int parameter = -8; parameter <= -1; parameter++)
        cr_assert_eq(mallopt(parameter, 64), 1, "parameter %d", parameter);
    cr_assert_eq(mallopt(MXFAST, 64), 1);
    cr_assert_eq(mallopt(MXFAST, 100000), 0);
    cr_assert_eq(mallopt(1000, 1), 0);
    cr_assert_eq(mallopt(-1000, 1), 0);
}

/* A burst of chunks that is freed: trim gives its memory back, and says so. */
Test(info, malloc_trim_gives_back)
{
    enum { COUNT = 20000 };
    static void *p[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        p[i] = malloc(1000);
        cr_assert_not_null(p[i]);
        memset(p[i], 1, 1000);
    }
    for (size_t i = 0; i < COUNT; i++)
        free(p[i]);
    size_t slabs = stats_now().slabs;
    int trimmed = malloc_trim(0);
    struct moat_stats after = stats_now();
    cr_assert(trimmed == 0 || trimmed == 1);
    cr_assert_eq(trimmed, after.slabs < slabs, "malloc_trim says %d, slabs went from %zu to %zu", trimmed, slabs,
                 after.slabs);
    cr_assert_lt(after.slabs, 4u << 20, "%zu bytes of slabs left of a freed burst of 20 MB", after.slabs);
}

Test(info, purge_leaves_live_chunks_alone)
{
    enum { COUNT = 3000 };
    static void *p[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        p[i] = malloc(i);
        cr_assert_not_null(p[i]);
        fill(p[i], i, (unsigned)i);
    }
    for (size_t i = 0; i < COUNT; i += 2)
        free(p[i]);
    moat_purge();
    for (size_t i = 1; i < COUNT; i += 2) {
        cr_assert(filled(p[i], i, (unsigned)i));
        free(p[i]);
    }
    moat_purge();
}

Test(info, stats_count_what_is_live)
{
    enum { COUNT = 1000 };
    static void *p[COUNT];
    struct moat_stats before = stats_now();
    for (size_t i = 0; i < COUNT; i++) {
        p[i] = malloc(100);
        cr_assert_not_null(p[i]);
    }
    void *large = malloc(1 << 20);
    struct moat_stats with = stats_now();
    cr_assert_eq(with.live_count, before.live_count + COUNT + 1);
    cr_assert_geq(with.allocated, before.allocated + COUNT * 100 + (1 << 20));
    cr_assert_eq(with.large_count, before.large_count + 1);
    cr_assert_geq(with.large, before.large + (1 << 20));
    cr_assert_geq(with.reserved, with.slabs);
    cr_assert_gt(with.slab_count, 0);
    cr_assert_gt(with.metadata, 0);
    cr_assert_gt(with.resident, 0);
    cr_assert_gt(with.threads_count, 0);
    cr_assert_gt(with.shards_count, 0);
    for (size_t i = 0; i < COUNT; i++)
        free(p[i]);
    free(large);
    struct moat_stats after = stats_now();
    cr_assert_eq(after.live_count, before.live_count);
    cr_assert_eq(after.large_count, before.large_count);
    cr_assert_gt(after.quarantined, 0);
}

Test(info, class_stats_add_up)
{
    struct moat_stats s = stats_now();
    struct moat_class_stats c;
    size_t live = 0, largest = 0;
    void *p = malloc(1000);
    cr_assert_not_null(p);
    bool found = false;
    for (size_t i = 0; i < s.classes_count; i++) {
        cr_assert_eq(moat_class_stats(i, &c, sizeof c), 0, "class %zu", i);
        live += c.live_count;
        if (!found && c.largest >= 1000) {
            found = true;
            cr_assert_geq(c.live_count, 1);
            cr_assert_geq(c.slab_count, 1);
            cr_assert_gt(c.slot, 1000);
        }
        largest = c.largest > largest ? c.largest : largest;
    }
    free(p);
    cr_assert(found);
    cr_assert_gt(live, 0);
    cr_assert_geq(largest, 32768);
    errno = 0;
    cr_assert_eq(moat_class_stats(s.classes_count, &c, sizeof c), -1);
    cr_assert_eq(errno, EINVAL);
    errno = 0;
    cr_assert_eq(moat_class_stats(1, &c, sizeof c - 1), -1);
    cr_assert_eq(errno, EINVAL);
}

/* Programs built against an older or a newer header. */
Test(info, stats_of_other_versions)
{
    struct {
        struct moat_stats s;
        size_t more[4];
    } newer;
    memset(&newer, 0xff, sizeof newer);
    cr_assert_eq(moat_stats(&newer.s, sizeof newer), 0);
    cr_assert_eq(newer.s.size, sizeof(struct moat_stats));
    cr_assert(all_zero(newer.more, sizeof newer.more));

    size_t older[4] = {0, 0, 0, 0x1234};
    void *live = malloc(100);
    cr_assert_not_null(live);
    cr_assert_eq(moat_stats((struct moat_stats *)older, 3 * sizeof(size_t)), 0);
    cr_assert_eq(older[0], sizeof(struct moat_stats));
    cr_assert_gt(older[1], 0);
    cr_assert_eq(older[3], 0x1234, "written past the size given");
    free(live);

    errno = 0;
    cr_assert_eq(moat_stats((struct moat_stats *)older, sizeof(size_t) - 1), -1);
    cr_assert_eq(errno, EINVAL);
}

Test(info, options_by_name)
{
    size_t value = 12345;
    cr_assert_eq(moat_option("profile", &value), 0);
    cr_assert_lt(value, 4);
    cr_assert_eq(moat_option("quarantine_fifo", &value), 0);
    cr_assert(value >= 1 && value <= 8192);
    cr_assert_eq(moat_option("stats", &value), 0);
    cr_assert_leq(value, 127); /* a text: its length */
    value = 12345;
    errno = 0;
    cr_assert_eq(moat_option("no_such_option", &value), -1);
    cr_assert_eq(errno, ENOENT);
    cr_assert_eq(value, 12345);
}

Test(info, version)
{
    char expected[64];
    snprintf(expected, sizeof expected, "moat %d.%d.%d", MOAT_VERSION_MAJOR, MOAT_VERSION_MINOR, MOAT_VERSION_PATCH);
    cr_assert_str_eq(moat_version(), expected);
}

/* What `print` writes to descriptor 2 or to the one it is given, in text. */
static void capture(int target, void (*print)(int), char *text, size_t size)
{
    int pipes[2];
    cr_assert_eq(pipe(pipes), 0);
    pid_t child = fork();
    cr_assert_geq(child, 0);
    if (child == 0) {
        dup2(pipes[1], target);
        print(target);
        _exit(0);
    }
    close(pipes[1]);
    size_t n = 0;
    for (ssize_t got; n < size - 1 && (got = read(pipes[0], text + n, size - 1 - n)) > 0;)
        n += (size_t)got;
    text[n] = '\0';
    close(pipes[0]);
    int status;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert_eq(status, 0);
}

static void print_malloc_stats(int fd)
{
    (void)fd;
    malloc_stats();
}

static void expect_table(const char *text)
{
    static const char *const rows[] = {"allocated", "cached",   "quarantined", "large",    "slabs", "purged",
                                       "guards",    "metadata", "reserved",    "resident", "live",  "largest"};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        cr_assert_not_null(strstr(text, rows[i]), "no '%s' in:\n%s", rows[i], text);
    cr_assert_eq(strncmp(text, "moat ", 5), 0);
    cr_assert_eq(text[strlen(text) - 1], '\n');
}

Test(info, stats_print_is_a_table)
{
    static char text[32768];
    capture(9, moat_stats_print, text, sizeof text);
    expect_table(text);
}

Test(info, malloc_stats_goes_to_stderr)
{
    static char text[32768];
    capture(STDERR_FILENO, print_malloc_stats, text, sizeof text);
    expect_table(text);
}

static long seconds_of_print(int fd)
{
    struct timespec before, after;
    clock_gettime(CLOCK_MONOTONIC, &before);
    moat_stats_print(fd);
    clock_gettime(CLOCK_MONOTONIC, &after);
    return after.tv_sec - before.tv_sec;
}

Test(info, stats_print_to_a_closed_descriptor)
{
    long spent = seconds_of_print(777) + seconds_of_print(-1);
    cr_assert_leq(spent, 3, "%ld seconds", spent);
}

/* moat waits two seconds for a reader, not for each line. */
Test(info, stats_print_to_a_full_pipe)
{
    static char text[4096];
    int pipes[2];
    cr_assert_eq(pipe2(pipes, O_NONBLOCK), 0);
    while (write(pipes[1], text, sizeof text) > 0)
        ;
    long spent = seconds_of_print(pipes[1]);
    cr_assert(spent >= 1 && spent <= 10, "%ld seconds", spent);
}

Test(info, stats_print_allocates_nothing)
{
    int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    cr_assert_geq(fd, 0);
    struct moat_stats before = stats_now();
    moat_stats_print(fd);
    struct moat_stats after = stats_now();
    cr_assert_eq(before.live_count, after.live_count);
    cr_assert_eq(before.quarantined, after.quarantined);
    close(fd);
}
