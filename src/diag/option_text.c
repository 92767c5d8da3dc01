/* Options as text: values, what is allowed, the name that was meant. */
#include "diag/option_text.h"

#include <string.h>

static void text_bytes(struct mo_text *t, size_t v)
{
    static const char suffixes[] = "KMGT";
    char suffix[2] = {'\0', '\0'};
    for (size_t i = 0; suffixes[i] != '\0' && v != 0 && v % 1024 == 0; i++) {
        v /= 1024;
        suffix[0] = suffixes[i];
    }
    mo_text_decimal(t, v);
    mo_text_string(t, suffix);
}

/* Appends the word of that index in `values`, or all of them with commas between when index is SIZE_MAX. */
static void text_words(struct mo_text *t, const char *values, size_t index)
{
    for (size_t i = 0;; i++) {
        size_t size = strcspn(values, "|");
        if (index == SIZE_MAX || index == i) {
            size_t fits = mo_min(size, (size_t)(t->end - t->at));
            memcpy(t->at, values, fits);
            t->at += fits;
        }
        if (values[size] == '\0')
            return;
        if (index == SIZE_MAX)
            mo_text_string(t, ", ");
        values += size + 1;
    }
}

void mo_option_text_value(struct mo_text *t, const struct mo_option_info *option, size_t value)
{
    switch (option->kind) {
    case MO_OPTION_BOOL:
        mo_text_string(t, value != 0 ? "yes" : "no");
        break;
    case MO_OPTION_ENUM:
        text_words(t, mo_option_values(option), value);
        break;
    case MO_OPTION_BYTES:
        text_bytes(t, value);
        break;
    case MO_OPTION_COUNT:
        mo_text_decimal(t, value);
        break;
    case MO_OPTION_TEXT: /* the default, which is empty; others are texts already */
        break;
    }
}

void mo_option_text_allowed(struct mo_text *t, const struct mo_option_info *option)
{
    if (option->kind == MO_OPTION_BOOL) {
        mo_text_string(t, "yes, no");
    } else if (*mo_option_values(option) != '\0') {
        text_words(t, mo_option_values(option), SIZE_MAX);
    } else if (option->kind == MO_OPTION_TEXT) {
        mo_text_string(t, "up to ");
        mo_text_decimal(t, mo_option_number(option->highest));
        mo_text_string(t, " bytes");
    } else {
        mo_option_text_value(t, option, mo_option_number(option->lowest));
        mo_text_string(t, " to ");
        mo_option_text_value(t, option, mo_option_number(option->highest));
    }
}

enum { NAME_MAX_SIZE = 32 }; /* no option's name is longer; what is longer resembles none */

/* Levenshtein's distance between the n bytes at a and the string b. */
static unsigned distance(const char *a, size_t n, const char *b)
{
    uint8_t row[NAME_MAX_SIZE + 1]; /* distances from the part of a seen so far to each start of b */
    size_t size = strlen(b);
    if (n > NAME_MAX_SIZE || size > NAME_MAX_SIZE)
        return UINT_MAX;
    for (size_t j = 0; j <= size; j++)
        row[j] = (uint8_t)j;
    for (size_t i = 0; i < n; i++) {
        uint8_t diagonal = row[0];
        row[0] = (uint8_t)(i + 1);
        for (size_t j = 0; j < size; j++) {
            uint8_t replaced = (uint8_t)(diagonal + (a[i] != b[j]));
            uint8_t other = (uint8_t)((row[j] < row[j + 1] ? row[j] : row[j + 1]) + 1);
            diagonal = row[j + 1];
            row[j + 1] = replaced < other ? replaced : other;
        }
    }
    return row[size];
}

const char *mo_option_nearest(const char *word, size_t n)
{
    const char *nearest = NULL;
    unsigned least = n < 4 ? 2 : n < 9 ? 3 : 4; /* from this distance on a guess would be noise */
    for (size_t i = 0; i <= mo_option_count; i++) {
        const char *name = i < mo_option_count ? mo_option_name(&mo_option_table[i]) : "profile";
        unsigned d = distance(word, n, name);
        if (d < least) {
            least = d;
            nearest = name;
        }
    }
    return nearest;
}
