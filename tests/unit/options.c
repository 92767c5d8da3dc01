/* Options: every kind, every separator, every complaint, the order of sources. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "diag/option_text.h"
#include "diag/options.h"
#include "moat/moat.h"

/* This program defines what a program may compile in; see the tests of mo_options_load. */
const char *moat_options = "quarantine_fifo=100,spare_bytes=5";

static char complaints[4096]; /* lines, each with a newline */

static void collect(const char *line, size_t n)
{
    size_t used = strlen(complaints);
    cr_assert(memchr(line, '\n', n) == NULL, "a complaint holds a newline");
    cr_assert_lt(n, MO_OPTION_LINE_MAX, "a complaint of %zu bytes was cut", n);
    snprintf(complaints + used, sizeof complaints - used, "%.*s\n", (int)n, line);
}

static struct mo_options parsed(const char *text, unsigned bad)
{
    struct mo_options o;
    mo_options_default(&o, MO_PROFILE_PRODUCTION);
    complaints[0] = '\0';
    unsigned found = mo_options_parse(&o, text, "here", collect);
    cr_assert_eq(found, bad, "'%s': %u bad words, not %u: %s", text, found, bad, complaints);
    return o;
}

/* One bad word: exactly this line, and every value as before. */
static void expect_complaint(const char *text, const char *line)
{
    struct mo_options before, after = parsed(text, 1);
    mo_options_default(&before, MO_PROFILE_PRODUCTION);
    size_t n = strlen(complaints);
    cr_assert(n > 0 && strncmp(complaints, line, n - 1) == 0 && line[n - 1] == '\0', "complaint:\n%swanted:\n%s\n",
              complaints, line);
    cr_assert(memcmp(&before, &after, sizeof before) == 0, "'%s' changed a value", text);
}

static size_t value(const struct mo_options *o, const struct mo_option_info *option)
{
    return *(const size_t *)(const void *)((const char *)o + option->offset);
}

Test(options, table_is_consistent)
{
    size_t offset = sizeof(size_t);
    for (size_t i = 0; i < mo_option_count; i++) {
        const struct mo_option_info *option = &mo_option_table[i];
        if (MO_SMALL) /* which has members without options */
            cr_expect_geq(option->offset, offset, "%s", mo_option_name(option));
        else
            cr_expect_eq(option->offset, offset, "%s", mo_option_name(option));
        offset =
            option->offset + (option->kind == MO_OPTION_TEXT ? mo_option_number(option->highest) + 1 : sizeof(size_t));
        cr_expect(mo_option_find(mo_option_name(option), strlen(mo_option_name(option))) == option, "%s",
                  mo_option_name(option));
        cr_expect_str_eq(mo_option_nearest(mo_option_name(option), strlen(mo_option_name(option))),
                         mo_option_name(option));
        cr_expect(*mo_option_values(option) != '\0' || option->kind != MO_OPTION_ENUM, "%s", mo_option_name(option));
    }
    cr_expect(mo_option_find("profile", 7) == NULL);
    cr_expect(mo_option_find("mac", 2) == NULL);
    cr_expect(mo_option_find("macs", 4) == NULL);
}

/* Each default can be written, in every profile, and reads as itself: so it is in range, and text and parser agree. */
Test(options, defaults_read_back)
{
    for (int p = 0; p < MO_PROFILES; p++) {
        struct mo_options o;
        mo_options_default(&o, (enum mo_profile)p);
        cr_assert_eq(o.profile, (size_t)p);
        for (size_t i = 0; i < mo_option_count; i++) {
            const struct mo_option_info *option = &mo_option_table[i];
            char text[96];
            cr_assert_eq(value(&o, option), mo_option_number(option->of_profile[p]));
            int n = snprintf(text, sizeof text, "%s=", mo_option_name(option));
            struct mo_text t = {text + n, text + sizeof text - 1};
            mo_option_text_value(&t, option, mo_option_number(option->of_profile[p]));
            *t.at = '\0';
            struct mo_options read = parsed(text, 0);
            cr_expect_eq(value(&read, option), mo_option_number(option->of_profile[p]), "%s in %s", text,
                         mo_profile_names[p]);
        }
    }
}

