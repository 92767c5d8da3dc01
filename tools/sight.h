/* A look into another process that has moat as its malloc, by process_vm_readv alone. For `moat top` and `moat map`.
 *
 * Nothing that is read can be trusted: the process goes on meanwhile, may end, and may be hostile. So every count is
 * bounded and every place is a place in that process only; what makes no sense is left out.
 */
#ifndef MOAT_COMMAND_SIGHT_H
#define MOAT_COMMAND_SIGHT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "front/sight.h"
#include "moat/moat.h"

struct sight {
    pid_t process;
    char name[32]; /* printable */
    struct mo_sight places;
    struct mo_heap_places heap;
    struct mo_cache_places cache;
    struct mo_pool_places pool;
    struct mo_sealed_data sealed;
};

/* Finds moat in a process. False: it can't be looked at, and standard error says why. */
bool sight_open(struct sight *s, const char *command, const char *process);

/* Reads n bytes at an address of the process; false when not all of them are to be had. */
bool sight_read(const struct sight *s, const void *from, void *to, size_t n);

/* Has the process ended? */
bool sight_gone(const struct sight *s);

enum { SIGHT_CLASSES = MO_CLASSES - MO_CLASS_FIRST, SIGHT_SHARDS = 64 };

/* Its figures, as the library's own functions give them; `requested` is an estimate from some chunks of each class. */
struct sight_figures {
    struct moat_stats all;
    struct moat_class_stats classes[SIGHT_CLASSES];
    struct moat_shard_stats shards[SIGHT_SHARDS];
};
bool sight_figures(const struct sight *s, struct sight_figures *f);

/* Calls `see` for each described slab, and for each entry of the table of large chunks that is none of nothing. */
typedef void sight_see_slab(void *context, const struct mo_slab *slab, const struct mo_class *k);
typedef void sight_see_large(void *context, const struct mo_large *l);
void sight_slabs(const struct sight *s, sight_see_slab *see, void *context);
void sight_larges(const struct sight *s, sight_see_large *see, void *context);

#endif
