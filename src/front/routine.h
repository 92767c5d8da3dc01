/* Mismatches (P12): the routine that ends or changes a chunk's life must belong to the one that made it. */
#ifndef MO_ROUTINE_H
#define MO_ROUTINE_H

#include "diag/report.h"
#include "front/front.h"

/* How a chunk was made, or what the program says of it when it gives it back. */
struct mo_routine {
    enum mo_origin origin;
    int heap;           /* below 0: the shard of the heap that it is of */
    size_t align;       /* 0: plain, which any up to 16 is; MO_NOT_TOLD */
    size_t n;           /* bytes; MO_NOT_TOLD */
    const char *action; /* the routine's name, for reports */
};
#define MO_NOT_TOLD SIZE_MAX

enum { MO_ALIGN_PLAIN = 16 }; /* what every chunk has */

/* Reports where `used` is not what belongs to `made`, as option mismatch says; returns when they match, or when that
 * does not abort. The chunk has been verified. */
void mo_check_routine(const struct mo_report_chunk *chunk, struct mo_routine made, struct mo_routine used);

/* What reports call the routines of a family. */
const char *mo_origin_name(enum mo_origin origin);         /* "malloc", "new", ... */
const char *mo_origin_release_name(enum mo_origin origin); /* "free", "delete", ... */

#endif
