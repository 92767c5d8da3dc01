/* The option parser against a second, plainer one: the same words are bad, the same values hold. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <unistd.h>

#include "diag/option_text.h"
#include "diag/options.h"
#include "fuzz/harness.h"

uint64_t fuzz_operations;
const size_t fuzz_longest = 600;
const int fuzz_takes_noise = 0;

enum { TEXT_MOST = 9000 };

static unsigned complaints;

__attribute__((noreturn)) static void fail(const char *what, const char *text)
{
    fprintf(stderr, "options: %s: %s\n", what, text);
    abort();
}

static void complain(const char *line, size_t n)
{
    complaints++;
    if (n == 0 || n >= MO_OPTION_LINE_MAX)
        fail("a complaint was cut", line);
    for (size_t i = 0; i < n; i++)
        if (line[i] < ' ' || line[i] > '~')
            fail("a complaint is no line of text", line);
}

/* A number with 0x and suffix, by the C library and in 128 bits. */
static bool plain_number(const char *value, bool bytes, unsigned __int128 *result)
{
    static const char suffixes[] = "kmgt";
    char digits[64];
    size_t n = strlen(value);
    int shift = 0;
    const char *suffix = bytes && n > 0 ? strchr(suffixes, tolower((unsigned char)value[n - 1])) : NULL;
    if (suffix != NULL) {
        shift = 10 * (int)(suffix - suffixes + 1);
        n--;
    }
    bool hex = n > 2 && value[0] == '0' && tolower((unsigned char)value[1]) == 'x';
    const char *from = value + (hex ? 2 : 0);
    n -= hex ? 2 : 0;
    if (n == 0)
        return false;
    for (size_t i = 0; i < n; i++)
        if (hex ? !isxdigit((unsigned char)from[i]) : !isdigit((unsigned char)from[i]))
            return false;
    for (; n > 1 && *from == '0'; n--)
        from++;
    if (n > 20)
        return false;
    memcpy(digits, from, n);
    digits[n] = '\0';
    unsigned __int128 v = 0;
    for (size_t i = 0; i < n; i++)
        v = v * (hex ? 16 : 10) +
            (unsigned)(isdigit((unsigned char)digits[i]) ? digits[i] - '0' : tolower(digits[i]) - 'a' + 10);
    *result = v << shift;
    return v >> 64 == 0 && *result >> 64 == 0;
}

/* The index of a word in `a|b|c`, or -1. */
static int plain_word(const char *words, const char *value)
{
    char copy[128], *next = NULL;
    int index = 0;
    snprintf(copy, sizeof copy, "%s", words);
    for (char *word = strtok_r(copy, "|", &next); word != NULL; word = strtok_r(NULL, "|", &next), index++)
        if (strcasecmp(word, value) == 0)
            return index;
    return -1;
}

/* A text of certain words, or a path, and what has a number behind it. */
static bool plain_form(const struct mo_option_info *option, const char *value)
{
    const char *colon = strrchr(value, ':');
    bool stats = strcmp(mo_option_name(option), "stats") == 0;
    if (*mo_option_values(option) == '\0' || value[0] == '\0')
        return true;
    if (value[0] != '/')
        return plain_word(stats ? "off|exit" : "none", value) >= 0;
    unsigned long seconds =
        colon != NULL && colon[1] != '\0' && strspn(colon + 1, "0123456789") == strlen(colon + 1) && strlen(colon) < 19
            ? strtoul(colon + 1, NULL, 10)
            : 0;
    return !stats || (seconds >= 1 && seconds <= 86400);
}

/* A colon between a path and a number separates nothing: it becomes a 1. */
static void plain_keep(char *text)
{
    for (char *at = text; (at = strchr(at, ':')) != NULL; at++) {
        char *start = at;
        while (start > text && strchr(" \t,:\n\r", start[-1]) == NULL)
            start--;
        size_t n = (size_t)(at - start), digits = strspn(at + 1, "0123456789");
        const char *equals = memchr(start, '=', n);
        if (equals != NULL && equals[1] == '/' && memchr(start, 1, n) == NULL && digits > 0 &&
            strchr(" \t,:\n\r", at[1 + digits]) != NULL)
            *at = 1;
    }
}

