/* Holds malloc, free, calloc and realloc to a file of figures.
 *
 *     budget SUBJECT LIBRARY FIGURES           counts and fails when a figure has grown by more than its margin
 *     budget --update SUBJECT LIBRARY FIGURES  counts and writes the file anew
 *     budget --show SUBJECT [LIBRARY]          the lines of the file only; without a library for libc's malloc
 *     budget --self-test                       checks the decoder and the comparison
 *
 * The counts are exact: SUBJECT steps through each call (step.c). With a fixed seed and without randomization of the
 * address space they are the same on every run.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/wait.h>
#include <unistd.h>

#include "budget.h"

enum { SIZES = 6, ROWS = SIZES * BUDGET_ROUTINES, LINE = 512, SKIPPED = 77 };

/* How many calls are counted, as a step takes some 10 us: of some 20,000 turns of the pattern the last ones, with a
 * drain among them, and more of them for the size with a goal. */
static const struct plan {
    size_t size;
    const char *steady;
    const char *warm;
    const char *turns;
} plans[SIZES] = {{16, "20", "19460", "80"},  {32, "20", "19400", "600"},  {64, "20", "19460", "80"},
                  {256, "20", "19460", "80"}, {1024, "20", "19460", "80"}, {200000, "10", "1100", "20"}};

static const char *const figure_names[BUDGET_FIGURES] = BUDGET_FIGURE_NAMES;
static const char *const routine_names[BUDGET_ROUTINES] = BUDGET_ROUTINE_NAMES;

struct row {
    char routine[16];
    size_t size;
    struct {
        unsigned median;
        double mean;
    } of[BUDGET_FIGURES];
};

/* What a figure may grow by without a word: a compiler's minor release moves an instruction or two. */
static const struct margin {
    unsigned median;
    double mean_part;
    double mean;
} margins[BUDGET_FIGURES] = {
    [BUDGET_INSTRUCTIONS] = {2, 0.03, 2}, [BUDGET_BRANCHES] = {0, 0.03, 0.5}, [BUDGET_LOCKS] = {0, 0.05, 0.05},
    [BUDGET_INNER] = {0, 0.05, 0.1},      [BUDGET_KERNEL] = {0, 0.05, 0.01},
};

/* The largest median that passes. Large chunks' paths turn another way at a random number: an eighth more. */
static unsigned most_median(const struct row *want, size_t f)
{
    return want->of[f].median + margins[f].median + (want->size >= 131072 ? want->of[f].median / 8 : 0);
}

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "budget: %s: %s\n", what, strerror(errno));
    exit(2);
}

/* Starts the subject; its standard output. */
static FILE *start(const char *subject, const char *library, const struct plan *plan, pid_t *child)
{
    int ends[2];
    if (pipe(ends) != 0 || (*child = fork()) < 0)
        die("pipe or fork");
    if (*child == 0) {
        char size[24];
        snprintf(size, sizeof size, "%zu", plan->size);
        personality(ADDR_NO_RANDOMIZE); /* refused: means vary a little */
        if (library != NULL ? setenv("LD_PRELOAD", library, 1) : unsetenv("LD_PRELOAD"))
            die("setenv");
        /* two shards: what a small machine has, on any machine */
        if (setenv("MOAT_OPTIONS", "seed=1 shards=2", 1) != 0 || dup2(ends[1], STDOUT_FILENO) < 0)
            die("setenv or dup2");
        close(ends[0]);
        execl(subject, subject, size, plan->steady, plan->warm, plan->turns, (char *)NULL);
        die(subject);
    }
    close(ends[1]);
    FILE *lines = fdopen(ends[0], "r");
    return lines != NULL ? lines : (die("fdopen"), NULL);
}

/* ROUTINE SIZE and for each figure MEDIAN MEAN. */
static bool parse(const char *line, struct row *row)
{
    int used = 0;
    if (sscanf(line, "%15s %zu%n", row->routine, &row->size, &used) != 2)
        return false;
    for (size_t f = 0; f < BUDGET_FIGURES; f++) {
        int more = 0;
        if (sscanf(line + used, "%u %lf%n", &row->of[f].median, &row->of[f].mean, &more) != 2)
            return false;
        used += more;
    }
    return true;
}

static size_t read_rows(FILE *lines, struct row rows[], size_t room)
{
    char line[LINE];
    size_t n = 0;
    while (fgets(line, sizeof line, lines) != NULL) {
        if (line[0] == '#')
            continue;
        if (n == room || !parse(line, &rows[n])) {
            fprintf(stderr, "budget: not a line of figures: %s", line);
            exit(2);
        }
        n++;
    }
    return n;
}

static void count(const char *subject, const char *library, struct row rows[ROWS])
{
    for (size_t s = 0; s < SIZES; s++) {
        pid_t child;
        FILE *lines = start(subject, library, &plans[s], &child);
        size_t n = read_rows(lines, rows + s * BUDGET_ROUTINES, BUDGET_ROUTINES);
        fclose(lines);
        int status;
        if (waitpid(child, &status, 0) != child || status != 0 || n != BUDGET_ROUTINES) {
            fprintf(stderr, "budget: the subject: wait status %#x, %zu lines\n", status, n);
            exit(2);
        }
    }
}

