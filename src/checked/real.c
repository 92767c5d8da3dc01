#include "checked/real.h"

#include <stdlib.h>

#include "checked/index.h"
#include "front/front.h"
#include "mem/classes.h"

/* Without libc: it may not be there yet. */
static void *plain_move(char *d, const char *s, size_t n)
{
    if ((uintptr_t)d - (uintptr_t)s >= n)
        for (size_t i = 0; i < n; i++)
            d[i] = s[i];
    else
        for (size_t i = n; i > 0; i--)
            d[i - 1] = s[i - 1];
    return d;
}

static void *plain_set(char *d, int c, size_t n)
{
    for (size_t i = 0; i < n; i++)
        d[i] = (char)c;
    return d;
}

union mo_checked_page mo_checked_page __attribute__((aligned(MO_SEALED_PAGE)));

static void fill(void)
{
    size_t what = mo_sealed.options.check;
    for (unsigned class = MO_CLASS_FIRST; class <= MO_CLASS_LAST; class++) {
        const struct mo_class *k = &mo_sealed.classes[class];
        mo_checked.fits.inverse[class] = k->inverse;
        mo_checked.fits.mask[class] = (1u << k->span_shift) - 1;
        mo_checked.fits.stride[class] = (ptrdiff_t)k->stride;
        mo_checked.fits.capacity[class] = (ptrdiff_t)mo_class_capacity(k);
        mo_checked.fits.slots[class] = k->slots;
    }
    mo_checked.both = what == MO_CHECK_BOTH;
    mo_checked.granules = mo_sealed.granules;
    mo_checked.heap_base = mo_sealed.heap_base;
    __atomic_store_n(&mo_checked.heap_size[0], what != MO_CHECK_NOTHING ? mo_sealed.heap_size : 0, __ATOMIC_RELEASE);
    __atomic_store_n(&mo_checked.heap_size[1], what == MO_CHECK_BOTH ? mo_sealed.heap_size : 0, __ATOMIC_RELEASE);
    if (what == MO_CHECK_BOTH)
        return;
    __atomic_store_n(&mo_checked.alone_size, mo_checked.heap_size[0], __ATOMIC_RELEASE);
    __atomic_store_n(&mo_checked.alone, true, __ATOMIC_RELEASE);
    mo_index_alone();
}

static void seal(void)
{
    if (mo_os_read_only(&mo_checked_page, sizeof mo_checked_page))
        mo_os_seal(&mo_checked_page, sizeof mo_checked_page);
}

enum { NOT_FOUND, FINDING, FOUND };
static int progress;

static void begin(void)
{
    int expected = NOT_FOUND;
    if (!mo_real_ready() ||
        !__atomic_compare_exchange_n(&progress, &expected, FINDING, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
        return; /* another thread, or this one, is at it */
    mo_front_start();
    mo_real_find();
    fill();
    seal();
    __atomic_store_n(&progress, FOUND, __ATOMIC_RELEASE);
}

void mo_real_need(void)
{
    if (__atomic_load_n(&progress, __ATOMIC_RELAXED) == NOT_FOUND)
        begin();
}

void mo_real_wait(void)
{
    begin();
    while (__atomic_load_n(&progress, __ATOMIC_ACQUIRE) == FINDING)
        mo_os_rest(64);
}

__attribute__((constructor(101))) static void start(void)
{
    mo_front_start();
    begin();
}

void *mo_real_move(void *d, const void *s, size_t n)
{
    return MO_REAL_IS_FOUND(memmove) ? MO_REAL(memmove)(d, s, n) : plain_move(d, s, n);
}

void *mo_real_set(void *d, int c, size_t n)
{
    return MO_REAL_IS_FOUND(memset) ? MO_REAL(memset)(d, c, n) : plain_set(d, c, n);
}

/* What moat's own objects call in place of libc's names, which are the checked functions here: it writes to freed
 * chunks by profession. */
void *mo_plain_memcpy(void *d, const void *s, size_t n);
void *mo_plain_memcpy(void *d, const void *s, size_t n)
{
    return mo_real_move(d, s, n);
}

void *mo_plain_memmove(void *d, const void *s, size_t n);
void *mo_plain_memmove(void *d, const void *s, size_t n)
{
    return mo_real_move(d, s, n);
}

void *mo_plain_memset(void *d, int c, size_t n);
void *mo_plain_memset(void *d, int c, size_t n)
{
    return mo_real_set(d, c, n);
}

void mo_plain_explicit_bzero(void *d, size_t n);
void mo_plain_explicit_bzero(void *d, size_t n)
{
    (void)mo_real_set(d, 0, n);
    __asm__ volatile("" ::"r"(d) : "memory"); /* not left out, though nobody reads it */
}

void mo_real_fortify_failed(void)
{
#ifdef __GLIBC__
    mo_real_wait();
    MO_REAL(__chk_fail)();
#endif
    abort();
}
