/* moat fuzz: an AFL++ campaign with moat preloaded into the target. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "diag/options.h"
#include "moat.h"
#include "target.h"

enum { CORES_MOST = 64, WORDS_MOST = 64, PROBED_MOST = 64, SECONDS = 5 };

struct campaign {
    const char *corpus, *out, *dictionary, *seconds, *library;
    char *options;               /* MOAT_OPTIONS of the target */
    const char *afl[WORDS_MOST]; /* further words for afl-fuzz */
    size_t afl_count;
    unsigned long cores;
    bool seeded; /* by --option */
    char **target;
};

static void complain(const char *line, size_t n)
{
    fprintf(stderr, "%.*s\n", (int)n, line);
}

static void add_option(struct campaign *c, const char *word)
{
    char *longer = target_text("%s %s", c->options, word);
    free(c->options);
    c->options = longer;
}

/* Programs may rely on an alignment of 16 where their sizes do not: then exactness to the byte would make crashes that
 * are none. The corpus shows it. */
static void choose_alignment(struct campaign *c)
{
    size_t n, odd = 0, bad = 0;
    char **files = target_files(c->corpus, &n);
    for (size_t i = 0; i < n; i++) {
        struct outcome natural = {0, NULL}, strict = {0, NULL};
        if (i < PROBED_MOST) {
            char *options = target_text("%s align=natural", c->options);
            target_run(c->target, files[i], c->library, options, SECONDS, &natural);
            if (target_crashed(&natural)) {
                target_run(c->target, files[i], c->library, c->options, SECONDS, &strict);
                odd += !target_crashed(&strict);
                bad += target_crashed(&strict);
            }
            free(options);
        }
        free(natural.report);
        free(strict.report);
        free(files[i]);
    }
    free(files);
    if (bad != 0)
        fprintf(stderr, "moat fuzz: %zu of the corpus crash the target already: see 'moat triage %s -- ...'.\n", bad,
                c->corpus);
    if (odd != 0)
        fprintf(stderr,
                "moat fuzz: the target needs addresses that are multiples of 16 (%zu of the corpus): align=strict, "
                "overflows of up to 15 bytes are seen when they are writes.\n",
                odd);
    else
        add_option(c, "align=natural");
}

/* Where no corpus is given: one input, to begin with. */
static bool make_corpus(struct campaign *c)
{
    char *folder = target_text("%s/moat-corpus", c->out), *path = target_text("%s/line", folder);
    FILE *f = mkdir(folder, 0777) == 0 || errno == EEXIST ? fopen(path, "w") : NULL;
    bool done = f != NULL && fputs("moat\n", f) >= 0;
    if (f != NULL)
        done = fclose(f) == 0 && done;
    if (!done)
        fprintf(stderr, "moat fuzz: %s: %s\n", path, strerror(errno));
    free(path);
    c->corpus = folder;
    return done;
}

/* What `moat triage` must run the target with. */
static bool write_options(const struct campaign *c)
{
    char *path = target_text("%s/" TARGET_OPTIONS_FILE, c->out);
    FILE *f = fopen(path, "w");
    bool done = f != NULL && fprintf(f, "%s\n", c->options) > 0;
    if (f != NULL)
        done = fclose(f) == 0 && done;
    if (!done)
        fprintf(stderr, "moat fuzz: %s: %s\n", path, strerror(errno));
    free(path);
    return done;
}

/* A process that has leaked ends by an exit status: AFL++ is to take that for a crash. */
static void count_leaks(const struct campaign *c)
{
    struct mo_options o;
    char status[8];
    mo_options_default(&o, MO_PROFILE_FUZZ);
    (void)mo_options_parse(&o, c->options, "", NULL);
    snprintf(status, sizeof status, "%zu", o.leak_exitcode);
    if (o.detect_leaks != 0 && o.leak_exitcode != 0)
        setenv("AFL_CRASH_EXITCODE", status, 0);
}

/* Each has choices of its own. The second one closes everything that is freed: it gets all that the others find new. */
static const char *options_of(const struct campaign *c, unsigned long i)
{
    bool thorough = i == 1 && strstr(c->options, "sample_hot=") == NULL && strstr(c->options, "sample_forked=") == NULL;
    const char *closes = thorough ? " sample_hot=0 sample_forked=0" : "";
    return c->seeded ? target_text("%s%s", c->options, closes)
                     : target_text("%s%s seed=%lu", c->options, closes, i + 1);
}

