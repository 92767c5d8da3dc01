/* What the programs share that life.c runs with libmoat.so preloaded: each ends with 0, or says what is wrong. */
#ifndef LIFE_H
#define LIFE_H

#include <unistd.h>

#include "../../api/check.h"

/* Ends the program without its exit routines, from anywhere. */
__attribute__((noreturn)) static inline void fail(const char *what)
{
    if (write(STDERR_FILENO, what, strlen(what)) < 0 || write(STDERR_FILENO, "\n", 1) < 0)
        _exit(4);
    _exit(3);
}

static inline void require(bool ok, const char *what)
{
    if (!ok)
        fail(what);
}

static inline void require_moat(void)
{
    require(moat_is_active(), "malloc is not moat's");
}

/* One chunk of each kind of size, from one part of a process's life to another. */
enum { KEPT = 40 };
struct kept {
    unsigned char *p[KEPT];
    size_t n[KEPT];
};

static inline void keep(struct kept *k)
{
    for (unsigned i = 0; i < KEPT; i++) {
        k->n[i] = (size_t)i * i * i * 5 + i;
        k->p[i] = (unsigned char *)malloc(k->n[i]);
        require(k->p[i] != NULL, "no memory");
        fill(k->p[i], k->n[i], i);
    }
}

static inline void let_go(struct kept *k)
{
    for (unsigned i = 0; i < KEPT; i++) {
        require(filled(k->p[i], k->n[i], i), "a kept chunk was changed");
        free(k->p[i]);
    }
}

#endif