/* Applies one word; false when it is bad. */
static bool plain_apply(struct mo_options *o, char *word)
{
    char *value = strchr(word, '=');
    if (value != NULL)
        *value++ = '\0';
    if (strcmp(word, "profile") == 0)
        return value != NULL && plain_word("production|strict|fuzz|embedded", value) >= 0;
    for (size_t i = 0; i < mo_option_count; i++) {
        const struct mo_option_info *option = &mo_option_table[i];
        size_t *to = (size_t *)(void *)((char *)o + option->offset);
        unsigned __int128 v;
        int index;
        if (strcmp(word, mo_option_name(option)) != 0)
            continue;
        if (value == NULL)
            return false;
        switch (option->kind) {
        case MO_OPTION_TEXT:
            if (strlen(value) > mo_option_number(option->highest) || !plain_form(option, value))
                return false;
            memset(to, 0, mo_option_number(option->highest) + 1);
            memcpy(to, value, strlen(value));
            return true;
        case MO_OPTION_BOOL:
            index = plain_word("no|yes|off|on|0|1|false|true", value);
            if (index < 0)
                return false;
            *to = (size_t)index % 2;
            return true;
        case MO_OPTION_ENUM:
            index = plain_word(mo_option_values(option), value);
            if (index < 0)
                return false;
            *to = (size_t)index;
            return true;
        default:
            if (!plain_number(value, option->kind == MO_OPTION_BYTES, &v) || v < mo_option_number(option->lowest) ||
                v > mo_option_number(option->highest))
                return false;
            *to = (size_t)v;
            return true;
        }
    }
    return false;
}

/* Takes comments out and goes through the words. profile NULL: applies them to *o; else only looks for the last valid
 * profile. */
static unsigned plain_parse(struct mo_options *o, const char *text, size_t *profile)
{
    static char copy[TEXT_MOST];
    char *next = NULL;
    unsigned bad = 0;
    snprintf(copy, sizeof copy, "%s", text);
    for (char *at = copy; (at = strchr(at, '#')) != NULL;)
        while (*at != '\0' && *at != '\n')
            *at++ = ' ';
    plain_keep(copy);
    for (char *word = strtok_r(copy, " \t,:\n\r", &next); word != NULL; word = strtok_r(NULL, " \t,:\n\r", &next)) {
        if (strchr(word, 1) != NULL)
            *strchr(word, 1) = ':';
        if (profile == NULL) {
            bad += !plain_apply(o, word);
        } else if (strncmp(word, "profile=", 8) == 0) {
            int index = plain_word("production|strict|fuzz|embedded", word + 8);
            if (index >= 0)
                *profile = (size_t)index;
        }
    }
    return bad;
}

static void check_values(const struct mo_options *o, const char *text)
{
    static char again[TEXT_MOST];
    struct mo_text t = {again, again + sizeof again - 1};
    for (size_t i = 0; i < mo_option_count; i++) {
        const struct mo_option_info *option = &mo_option_table[i];
        const size_t *value = (const size_t *)(const void *)((const char *)o + option->offset);
        mo_text_string(&t, mo_option_name(option));
        mo_text_string(&t, "=");
        if (option->kind == MO_OPTION_TEXT)
            mo_text_string(&t, (const char *)value);
        else
            mo_option_text_value(&t, option, *value);
        mo_text_string(&t, "\n");
    }
    *t.at = '\0';
    struct mo_options twin;
    mo_options_default(&twin, (enum mo_profile)o->profile);
    if (mo_options_parse(&twin, again, "again", complain) != 0 || memcmp(o, &twin, sizeof twin) != 0)
        fail("values, written as text, are read as others", text);
}

/* The same text as a file, as what is compiled in, and as the environment's. */
static void check_sources(const struct mo_options *wanted, const char *text, size_t n)
{
    static int file = -1;
    static char path[64];
    struct mo_options o;
    if (file < 0) {
        file = memfd_create("options", MFD_CLOEXEC);
        snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    }
    if (file < 0 || ftruncate(file, 0) != 0 || pwrite(file, text, n, 0) != (ssize_t)n)
        fail("no file", path);
    mo_options_load_from(&o, NULL, path, NULL, complain);
    if (n == strlen(text) && n <= MO_OPTION_FILE_MAX && memcmp(&o, wanted, sizeof o) != 0)
        fail("a file's options are others", text);
    mo_options_load_from(&o, text, NULL, text, complain);
    if (memcmp(&o, wanted, sizeof o) != 0)
        fail("options given twice are others", text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char text[TEXT_MOST];
    struct mo_options o, plain;
    size_t profile = MO_PROFILE_PRODUCTION;
    fuzz_operations++;
    if (size >= sizeof text || memchr(data, 1, size) != NULL) /* which plain_keep has for itself */
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    complaints = 0;
    (void)plain_parse(NULL, text, &profile);
    if (mo_options_profile(text, MO_PROFILE_PRODUCTION) != profile)
        fail("another profile", text);
    mo_options_default(&o, (enum mo_profile)profile);
    mo_options_default(&plain, (enum mo_profile)profile);
    unsigned bad = mo_options_parse(&o, text, "fuzz", complain);
    if (bad != complaints)
        fail("bad words without complaint", text);
    if (bad != plain_parse(&plain, text, NULL))
        fail("other words are bad", text);
    if (memcmp(&o, &plain, sizeof o) != 0)
        fail("other values", text);
    check_values(&o, text);
    check_sources(&o, text, size);
    const char *nearest = mo_option_nearest(text, strlen(text));
    if (nearest != NULL && strcmp(nearest, "profile") != 0 && mo_option_find(nearest, strlen(nearest)) == NULL)
        fail("the nearest option is none", nearest);
    return 0;
}
