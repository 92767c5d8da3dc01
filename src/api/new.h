/* The slow half of operator new: what the C++ standard asks for when memory has run out.
 *
 * libmoat.so serves C programs too and must not load a C++ runtime for them, so everything of that runtime
 * is a weak reference, or is looked up at the moment of need in a runtime that was loaded later.
 */
#ifndef MO_NEW_H
#define MO_NEW_H

#include <stddef.h>

#include "front/front.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Calls the new handler and tries again until there is memory; without a handler throws std::bad_alloc.
 * What the handler throws passes through. Never returns NULL. align is 0 for the ordinary forms. */
void *mo_new_slow(size_t n, size_t align, enum mo_origin origin);

/* The same for the nothrow forms: NULL in place of any exception. */
void *mo_new_nothrow_slow(size_t n, size_t align, enum mo_origin origin);

/* What the nothrow forms are where the program has replaced the one that they are defined by: `by`, and NULL in place
 * of any exception. */
void *mo_new_nothrow_by(void *(*by)(size_t), size_t n);
void *mo_new_nothrow_aligned_by(void *(*by)(size_t, size_t), size_t n, size_t align);

#ifdef __cplusplus
}
#endif

#endif
