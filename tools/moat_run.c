/* moat run: checks the options, preloads the library, becomes the program. */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/stat.h>

#include "diag/option_text.h"
#include "diag/options.h"
#include "moat.h"
#include "moat/moat.h"

/* What will be the program's MOAT_OPTIONS. */
struct words {
    char *text; /* NULL: none yet */
    bool bad;
};

static void out_of_memory(void)
{
    fputs("moat: out of memory\n", stderr);
    exit(EXIT_CANNOT_RUN);
}

static void add_words(struct words *w, const char *name, const char *value)
{
    /* A comment in what stands before would swallow words that follow it on its line. */
    const char *separator = w->text == NULL ? "" : strchr(w->text, '#') != NULL ? "\n" : " ";
    char *longer;
    if (asprintf(&longer, "%s%s%s%s", w->text != NULL ? w->text : "", separator, name, value) < 0)
        out_of_memory();
    free(w->text);
    w->text = longer;
}

/* The library's complaint says which value holds instead; here none does, because the program is not run. */
static void complain(const char *line, size_t n)
{
    static const char holds[] = " holds.";
    size_t tail = sizeof holds - 1;
    if (n > tail && memcmp(line + n - tail, holds, tail) == 0) {
        const char *semicolon = memrchr(line, ';', n);
        if (semicolon != NULL)
            n = (size_t)(semicolon - line);
        fprintf(stderr, "%.*s.\n", (int)n, line);
    } else {
        fprintf(stderr, "%.*s\n", (int)n, line);
    }
}

static void check_words(struct words *w, const char *text, const char *source)
{
    struct mo_options o;
    mo_options_default(&o, MO_PROFILE_PRODUCTION);
    if (mo_options_parse(&o, text, source, complain) != 0)
        w->bad = true;
}

/* The words of the environment. The command's own start-up has already complained about bad ones. */
static void take_environment(struct words *w)
{
    struct mo_options o;
    size_t profile;
    const char *text = getenv("MOAT_OPTIONS");
    if (text == NULL || text[0] == '\0')
        return;
    (void)moat_option("profile", &profile); /* start-up, if nothing has allocated yet */
    mo_options_default(&o, MO_PROFILE_PRODUCTION);
    if (mo_options_parse(&o, text, "MOAT_OPTIONS", NULL) != 0)
        w->bad = true;
    add_words(w, text, "");
}

static void take_option(struct words *w, const char *text)
{
    if (strpbrk(text, "#\n") != NULL) {
        fprintf(stderr, "moat: -o: '%s': a comment or a newline is not allowed here.\n", text);
        w->bad = true;
        return;
    }
    check_words(w, text, "-o");
    add_words(w, text, "");
}

static void take_profile(struct words *w, const char *profile)
{
    char word[64];
    if (strpbrk(profile, " \t,:#\n\r") != NULL || strlen(profile) > 40 || profile[0] == '\0') {
        fprintf(stderr, "moat: --profile '%s': allowed are production, strict, fuzz, embedded.\n", profile);
        w->bad = true;
        return;
    }
    snprintf(word, sizeof word, "profile=%s", profile);
    check_words(w, word, "--profile");
    add_words(w, word, "");
}

static bool is_file(const char *path)
{
    struct stat s;
    return stat(path, &s) == 0 && S_ISREG(s.st_mode);
}

static const char *const library_names[][2] = {
    [MOAT_PLAIN] = {"libmoat.so.0", "libmoat.so"},
    [MOAT_CHECKED] = {"libmoat-checked.so.0", "libmoat-checked.so"},
    [MOAT_FUZZ] = {"libmoat-fuzz.so.0", "libmoat-fuzz.so"},
};

const char *moat_library_path(enum moat_library which)
{
    static char path[PATH_MAX];
    const char *const *names = library_names[which];
    enum { NAMES = 2 };
    /* Beside the command, one folder up as in a build tree, installed and moved, installed. */
    static const char *const places[] = {"%s/%s", "%s/../%s", "%s/" MOAT_LIBDIR_FROM_BINDIR "/%s"};
    char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    self[n > 0 ? n : 0] = '\0';
    char *slash = strrchr(self, '/');
    if (slash != NULL) {
        *slash = '\0';
        for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
            for (size_t j = 0; j < NAMES; j++) {
                char candidate[2 * PATH_MAX];
                /* The folder without its dots, but the name as it is: it is the one the loader knows. */
                snprintf(candidate, sizeof candidate, places[i], self, names[j]);
                if (!is_file(candidate))
                    continue;
                *strrchr(candidate, '/') = '\0';
                char *folder = realpath(candidate, NULL);
                int used = folder != NULL ? snprintf(path, sizeof path, "%s/%s", folder, names[j]) : -1;
                free(folder);
                if (used > 0 && used < (int)sizeof path)
                    return path;
            }
        }
    }
    for (size_t j = 0; j < NAMES; j++) {
        snprintf(path, sizeof path, "%s/%s", MOAT_LIBDIR, names[j]);
        if (is_file(path))
            return path;
    }
    return NULL;
}

