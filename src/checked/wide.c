/* wcscpy, wmemcpy and their kin: as in memory.c and string.c, in wide characters. Lengths in reports are bytes. */
#include <wchar.h>

#include "checked/check.h"

enum { WIDE = sizeof(wchar_t) };

MO_CHECKED_FN wchar_t *wmemcpy(wchar_t *d, const wchar_t *s, size_t n);
MO_CHECKED_FN wchar_t *__wmemcpy_chk(wchar_t *d, const wchar_t *s, size_t n, size_t room);
MO_CHECKED_FN wchar_t *wmemmove(wchar_t *d, const wchar_t *s, size_t n);
MO_CHECKED_FN wchar_t *__wmemmove_chk(wchar_t *d, const wchar_t *s, size_t n, size_t room);
MO_CHECKED_FN wchar_t *wmempcpy(wchar_t *d, const wchar_t *s, size_t n);
MO_CHECKED_FN wchar_t *__wmempcpy_chk(wchar_t *d, const wchar_t *s, size_t n, size_t room);
MO_CHECKED_FN wchar_t *wmemset(wchar_t *d, wchar_t c, size_t n);
MO_CHECKED_FN wchar_t *__wmemset_chk(wchar_t *d, wchar_t c, size_t n, size_t room);
MO_CHECKED_FN wchar_t *wcscpy(wchar_t *d, const wchar_t *s);
MO_CHECKED_FN wchar_t *__wcscpy_chk(wchar_t *d, const wchar_t *s, size_t room);
MO_CHECKED_FN wchar_t *wcpcpy(wchar_t *d, const wchar_t *s);
MO_CHECKED_FN wchar_t *__wcpcpy_chk(wchar_t *d, const wchar_t *s, size_t room);
MO_CHECKED_FN wchar_t *wcscat(wchar_t *d, const wchar_t *s);
MO_CHECKED_FN wchar_t *__wcscat_chk(wchar_t *d, const wchar_t *s, size_t room);
MO_CHECKED_FN wchar_t *wcsncpy(wchar_t *d, const wchar_t *s, size_t n);
MO_CHECKED_FN wchar_t *__wcsncpy_chk(wchar_t *d, const wchar_t *s, size_t n, size_t room);
MO_CHECKED_FN wchar_t *wcpncpy(wchar_t *d, const wchar_t *s, size_t n);
MO_CHECKED_FN wchar_t *__wcpncpy_chk(wchar_t *d, const wchar_t *s, size_t n, size_t room);
MO_CHECKED_FN wchar_t *wcsncat(wchar_t *d, const wchar_t *s, size_t n);
MO_CHECKED_FN wchar_t *__wcsncat_chk(wchar_t *d, const wchar_t *s, size_t n, size_t room);
MO_CHECKED_FN size_t wcslcpy(wchar_t *d, const wchar_t *s, size_t n);
MO_CHECKED_FN size_t __wcslcpy_chk(wchar_t *d, const wchar_t *s, size_t n, size_t room);
MO_CHECKED_FN size_t wcslcat(wchar_t *d, const wchar_t *s, size_t n);
MO_CHECKED_FN size_t __wcslcat_chk(wchar_t *d, const wchar_t *s, size_t n, size_t room);

/* n wide characters in bytes; more than there can be stays too many. */
MO_INLINE size_t bytes(size_t n)
{
    return n > SIZE_MAX / WIDE ? SIZE_MAX : n * WIDE;
}

__attribute__((noinline)) static wchar_t *move(const char *function, wchar_t *d, const wchar_t *s, size_t n)
{
    mo_write(function, d, bytes(n), s);
    mo_read(function, s, bytes(n), d);
    (void)mo_real_move(d, s, bytes(n));
    return d;
}

static void fill(wchar_t *d, wchar_t c, size_t n)
{
    if (!MO_REAL_IS_FOUND(wmemset))
        mo_real_need();
    (void)MO_REAL(wmemset)(d, c, n);
}

static wchar_t *set(wchar_t *d, wchar_t c, size_t n)
{
    mo_write("wmemset", d, bytes(n), NULL);
    fill(d, c, n);
    return d;
}

__attribute__((noinline)) static size_t copy(const char *function, wchar_t *d, const wchar_t *s, size_t room)
{
    size_t n = wcslen(s) + 1;
    mo_fortify(n, room);
    (void)move(function, d, s, n);
    return n - 1;
}

__attribute__((noinline)) static size_t copy_padded(const char *function, wchar_t *d, const wchar_t *s, size_t n,
                                                    size_t room)
{
    size_t length = wcsnlen(s, n), taken = length < n ? length + 1 : n;
    mo_fortify(n, room);
    mo_write(function, d, bytes(n), s);
    mo_read(function, s, bytes(taken), d);
    (void)mo_real_move(d, s, bytes(length));
    (void)mo_real_set(d + length, 0, bytes(n - length));
    return length;
}

