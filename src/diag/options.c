/* Options: the parser, the sources. The table is in option_table.c, what a word looks like as text in option_text.c. */
#include "diag/options.h"

#include <string.h>

#include "diag/extra.h"
#include "diag/option_text.h"
#include "diag/report.h"
#include "moat/moat.h"
#include "os/os.h"

/* One name=value as it stands in the text. */
struct word {
    const char *name;
    const char *value; /* NULL without an = */
    size_t name_size, value_size;
};

/* One source that is being read. */
struct source {
    const char *name;
    mo_option_complain *complain;
    unsigned bad;
};

static size_t *value_of(struct mo_options *o, const struct mo_option_info *option)
{
    return (size_t *)(void *)((char *)o + option->offset);
}

void mo_options_default(struct mo_options *o, enum mo_profile p)
{
    memset(o, 0, sizeof *o);
    o->profile = (size_t)p;
    for (size_t i = 0; i < mo_option_count; i++) {
        const struct mo_option_info *option = &mo_option_table[i];
        if (option->kind != MO_OPTION_TEXT)
            *value_of(o, option) = mo_option_number(option->of_profile[p]);
    }
}

static bool is_separator(char c)
{
    return c == ' ' || c == '\t' || c == ',' || c == ':' || c == '\n' || c == '\r';
}

static bool is_word_end(char c)
{
    return c == '\0' || c == '#' || is_separator(c);
}

/* Words are looked at without strcspn: its constants would make 64 KiB of libc's resident. */

/* Takes the next word from *text, past separators and comments; false at the end. A colon and a number are part of a
 * path before them: stats=/run/heap.prom:15. */
static bool next_word(const char **text, struct word *w)
{
    const char *at = *text;
    while (is_separator(*at) || *at == '#') {
        if (*at == '#')
            while (*at != '\n' && *at != '\0')
                at++;
        else
            at++;
    }
    w->name = at;
    w->value = NULL;
    while (!is_word_end(*at)) {
        if (*at == '=' && w->value == NULL)
            w->value = at + 1;
        at++;
    }
    size_t digits = *at == ':' && w->value != NULL && *w->value == '/' ? strspn(at + 1, "0123456789") : 0;
    if (digits != 0 && is_word_end(at[1 + digits]))
        at += 1 + digits;
    w->name_size = (size_t)((w->value != NULL ? w->value - 1 : at) - w->name);
    w->value_size = w->value != NULL ? (size_t)(at - w->value) : 0;
    *text = at;
    return at != w->name;
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool name_is(const struct word *w, const char *name)
{
    return strlen(name) == w->name_size && memcmp(name, w->name, w->name_size) == 0;
}

const struct mo_option_info *mo_option_find(const char *name, size_t n)
{
    struct word w = {name, NULL, n, 0};
    for (size_t i = 0; i < mo_option_count; i++)
        if (name_is(&w, mo_option_name(&mo_option_table[i])))
            return &mo_option_table[i];
    return NULL;
}

/* How many bits a suffix shifts by; -1 when it is none. */
static int suffix_shift(char c)
{
    switch (lower(c)) {
    case 'k':
        return 10;
    case 'm':
        return 20;
    case 'g':
        return 30;
    case 't':
        return 40;
    default:
        return -1;
    }
}

static int digit_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : 16;
}

/* Reads a whole number, decimal or with 0x, and a size suffix where the option takes bytes. 64 bits wide
 * also where size_t is not: 4T must be out of range on 32-bit, not 0. */
static bool read_number(const char *text, size_t n, bool bytes, uint64_t *result)
{
    int shift = bytes && n > 0 ? suffix_shift(text[n - 1]) : -1;
    if (shift >= 0)
        n--;
    int base = 10;
    if (n > 2 && text[0] == '0' && lower(text[1]) == 'x') {
        base = 16;
        text += 2;
        n -= 2;
    }
    uint64_t v = 0;
    for (size_t i = 0; i < n; i++) {
        int digit = digit_value(text[i]);
        if (digit >= base || __builtin_mul_overflow(v, (uint64_t)base, &v) ||
            __builtin_add_overflow(v, (uint64_t)digit, &v))
            return false;
    }
    *result = v;
    return n > 0 && (shift <= 0 || !__builtin_mul_overflow(v, (uint64_t)1 << shift, result));
}