/* The table's numbers have four bytes: each is what the list says. */
Test(options, numbers_are_exact)
{
#define NUMBERS(...)                                               {__VA_ARGS__},
#define OPTION_BOOL(name, production, strict, fuzz, embedded, ...) NUMBERS(production, strict, fuzz, embedded)
#define OPTION_SIZE(name, production, strict, fuzz, embedded, lowest, highest, ...) \
    NUMBERS(production, strict, fuzz, embedded, lowest, highest)
#define OPTION_ENUM(name, values, production, strict, fuzz, embedded, ...) NUMBERS(production, strict, fuzz, embedded)
#define OPTION_TEXT(name, size, ...)                                       NUMBERS(0, 0, 0, 0, 0, (size)-1)
    static const size_t listed[][MO_PROFILES + 2] = {
#include "diag/options.def"
    };
#undef OPTION_BOOL
#undef OPTION_SIZE
#undef OPTION_ENUM
#undef OPTION_TEXT
    cr_assert_eq(MO_ARRAY_LEN(listed), mo_option_count);
    for (size_t i = 0; i < mo_option_count; i++) {
        const struct mo_option_info *option = &mo_option_table[i];
        for (int p = 0; p < MO_PROFILES; p++)
            cr_expect_eq(mo_option_number(option->of_profile[p]), listed[i][p], "%s", mo_option_name(option));
        if (option->kind == MO_OPTION_BOOL || option->kind == MO_OPTION_ENUM)
            continue;
        cr_expect_eq(mo_option_number(option->lowest), listed[i][MO_PROFILES], "%s", mo_option_name(option));
        cr_expect_eq(mo_option_number(option->highest), listed[i][MO_PROFILES + 1], "%s", mo_option_name(option));
    }
}

Test(options, profiles_differ_as_listed)
{
    struct mo_options production, strict;
    mo_options_default(&production, MO_PROFILE_PRODUCTION);
    mo_options_default(&strict, MO_PROFILE_STRICT);
    cr_expect_eq(production.quarantine_random, 64);
    cr_expect_eq(strict.quarantine_random, 8192);
    cr_expect_str_eq(mo_profile_names[MO_PROFILE_EMBEDDED], "embedded");
}

Test(options, counts)
{
    cr_expect_eq(parsed("quarantine_fifo=1", 0).quarantine_fifo, 1);
    cr_expect_eq(parsed("quarantine_fifo=8192", 0).quarantine_fifo, 8192);
    cr_expect_eq(parsed("quarantine_fifo=0010", 0).quarantine_fifo, 10);
    cr_expect_eq(parsed("quarantine_fifo=0x10", 0).quarantine_fifo, 16);
    cr_expect_eq(parsed("quarantine_fifo=0XfF", 0).quarantine_fifo, 255);
    cr_expect_eq(parsed("seed=4294967295", 0).seed, 4294967295u);
}

Test(options, bytes)
{
    cr_expect_eq(parsed("quarantine_bytes=65536", 0).quarantine_bytes, 65536);
    cr_expect_eq(parsed("quarantine_bytes=8K", 0).quarantine_bytes, 8192);
    cr_expect_eq(parsed("quarantine_bytes=8k", 0).quarantine_bytes, 8192);
    cr_expect_eq(parsed("quarantine_bytes=2m", 0).quarantine_bytes, (size_t)2 << 20);
    cr_expect_eq(parsed("quarantine_bytes=0x2M", 0).quarantine_bytes, (size_t)2 << 20);
    cr_expect_eq(parsed("heap_reserve=1G", 0).heap_reserve, (size_t)1 << 30);
#if SIZE_MAX > 0xffffffffu
    cr_expect_eq(parsed("heap_reserve=16t", 0).heap_reserve, (size_t)16 << 40);
#endif
}

