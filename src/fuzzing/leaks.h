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

enum mo_leak_mark {
    MO_LEAK_DIRECT,
    MO_LEAK_INDIRECT,
    MO_LEAK_REACHED,
    MO_LEAK_NONE, /* a large mapping that waits: no chunk, and none of the program's memory */
};

struct mo_leak_chunk {
    uintptr_t p;
    size_t n;
    const struct mo_stack *made; /* NULL: not kept */
    uint32_t generation;         /* tells it from an earlier chunk at its address, as far as is known */
    uint32_t next;               /* to be looked into: a list */
    uint32_t mark;               /* enum mo_leak_mark */
};

/* Live chunks at one moment, by address. In a mapping of its own. */
struct mo_leak_set {
    struct mo_leak_chunk *chunks; /* NULL: none, or no memory */
    size_t count, room;
};

/* All live chunks; false without memory or a lock, or where this can't be done. */
bool mo_leaks_collect(struct mo_leak_set *set) MO_CHECKED;
void mo_leaks_drop(struct mo_leak_set *set);

/* Collects the live chunks while all other threads stand; marks those that are reached, or are in `old` (which may be
 * empty), and moves the others to the front, ordered for the report, which has what it needs when they go on; how many
 * there are. *good is false, and there are none, where /proc does not say where to look, or there is no memory or a
 * thread has stood with a lock each time. */
size_t mo_leaks_search(struct mo_leak_set *set, const struct mo_leak_set *old, bool *good);

/* Keeps of the first `count` chunks what the report says, and writes it, as option report says, to where reports go, or
 * to `fd` in place of stderr. what: "the process" or "the epoch". */
void mo_leaks_keep(const struct mo_leak_set *set, size_t count);
void mo_leaks_report(const char *what, int fd);

#endif
