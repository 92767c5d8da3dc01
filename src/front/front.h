/* What an allocation is: the chunk (header, payload, tail), and the path of every allocation and release.
 *
 * The only layer that knows what a header is. It protects headers, tails and freed contents from the
 * program's own bugs and from an attacker who can read some and write some heap memory; see
 * hardening.md. Callers: api/ only. An allocation that returns NULL has set errno to ENOMEM: here and not in api/, so
 * that malloc ends in a jump to the hot path. Nothing else touches errno. Each is safe at any moment of a process's
 * life, but not in a signal handler that interrupted another of them.
 */
#ifndef MO_FRONT_H
#define MO_FRONT_H

#include "base/base.h"

/* Which family of routines made a chunk; kept in its header. memalign and its kin are malloc's. */
enum mo_origin {
    MO_ORIGIN_MALLOC,
    MO_ORIGIN_NEW,
    MO_ORIGIN_NEW_ARRAY,
    MO_ORIGIN_HEAP, /* a heap's, see front/heaps.h. No routine gives it back by the hot path, which expects its own */
};

/* n bytes of zeros, aligned to 16, or NULL without memory.
 * n may be 0: a unique pointer that can't be read or written. */
void *mo_allocate(size_t n, enum mo_origin origin) MO_CHECKED;

/* The same at a multiple of align, a power of two of any size. */
void *mo_allocate_aligned(size_t n, size_t align, enum mo_origin origin) MO_CHECKED;

/* Ends the life of p, which may be NULL. origin: what the routine called belongs to (malloc's for free). */
void mo_release(void *p, enum mo_origin origin);

/* The same, where the caller says that it asked for n bytes, at a multiple of align. */
void mo_release_aligned(void *p, size_t align, enum mo_origin origin);
void mo_release_sized_aligned(void *p, size_t n, size_t align, enum mo_origin origin);

/* Changes the size of p, which is not NULL, to n, which may be 0; the chunk may move. NULL without memory, or for a
 * foreign p that option foreign lets pass: p is as before. */
void *mo_resize(void *p, size_t n) MO_CHECKED;

/* The same where p stays; false: it would have to move, or is a large or a sampled chunk. */
bool mo_resize_here(void *p, size_t n) MO_CHECKED;

/* The bytes that were asked for at p, a live chunk; all may be written. 0 for NULL. */
size_t mo_usable_size(const void *p);

/* Verifies every live chunk, every free slot and moat's tables, or reports for `action`; how many chunks were live.
 * Other threads may go on: what they are changing at the moment is passed by. */
size_t mo_check_heap(const char *action);

/* The same when the process exits, without what a forked child of the profile fuzz has in the guard pool from its
 * parent. */
void mo_check_exit(void);

/* Start-up if it has not been; everything above does it by itself. False: there is no memory for it. Allocations then
 * give NULL, and the rest finds nothing to do. */
bool mo_front_start(void);

/* Drains the calling thread's cache and purges what is empty; bytes given back. */
size_t mo_front_purge(void);

#endif