Test(options, words)
{
    cr_expect_eq(parsed("mac=siphash", 0).mac, MO_MAC_SIPHASH);
    cr_expect_eq(parsed("mac=siphash mac=auto", 0).mac, MO_MAC_AUTO);
    cr_expect_eq(parsed("guards=mprotect", 0).guards, MO_GUARDS_MPROTECT);
    cr_expect_eq(parsed("guards=OFF", 0).guards, MO_GUARDS_OFF);
    cr_expect_eq(parsed("foreign=ignore", 0).foreign, MO_FOREIGN_IGNORE);
}

Test(options, separators_and_comments)
{
    struct mo_options o = parsed("  shards=2,seed=3:mac=siphash\tspare_bytes=4\nguards=off\r\n,,::", 0);
    cr_expect_eq(o.shards, 2);
    cr_expect_eq(o.seed, 3);
    cr_expect_eq(o.mac, MO_MAC_SIPHASH);
    cr_expect_eq(o.spare_bytes, 4);
    cr_expect_eq(o.guards, MO_GUARDS_OFF);

    o = parsed("# shards=2 nonsense\nseed=3#spare_bytes=4\n#\n\nmac=siphash # mac=auto", 0);
    cr_expect_eq(o.shards, 0);
    cr_expect_eq(o.seed, 3);
    cr_expect_eq(o.spare_bytes, 1024 * 1024);
    cr_expect_eq(o.mac, MO_MAC_SIPHASH);

    struct mo_options before;
    mo_options_default(&before, MO_PROFILE_PRODUCTION);
    static const char *const empty[] = {"", " ", ",", "#", "# x", "\n\n"};
    for (size_t i = 0; i < MO_ARRAY_LEN(empty); i++) {
        o = parsed(empty[i], 0);
        cr_expect(memcmp(&o, &before, sizeof o) == 0, "text %zu", i);
    }
}

Test(options, bad_numbers)
{
    expect_complaint("quarantine_fifo=99999", "moat: here: quarantine_fifo=99999: allowed are 1 to 8192; 192 holds.");
    static const char *const bad[] = {"0",
                                      "8193",
                                      "",
                                      "-1",
                                      "+1",
                                      "1.5",
                                      "1x",
                                      "x",
                                      "0x",
                                      "0xg",
                                      "8K",
                                      "1=1",
                                      "18446744073709551615",
                                      "18446744073709551616",
                                      "18446744073709551626",
                                      "99999999999999999999999999999999",
                                      "0xffffffffffffffffff"};
    for (size_t i = 0; i < MO_ARRAY_LEN(bad); i++) {
        char text[96], line[256];
        snprintf(text, sizeof text, "quarantine_fifo=%s", bad[i]);
        snprintf(line, sizeof line, "moat: here: %s: allowed are 1 to 8192; 192 holds.", text);
        expect_complaint(text, line);
    }
}

Test(options, bad_sizes)
{
    static const char *const bad[] = {"K",
                                      "0xK",
                                      "4KK",
                                      "4KB",
                                      "4095",
                                      "65M",
                                      "16777216T",
                                      "18014398509481992K" /* 2^64 + 8K */,
                                      "18446744073709551615T",
                                      "4P",
                                      ""};
    for (size_t i = 0; i < MO_ARRAY_LEN(bad); i++) {
        char text[96], line[256];
        snprintf(text, sizeof text, "quarantine_bytes=%s", bad[i]);
        snprintf(line, sizeof line, "moat: here: %s: allowed are 4K to 64M; 16K holds.", text);
        expect_complaint(text, line);
    }
}

Test(options, bad_words)
{
    expect_complaint("mac=foo", "moat: here: mac=foo: allowed are auto, siphash; auto holds.");
    expect_complaint("mac=", "moat: here: mac=: allowed are auto, siphash; auto holds.");
    expect_complaint("mac=aut", "moat: here: mac=aut: allowed are auto, siphash; auto holds.");
    expect_complaint("mac=autos", "moat: here: mac=autos: allowed are auto, siphash; auto holds.");
    expect_complaint("mac=auto|siphash", "moat: here: mac=auto|siphash: allowed are auto, siphash; auto holds.");
    expect_complaint("mac=1", "moat: here: mac=1: allowed are auto, siphash; auto holds.");
    expect_complaint("mac", "moat: here: mac has no value: allowed are auto, siphash; auto holds.");
    expect_complaint("foreign=no", "moat: here: foreign=no: allowed are abort, warn, ignore; abort holds.");
    expect_complaint("profile=stric",
                     "moat: here: profile=stric: allowed are production, strict, fuzz, embedded; production holds.");
    expect_complaint(
        "profile",
        "moat: here: profile has no value: allowed are production, strict, fuzz, embedded; production holds.");
}

