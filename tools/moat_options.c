/* moat options: the list that options.def is, for a terminal or as docs/OPTIONS.md. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "diag/option_text.h"
#include "diag/options.h"
#include "moat.h"

/* What options are said to do and to cost, in the order of mo_option_table. The library itself has no use for it. */
static const struct words {
    const char *help, *cost;
} words[] = {
#define OPTION_BOOL(name, production, strict, fuzz, embedded, help, cost)                        {help, cost},
#define OPTION_SIZE(name, production, strict, fuzz, embedded, lowest, highest, unit, help, cost) {help, cost},
#define OPTION_ENUM(name, values, production, strict, fuzz, embedded, help, cost)                {help, cost},
#define OPTION_TEXT(name, size, values, help, cost)                                              {help, cost},
#include "diag/options.def"
#undef OPTION_BOOL
#undef OPTION_SIZE
#undef OPTION_ENUM
#undef OPTION_TEXT
};

static const struct words *words_of(const struct mo_option_info *option)
{
    return &words[option - mo_option_table];
}

enum { COLUMNS = 100, INDENT = 4 };

static const struct {
    const char *name, *help;
} profiles[] = {
    {"production", "for programs in service: every check, quarantine within the second-level cache"},
    {"strict", "the longest quarantines, every reused byte checked: for what faces attackers, and for bug hunts"},
    {"fuzz", "as strict, and each allocation alone between guards as long as there is room: for fuzzing"},
    {"embedded", "small caches, short quarantines, one arena: for devices with little memory"},
};
_Static_assert(sizeof profiles / sizeof profiles[0] == MO_PROFILES, "each profile is described");

static const char *value_text(const struct mo_option_info *option, size_t value)
{
    static char text[64];
    struct mo_text t = {text, text + sizeof text - 1};
    if (option->kind == MO_OPTION_TEXT)
        return "empty";
    mo_option_text_value(&t, option, value);
    *t.at = '\0';
    return text;
}

static const char *allowed_text(const struct mo_option_info *option)
{
    static char text[256];
    struct mo_text t = {text, text + sizeof text - 1};
    mo_option_text_allowed(&t, option);
    *t.at = '\0';
    return text;
}

/* Writes text from column `at` to the last one; further lines start below it. */
static void wrap(const char *text, size_t at)
{
    size_t start = at;
    while (*text != '\0') {
        size_t n = strcspn(text, " ");
        if (at + n >= COLUMNS) {
            printf("\n%*s", (int)start, "");
            at = start;
        } else if (at > start) {
            putchar(' ');
            at++;
        }
        printf("%.*s", (int)n, text);
        at += n;
        text += n + (text[n] == ' ');
    }
    putchar('\n');
}

static void show_profile(void)
{
    printf("profile=P\n%*sa set of values for all other options, applied before them\n%*sdefault: production\n", INDENT,
           "", INDENT, "");
    for (size_t p = 0; p < MO_PROFILES; p++)
        printf("%*s%-10s %s\n", INDENT, "", profiles[p].name, profiles[p].help);
    putchar('\n');
}

static void show(const struct mo_option_info *option)
{
    static const char *const units[] = {[MO_OPTION_BOOL] = "yes|no",
                                        [MO_OPTION_COUNT] = "COUNT",
                                        [MO_OPTION_BYTES] = "BYTES",
                                        [MO_OPTION_ENUM] = NULL,
                                        [MO_OPTION_TEXT] = "TEXT"};
    printf("%s=%s\n", mo_option_name(option),
           option->kind == MO_OPTION_ENUM ? mo_option_values(option) : units[option->kind]);
    printf("%*s", INDENT, "");
    wrap(words_of(option)->help, INDENT);
    printf("%*sdefault: %s", INDENT, "", value_text(option, mo_option_number(option->of_profile[0])));
    const char *before = " (";
    for (size_t p = 1; p < MO_PROFILES; p++) {
        if (mo_option_number(option->of_profile[p]) != mo_option_number(option->of_profile[0])) {
            printf("%s%s %s", before, mo_profile_names[p], value_text(option, mo_option_number(option->of_profile[p])));
            before = ", ";
        }
    }
    puts(before[0] == ',' ? ")" : "");
    if (option->kind != MO_OPTION_BOOL && option->kind != MO_OPTION_ENUM)
        printf("%*sallowed: %s\n", INDENT, "", allowed_text(option));
    printf("%*scost:    ", INDENT, "");
    wrap(words_of(option)->cost, INDENT + 9);
    putchar('\n');
}