__attribute__((noinline)) static wchar_t *append(const char *function, wchar_t *d, const wchar_t *s, size_t n,
                                                 size_t room)
{
    size_t had = wcslen(d), length = wcsnlen(s, n);
    mo_fortify(had + length + 1, room);
    mo_write(function, d, bytes(had + length + 1), s);
    mo_read(function, s, bytes(length < n ? length + 1 : n), d);
    (void)mo_real_move(d + had, s, bytes(length));
    d[had + length] = L'\0';
    return d;
}

__attribute__((noinline)) static size_t copy_cut(const char *function, wchar_t *d, size_t had, const wchar_t *s,
                                                 size_t n)
{
    size_t length = wcslen(s), kept = n > had ? mo_min(length, n - had - 1) : 0;
    mo_read(function, s, bytes(length + 1), d);
    if (n <= had)
        return n + length;
    mo_write(function, d, bytes(had + kept + 1), s);
    (void)mo_real_move(d + had, s, bytes(kept));
    d[had + kept] = L'\0';
    return had + length;
}

wchar_t *wmemcpy(wchar_t *d, const wchar_t *s, size_t n)
{
    return move("wmemcpy", d, s, n);
}

wchar_t *__wmemcpy_chk(wchar_t *d, const wchar_t *s, size_t n, size_t room)
{
    mo_fortify(n, room);
    return move("wmemcpy", d, s, n);
}

wchar_t *wmemmove(wchar_t *d, const wchar_t *s, size_t n)
{
    return move("wmemmove", d, s, n);
}

wchar_t *__wmemmove_chk(wchar_t *d, const wchar_t *s, size_t n, size_t room)
{
    mo_fortify(n, room);
    return move("wmemmove", d, s, n);
}

wchar_t *wmempcpy(wchar_t *d, const wchar_t *s, size_t n)
{
    return move("wmempcpy", d, s, n) + n;
}

wchar_t *__wmempcpy_chk(wchar_t *d, const wchar_t *s, size_t n, size_t room)
{
    mo_fortify(n, room);
    return move("wmempcpy", d, s, n) + n;
}

wchar_t *wmemset(wchar_t *d, wchar_t c, size_t n)
{
    return set(d, c, n);
}

wchar_t *__wmemset_chk(wchar_t *d, wchar_t c, size_t n, size_t room)
{
    mo_fortify(n, room);
    return set(d, c, n);
}

wchar_t *wcscpy(wchar_t *d, const wchar_t *s)
{
    (void)copy("wcscpy", d, s, SIZE_MAX);
    return d;
}

wchar_t *__wcscpy_chk(wchar_t *d, const wchar_t *s, size_t room)
{
    (void)copy("wcscpy", d, s, room);
    return d;
}

wchar_t *wcpcpy(wchar_t *d, const wchar_t *s)
{
    return d + copy("wcpcpy", d, s, SIZE_MAX);
}

wchar_t *__wcpcpy_chk(wchar_t *d, const wchar_t *s, size_t room)
{
    return d + copy("wcpcpy", d, s, room);
}

wchar_t *wcscat(wchar_t *d, const wchar_t *s)
{
    return append("wcscat", d, s, SIZE_MAX, SIZE_MAX);
}

wchar_t *__wcscat_chk(wchar_t *d, const wchar_t *s, size_t room)
{
    return append("wcscat", d, s, SIZE_MAX, room);
}

wchar_t *wcsncpy(wchar_t *d, const wchar_t *s, size_t n)
{
    (void)copy_padded("wcsncpy", d, s, n, SIZE_MAX);
    return d;
}

wchar_t *__wcsncpy_chk(wchar_t *d, const wchar_t *s, size_t n, size_t room)
{
    (void)copy_padded("wcsncpy", d, s, n, room);
    return d;
}

wchar_t *wcpncpy(wchar_t *d, const wchar_t *s, size_t n)
{
    return d + copy_padded("wcpncpy", d, s, n, SIZE_MAX);
}

wchar_t *__wcpncpy_chk(wchar_t *d, const wchar_t *s, size_t n, size_t room)
{
    return d + copy_padded("wcpncpy", d, s, n, room);
}

wchar_t *wcsncat(wchar_t *d, const wchar_t *s, size_t n)
{
    return append("wcsncat", d, s, n, SIZE_MAX);
}

wchar_t *__wcsncat_chk(wchar_t *d, const wchar_t *s, size_t n, size_t room)
{
    return append("wcsncat", d, s, n, room);
}

size_t wcslcpy(wchar_t *d, const wchar_t *s, size_t n)
{
    return copy_cut("wcslcpy", d, 0, s, n);
}

size_t __wcslcpy_chk(wchar_t *d, const wchar_t *s, size_t n, size_t room)
{
    mo_fortify(n, room);
    return copy_cut("wcslcpy", d, 0, s, n);
}

size_t wcslcat(wchar_t *d, const wchar_t *s, size_t n)
{
    return copy_cut("wcslcat", d, wcsnlen(d, n), s, n);
}

size_t __wcslcat_chk(wchar_t *d, const wchar_t *s, size_t n, size_t room)
{
    mo_fortify(n, room);
    return copy_cut("wcslcat", d, wcsnlen(d, n), s, n);
}
