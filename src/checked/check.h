/* The look that every checked function takes before it does anything (P17).
 *
 * An address in a slab: granule, class, slot by the inverse of the stride, state word, header; what lies in none goes
 * by two comparisons, unless it is where large or sampled chunks are. No lock, no MAC: see front/bounds.h, which looks
 * again at what does not fit here, and reports.
 */
#ifndef MO_CHECKED_CHECK_H
#define MO_CHECKED_CHECK_H

#include "checked/index.h"
#include "checked/real.h"
#include "front/chunk.h"
#include "front/tagged.h"

/* For definitions: seen outside the library, under libc's name. */
#define MO_CHECKED_FN __attribute__((visibility("default")))

enum mo_side { MO_DST, MO_SRC };

MO_RACY ptrdiff_t mo_load16(uintptr_t p)
{
    uint16_t v;
    __builtin_memcpy(&v, (const void *)p, sizeof v);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    v = __builtin_bswap16(v);
#endif
    return v;
}

/* n bytes at a, which is in the heap, are inside of one plain chunk in a slab. Only the header is looked at: a free
 * slot's has no class. Its page is accessible, or the copy would fault as well. What a copy stores waits for this, so
 * the way from a to the last comparison is kept short: one value a load, and what can be is computed beside it. */
MO_INLINE bool mo_fits_slot(uintptr_t a, size_t n)
{
    const struct mo_fits *f = &mo_checked.fits;
    size_t class = mo_checked.granules[(a - mo_checked.heap_base) >> MO_GRANULE_SHIFT].class;
    /* From the first payload on, so that a header counts as the slot before it: past that one's end. What is before the
     * first payload comes out at the end of the slab's addresses, behind all slots: a guard is there. */
    uint32_t place = (uint32_t)(a - MO_FIT_FIRST) & f->mask[class];
    uint32_t i = (uint32_t)(place * f->inverse[class] >> MO_INVERSE_SHIFT);
    /* 0 bytes may be asked for where nothing can be read; and what is left is compared as a signed number. */
    if (mo_unlikely(i >= f->slots[class]) || mo_unlikely((ptrdiff_t)n <= 0))
        return sizeof a == 4 && class == 0 && !mo_index_may_hold(a);
    ptrdiff_t back = (ptrdiff_t)i * f->stride[class] - (ptrdiff_t)place; /* to the payload */
    uintptr_t header = a + (uintptr_t)back - MO_HEADER;
    return mo_likely(mo_load16(header + 2) <= back + f->capacity[class] - (ptrdiff_t)n) &&
           mo_likely(((mo_load8(header + 1) - class) & 63) == 0);
}

/* The same, or a is most likely not moat's. With memory tags a header can be read only in front/bounds.c. */
MO_INLINE bool mo_fits(uintptr_t a, size_t n, enum mo_side side)
{
    if (mo_tagged())
        return false;
    return a - mo_checked.heap_base < mo_checked.heap_size[side] ? mo_fits_slot(a, n) : !mo_index_may_hold(a);
}

/* The whole look, for what did not fit above: returns, or reports. */
MO_COLD void mo_look(const char *function, uintptr_t a, size_t n, uintptr_t other, enum mo_side side);

/* Option check=both: out of line, so that it costs the others little. */
void mo_read_checked(const char *function, const void *s, size_t n, const void *d);

/* n bytes will be written to d, or read at s. */
MO_INLINE void mo_write(const char *function, const void *d, size_t n, const void *s)
{
    if (mo_unlikely(!mo_fits((uintptr_t)d, n, MO_DST)))
        mo_look(function, (uintptr_t)d, n, (uintptr_t)s, MO_DST);
}

MO_INLINE void mo_read(const char *function, const void *s, size_t n, const void *d)
{
    if (mo_unlikely(mo_checked.both))
        mo_read_checked(function, s, n, d);
}

/* For functions that write up to n bytes at d: how many of them there is room for. Reports when no live chunk is
 * there. */
MO_COLD size_t mo_room_slow(const char *function, uintptr_t d, size_t n, uintptr_t other);

MO_INLINE size_t mo_room(const char *function, const void *d, size_t n, const void *other)
{
    return mo_likely(mo_fits((uintptr_t)d, n, MO_DST)) ? n : mo_room_slow(function, (uintptr_t)d, n, (uintptr_t)other);
}

/* Bytes of the string at s with its end, which must be in its chunk where sources are checked. */
MO_INLINE size_t mo_string(const char *function, const char *s, const void *d)
{
    size_t n = __builtin_strlen(s) + 1;
    mo_read(function, s, n, d);
    return n;
}

#endif