Test(options, complaint_names_the_value_that_holds)
{
    struct mo_options o = parsed("quarantine_fifo=7 quarantine_fifo=x", 1);
    cr_expect_eq(o.quarantine_fifo, 7);
    cr_expect_str_eq(complaints, "moat: here: quarantine_fifo=x: allowed are 1 to 8192; 7 holds.\n");
}

Test(options, unknown_names)
{
    expect_complaint("quarantin_bytes=1M", "moat: here: unknown option 'quarantin_bytes'; did you mean "
                                           "'quarantine_bytes'? See 'moat options'.");
    expect_complaint(
        "quarantine-fifo=5",
        "moat: here: unknown option 'quarantine-fifo'; did you mean 'quarantine_fifo'? See 'moat options'.");
    expect_complaint("Mac=auto", "moat: here: unknown option 'Mac'; did you mean 'mac'? See 'moat options'.");
    expect_complaint("profil=strict",
                     "moat: here: unknown option 'profil'; did you mean 'profile'? See 'moat options'.");
    expect_complaint("sede=1", "moat: here: unknown option 'sede'; did you mean 'seed'? See 'moat options'.");
    expect_complaint("verbose=1", "moat: here: unknown option 'verbose'. See 'moat options'.");
    expect_complaint("x", "moat: here: unknown option 'x'. See 'moat options'.");
    expect_complaint("=5", "moat: here: unknown option ''. See 'moat options'.");
    expect_complaint("=", "moat: here: unknown option ''. See 'moat options'.");
}

Test(options, what_the_user_wrote_is_cut_and_cleaned)
{
    char text[4000];
    memset(text, 'a', sizeof text);
    text[sizeof text - 1] = '\0';
    expect_complaint(text, "moat: here: unknown option 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa...'. "
                           "See 'moat options'.");
    memcpy(text, "profile=", 8);
    expect_complaint(text, "moat: here: profile=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa...: "
                           "allowed are production, strict, fuzz, embedded; production holds.");
    expect_complaint("mac=\033[31m\177\377", "moat: here: mac=?[31m??: allowed are auto, siphash; auto holds.");
}

Test(options, bad_words_do_not_stop_the_rest)
{
    struct mo_options o = parsed("shards=99 bogus seed=5,mac=zzz:spare_bytes=2", 3);
    cr_expect_eq(o.shards, 0);
    cr_expect_eq(o.seed, 5);
    cr_expect_eq(o.spare_bytes, 2);
    cr_expect_eq(o.mac, MO_MAC_AUTO);
}

Test(options, silence_without_a_complainer)
{
    struct mo_options o;
    mo_options_default(&o, MO_PROFILE_PRODUCTION);
    cr_expect_eq(mo_options_parse(&o, "bogus=1 mac=zzz seed=9", "here", NULL), 2);
    cr_expect_eq(o.seed, 9);
}

Test(options, last_valid_profile_is_found)
{
    cr_expect_eq(mo_options_profile("", MO_PROFILE_FUZZ), MO_PROFILE_FUZZ);
    cr_expect_eq(mo_options_profile("seed=1 profile=strict", MO_PROFILE_PRODUCTION), MO_PROFILE_STRICT);
    cr_expect_eq(mo_options_profile("profile=strict,profile=embedded", MO_PROFILE_PRODUCTION), MO_PROFILE_EMBEDDED);
    cr_expect_eq(mo_options_profile("profile=strict,profile=bogus", MO_PROFILE_PRODUCTION), MO_PROFILE_STRICT);
    cr_expect_eq(mo_options_profile("profile=Strict", MO_PROFILE_PRODUCTION), MO_PROFILE_STRICT);
    cr_expect_eq(mo_options_profile("#profile=strict", MO_PROFILE_PRODUCTION), MO_PROFILE_PRODUCTION);
    cr_expect_eq(mo_options_profile("profiles=strict myprofile=fuzz", MO_PROFILE_PRODUCTION), MO_PROFILE_PRODUCTION);
}

