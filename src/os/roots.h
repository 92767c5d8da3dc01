/* Where a program keeps its pointers: for the search of leaks. Of libmoat-fuzz.so alone.
 *
 * Read from /proc/self/maps and pagemap, so nothing is asked of the loader; the stacks and registers of other threads
 * are held by a signal meanwhile, which leaves their registers on their stacks. One thread at a time. */
#ifndef MO_ROOTS_H
#define MO_ROOTS_H

#include "base/base.h"

/* Stops all other threads of the process as far as they take a signal within 200 ms; and lets them go on. */
void mo_os_threads_stop(void);
void mo_os_threads_go(void);

/* Calls `visit` for every run of pages that the program may have written to: present, of private mappings that are
 * readable and writable; of stacks only what is in use: the calling thread's from `stack` on, a stopped one's from
 * where it stands. False: /proc does not say. */
typedef void mo_os_visit(uintptr_t low, uintptr_t high);
bool mo_os_roots(uintptr_t stack, mo_os_visit *visit) MO_CHECKED;

/* The mapping that a lies in; false: none, or /proc does not say. */
bool mo_os_mapping_of(uintptr_t a, uintptr_t *low, uintptr_t *high) MO_CHECKED;

#endif
