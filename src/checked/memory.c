/* memcpy and its kin. */
#include <string.h>
#include <strings.h>

#include "checked/check.h"

/* As libc's headers declare them. */
MO_CHECKED_FN void *memcpy(void *d, const void *s, size_t n);
MO_CHECKED_FN void *memmove(void *d, const void *s, size_t n);
MO_CHECKED_FN void *memset(void *d, int c, size_t n);
MO_CHECKED_FN void *mempcpy(void *d, const void *s, size_t n);
MO_CHECKED_FN void *memccpy(void *d, const void *s, int c, size_t n);
MO_CHECKED_FN void bcopy(const void *s, void *d, size_t n);
MO_CHECKED_FN void bzero(void *d, size_t n);
MO_CHECKED_FN void explicit_bzero(void *d, size_t n);
MO_CHECKED_FN void *__memcpy_chk(void *d, const void *s, size_t n, size_t room);
MO_CHECKED_FN void *__memmove_chk(void *d, const void *s, size_t n, size_t room);
MO_CHECKED_FN void *__memset_chk(void *d, int c, size_t n, size_t room);
MO_CHECKED_FN void *__mempcpy(void *d, const void *s, size_t n);
MO_CHECKED_FN void *__mempcpy_chk(void *d, const void *s, size_t n, size_t room);
MO_CHECKED_FN void __explicit_bzero_chk(void *d, size_t n, size_t room);

/* What the short look finds good, with nothing else to do, ends in a jump; so does what one that knows of large chunks
 * does. The rest is out of line, so that no registers are saved. */
MO_INLINE bool is_good(const void *d, size_t n)
{
    if (mo_likely((uintptr_t)d - mo_checked.heap_base < mo_checked.alone_size))
        return mo_fits_slot((uintptr_t)d, n);
    return !mo_index_reaches(&mo_index_reach[MO_REACH_ALONE], (uintptr_t)d);
}

MO_INLINE bool is_good_far(const void *d, size_t n)
{
    return mo_likely(mo_checked.alone && mo_index_fits((uintptr_t)d, n, MO_DST));
}

__attribute__((noinline)) static void look(const void *d, size_t n, const void *s, const char *function)
{
    mo_write(function, d, n, s);
    if (s != NULL)
        mo_read(function, s, n, d);
    mo_real_need();
}

__attribute__((noinline)) static void *copy_slow(void *d, const void *s, size_t n, const char *function)
{
    look(d, n, s, function);
    return MO_REAL_IS_FOUND(memcpy) ? MO_REAL(memcpy)(d, s, n) : mo_real_move(d, s, n);
}

__attribute__((noinline)) static void *copy_far(void *d, const void *s, size_t n, const char *function)
{
    if (n == 0) /* which programs do often */
        return d;
    return is_good_far(d, n) ? MO_REAL(memcpy)(d, s, n) : copy_slow(d, s, n, function);
}

MO_INLINE void *copy(const char *function, void *d, const void *s, size_t n)
{
    return is_good(d, n) ? MO_REAL(memcpy)(d, s, n) : copy_far(d, s, n, function);
}

__attribute__((noinline)) static void *move_slow(void *d, const void *s, size_t n, const char *function)
{
    look(d, n, s, function);
    return mo_real_move(d, s, n);
}

__attribute__((noinline)) static void *move_far(void *d, const void *s, size_t n, const char *function)
{
    if (n == 0)
        return d;
    return is_good_far(d, n) ? MO_REAL(memmove)(d, s, n) : move_slow(d, s, n, function);
}

MO_INLINE void *move(const char *function, void *d, const void *s, size_t n)
{
    return is_good(d, n) ? MO_REAL(memmove)(d, s, n) : move_far(d, s, n, function);
}

__attribute__((noinline)) static void *set_slow(void *d, int c, size_t n, const char *function)
{
    look(d, n, NULL, function);
    return mo_real_set(d, c, n);
}

__attribute__((noinline)) static void *set_far(void *d, int c, size_t n, const char *function)
{
    if (n == 0)
        return d;
    return is_good_far(d, n) ? MO_REAL(memset)(d, c, n) : set_slow(d, c, n, function);
}

MO_INLINE void *set(const char *function, void *d, int c, size_t n)
{
    return is_good(d, n) ? MO_REAL(memset)(d, c, n) : set_far(d, c, n, function);
}

void *memcpy(void *d, const void *s, size_t n)
{
    return copy("memcpy", d, s, n);
}

void *memmove(void *d, const void *s, size_t n)
{
    return move("memmove", d, s, n);
}

void *memset(void *d, int c, size_t n)
{
    return set("memset", d, c, n);
}

void *mempcpy(void *d, const void *s, size_t n)
{
    return (char *)copy("mempcpy", d, s, n) + n;
}

void *__mempcpy(void *d, const void *s, size_t n)
{
    return (char *)copy("mempcpy", d, s, n) + n;
}

/* n may be far more than either side has, if c comes before. */
void *memccpy(void *d, const void *s, int c, size_t n)
{
    const char *found = memchr(s, c, n);
    size_t copied = found != NULL ? (size_t)(found - (const char *)s) + 1 : n;
    char *end = (char *)copy("memccpy", d, s, copied) + copied;
    return found != NULL ? end : NULL;
}

void bcopy(const void *s, void *d, size_t n)
{
    (void)move("bcopy", d, s, n);
}

void bzero(void *d, size_t n)
{
    (void)set("bzero", d, 0, n);
}

void explicit_bzero(void *d, size_t n)
{
    (void)set("explicit_bzero", d, 0, n);
    __asm__ volatile("" ::"r"(d) : "memory"); /* not left out, though nobody reads it */
}

void *__memcpy_chk(void *d, const void *s, size_t n, size_t room)
{
    mo_fortify(n, room);
    return copy("memcpy", d, s, n);
}

void *__memmove_chk(void *d, const void *s, size_t n, size_t room)
{
    mo_fortify(n, room);
    return move("memmove", d, s, n);
}

void *__memset_chk(void *d, int c, size_t n, size_t room)
{
    mo_fortify(n, room);
    return set("memset", d, c, n);
}

void *__mempcpy_chk(void *d, const void *s, size_t n, size_t room)
{
    mo_fortify(n, room);
    return (char *)copy("mempcpy", d, s, n) + n;
}

void __explicit_bzero_chk(void *d, size_t n, size_t room)
{
    mo_fortify(n, room);
    (void)set("explicit_bzero", d, 0, n);
    __asm__ volatile("" ::"r"(d) : "memory");
}
