/* Size classes: which stride serves a request, and how slabs of it are laid out.
 *
 * Strides up to 128 bytes are the multiples of 16 from 32; above, four a doubling plus 16 bytes, so that a
 * power of two fits with its header and its fence: 144 (for 136), 176, 208, 240, 272 (for 264), ... With MO_SMALL
 * every other one of them: each class in use takes a page or more.
 */
#ifndef MO_CLASSES_H
#define MO_CLASSES_H

#include "diag/sealed.h"

enum { MO_CLASS_JOIN = MO_SMALL };

/* Fills the class table from the options and page size in mo_sealed. */
void mo_classes_start(void);

/* The class of a request of more than MO_TABLE_MAX and at most MO_SMALL_MAX bytes. */
MO_INLINE unsigned mo_class_of_medium(size_t n)
{
    size_t y = n - 9; /* the nominal size is 8 less than the largest request */
    unsigned e = mo_log2(y);
    return 8 + 4 * (e - 7) + (((unsigned)(y >> (e - 2)) & 3) | MO_CLASS_JOIN) + 1;
}

/* The class of a request of at most MO_SMALL_MAX bytes; 0 for 0. */
MO_INLINE unsigned mo_class_of(size_t n)
{
    return n <= MO_TABLE_MAX ? mo_sealed.class_of[(n + 7) / 8] : mo_class_of_medium(n);
}

/* Has the class requests at all? */
MO_INLINE bool mo_class_is_used(unsigned class)
{
    return !MO_SMALL || class == MO_CLASS_ZERO || (class & 1) == (class < 8);
}

/* Largest request of a class. */
MO_INLINE size_t mo_class_capacity(const struct mo_class *k)
{
    return k->stride - MO_HEADER;
}

#endif
