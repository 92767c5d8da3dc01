/* Calls of every checked function that write, or read, exactly so many bytes; and what to do with them. */
#ifndef CASES_H
#define CASES_H

#include <stdbool.h>
#include <stddef.h>

enum { MOST = 4096 };

/* What a call is to do. */
struct call {
    char *d;       /* where to write */
    size_t n;      /* how many bytes, its end included */
    const char *s; /* a source of n bytes that is a string of n - 1 (of n / 4 - 1 wide characters for wide functions) */
    int fd[2];     /* a connected pair of sockets; n bytes wait in the first */
    const char *file; /* one of n - 1 bytes without a newline, for functions that write an end as well */
    const char *raw;  /* one of n bytes */
};

struct function {
    const char *name; /* as reports say it */
    void (*run)(struct call *c);
    unsigned unit; /* n is a multiple of it */
    bool reads;    /* n bytes from s, which sources are checked of */
    bool fixed;    /* n is the current directory's length */
    bool wide;     /* the source is wide */
    bool whole;    /* in `sized`: all of n is written, however little there is to be written */
};

extern const struct function functions[];
extern const size_t function_count;

/* Those that have a size, called with n, in their own unit, whatever it is. */
extern const struct function sized[];
extern const size_t sized_count;

#endif
