/* Bounds: which chunk an address lies in, and what is left of it from there.
 *
 * For moat_object_size and its kin, and for the checked functions (checked/), whose fast half looks by itself. Waits
 * for no lock longer than some milliseconds, changes nothing, may run in a signal handler. Of a chunk that another
 * thread makes, frees or resizes at the moment it may say either; so what looks bad is looked at again, with rests, and
 * reported only when it has been bad many times in a row. A program that is right never asks of such a chunk.
 *
 * The header's MAC is not verified here: a header that was changed says at most that its chunk reaches to its slot's
 * end. It is verified before anything is reported.
 */
#ifndef MO_BOUNDS_H
#define MO_BOUNDS_H

#include "diag/report.h"
#include "mem/large.h"

enum mo_bounds_kind {
    MO_BOUNDS_FOREIGN, /* none of moat's */
    MO_BOUNDS_LIVE,
    MO_BOUNDS_FREED,
    MO_BOUNDS_NOTHING, /* moat's, but no chunk is or was there */
};

struct mo_bounds {
    enum mo_bounds_kind kind;
    uintptr_t p; /* of the chunk: the nearest one, where the address is between chunks */
    size_t n;    /* bytes requested; not known of a freed chunk */
};

void mo_bounds_find(uintptr_t a, struct mo_bounds *b);

/* Bytes from a to the end of its chunk; SIZE_MAX: foreign. */
size_t mo_bounds_left(uintptr_t a);

/* Reports and ends the process unless the bytes are inside of one live chunk, foreign, or none. given->left is
 * found out here. */
MO_COLD void mo_bounds_require(struct mo_given *given);

#endif