/* In a child: becomes afl-fuzz number i; the first one is the main one, and keeps the terminal. */
static void become(const struct campaign *c, unsigned long i)
{
    const char *words[WORDS_MOST + 24];
    size_t n = 0;
    char *name = i == 0 ? target_text("main") : target_text("second%lu", i);
    words[n++] = "afl-fuzz";
    words[n++] = "-i";
    words[n++] = c->corpus;
    words[n++] = "-o";
    words[n++] = c->out;
    words[n++] = i == 0 ? "-M" : "-S";
    words[n++] = name;
    if (c->dictionary != NULL) {
        words[n++] = "-x";
        words[n++] = c->dictionary;
    }
    if (c->seconds != NULL) {
        words[n++] = "-V";
        words[n++] = c->seconds;
    }
    for (size_t j = 0; j < c->afl_count; j++)
        words[n++] = c->afl[j];
    words[n++] = "--";
    size_t rest = 0;
    while (c->target[rest] != NULL)
        rest++;
    char **all = calloc(n + rest + 1, sizeof *all);
    if (all == NULL)
        _exit(EXIT_CANNOT_RUN);
    for (size_t j = 0; j < n; j++)
        all[j] = (char *)(size_t)words[j];
    memcpy(all + n, c->target, rest * sizeof *all);
    setenv("AFL_PRELOAD", c->library, 1); /* reaches the target alone */
    setenv("MOAT_OPTIONS", options_of(c, i), 1);
    count_leaks(c);
    setenv("AFL_SKIP_CPUFREQ", "1", 0);
    setenv("AFL_I_DONT_CARE_ABOUT_MISSING_CRASHES", "1", 0);
    setenv("AFL_TRY_AFFINITY", "1", 0);
    if (i != 0 || !isatty(STDOUT_FILENO))
        setenv("AFL_NO_UI", "1", 1);
    if (i != 0) {
        char *log = target_text("%s/%s.log", c->out, name);
        if (freopen(log, "w", stdout) != NULL)
            dup2(STDOUT_FILENO, STDERR_FILENO);
    }
    execvp(all[0], all);
    fprintf(stderr, "moat fuzz: afl-fuzz: %s%s\n", strerror(errno),
            errno == ENOENT ? ": install AFL++ (Debian: afl++)" : "");
    _exit(errno == ENOENT ? EXIT_NOT_FOUND : EXIT_CANNOT_RUN);
}

/* Runs them all until the main one ends. */
static int run(const struct campaign *c)
{
    pid_t children[CORES_MOST];
    int status = 0;
    for (unsigned long i = 0; i < c->cores; i++) {
        children[i] = fork();
        if (children[i] == 0)
            become(c, i);
        if (children[i] < 0) {
            perror("moat fuzz");
            return EXIT_CANNOT_RUN;
        }
    }
    signal(SIGINT, SIG_IGN); /* the children have it too, and end in order */
    while (waitpid(children[0], &status, 0) < 0 && errno == EINTR)
        continue;
    for (unsigned long i = 1; i < c->cores; i++)
        kill(children[i], SIGINT);
    for (unsigned long i = 1; i < c->cores; i++)
        (void)waitpid(children[i], NULL, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static bool check_option(const char *word)
{
    struct mo_options o;
    mo_options_default(&o, MO_PROFILE_FUZZ);
    return mo_options_parse(&o, word, "--option", complain) == 0;
}

static int prepare_and_run(struct campaign *c, bool aligned)
{
    if (c->library == NULL)
        c->library = moat_library_path(MOAT_FUZZ);
    if (c->library == NULL) {
        fputs("moat fuzz: libmoat-fuzz.so is not beside this command; name it by --library.\n", stderr);
        return EXIT_CANNOT_RUN;
    }
    if (mkdir(c->out, 0777) != 0 && errno != EEXIST) {
        fprintf(stderr, "moat fuzz: %s: %s\n", c->out, strerror(errno));
        return EXIT_CANNOT_RUN;
    }
    if (c->corpus == NULL && !make_corpus(c))
        return EXIT_CANNOT_RUN;
    if (!aligned)
        choose_alignment(c);
    if (!write_options(c))
        return EXIT_CANNOT_RUN;
    fflush(stdout);
    int status = run(c);
    printf("moat fuzz: MOAT_OPTIONS='%s'; next: moat triage %s -- %s ...\n", c->options, c->out, c->target[0]);
    return status;
}

int moat_fuzz_main(int argc, char **argv)
{
    enum { OPTION_OPTION = 256, OPTION_AFL, OPTION_LIBRARY };
    static const struct option known[] = {
        {"option", required_argument, NULL, OPTION_OPTION},
        {"afl", required_argument, NULL, OPTION_AFL},
        {"library", required_argument, NULL, OPTION_LIBRARY},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    static char name[] = "moat fuzz";
    struct campaign c = {.out = "moat-fuzz", .cores = 1};
    bool aligned = false, bad = false;
    /* The target's stacks are of no use while thousands of runs a second go by; `moat triage` takes them. */
    c.options = target_text("profile=fuzz seed=1 malloc_context_size=0");
    argv[0] = name;
    for (int o; (o = getopt_long(argc, argv, "+i:o:x:j:V:h", known, NULL)) != -1;) {
        char *end = NULL;
        switch (o) {
        case 'i':
            c.corpus = optarg;
            break;
        case 'o':
            c.out = optarg;
            break;
        case 'x':
            c.dictionary = optarg;
            break;
        case 'V':
            c.seconds = optarg;
            break;
        case 'j':
            c.cores = strtoul(optarg, &end, 10);
            if (*end != '\0' || c.cores == 0 || c.cores > CORES_MOST) {
                fprintf(stderr, "moat fuzz: -j %s: allowed are 1 to %d.\n", optarg, CORES_MOST);
                bad = true;
            }
            break;
        case OPTION_OPTION:
            bad = !check_option(optarg) || bad;
            c.seeded = strncmp(optarg, "seed=", 5) == 0 || c.seeded;
            aligned = strncmp(optarg, "align=", 6) == 0 || aligned;
            add_option(&c, optarg);
            break;
        case OPTION_AFL:
            if (c.afl_count < WORDS_MOST)
                c.afl[c.afl_count++] = optarg;
            break;
        case OPTION_LIBRARY:
            c.library = optarg;
            break;
        case 'h':
            return moat_help("fuzz") ? 0 : EXIT_USAGE;
        default:
            bad = true;
        }
    }
    if (optind == argc && !bad)
        fputs("moat fuzz: which program? See 'moat help fuzz'.\n", stderr);
    c.target = argv + optind;
    return optind == argc || bad ? EXIT_USAGE : prepare_and_run(&c, aligned);
}