/* Reads one of the words in `values`; its index is the result. */
static bool read_enum(const char *text, size_t n, const char *values, size_t *result)
{
    for (size_t index = 0;; index++) {
        size_t size = 0, same = 0;
        while (values[size] != '|' && values[size] != '\0')
            size++;
        while (same < n && same < size && lower(text[same]) == values[same])
            same++;
        if (n == size && same == size) {
            *result = index;
            return true;
        }
        if (values[size] == '\0')
            return false;
        values += size + 1;
    }
}

static bool read_bool(const char *text, size_t n, size_t *result)
{
    size_t word;
    if (!read_enum(text, n, "no|yes|off|on|0|1|false|true", &word))
        return false;
    *result = word & 1;
    return true;
}

bool mo_option_read(const struct mo_option_info *option, const char *text, size_t n, size_t *result)
{
    if (option->kind == MO_OPTION_BOOL)
        return read_bool(text, n, result);
    if (option->kind == MO_OPTION_ENUM)
        return read_enum(text, n, mo_option_values(option), result);
    uint64_t v;
    if (!read_number(text, n, option->kind == MO_OPTION_BYTES, &v) || v < mo_option_number(option->lowest) ||
        v > mo_option_number(option->highest))
        return false;
    *result = (size_t)v;
    return true;
}

/* Appends what the user wrote: not more than fits a line, and nothing that a terminal would obey. */
static void quote(struct mo_text *t, const char *s, size_t n)
{
    enum { LONGEST = 48 };
    for (size_t i = 0; i < n && i < LONGEST && t->at < t->end; i++)
        *t->at++ = s[i] >= ' ' && s[i] <= '~' ? s[i] : '?';
    if (n > LONGEST)
        mo_text_string(t, "...");
}

static void complain(struct source *s, const char *line, const struct mo_text *t)
{
    s->bad++;
    if (s->complain != NULL)
        s->complain(line, (size_t)(t->at - line));
}

static void start_line(struct mo_text *t, char *line, const struct source *s)
{
    t->at = line;
    t->end = line + MO_OPTION_LINE_MAX;
    mo_text_string(t, "moat: ");
    mo_text_string(t, s->name);
    mo_text_string(t, ": ");
}

static MO_COLD void complain_name(struct source *s, const struct word *w)
{
    char line[MO_OPTION_LINE_MAX];
    struct mo_text t;
    start_line(&t, line, s);
    const char *nearest = mo_option_nearest(w->name, w->name_size);
    mo_text_string(&t, "unknown option '");
    quote(&t, w->name, w->name_size);
    mo_text_string(&t, "'");
    if (nearest != NULL) {
        mo_text_string(&t, "; did you mean '");
        mo_text_string(&t, nearest);
        mo_text_string(&t, "'?");
    } else {
        mo_text_string(&t, ".");
    }
    mo_text_string(&t, " See 'moat options'.");
    complain(s, line, &t);
}

/* What may stand there, and what does. */
static void tell_allowed(struct mo_text *t, const struct mo_option_info *option, const size_t *holds)
{
    mo_option_text_allowed(t, option);
    mo_text_string(t, "; ");
    if (option->kind != MO_OPTION_TEXT)
        mo_option_text_value(t, option, *holds);
    else if (*(const char *)holds == '\0')
        mo_text_string(t, "none");
    else
        quote(t, (const char *)holds, strlen((const char *)holds));
    mo_text_string(t, " holds.");
}

