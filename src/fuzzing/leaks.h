/* Leaks: live chunks that nothing points to.
 *
 * A conservative search: every aligned word of the program's memory that has the address of a chunk, or one inside of
 * it, counts as a pointer. It starts at globals, thread-local storage, registers and stacks of all threads and mappings
 * of the program's own (os/roots.h), and goes on through the chunks that it has come to. What is left has leaked:
 * directly, or it is reached from another chunk that has.
 *
 * So a leak may be missed, by a number that looks like its address or what an earlier call has left on the stack; none
 * is made up, but where the program keeps its pointers changed, in files, or in shared memory. On 64-bit systems that
 * have /proc. One thread at a time. */
#ifndef MO_LEAKS_H
#define MO_LEAKS_H

#include "base/base.h"
#include "os/stack.h"

enum mo_leak_mark { MO_LEAK_DIRECT, MO_LEAK_INDIRECT, MO_LEAK_REACHED };

struct mo_leak_chunk {
    uintptr_t p;
    size_t n;
    const struct mo_stack *made; /* NULL: not kept */
    uint32_t next;               /* to be looked into: a list */
    uint32_t mark;               /* enum mo_leak_mark */
};

/* Live chunks at one moment, by address. In a mapping of its own. */
struct mo_leak_set {
    struct mo_leak_chunk *chunks; /* NULL: none, or no memory */
    size_t count, room;
};

/* All live chunks; false without memory, or where this can't be done. */
bool mo_leaks_collect(struct mo_leak_set *set) MO_CHECKED;
void mo_leaks_drop(struct mo_leak_set *set);

/* Marks those of `set` that are reached, or are in `old` (which may be empty), and moves the others to its front,
 * ordered for the report; how many there are. *good is false, and there are none, where /proc does not say where to
 * look. */
size_t mo_leaks_search(struct mo_leak_set *set, const struct mo_leak_set *old, bool *good);

/* Writes the report of the first `count` chunks as option report says. what: "the process" or "the epoch". */
void mo_leaks_report(const struct mo_leak_set *set, size_t count, const char *what);

#endif
