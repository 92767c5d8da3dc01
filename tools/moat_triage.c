/* moat triage: runs a target on all crashing inputs, writes one line for each distinct bug: its kind and its stack. */
#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "moat.h"
#include "symbols.h"
#include "target.h"

enum { FRAMES = 3, INLINED_MOST = 8, SECONDS = 10 };

struct frame {
    char *path, *offset;
};

struct bug {
    char *kind; /* "heap-buffer-overflow write" */
    struct frame frames[FRAMES];
    size_t frame_count;
    char *stack; /* with names */
    char *input; /* the first one */
    size_t count;
};

struct bugs {
    struct bug *all;
    size_t count;
};

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

/* What a bug's own code called: says nothing of which bug it is. */
static bool is_library(const char *path)
{
    static const char *const starts[] = {"libc.", "libc-", "ld-", "libmoat", "libstdc++", "libgcc", "libpthread"};
    for (size_t i = 0; i < sizeof starts / sizeof starts[0]; i++)
        if (strncmp(base_name(path), starts[i], strlen(starts[i])) == 0)
            return true;
    return false;
}

/* "==12==       #0 0x55.. (/path+0x12)": fills *f. */
static bool read_frame(const char *line, struct frame *f)
{
    const char *number = strstr(line, "#"), *end = line + strcspn(line, "\n");
    const char *open = number != NULL && number < end ? strstr(number, " (/") : NULL, *plus = NULL;
    if (open == NULL || open >= end)
        return false;
    for (const char *at = open; at < end; at++)
        if (strncmp(at, "+0x", 3) == 0)
            plus = at;
    if (plus == NULL)
        return false;
    f->path = target_text("%.*s", (int)(plus - open - 2), open + 2);
    f->offset = target_text("%.*s", (int)(2 + strspn(plus + 3, "0123456789abcdef")), plus + 1);
    return true;
}

static void read_stack(const char *report, struct bug *b)
{
    const char *line = strstr(report, "==     stack");
    for (line = line != NULL ? strchr(line, '\n') : NULL; line != NULL && b->frame_count < FRAMES;
         line = strchr(line, '\n')) {
        struct frame *f = &b->frames[b->frame_count];
        line++;
        if (strstr(line, "      #") == NULL || strstr(line, "      #") > line + strcspn(line, "\n"))
            return;
        if (!read_frame(line, f))
            continue;
        if (!is_library(f->path)) {
            b->frame_count++;
        } else {
            free(f->path);
            free(f->offset);
        }
    }
}

/* "==12== moat: BUG: a write at 0x1.., outside of its chunk": the bug and how it was met. */
static char *read_kind(const char *report)
{
    static const char label[] = "== moat: ";
    const char *at = strstr(report, label);
    if (at == NULL)
        return target_text("report");
    at += sizeof label - 1;
    int n = (int)strcspn(at, ":\n");
    const char *sentence = at + n + (at[n] == ':' ? 2 : 0);
    static const struct {
        const char *start, *word;
    } words[] = {{"a write at", "write"},
                 {"a read at", "read"},
                 {"an access at", "access"},
                 {"exit ", "seen at exit"},
                 {"nothing points", "at the end"}};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strncmp(sentence, words[i].start, strlen(words[i].start)) == 0)
            return target_text("%.*s %s", n, at, words[i].word);
    return target_text("%.*s in %.*s", n, at, (int)strcspn(sentence, " \n"), sentence);
}

static bool same_place(const struct bug *a, const struct bug *b)
{
    if (strcmp(a->kind, b->kind) != 0 || a->frame_count != b->frame_count)
        return false;
    for (size_t i = 0; i < a->frame_count; i++)
        if (strcmp(a->frames[i].path, b->frames[i].path) != 0 || strcmp(a->frames[i].offset, b->frames[i].offset) != 0)
            return false;
    return true;
}

static void forget(struct bug *b)
{
    for (size_t i = 0; i < b->frame_count; i++) {
        free(b->frames[i].path);
        free(b->frames[i].offset);
    }
    free(b->kind);
    free(b->stack);
    free(b->input);
}

