/* strcpy and its kin: the length is found first, then exactly so many bytes are copied, by libc's memmove: a string
 * that another thread makes longer meanwhile does not run over either, and overlapping ones end up as meant. */
#include <string.h>

#include "checked/check.h"

MO_CHECKED_FN char *strcpy(char *d, const char *s);
MO_CHECKED_FN char *stpcpy(char *d, const char *s);
MO_CHECKED_FN char *__stpcpy(char *d, const char *s);
MO_CHECKED_FN char *strncpy(char *d, const char *s, size_t n);
MO_CHECKED_FN char *stpncpy(char *d, const char *s, size_t n);
MO_CHECKED_FN char *strcat(char *d, const char *s);
MO_CHECKED_FN char *strncat(char *d, const char *s, size_t n);
MO_CHECKED_FN size_t strlcpy(char *d, const char *s, size_t n);
MO_CHECKED_FN size_t strlcat(char *d, const char *s, size_t n);
MO_CHECKED_FN char *__strcpy_chk(char *d, const char *s, size_t room);
MO_CHECKED_FN char *__stpcpy_chk(char *d, const char *s, size_t room);
MO_CHECKED_FN char *__strncpy_chk(char *d, const char *s, size_t n, size_t room);
MO_CHECKED_FN char *__stpncpy_chk(char *d, const char *s, size_t n, size_t room);
MO_CHECKED_FN char *__strcat_chk(char *d, const char *s, size_t room);
MO_CHECKED_FN char *__strncat_chk(char *d, const char *s, size_t n, size_t room);
MO_CHECKED_FN size_t __strlcpy_chk(char *d, const char *s, size_t n, size_t room);
MO_CHECKED_FN size_t __strlcat_chk(char *d, const char *s, size_t n, size_t room);

/* Copies the string; returns its length. room: the compiler's bound. */
__attribute__((noinline)) static size_t copy(const char *function, char *d, const char *s, size_t room)
{
    size_t n = strlen(s) + 1;
    mo_fortify(n, room);
    mo_write(function, d, n, s);
    mo_read(function, s, n, d);
    (void)mo_real_move(d, s, n);
    return n - 1;
}

/* n bytes: the string and then zeros. Returns the string's length, n at most. */
__attribute__((noinline)) static size_t copy_padded(const char *function, char *d, const char *s, size_t n, size_t room)
{
    size_t length = strnlen(s, n), taken = length < n ? length + 1 : n;
    mo_fortify(n, room);
    mo_write(function, d, n, s);
    mo_read(function, s, taken, d);
    (void)mo_real_move(d, s, length);
    (void)mo_real_set(d + length, 0, n - length);
    return length;
}

/* Appends at most n bytes of the string, and an end. */
__attribute__((noinline)) static char *append(const char *function, char *d, const char *s, size_t n, size_t room)
{
    size_t had = strlen(d), length = strnlen(s, n);
    if (mo_unlikely(had + length >= room))
        mo_real_fortify_failed();
    mo_write(function, d, had + length + 1, s);
    mo_read(function, s, length < n ? length + 1 : n, d);
    (void)mo_real_move(d + had, s, length);
    d[had + length] = '\0';
    return d;
}

/* Behind the `had` bytes that are there, what fits into n bytes in all, whatever n is: only what is written counts. */
__attribute__((noinline)) static size_t copy_cut(const char *function, char *d, size_t had, const char *s, size_t n)
{
    size_t length = strlen(s), kept = n > had ? mo_min(length, n - had - 1) : 0;
    mo_read(function, s, length + 1, d);
    if (n <= had)
        return n + length;
    mo_write(function, d, had + kept + 1, s);
    (void)mo_real_move(d + had, s, kept);
    d[had + kept] = '\0';
    return had + length;
}

char *strcpy(char *d, const char *s)
{
    (void)copy("strcpy", d, s, SIZE_MAX);
    return d;
}

char *__strcpy_chk(char *d, const char *s, size_t room)
{
    (void)copy("strcpy", d, s, room);
    return d;
}

char *stpcpy(char *d, const char *s)
{
    return d + copy("stpcpy", d, s, SIZE_MAX);
}

char *__stpcpy(char *d, const char *s)
{
    return d + copy("stpcpy", d, s, SIZE_MAX);
}

char *__stpcpy_chk(char *d, const char *s, size_t room)
{
    return d + copy("stpcpy", d, s, room);
}

char *strncpy(char *d, const char *s, size_t n)
{
    (void)copy_padded("strncpy", d, s, n, SIZE_MAX);
    return d;
}

char *__strncpy_chk(char *d, const char *s, size_t n, size_t room)
{
    (void)copy_padded("strncpy", d, s, n, room);
    return d;
}

char *stpncpy(char *d, const char *s, size_t n)
{
    return d + copy_padded("stpncpy", d, s, n, SIZE_MAX);
}

char *__stpncpy_chk(char *d, const char *s, size_t n, size_t room)
{
    return d + copy_padded("stpncpy", d, s, n, room);
}

char *strcat(char *d, const char *s)
{
    return append("strcat", d, s, SIZE_MAX, SIZE_MAX);
}

char *__strcat_chk(char *d, const char *s, size_t room)
{
    return append("strcat", d, s, SIZE_MAX, room);
}

char *strncat(char *d, const char *s, size_t n)
{
    return append("strncat", d, s, n, SIZE_MAX);
}

char *__strncat_chk(char *d, const char *s, size_t n, size_t room)
{
    return append("strncat", d, s, n, room);
}

size_t strlcpy(char *d, const char *s, size_t n)
{
    return copy_cut("strlcpy", d, 0, s, n);
}

size_t __strlcpy_chk(char *d, const char *s, size_t n, size_t room)
{
    mo_fortify(n, room);
    return copy_cut("strlcpy", d, 0, s, n);
}

size_t strlcat(char *d, const char *s, size_t n)
{
    return copy_cut("strlcat", d, strnlen(d, n), s, n);
}

size_t __strlcat_chk(char *d, const char *s, size_t n, size_t room)
{
    mo_fortify(n, room);
    return copy_cut("strlcat", d, strnlen(d, n), s, n);
}
