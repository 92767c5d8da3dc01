/* Which sizes of large chunks are written all over, by what was in those freed before.
 *
 * The pages of such a size are made present at once, as huge pages where there is room for one: a page fault for each
 * page is most of what repeated large buffers cost (measured: 16 MiB touched for the first time 68 ms, in huge pages
 * 6). A size of which nothing is known, or of which much was never touched, gets its pages one by one.
 */
#ifndef MO_DENSE_H
#define MO_DENSE_H

#include "base/base.h"

/* The payload of n bytes at p, readable still as far as the program has left it so, is about to be given back. */
void mo_dense_note(uintptr_t p, size_t n);

/* Will n bytes be written all over? */
bool mo_dense_expected(size_t n);

#endif
