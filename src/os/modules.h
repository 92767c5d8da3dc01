/* Which file an address was loaded from: what reports say of each frame, and what symbols are looked up by.
 *
 * Read from /proc/self/maps and the objects' own headers; nothing is asked of the loader, whose lists lie on the heap
 * and behind its locks. One thread at a time: the tables are static. Without /proc there are no modules. */
#ifndef MO_MODULES_H
#define MO_MODULES_H

#include "os/stack.h"

struct mo_module {
    const char *path;
    uintptr_t start, end; /* of the mapping that holds the address */
    uintptr_t bias;       /* an address less this is the one in the file's symbol table */
    uint8_t id_size;      /* 0: it has no build id */
    uint8_t id[20];
};

/* Looks up the frames of the stacks, some of which may be NULL. What was found before is forgotten. */
void mo_modules_find(const struct mo_stack *const *stacks, size_t count);

/* The module of an address of those stacks, or NULL. */
const struct mo_module *mo_module_of(uintptr_t pc);

/* Those found, by index from 0; NULL after the last. */
const struct mo_module *mo_module_number(size_t index);

#endif
