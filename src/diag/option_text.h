/* Options as text: what the parser and the `moat` command both need to say about one.
 *
 * Nothing here allocates or keeps state. Callers: options.c, the `moat` command and tests.
 */
#ifndef MO_OPTION_TEXT_H
#define MO_OPTION_TEXT_H

#include "diag/options.h"
#include "diag/report.h"

enum {
    MO_OPTION_FILE_MAX = 8192, /* bytes of the options file that are read */
    MO_OPTION_LINE_MAX = 320   /* bytes of a complaint; the longest one that options.def can cause is below 300 */
};

/* A value as a person writes it: `yes`, `siphash`, `48K`, `192`. */
void mo_option_text_value(struct mo_text *t, const struct mo_option_info *option, size_t value);

/* What may be written: `yes, no`, `auto, siphash`, `1 to 8192`. */
void mo_option_text_allowed(struct mo_text *t, const struct mo_option_info *option);

/* Reads the n bytes at text as a value, not of a text; false, and *result as before, when it is not allowed. */
bool mo_option_read(const struct mo_option_info *option, const char *text, size_t n, size_t *result) MO_CHECKED;

/* The option of that name, or NULL. */
const struct mo_option_info *mo_option_find(const char *name, size_t n);

/* The option's name (or `profile`) that resembles the n bytes at word most, or NULL when none does. */
const char *mo_option_nearest(const char *word, size_t n);

/* mo_options_load with every source named: compiled-in text, path of the file, text of the environment.
 * Each may be NULL. */
void mo_options_load_from(struct mo_options *o, const char *compiled, const char *path, const char *environment,
                          mo_option_complain *complain);

/* The value of an environment variable, named with its =; NULL where it is not set. */
typedef const char *mo_option_variable(const char *name);

/* What AFL++'s own variables for a hardened malloc say. */
void mo_options_take_afl(struct mo_options *o, mo_option_variable *variable, mo_option_complain *complain);

#endif