static const char markdown_intro[] =
    "# Options\n"
    "\n"
    "This page is what `moat options --markdown` prints; `src/diag/options.def` is its source. A test keeps\n"
    "both the same.\n"
    "\n"
    "## Where options come from\n"
    "\n"
    "Options are read once, when the process makes its first allocation, in this order. Later ones win.\n"
    "\n"
    "1. The symbol `moat_options`, where the program defines it (see `moat/moat.h`). A program that does not link\n"
    "   with libmoat.so, but has it preloaded, must export the symbol (`-rdynamic`).\n"
    "2. The file `/etc/moat.conf`, at most 8 KiB.\n"
    "3. The environment's `MOAT_OPTIONS`. It is ignored in a program that is setuid, setgid or has file\n"
    "   capabilities.\n"
    "\n"
    "Each is a list of `name=value`, separated by spaces, tabs, commas, colons or newlines. `#` starts a comment\n"
    "that ends with its line. `moat run -o name=value` adds to `MOAT_OPTIONS` and refuses to start with a wrong\n"
    "value.\n"
    "\n"
    "- A count is a whole number, decimal or with `0x`.\n"
    "- Bytes are the same, and may end in K, M, G or T (powers of 1024; lower case too).\n"
    "- A switch is `yes` or `no`; `on`, `off`, `true`, `false`, `1` and `0` are the same.\n"
    "- Words are written as listed.\n"
    "- A text is taken as it stands; it can't hold a separator or `#`.\n"
    "\n"
    "An unknown name or a value that is not allowed gives one line on stderr that says what is allowed, and the\n"
    "value before it holds. A program can ask for a value by `moat_option(name, &value)`.\n"
    "\n"
    "## Profiles\n"
    "\n"
    "`profile=P` sets all options at once. It is applied before the other words of all sources, wherever it\n"
    "stands; the last one that is valid wins.\n"
    "\n"
    "| profile | for |\n"
    "| --- | --- |\n";

static void markdown_start(void)
{
    fputs(markdown_intro, stdout);
    for (size_t p = 0; p < MO_PROFILES; p++)
        printf("| `%s` | %s |\n", profiles[p].name, profiles[p].help);
    puts("\n## Values by profile\n"
         "\n"
         "On 64-bit systems; on 32-bit ones the amounts of address space are smaller.\n"
         "\n"
         "| option | production | strict | fuzz | embedded | allowed |\n"
         "| --- | --- | --- | --- | --- | --- |");
}

static void markdown_row(const struct mo_option_info *option)
{
    printf("| [`%s`](#%s) |", mo_option_name(option), mo_option_name(option));
    for (size_t p = 0; p < MO_PROFILES; p++)
        printf(" %s |", value_text(option, mo_option_number(option->of_profile[p])));
    printf(" %s |\n", allowed_text(option));
}

static void markdown_section(const struct mo_option_info *option)
{
    static const char *const kinds[] = {[MO_OPTION_BOOL] = "A switch",
                                        [MO_OPTION_COUNT] = "A count",
                                        [MO_OPTION_BYTES] = "Bytes",
                                        [MO_OPTION_ENUM] = "A word",
                                        [MO_OPTION_TEXT] = "A text"};
    printf("\n### %s\n\n%s: %s.\n\n- Default: %s", mo_option_name(option), kinds[option->kind], words_of(option)->help,
           value_text(option, mo_option_number(option->of_profile[0])));
    for (size_t p = 1; p < MO_PROFILES; p++)
        if (mo_option_number(option->of_profile[p]) != mo_option_number(option->of_profile[0]))
            printf("; `%s`: %s", mo_profile_names[p], value_text(option, mo_option_number(option->of_profile[p])));
    printf("\n- Allowed: %s\n- Cost: %s\n", allowed_text(option), words_of(option)->cost);
}

static void show_all(bool markdown)
{
    if (!markdown) {
        show_profile();
        for (size_t i = 0; i < mo_option_count; i++)
            show(&mo_option_table[i]);
        return;
    }
    markdown_start();
    for (size_t i = 0; i < mo_option_count; i++)
        markdown_row(&mo_option_table[i]);
    puts("\n## Each option");
    for (size_t i = 0; i < mo_option_count; i++)
        markdown_section(&mo_option_table[i]);
}

static bool show_one(const char *name, bool markdown)
{
    const struct mo_option_info *option = mo_option_find(name, strlen(name));
    if (option != NULL && markdown) {
        markdown_section(option);
    } else if (option != NULL) {
        show(option);
    } else if (strcmp(name, "profile") == 0) {
        show_profile();
    } else {
        const char *nearest = mo_option_nearest(name, strlen(name));
        fprintf(stderr, "moat options: no option '%s'", name);
        if (nearest != NULL)
            fprintf(stderr, "; did you mean '%s'?\n", nearest);
        else
            fputs("; 'moat options' lists all.\n", stderr);
        return false;
    }
    return true;
}

int moat_options_main(int argc, char **argv)
{
    static const struct option known[] = {{"markdown", no_argument, NULL, 'm'},
                                          {"help", no_argument, NULL, 'h'},
                                          {NULL, 0, NULL, 0}};
    static char name[] = "moat options";
    bool markdown = false, good = true;
    argv[0] = name;
    for (int c; (c = getopt_long(argc, argv, "h", known, NULL)) != -1;) {
        if (c == 'h')
            return moat_help("options") ? 0 : EXIT_USAGE;
        if (c != 'm') {
            fputs("See 'moat help options'.\n", stderr);
            return EXIT_USAGE;
        }
        markdown = true;
    }
    if (optind == argc)
        show_all(markdown);
    for (int i = optind; i < argc; i++)
        good &= show_one(argv[i], markdown);
    return good ? 0 : EXIT_USAGE;
}
