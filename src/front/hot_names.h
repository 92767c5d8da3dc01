/* The forms of the hot path, and the one that this process uses. */
#ifndef MO_HOT_NAMES_H
#define MO_HOT_NAMES_H

#include "diag/sealed.h"
#include "front/front.h"

#if defined(__AES__) || defined(__ARM_FEATURE_AES) || defined(__ARM_FEATURE_CRYPTO)
#define MO_HAVE_AES 1
#endif

/* Free of strides above this clears by libc's memset, whose stores are wider; the call would cost the smaller ones
 * registers. */
enum { MO_CLEAR_INLINE = 144 };

void mo_hot_start(void);   /* writes the constants in mo_sealed that hot_aes.c works with; the fence is there */
bool mo_hot_has_aes(void); /* was hot_aes.c compiled for AES instructions? */

/* i386 passes arguments on the stack by default, which costs more where it must be aligned (see cmake/flags.cmake). */
#ifdef __i386__
#define MO_BY_REGISTERS __attribute__((regparm(3)))
#else
#define MO_BY_REGISTERS
#endif

#define MO_HOT_FORM(form)                                                                                  \
    MO_BY_REGISTERS void *mo_allocate_##form(size_t n, enum mo_origin origin);                             \
    MO_BY_REGISTERS void *mo_malloc_##form(size_t n);                                                      \
    MO_BY_REGISTERS void mo_free_##form(void *p);                                                          \
    MO_BY_REGISTERS void mo_release_##form(void *p, enum mo_origin origin);                                \
    MO_BY_REGISTERS void mo_release_sized_##form(void *p, size_t n, enum mo_origin origin);                \
    MO_BY_REGISTERS void *mo_resize_##form(void *p, size_t n);                                             \
    MO_BY_REGISTERS size_t mo_usable_size_##form(const void *p);                                           \
    /* Writes header and tail of the chunk at p of n bytes whose slot or mapping ends at `end`. */         \
    void mo_chunk_seal_##form(uintptr_t p, size_t n, uintptr_t end, unsigned class, enum mo_origin origin, \
                              unsigned state);                                                             \
    /* Header, tail and fence of the chunk at p are as they were written. */                               \
    bool mo_chunk_good_##form(uintptr_t p, uintptr_t end, unsigned state);
MO_HOT_FORM(aes)
MO_HOT_FORM(siphash)

/* With AES and memory tags; the program's pointers have them. hot_tagged.c alone knows that form's other functions. */
void *mo_allocate_tagged(size_t n, enum mo_origin origin);
void mo_release_tagged(uintptr_t given, bool told, size_t n, enum mo_origin origin);

MO_INLINE void mo_chunk_seal(uintptr_t p, size_t n, uintptr_t end, unsigned class, enum mo_origin origin,
                             unsigned state)
{
    if (mo_sealed.aes)
        mo_chunk_seal_aes(p, n, end, class, origin, state);
    else
        mo_chunk_seal_siphash(p, n, end, class, origin, state);
}

MO_INLINE bool mo_chunk_good(uintptr_t p, uintptr_t end, unsigned state)
{
    return mo_sealed.aes ? mo_chunk_good_aes(p, end, state) : mo_chunk_good_siphash(p, end, state);
}

/* The form with AES instructions leaves to SipHash's, where the process uses that, by a gate that it has anyway: no
 * test, and no pointer that could be overwritten. Before start it does so too, and SipHash's slow half starts up. */
MO_INLINE void *mo_hot_allocate(size_t n, enum mo_origin origin)
{
    return mo_allocate_aes(n, origin);
}

MO_INLINE void *mo_hot_malloc(size_t n)
{
    return mo_malloc_aes(n);
}

MO_INLINE void mo_hot_free(void *p)
{
    mo_free_aes(p);
}

MO_INLINE void mo_hot_release(void *p, enum mo_origin origin)
{
    mo_release_aes(p, origin);
}

/* n is not 0. */
MO_INLINE void *mo_hot_resize(void *p, size_t n)
{
    return mo_resize_aes(p, n);
}

MO_INLINE size_t mo_hot_usable_size(const void *p)
{
    return mo_usable_size_aes(p);
}

/* n: what the program says that it asked for, plainly aligned. */
MO_INLINE void mo_hot_release_sized(void *p, size_t n, enum mo_origin origin)
{
    mo_release_sized_aes(p, n, origin);
}

#endif
