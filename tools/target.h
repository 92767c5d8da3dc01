/* One run of a program on one input with moat preloaded. For `moat fuzz` and `moat triage`. */
#ifndef MOAT_TARGET_H
#define MOAT_TARGET_H

#include <stdbool.h>
#include <stddef.h>

struct outcome {
    int status;   /* as waitpid gives it; -1: it could not be run, stderr says why */
    char *report; /* moat's, as text; NULL: none. To be freed */
};

/* Runs argv with each @@ in it replaced by the input's path, or with the input as standard input where there is none.
 * Its output goes nowhere. After `seconds` it ends by SIGALRM. options: its MOAT_OPTIONS, without log_path. */
void target_run(char *const *argv, const char *input, const char *library, const char *options, unsigned seconds,
                struct outcome *o);

/* Whether it ended by a signal other than SIGALRM. */
bool target_crashed(const struct outcome *o);

/* All of a file, with a 0 behind it, or NULL. To be freed. */
char *target_read(const char *path);

/* Formats into new memory; ends the command where there is none. */
char *target_text(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Paths of the regular files in a folder, sorted, but those whose name starts with a dot or is `README.txt`; the count
 * in *n. NULL: there is no such folder. */
char **target_files(const char *folder, size_t *n);

/* Word and name of what `moat fuzz` leaves beside AFL++'s folders for `moat triage`. */
#define TARGET_OPTIONS_FILE "moat-options"

#endif
