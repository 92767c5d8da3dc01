/* Options of single kinds: switches and texts. The rest is in options.c. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "diag/option_text.h"

/* options.def need not list a boolean at all times, so the kind is tested by an option of the test's own. */
Test(option_text, booleans)
{
    static const struct mo_option_info option = {.highest = {1 << 6}, .kind = MO_OPTION_BOOL};
    static const char *const yes[] = {"yes", "on", "1", "true", "YES", "True"};
    static const char *const no[] = {"no", "off", "0", "false", "Off"};
    static const char *const bad[] = {"", "y", "n", "2", "01", "yess", "ye", "nope"};
    size_t v;
    for (size_t i = 0; i < MO_ARRAY_LEN(yes); i++) {
        v = 2;
        cr_expect(mo_option_read(&option, yes[i], strlen(yes[i]), &v) && v == 1, "%s", yes[i]);
    }
    for (size_t i = 0; i < MO_ARRAY_LEN(no); i++) {
        v = 2;
        cr_expect(mo_option_read(&option, no[i], strlen(no[i]), &v) && v == 0, "%s", no[i]);
    }
    for (size_t i = 0; i < MO_ARRAY_LEN(bad); i++) {
        v = 2;
        cr_expect(!mo_option_read(&option, bad[i], strlen(bad[i]), &v) && v == 2, "%s", bad[i]);
    }
    char text[32] = "";
    struct mo_text t = {text, text + sizeof text - 1};
    mo_option_text_value(&t, &option, 1);
    mo_option_text_value(&t, &option, 0);
    mo_option_text_allowed(&t, &option);
    cr_expect_str_eq(text, "yesnoyes, no");
}

static char complaint[MO_OPTION_LINE_MAX + 1];

static void keep(const char *line, size_t n)
{
    cr_assert_lt(n, sizeof complaint);
    memcpy(complaint, line, n);
    complaint[n] = '\0';
}

Test(option_text, texts)
{
    struct mo_options o;
    char word[MO_LOG_PATH_SIZE + 16];
    mo_options_default(&o, MO_PROFILE_PRODUCTION);
    cr_expect_str_empty(o.log_path);
    cr_expect_eq(mo_options_parse(&o, "log_path=/var/log/Moat seed=3", "test", keep), 0);
    cr_expect_str_eq(o.log_path, "/var/log/Moat");
    cr_expect_eq(o.seed, 3);
    cr_expect_eq(mo_options_parse(&o, "log_path=x=y", "test", keep), 0);
    cr_expect_str_eq(o.log_path, "x=y");

    /* The longest that fits, and one byte more. */
    strcpy(word, "log_path=");
    memset(word + 9, 'a', MO_LOG_PATH_SIZE);
    word[9 + MO_LOG_PATH_SIZE] = '\0';
    cr_expect_eq(mo_options_parse(&o, word, "test", keep), 1);
    cr_expect(strstr(complaint, "allowed are up to 127 bytes; x=y holds.") != NULL, "%s", complaint);
    cr_expect_str_eq(o.log_path, "x=y");
    word[9 + MO_LOG_PATH_SIZE - 1] = '\0';
    cr_expect_eq(mo_options_parse(&o, word, "test", keep), 0);
    cr_expect_str_eq(o.log_path, word + 9);
    cr_expect_eq(o.seed, 3);

    cr_expect_eq(mo_options_parse(&o, "log_path=", "test", keep), 0);
    cr_expect_str_empty(o.log_path);
    cr_expect_eq(mo_options_parse(&o, "log_path", "test", keep), 1);
    cr_expect(strstr(complaint, "log_path has no value: allowed are up to 127 bytes; none holds.") != NULL, "%s",
              complaint);
}

/* Words or a path; a colon and a number belong to the path before them. */
Test(option_text, paths_with_numbers)
{
    struct mo_options o;
    size_t path;
    mo_options_default(&o, MO_PROFILE_PRODUCTION);
    cr_expect_eq(mo_options_parse(&o, "stats=/run/heap-%p.prom:15:seed=3", "test", keep), 0);
    cr_expect_str_eq(o.stats, "/run/heap-%p.prom:15");
    cr_expect_eq(o.seed, 3);
    cr_expect_eq(mo_options_path(o.stats, strlen(o.stats), &path), 15);
    cr_expect_eq(path, strlen("/run/heap-%p.prom"));
    static const char *const bad[] = {"stats=exti",     "stats=heap.prom:15", "stats=/run/heap", "stats=/x:0",
                                      "stats=/x:86401", "heap_profile=heap",  "heap_profile=of"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct mo_options before = o;
        cr_expect_gt(mo_options_parse(&o, bad[i], "test", keep), 0, "%s", bad[i]);
        cr_expect_eq(memcmp(&o, &before, sizeof o), 0, "%s", bad[i]);
    }
    cr_expect_eq(mo_options_parse(&o, "stats=/run/heap", "test", keep), 1);
    cr_expect(strstr(complaint, "stats=/run/heap: allowed are off, exit, /PATH:SECONDS; /run/heap-%p.prom:15 holds.") !=
                  NULL,
              "%s", complaint);
    cr_expect_eq(mo_options_parse(&o, "stats=EXIT heap_profile=/a", "test", keep), 0);
    cr_expect_eq(mo_options_path(o.stats, strlen(o.stats), &path) + path, 0);
    cr_expect_eq(mo_options_path(o.heap_profile, strlen(o.heap_profile), &path), 0);
    cr_expect_eq(path, 2);
    cr_expect_eq(mo_options_parse(&o, "heap_profile=/a:12 stats=off", "test", keep), 0);
    cr_expect_eq(mo_options_path(o.heap_profile, strlen(o.heap_profile), &path), 12);
    cr_expect_eq(path, 2);
}

static struct mo_options loaded_with(const char *no_color, const char *options)
{
    struct mo_options o;
    if (no_color != NULL)
        setenv("NO_COLOR", no_color, 1);
    else
        unsetenv("NO_COLOR");
    setenv("MOAT_OPTIONS", options, 1);
    mo_options_load(&o, false);
    return o;
}

Test(option_text, no_color)
{
    cr_expect_eq(loaded_with(NULL, "").color, MO_COLOR_AUTO);
    cr_expect_eq(loaded_with("", "").color, MO_COLOR_AUTO);
    cr_expect_eq(loaded_with("1", "").color, MO_COLOR_NEVER);
    cr_expect_eq(loaded_with("1", "color=always").color, MO_COLOR_ALWAYS);
}