/* Takes the bug over. */
static void add(struct bugs *bugs, struct bug *b, bool (*same)(const struct bug *, const struct bug *))
{
    for (size_t i = 0; i < bugs->count; i++) {
        if (same(&bugs->all[i], b)) {
            bugs->all[i].count += b->count;
            forget(b);
            return;
        }
    }
    struct bug *more = realloc(bugs->all, (bugs->count + 1) * sizeof *more);
    if (more == NULL) {
        fputs("moat: out of memory\n", stderr);
        exit(1);
    }
    bugs->all = more;
    bugs->all[bugs->count++] = *b;
}

/* The names of its frames, "function file:line < caller ...", without the line in front that differs by inlining. */
static void name_frames(struct bug *b)
{
    b->stack = target_text("%s", "");
    for (size_t i = 0; i < b->frame_count; i++) {
        struct symbol symbols[INLINED_MOST];
        size_t n = symbols_find(b->frames[i].path, NULL, b->frames[i].offset, symbols, INLINED_MOST);
        for (size_t j = 0; j < n || j == 0; j++) {
            char *before = b->stack;
            if (n != 0 && strcmp(symbols[j].function, "_start") == 0)
                continue;
            if (n == 0)
                b->stack = target_text("%s%s%s+%s", before, i + j != 0 ? " < " : "", base_name(b->frames[i].path),
                                       b->frames[i].offset);
            else
                b->stack = target_text("%s%s%s %s:%lu", before, i + j != 0 ? " < " : "", symbols[j].function,
                                       base_name(symbols[j].file), symbols[j].line);
            free(before);
        }
        symbols_free(symbols, n);
    }
}

static bool same_names(const struct bug *a, const struct bug *b)
{
    return strcmp(a->kind, b->kind) == 0 && strcmp(a->stack, b->stack) == 0;
}

static int by_kind_and_stack(const void *a, const void *b)
{
    const struct bug *x = a, *y = b;
    int order = strcmp(x->kind, y->kind);
    return order != 0 ? order : strcmp(x->stack, y->stack);
}

/* Runs the target until something is wrong: with every chunk against the guard behind it, then before it, then as the
 * campaign did, which chose by chance. So one bug is met in the same way each time, at the access where that can be. */
static bool run_until_wrong(char *const *argv, const char *input, const char *library, const char *options,
                            struct outcome *o)
{
    static const char *const places[] = {"sample_left=0", "sample_left=100", ""};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        char *all = target_text("%s %s", options, places[i]);
        target_run(argv, input, library, all, SECONDS, o);
        free(all);
        if (o->report != NULL || target_crashed(o))
            return true;
    }
    return false;
}

