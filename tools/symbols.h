/* Function and line of an address in a file, by addr2line or llvm-symbolizer. For `moat symbolize`. */
#ifndef MOAT_SYMBOLS_H
#define MOAT_SYMBOLS_H

#include <stdbool.h>
#include <stddef.h>

/* One function at an address; innermost first where some were inlined. */
struct symbol {
    char *function;
    char *file;
    unsigned long line; /* 0: not known */
};

/* Looks up `offset` ("0x1234") in the file at path, or in the debug file of that build id (hex digits, or NULL) where
 * the system has one. Returns how many of `most` were filled; they are freed by symbols_free. 0: nothing is known, and
 * the first time for a file stderr says why, if it is another build or is missing. */
size_t symbols_find(const char *path, const char *build_id, const char *offset, struct symbol *symbols, size_t most);
void symbols_free(struct symbol *symbols, size_t n);

/* Looks up by this program, in place of the first one found of those known. */
void symbols_use(const char *tool);

/* Whether there is a program to look up by; says on stderr when not. */
bool symbols_ready(void);

#endif