static void print_rows(FILE *out, const struct row rows[ROWS])
{
    fprintf(out, "# routine, bytes, and median and mean of:");
    for (size_t f = 0; f < BUDGET_FIGURES; f++)
        fprintf(out, "%s %s", f ? "," : "", figure_names[f]);
    fprintf(out, "\n");
    for (size_t r = 0; r < BUDGET_ROUTINES; r++)
        for (size_t i = 0; i < ROWS; i++) {
            if (strcmp(rows[i].routine, routine_names[r]) != 0)
                continue;
            fprintf(out, "%-7s %6zu", rows[i].routine, rows[i].size);
            for (size_t f = 0; f < BUDGET_FIGURES; f++)
                fprintf(out, "  %5u %9.3f", rows[i].of[f].median, rows[i].of[f].mean);
            fprintf(out, "\n");
        }
}

/* Whether got keeps to want; prints what does not. */
static bool within(const struct row *got, const struct row *want)
{
    bool good = true;
    for (size_t f = 0; f < BUDGET_FIGURES; f++) {
        unsigned most = most_median(want, f);
        double most_mean = want->of[f].mean * (1 + margins[f].mean_part) + margins[f].mean;
        if (got->of[f].median > most) {
            printf("over budget: %s(%zu): %u %s, at most %u\n", got->routine, got->size, got->of[f].median,
                   figure_names[f], most);
            good = false;
        }
        if (got->of[f].mean > most_mean) {
            printf("over budget: %s(%zu): %.3f %s in the mean, at most %.3f\n", got->routine, got->size,
                   got->of[f].mean, figure_names[f], most_mean);
            good = false;
        }
    }
    return good;
}

static bool compare(const struct row got[ROWS], const char *file)
{
    struct row wanted[ROWS];
    FILE *lines = fopen(file, "r");
    if (lines == NULL)
        die(file);
    size_t n = read_rows(lines, wanted, ROWS);
    fclose(lines);
    bool good = true;
    for (size_t i = 0; i < ROWS; i++) {
        size_t k = 0;
        while (k < n && (strcmp(wanted[k].routine, got[i].routine) != 0 || wanted[k].size != got[i].size))
            k++;
        if (k == n)
            printf("no figures for %s(%zu): use --update\n", got[i].routine, got[i].size);
        good = k < n && within(&got[i], &wanted[k]) && good;
    }
    return good;
}

static bool update(const struct row rows[ROWS], const char *file)
{
    FILE *out = fopen(file, "w");
    if (out == NULL)
        die(file);
    fprintf(out,
            "# What gcc makes of the code, by budget --update: a figure that grows by more than a margin fails the\n"
            "# test budget/hot_path. Update it whenever the code gets better. The goal for 32 bytes is 80 + 100\n"
            "# instructions and 6 + 8 conditional branches, and a mean of 1.3 times that.\n");
    print_rows(out, rows);
    return fclose(out) == 0;
}

/* The comparison passes what is equal or less, and notices each figure that has grown past its margin. */
static bool compare_test(void)
{
    struct row want;
    bool good = parse("free 32  149 160.5  14 14.5  0 0.1  0 0.5  0 0.001\n", &want) && want.of[4].mean == 0.001 &&
                within(&want, &want) && !parse("free 32 149 160.5 14", &want);
    for (size_t f = 0; good && f < BUDGET_FIGURES; f++) {
        struct row got = want;
        got.of[f].median += margins[f].median + 1;
        good = !within(&got, &want);
        got = want;
        got.of[f].mean = want.of[f].mean * (1 + margins[f].mean_part) + margins[f].mean + 0.001;
        good = good && !within(&got, &want);
        got.of[f].mean = 0;
        good = good && within(&got, &want);
    }
    printf("comparison: %s\n", good ? "good" : "wrong");
    return good;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--self-test") == 0)
        return budget_decode_test() && compare_test() ? EXIT_SUCCESS : EXIT_FAILURE;
    bool show = argc > 1 && strcmp(argv[1], "--show") == 0;
    bool renew = argc > 1 && strcmp(argv[1], "--update") == 0;
    char **rest = argv + 1 + (show || renew);
    int n = argc - 1 - (show || renew);
    if (show ? n != 1 && n != 2 : n != 3) {
        fprintf(stderr, "usage: budget [--update] SUBJECT LIBRARY FIGURES | --show SUBJECT [LIBRARY] | --self-test\n");
        return 2;
    }
    if (!show && !__builtin_cpu_supports("aes")) {
        printf("skipped: the figures are of CPUs with AES instructions\n");
        return SKIPPED;
    }
    static struct row rows[ROWS];
    count(rest[0], n > 1 ? rest[1] : NULL, rows);
    print_rows(stdout, rows);
    if (show)
        return EXIT_SUCCESS;
    return (renew ? update(rows, rest[2]) : compare(rows, rest[2])) ? EXIT_SUCCESS : EXIT_FAILURE;
}