/* The profile does not undo words of the same text, wherever it stands, nor does parsing it change values. */
Test(options, profile_in_a_parse_is_only_checked)
{
    struct mo_options o = parsed("quarantine_fifo=5 profile=strict", 0);
    cr_expect_eq(o.profile, MO_PROFILE_PRODUCTION);
    cr_expect_eq(o.quarantine_fifo, 5);
    cr_expect_eq(o.quarantine_random, 64);
}

/* A file with the text in it; its path is static. */
static const char *file_with(const char *text, size_t n)
{
    static char path[64];
    snprintf(path, sizeof path, "/tmp/moat-options-%ld", (long)getpid());
    FILE *f = fopen(path, "w");
    cr_assert(f != NULL && fwrite(text, 1, n, f) == n && fclose(f) == 0);
    return path;
}

static struct mo_options loaded(const char *compiled, const char *file, size_t n, const char *environment)
{
    struct mo_options o;
    const char *path = file != NULL ? file_with(file, n) : NULL;
    complaints[0] = '\0';
    mo_options_load_from(&o, compiled, path, environment, collect);
    if (path != NULL)
        unlink(path);
    return o;
}

static struct mo_options loaded_text(const char *compiled, const char *file, const char *environment)
{
    return loaded(compiled, file, file != NULL ? strlen(file) : 0, environment);
}

Test(options, later_sources_win)
{
    struct mo_options o = loaded_text("seed=1 shards=1 spare_bytes=1", "seed=2\nshards=2\n", "seed=3");
    cr_expect_eq(o.spare_bytes, 1);
    cr_expect_eq(o.shards, 2);
    cr_expect_eq(o.seed, 3);
    cr_expect_str_empty(complaints);
}

Test(options, profile_of_any_source_applies_first)
{
    struct mo_options o = loaded_text("quarantine_fifo=7", NULL, "profile=strict");
    cr_expect_eq(o.profile, MO_PROFILE_STRICT);
    cr_expect_eq(o.quarantine_fifo, 7, "the profile undid a word of an earlier source");
    cr_expect_eq(o.quarantine_random, 8192);

    o = loaded_text("profile=embedded", "profile=fuzz", "profile=strict seed=1 profile=bogus");
    cr_expect_eq(o.profile, MO_PROFILE_STRICT);
    cr_expect_str_eq(
        complaints,
        "moat: MOAT_OPTIONS: profile=bogus: allowed are production, strict, fuzz, embedded; strict holds.\n");

    o = loaded_text(NULL, "profile=embedded", NULL);
    cr_expect_eq(o.profile, MO_PROFILE_EMBEDDED);
    cr_expect_eq(o.quarantine_random, 16);
}

Test(options, complaints_name_their_source)
{
    char wanted[512];
    loaded_text("a=1", "b=1", "c=1");
    snprintf(wanted, sizeof wanted,
             "moat: moat_options: unknown option 'a'. See 'moat options'.\n"
             "moat: /tmp/moat-options-%ld: unknown option 'b'. See 'moat options'.\n"
             "moat: MOAT_OPTIONS: unknown option 'c'. See 'moat options'.\n",
             (long)getpid());
    cr_expect_str_eq(complaints, wanted);
}

Test(options, no_source_gives_the_profile_of_the_build)
{
    struct mo_options o, wanted;
    mo_options_default(&wanted, MO_SMALL ? MO_PROFILE_EMBEDDED : MO_PROFILE_PRODUCTION);
    complaints[0] = '\0';
    mo_options_load_from(&o, NULL, "/nonexistent/moat.conf", NULL, collect);
    cr_expect(memcmp(&o, &wanted, sizeof o) == 0);
    cr_expect_str_empty(complaints);
}