/* Puts the library in front of LD_PRELOAD; false after saying why it can't be done. */
static bool set_preload(const char *library)
{
    const char *before = getenv("LD_PRELOAD");
    char *absolute = realpath(library, NULL), *value;
    if (absolute == NULL) {
        fprintf(stderr, "moat: %s: %s\n", library, strerror(errno));
        return false;
    }
    /* The name as given, where it is absolute: libmoat.so.0 stays valid when its target is upgraded. */
    const char *name = library[0] == '/' ? library : absolute;
    bool fits = strpbrk(name, " :\t") == NULL;
    if (!fits)
        fprintf(stderr, "moat: %s: LD_PRELOAD can't name a path with a space or a colon.\n", name);
    else if (asprintf(&value, "%s%s%s", name, before != NULL && before[0] != '\0' ? ":" : "",
                      before != NULL ? before : "") < 0 ||
             setenv("LD_PRELOAD", value, 1) != 0)
        out_of_memory();
    else
        free(value);
    free(absolute);
    return fits;
}

static void warn_unreachable(const char *name)
{
    static const char *const why[] = {
        [MOAT_PRIVILEGED] = "is setuid, setgid or has file capabilities: the loader drops LD_PRELOAD there",
        [MOAT_STATIC] = "is statically linked: LD_PRELOAD has no effect there",
        [MOAT_FOREIGN] = "is for another architecture than libmoat.so: the loader skips it there",
        [MOAT_OTHER_LOADER] = "uses another libc than libmoat.so: it may not start, or run without moat",
    };
    const char *path;
    enum moat_obstacle obstacle = moat_program_check(name, &path);
    if (obstacle == MOAT_REACHABLE || obstacle == MOAT_UNREADABLE)
        return;
    fprintf(stderr, "moat: warning: %s %s.%s\n", path, why[obstacle],
            obstacle == MOAT_OTHER_LOADER ? "" : " It runs without moat.");
}

static int start(const char *library, enum moat_library which, const struct words *w, char **argv)
{
    if (library == NULL)
        library = moat_library_path(which);
    if (library == NULL) {
        fprintf(stderr, "moat: %s is neither beside this command nor in " MOAT_LIBDIR "; name it by --library.\n",
                library_names[which][1]);
        return EXIT_CANNOT_RUN;
    }
    if (!set_preload(library))
        return EXIT_CANNOT_RUN;
    if (w->text != NULL && setenv("MOAT_OPTIONS", w->text, 1) != 0)
        out_of_memory();
    warn_unreachable(argv[0]);
    execvp(argv[0], argv);
    int error = errno;
    fprintf(stderr, "moat: %s: %s\n", argv[0], strerror(error));
    return error == ENOENT ? EXIT_NOT_FOUND : EXIT_CANNOT_RUN;
}

int moat_run_main(int argc, char **argv)
{
    enum { OPTION_LIBRARY = 256 };
    static const struct option known[] = {{"profile", required_argument, NULL, 'p'},
                                          {"option", required_argument, NULL, 'o'},
                                          {"checked", no_argument, NULL, 'c'},
                                          {"fuzz", no_argument, NULL, 'f'},
                                          {"library", required_argument, NULL, OPTION_LIBRARY},
                                          {"help", no_argument, NULL, 'h'},
                                          {NULL, 0, NULL, 0}};
    static char name[] = "moat run"; /* what getopt_long calls itself */
    const char *library = NULL;
    enum moat_library which = MOAT_PLAIN;
    struct words w = {NULL, false};
    argv[0] = name;
    take_environment(&w);
    /* + : what follows the program is the program's. */
    for (int c; (c = getopt_long(argc, argv, "+p:o:cfh", known, NULL)) != -1;) {
        switch (c) {
        case 'p':
            take_profile(&w, optarg);
            break;
        case 'o':
            take_option(&w, optarg);
            break;
        case 'c':
            which = MOAT_CHECKED;
            break;
        case 'f':
            which = MOAT_FUZZ;
            break;
        case OPTION_LIBRARY:
            library = optarg;
            break;
        case 'h':
            return moat_help("run") ? 0 : EXIT_USAGE;
        default:
            fputs("See 'moat help run'.\n", stderr);
            return EXIT_USAGE;
        }
    }
    if (optind == argc)
        fputs("moat run: which program? See 'moat help run'.\n", stderr);
    else if (w.bad)
        fprintf(stderr, "moat run: %s was not started.\n", argv[optind]);
    int status = optind == argc || w.bad ? EXIT_USAGE : start(library, which, &w, argv + optind);
    free(w.text);
    return status;
}