static MO_COLD void complain_value(struct source *s, const struct word *w, const struct mo_option_info *option,
                                   const size_t *holds)
{
    char line[MO_OPTION_LINE_MAX];
    struct mo_text t;
    start_line(&t, line, s);
    quote(&t, w->name, w->name_size);
    if (w->value != NULL) {
        mo_text_string(&t, "=");
        quote(&t, w->value, w->value_size);
    }
    mo_text_string(&t, w->value != NULL ? ": allowed are " : " has no value: allowed are ");
    tell_allowed(&t, option, holds);
    complain(s, line, &t);
}

size_t mo_options_path(const char *text, size_t n, size_t *path)
{
    uint64_t v = 0;
    *path = text[0] == '/' ? n : 0;
    for (size_t colon = *path; colon > 0; colon--)
        if (text[colon - 1] == ':' && read_number(text + colon, n - colon, false, &v) && v <= MO_STATS_MOST) {
            *path = colon - 1;
            return (size_t)v;
        }
    return 0;
}

/* A text that is one of certain words, or a path, which needs a number where the words say so. */
static bool has_form(const struct mo_option_info *option, const char *text, size_t n)
{
    size_t path, number = mo_options_path(text, n, &path);
    const char *values = mo_option_values(option);
    if (*values == '\0' || n == 0)
        return true;
    return path != 0 ? number != 0 || *values == 'n' : read_enum(text, n, values, &path);
}

/* Sets an option; false, and its value as before, when the n bytes at text are not allowed. */
static bool set(struct mo_options *o, const struct mo_option_info *option, const char *text, size_t n)
{
    size_t *value = value_of(o, option);
    if (option->kind != MO_OPTION_TEXT)
        return mo_option_read(option, text, n, value);
    if (n > mo_option_number(option->highest) || !has_form(option, text, n))
        return false;
    memset(value, 0, mo_option_number(option->highest) + 1);
    memcpy(value, text, n);
    return true;
}

static void apply(struct mo_options *o, const struct word *w, struct source *s)
{
    if (name_is(w, "profile")) {
        /* Applied by the caller before any source, see mo_options_profile; here it is only checked. */
        size_t p;
        if (!mo_option_read(&mo_option_profile, w->value, w->value_size, &p))
            complain_value(s, w, &mo_option_profile, &o->profile);
        return;
    }
    const struct mo_option_info *option = mo_option_find(w->name, w->name_size);
    if (option == NULL) {
        complain_name(s, w);
        return;
    }
    if (w->value == NULL || !set(o, option, w->value, w->value_size))
        complain_value(s, w, option, value_of(o, option));
}

unsigned mo_options_parse(struct mo_options *o, const char *text, const char *source, mo_option_complain *to)
{
    struct source s = {source, to, 0};
    struct word w;
    while (next_word(&text, &w))
        apply(o, &w, &s);
    return s.bad;
}

enum mo_profile mo_options_profile(const char *text, enum mo_profile none)
{
    struct word w;
    size_t p;
    while (next_word(&text, &w))
        if (name_is(&w, "profile") && mo_option_read(&mo_option_profile, w.value, w.value_size, &p))
            none = (enum mo_profile)p;
    return none;
}

/* Reads the file into a static buffer and cuts it where its text ends for us. */
static const char *read_file(const char *path, mo_option_complain *to)
{
    static char text[MO_OPTION_FILE_MAX + 2]; /* one byte more than allowed shows a longer file; and the final 0 */
    struct source s = {path, to, 0};
    char line[MO_OPTION_LINE_MAX];
    struct mo_text t;
    size_t n = mo_os_read_file(path, text, sizeof text);
    if (n == 0)
        return NULL;
    start_line(&t, line, &s);
    if (n > MO_OPTION_FILE_MAX) {
        mo_text_string(&t, "longer than " MO_STR(8192) " bytes: the rest is ignored.");
        complain(&s, line, &t);
        /* Back to a separator: half a word could be a valid one that nobody wrote. */
        while (n > 0 && !is_separator(text[n - 1]))
            n--;
        text[n] = '\0';
    } else if (strlen(text) < n) {
        mo_text_string(&t, "holds a zero byte: the rest is ignored.");
        complain(&s, line, &t);
    }
    return text;
}