/* By a table, as musl has no sigabbrev_np. */
static const char *signal_name(int number)
{
    static const struct {
        int number;
        const char *name;
    } names[] = {{SIGSEGV, "SIGSEGV"}, {SIGABRT, "SIGABRT"}, {SIGBUS, "SIGBUS"},   {SIGFPE, "SIGFPE"},
                 {SIGILL, "SIGILL"},   {SIGTRAP, "SIGTRAP"}, {SIGKILL, "SIGKILL"}, {SIGSYS, "SIGSYS"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (names[i].number == number)
            return names[i].name;
    return "another signal";
}

/* Runs the target on one input; false: nothing was wrong. */
static bool try_input(char *const *argv, const char *input, const char *library, const char *options, struct bugs *bugs)
{
    struct outcome o;
    struct bug b = {.count = 1};
    if (!run_until_wrong(argv, input, library, options, &o))
        return false;
    if (o.report != NULL) {
        b.kind = read_kind(o.report);
        read_stack(o.report, &b);
    } else {
        b.kind = target_text("%s without a report", signal_name(WTERMSIG(o.status)));
    }
    free(o.report);
    b.input = target_text("%s", input);
    add(bugs, &b, same_place);
    return true;
}

/* The folders with inputs: crashes/ of each instance in AFL++'s folder, crashes/ itself, or the folder as it is. */
static char **folders_of(const char *top, size_t *n)
{
    char **all = calloc(1, sizeof *all);
    DIR *d = opendir(top);
    *n = 0;
    for (const struct dirent *e; all != NULL && d != NULL && (e = readdir(d)) != NULL;) {
        if (e->d_name[0] == '.' && strcmp(e->d_name, ".") != 0)
            continue;
        char *path = target_text("%s/%s/crashes", top, e->d_name);
        DIR *crashes = opendir(path);
        if (crashes != NULL)
            closedir(crashes);
        char **more = crashes != NULL ? realloc(all, (*n + 2) * sizeof *all) : NULL;
        if (more != NULL) {
            all = more;
            all[(*n)++] = path;
        } else {
            free(path);
        }
    }
    if (d != NULL)
        closedir(d);
    if (all != NULL && *n == 0)
        all[(*n)++] = target_text("%s", top);
    return all;
}

/* What the campaign ran with, but with stacks. */
static char *options_for(const char *top, const char *further)
{
    char *path = target_text("%s/" TARGET_OPTIONS_FILE, top), *text = target_read(path);
    char *options = target_text("%s malloc_context_size=16 report=text color=never %s",
                                text != NULL ? text : "profile=fuzz seed=1 align=natural", further);
    free(path);
    free(text);
    return options;
}

static int triage(const char *top, char *const *argv, const char *library, const char *further)
{
    struct bugs raw = {NULL, 0}, named = {NULL, 0};
    size_t folder_count, tried = 0, quiet = 0;
    char **folders = folders_of(top, &folder_count), *options = options_for(top, further);
    for (size_t i = 0; folders != NULL && i < folder_count; i++) {
        size_t n;
        char **files = target_files(folders[i], &n);
        if (files == NULL) {
            fprintf(stderr, "moat triage: %s: %s\n", folders[i], strerror(errno));
            return EXIT_CANNOT_RUN;
        }
        for (size_t j = 0; j < n; j++, tried++) {
            quiet += !try_input(argv, files[j], library, options, &raw);
            free(files[j]);
        }
        free(files);
        free(folders[i]);
    }
    free(folders);
    for (size_t i = 0; i < raw.count; i++) {
        name_frames(&raw.all[i]);
        add(&named, &raw.all[i], same_names);
    }
    if (named.count != 0)
        qsort(named.all, named.count, sizeof *named.all, by_kind_and_stack);
    for (size_t i = 0; i < named.count; i++) {
        struct bug *b = &named.all[i];
        printf("%s: %s (%zu input%s, %s)\n", b->kind, b->frame_count != 0 ? b->stack : "no stack", b->count,
               b->count != 1 ? "s" : "", b->input);
        forget(b);
    }
    fprintf(stderr, "moat triage: %zu inputs, %zu distinct bugs, %zu inputs without a crash\n", tried, named.count,
            quiet);
    free(raw.all);
    free(named.all);
    free(options);
    return 0;
}

int moat_triage_main(int argc, char **argv)
{
    enum { OPTION_OPTION = 256, OPTION_LIBRARY, OPTION_TOOL };
    static const struct option known[] = {{"option", required_argument, NULL, OPTION_OPTION},
                                          {"library", required_argument, NULL, OPTION_LIBRARY},
                                          {"tool", required_argument, NULL, OPTION_TOOL},
                                          {"help", no_argument, NULL, 'h'},
                                          {NULL, 0, NULL, 0}};
    static char name[] = "moat triage";
    const char *library = NULL;
    char *further = target_text("%s", "");
    argv[0] = name;
    for (int o; (o = getopt_long(argc, argv, "+h", known, NULL)) != -1;) {
        char *before = further;
        switch (o) {
        case OPTION_OPTION:
            further = target_text("%s %s", before, optarg);
            free(before);
            break;
        case OPTION_LIBRARY:
            library = optarg;
            break;
        case OPTION_TOOL:
            symbols_use(optarg);
            break;
        case 'h':
            return moat_help("triage") ? 0 : EXIT_USAGE;
        default:
            return EXIT_USAGE;
        }
    }
    if (library == NULL)
        library = moat_library_path(MOAT_FUZZ);
    int target = optind + 1 + (optind + 1 < argc && strcmp(argv[optind + 1], "--") == 0);
    int status = EXIT_USAGE;
    if (target >= argc)
        fputs("moat triage: which folder, and which program? See 'moat help triage'.\n", stderr);
    else if (library == NULL)
        fputs("moat triage: libmoat-fuzz.so is not beside this command; name it by --library.\n", stderr);
    else if (symbols_ready())
        status = triage(argv[optind], argv + target, library, further);
    free(further);
    return status;
}
