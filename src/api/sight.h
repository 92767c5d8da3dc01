/* What the heap shows of itself in files and on descriptors: a buffered writer, and what writes through it. */
#ifndef MO_SIGHT_H
#define MO_SIGHT_H

#include "diag/report.h"

enum {
    MO_OUT_BUFFER = 1024,
    MO_OUT_ROW = 256, /* what there is room for at the start of a row */
};

struct mo_out {
    struct mo_text text; /* within buf */
    int fd;
    bool bad; /* something could not be written */
    char buf[MO_OUT_BUFFER];
};
void mo_out_start(struct mo_out *o, int fd);
void mo_out_flush(struct mo_out *o);

/* What the figures are called, each with a 0 behind it: those of struct moat_stats from `allocated` on, each name with
 * its help behind it, and those of struct moat_class_stats. */
extern const char mo_stats_names[], mo_stats_class_names[];

/* The figures in a form of enum moat_stats_form; the heap profile. False: not all could be written. */
bool mo_stats_write(int fd, unsigned form) MO_CHECKED;
bool mo_profile_write(int fd) MO_CHECKED;

#endif