/* A text of n bytes: seed=1 first, padding, then `end`. */
static char *long_text(size_t n, const char *end)
{
    char *text = malloc(n + 1);
    cr_assert_not_null(text);
    memset(text, '\n', n);
    text[n] = '\0';
    memcpy(text, "seed=1", 6);
    memcpy(text + n - strlen(end), end, strlen(end));
    return text;
}

Test(options, a_long_file_is_complained_about_and_cut_between_words)
{
    char wanted[256];
    char *text = long_text(MO_OPTION_FILE_MAX, "\nshards=7");
    struct mo_options o = loaded(NULL, text, MO_OPTION_FILE_MAX, NULL);
    cr_expect_eq(o.shards, 7, "8 KiB are read whole");
    cr_expect_str_empty(complaints);
    free(text);

    /* One byte more: the last word would read as the valid shards=1. */
    text = long_text(MO_OPTION_FILE_MAX + 1, "\nshards=12");
    o = loaded(NULL, text, MO_OPTION_FILE_MAX + 1, NULL);
    snprintf(wanted, sizeof wanted, "moat: /tmp/moat-options-%ld: longer than 8192 bytes: the rest is ignored.\n",
             (long)getpid());
    cr_expect_str_eq(complaints, wanted);
    cr_expect_eq(o.seed, 1);
    cr_expect_eq(o.shards, MO_SMALL ? 1 : 0);
    free(text);

    text = long_text(100000, "shards=3");
    o = loaded(NULL, text, 100000, NULL);
    cr_expect_str_eq(complaints, wanted);
    cr_expect_eq(o.seed, 1);
    cr_expect_eq(o.shards, MO_SMALL ? 1 : 0);
    free(text);

    /* One endless word. */
    text = malloc(10000);
    cr_assert_not_null(text);
    memset(text, 'x', 10000);
    loaded(NULL, text, 10000, NULL);
    cr_expect_str_eq(complaints, wanted);
    free(text);
}

Test(options, a_zero_byte_in_the_file_is_complained_about)
{
    char wanted[256];
    static const char text[] = "seed=1\n\0shards=3\n";
    struct mo_options o = loaded(NULL, text, sizeof text - 1, NULL);
    snprintf(wanted, sizeof wanted, "moat: /tmp/moat-options-%ld: holds a zero byte: the rest is ignored.\n",
             (long)getpid());
    cr_expect_str_eq(complaints, wanted);
    cr_expect_eq(o.seed, 1);
    cr_expect_eq(o.shards, MO_SMALL ? 1 : 0);
}

/* The real sources: the weak symbol that this program defines, and the environment unless it is secure. */
Test(options, load_reads_the_symbol_and_the_environment)
{
    struct mo_options o;
    cr_assert_eq(setenv("MOAT_OPTIONS", "spare_bytes=9", 1), 0);
    mo_options_load(&o, false);
    cr_expect_eq(o.quarantine_fifo, 100);
    cr_expect_eq(o.spare_bytes, 9);
    mo_options_load(&o, true);
    cr_expect_eq(o.quarantine_fifo, 100);
    cr_expect_eq(o.spare_bytes, 5, "the environment was read under AT_SECURE");
}

Test(options, load_complains_on_stderr)
{
    static const char wanted[] = "moat: MOAT_OPTIONS: unknown option 'bogus'. See 'moat options'.\n";
    struct mo_options o;
    char text[256];
    int ends[2], saved = dup(2);
    cr_assert(pipe(ends) == 0 && dup2(ends[1], 2) == 2);
    cr_assert_eq(setenv("MOAT_OPTIONS", "bogus=1", 1), 0);
    mo_options_load(&o, false);
    dup2(saved, 2);
    close(ends[1]);
    ssize_t n = read(ends[0], text, sizeof text - 1);
    text[n > 0 ? n : 0] = '\0';
    cr_expect(strstr(text, wanted) != NULL, "stderr held: %s", text);
}

Test(options, nearest_name)
{
    cr_expect_null(mo_option_nearest("", 0));
    cr_expect_null(mo_option_nearest("zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz", 46));
    cr_expect_str_eq(mo_option_nearest("sharsd", 6), "shards");
    cr_expect_str_eq(mo_option_nearest("large_quarantine_byte", 21), "large_quarantine_bytes");
}
