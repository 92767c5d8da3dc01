/* Where a program keeps its pointers: for the search of leaks. Of libmoat-fuzz.so alone.
 *
 * Read from /proc/self/maps and pagemap, so nothing is asked of the loader; the stacks and registers of other threads
 * are held by a signal meanwhile, which leaves their registers on their stacks. One thread at a time. */
#ifndef MO_ROOTS_H
#define MO_ROOTS_H

#include "base/base.h"

/* Stops all other threads of the process as far as they take a signal within 200 ms, but those that have ended or block
 * the signal; and lets them go on. False: some go on. */
bool mo_os_threads_stop(void);
void mo_os_threads_go(void);

/* Calls `range` for every mapping that the program may have written to: private and readable; of stacks only what is in
 * use: the calling thread's from `stack` on, a stopped one's from where it stands, where it is the only one to stand in
 * its mapping. False: /proc does not say, or range has said so. */
typedef bool mo_os_range(uintptr_t low, uintptr_t high);
bool mo_os_roots(uintptr_t stack, mo_os_range *range) MO_CHECKED;

/* For `range`: visits the pages of a part of it that are present; of what is not writable, only those that have been
 * once. False: pagemap can't be read. */
typedef void mo_os_visit(uintptr_t low, uintptr_t high);
bool mo_os_present(uintptr_t low, uintptr_t high, mo_os_visit *visit) MO_CHECKED;

/* Copies from memory that may be inaccessible, or become so: how many bytes; 0 where the first can't be read. */
size_t mo_os_copy(uintptr_t from, void *to, size_t n);

/* The mapping that a lies in; false: none, or /proc does not say. */
bool mo_os_mapping_of(uintptr_t a, uintptr_t *low, uintptr_t *high) MO_CHECKED;

#endif