void mo_options_load_from(struct mo_options *o, const char *compiled, const char *path, const char *environment,
                          mo_option_complain *to)
{
    static const char none[] = "";
    const char *file = path != NULL ? read_file(path, to) : NULL;
    const struct {
        const char *name, *text;
    } sources[] = {
        {"moat_options", compiled != NULL ? compiled : none},
        {path, file != NULL ? file : none},
        {"MOAT_OPTIONS", environment != NULL ? environment : none},
    };
    enum mo_profile profile = MO_SMALL ? MO_PROFILE_EMBEDDED : (enum mo_profile)mo_extra_profile;
    for (size_t i = 0; i < MO_ARRAY_LEN(sources); i++)
        profile = mo_options_profile(sources[i].text, profile);
    mo_options_default(o, profile);
    for (size_t i = 0; i < MO_ARRAY_LEN(sources); i++)
        (void)mo_options_parse(o, sources[i].text, sources[i].name, to);
}

/* What is another option in other units, or another word for a value. */
static void settle(struct mo_options *o)
{
    o->handle_segv %= MO_SEGV_WORDS; /* the address sanitizer's are numbers */
    enum { MIB_SHIFT = 20 };
    if (o->quarantine_size_mb != 0)
        o->large_quarantine_bytes = mo_min(o->quarantine_size_mb << MIB_SHIFT, MO_HIGHEST_RESERVE);
}

/* One write for the line and its newline, so that threads and processes do not mix theirs. */
static void complain_on_stderr(const char *line, size_t n)
{
    char text[MO_OPTION_LINE_MAX + 1];
    n = mo_min(n, MO_OPTION_LINE_MAX);
    memcpy(text, line, n);
    text[n] = '\n';
    (void)mo_os_write(2, text, n + 1);
}

/* What only libmoat-fuzz.so can do is not done in silence. */
static void refuse_extra(const struct mo_options *o)
{
    static const char line[] = "moat: detect_leaks, fill, sample_hot and sample_forked need libmoat-fuzz.so";
    if (!MO_SMALL && mo_extra_profile != MO_PROFILE_FUZZ &&
        (o->detect_leaks | o->max_malloc_fill_size | o->max_free_fill_size | o->sample_hot | o->sample_forked) != 0)
        complain_on_stderr(line, sizeof line - 1);
}

/* name with its = */
static const char *from_environment(const char *name)
{
    char **environment = mo_os_environment();
    for (; environment != NULL && *environment != NULL; environment++)
        if (strncmp(*environment, name, strlen(name)) == 0)
            return *environment + strlen(name);
    return NULL;
}

void mo_options_load(struct mo_options *o, bool secure)
{
    /* A weak reference: its address is NULL when no program and no library defines it. */
    const char *compiled = &moat_options != NULL ? moat_options : NULL;
    const char *environment = secure ? NULL : from_environment("MOAT_OPTIONS=");
    mo_options_load_from(o, compiled, "/etc/moat.conf", environment, complain_on_stderr);
    if (!MO_SMALL && o->profile == MO_PROFILE_FUZZ && !secure) {
        mo_options_take_afl(o, from_environment, complain_on_stderr);
        (void)mo_options_parse(o, environment != NULL ? environment : "", "", NULL); /* which wins */
    }
    settle(o);
    refuse_extra(o);
    /* Now: when there is something to report, the environment may be part of the damage. no-color.org: not empty. */
    const char *no_color = from_environment("NO_COLOR=");
    if (o->color == MO_COLOR_AUTO && no_color != NULL && no_color[0] != '\0')
        o->color = MO_COLOR_NEVER;
}
