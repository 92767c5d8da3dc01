/* libc's own functions, which the checked ones of the same names end in, and what the checks need to know.
 *
 * Functions are found by dlsym, once, before the program's own code runs, and kept on a page that is then made
 * read-only and sealed: pointers to code are what an attacker's write looks for. Until they are found (code of other
 * libraries that runs while the loader still relocates this one: resolvers of IFUNCs) memory is copied by plain loops,
 * and nothing outside is called.
 *
 * In a static program (MO_STATIC, libmoat-checked.a) there is nothing to be found: the linker's option --wrap gives the
 * name to the checked function, and libc's own its name with __real_ before it. libc calls some before there are
 * threads' variables; all passes until the constructor.
 */
#ifndef MO_REAL_H
#define MO_REAL_H

#include <stdarg.h>
#include <stdio.h>
#include <wchar.h>

#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "mem/heap.h"

#undef fread_unlocked /* a macro of glibc's */

#ifndef __GLIBC__
#define off64_t off_t
#endif

/* The classes as the look sees them. Slots 0: of none that it is for. An array a value, so that each is found by one
 * load that knows the class. */
struct mo_fits {
    uint64_t inverse[MO_CLASSES]; /* of the stride, see mo_slot_index */
    ptrdiff_t stride[MO_CLASSES];
    ptrdiff_t capacity[MO_CLASSES]; /* the stride without a header */
    uint32_t mask[MO_CLASSES];      /* bits of an address that are its place in its slab */
    uint32_t slots[MO_CLASSES];
};
enum { MO_FIT_FIRST = 2 * MO_HEADER }; /* where a slab's first payload is */

/* Zeros before start, which lets everything pass: nobody has a chunk then. */
struct mo_checked {
    struct mo_fits fits;
    uintptr_t heap_base;
    size_t heap_size[2]; /* by enum mo_side; 0 where option check says so */
    /* heap_size[MO_DST] where libc's functions are found and no sources checked: nothing else is left to do then. */
    size_t alone_size;
    const struct mo_granule *granules;
    bool alone;
    bool both;
#ifndef MO_STATIC
#define REAL(result, name, parameters) result(*name) parameters;
#include "checked/real.def"
#undef REAL
#endif
};

union mo_checked_page {
    struct mo_checked data;
    char bytes[MO_SEALED_PAGE];
};
_Static_assert(sizeof(union mo_checked_page) == MO_SEALED_PAGE, "one page");
extern union mo_checked_page mo_checked_page MO_HIDDEN;
#define mo_checked (mo_checked_page.data)

#ifndef MO_STATIC
#define MO_REAL(name)          mo_checked.name
#define MO_REAL_IS_FOUND(name) mo_likely(mo_checked.name != NULL)
#else
#define REAL(result, name, parameters) extern result __real_##name parameters;
#include "checked/real.def"
#undef REAL
#define MO_REAL(name)          __real_##name
#define MO_REAL_IS_FOUND(name) true
#endif

/* Can libc's be found now? And does so: in find.c, or in linked.c of libmoat-checked.a. */
bool mo_real_ready(void);
void mo_real_find(void);

/* Finds them, if it is time. For those that can't do without: returns when all are found, be it by another thread. */
MO_COLD void mo_real_need(void);
MO_COLD void mo_real_wait(void);

/* memmove and memset as long as libc's are not found, and whatever moat's own code calls. */
void *mo_real_move(void *d, const void *s, size_t n);
void *mo_real_set(void *d, int c, size_t n);

MO_COLD MO_NORETURN void mo_real_fortify_failed(void); /* libc's end for a __*_chk function */

/* The compiler's own bound, which comes first: libc's end for it is what the program expects. */
MO_INLINE void mo_fortify(size_t n, size_t room)
{
    if (mo_unlikely(n > room))
        mo_real_fortify_failed();
}

#endif
