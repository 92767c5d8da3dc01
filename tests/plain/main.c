/* Runs the tests of one executable, each in a child of its own; exits non-zero when one failed or none ran.
 * As with Criterion, --filter PATTERN picks those whose suite/name matches. */
#include <criterion/criterion.h>
#include <fnmatch.h>
#include <stdarg.h>
#include <sys/wait.h>
#include <unistd.h>

static struct plain_test *tests, **end = &tests;
static bool failed; /* of the test that this child runs */

void plain_register(struct plain_test *t)
{
    *end = t;
    end = &t->next;
}

void plain_failed(const char *file, int line, bool fatal, const char *what, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "%s:%d: not so: %s;", file, line, what);
    vfprintf(stderr, format, arguments);
    fprintf(stderr, "\n");
    va_end(arguments);
    failed = true;
    if (fatal)
        _exit(EXIT_FAILURE);
}

/* The suite's options, where the test has none of its own. */
static struct plain_options options_of(const struct plain_test *t)
{
    struct plain_options o = t->options;
    for (const struct plain_test *s = tests; s != NULL; s = s->next) {
        if (s->name != NULL || strcmp(s->suite, t->suite) != 0)
            continue;
        o.init = o.init != NULL ? o.init : s->options.init;
        o.fini = o.fini != NULL ? o.fini : s->options.fini;
        o.signal = o.signal != 0 ? o.signal : s->options.signal;
        o.exit_code = o.exit_code != 0 ? o.exit_code : s->options.exit_code;
        o.disabled = o.disabled || s->options.disabled;
        o.timeout = o.timeout > 0 ? o.timeout : s->options.timeout;
    }
    return o;
}

static void run_here(const struct plain_test *t, const struct plain_options *o)
{
    /* Ten times Criterion's: the thread sanitizer and emulators are slow. */
    alarm(o->timeout > 0 ? (unsigned)(o->timeout * 10) + 1 : 600);
    if (o->init != NULL)
        o->init();
    t->run();
    if (o->fini != NULL)
        o->fini();
    fflush(NULL);
    if (failed)
        _exit(EXIT_FAILURE);
    exit(EXIT_SUCCESS); /* through the sanitizer's own end, which has a say in the status */
}

static bool passes(const struct plain_test *t, const struct plain_options *o)
{
    fflush(NULL);
    pid_t child = fork();
    if (child == 0)
        run_here(t, o);
    int status;
    if (child < 0 || waitpid(child, &status, 0) != child)
        return false;
    if (o->signal != 0)
        return WIFSIGNALED(status) && WTERMSIG(status) == o->signal;
    return WIFEXITED(status) && WEXITSTATUS(status) == o->exit_code;
}

/* FILTER is NULL for all, @(A|B|...) for these or !(A|B|...) for all but these; A and B may hold * and ?. fnmatch does
 * not know the rest everywhere. */
static bool matches(const struct plain_test *t, const char *filter)
{
    char name[256], patterns[4096];
    if (filter == NULL)
        return true;
    snprintf(name, sizeof name, "%s/%s", t->suite, t->name);
    size_t n = strlen(filter);
    if (n < 3 || n > sizeof patterns || (filter[0] != '@' && filter[0] != '!') || filter[1] != '(' ||
        filter[n - 1] != ')') {
        fprintf(stderr, "no such filter: %s\n", filter);
        _exit(EXIT_FAILURE);
    }
    memcpy(patterns, filter + 2, n - 3);
    patterns[n - 3] = '\0';
    bool named = false;
    char *rest;
    for (const char *p = strtok_r(patterns, "|", &rest); p != NULL; p = strtok_r(NULL, "|", &rest))
        named |= fnmatch(p, name, 0) == 0;
    return named == (filter[0] == '@');
}

int main(int argc, char **argv)
{
    const char *filter = argc == 3 && strcmp(argv[1], "--filter") == 0 ? argv[2] : NULL;
    size_t ran = 0, bad = 0;
    for (const struct plain_test *t = tests; t != NULL; t = t->next) {
        struct plain_options o = options_of(t);
        if (t->name == NULL || o.disabled || !matches(t, filter))
            continue;
        ran++;
        if (!passes(t, &o)) {
            bad++;
            printf("failed: %s/%s\n", t->suite, t->name);
        }
    }
    printf("%zu tests, %zu failed\n", ran, bad);
    return ran > 0 && bad == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
