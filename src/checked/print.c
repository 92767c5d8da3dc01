/* sprintf, snprintf and their kin.
 *
 * snprintf's size may be larger than the buffer, as programs that know better say INT_MAX: only what is written counts.
 * sprintf into a chunk is first printed elsewhere, so that nothing is written if it does not fit; and, as with libc's,
 * a program may print a buffer into itself, which is wrong but done.
 */
#include "checked/check.h"

MO_CHECKED_FN int sprintf(char *d, const char *format, ...);
MO_CHECKED_FN int vsprintf(char *d, const char *format, va_list list);
MO_CHECKED_FN int snprintf(char *d, size_t n, const char *format, ...);
MO_CHECKED_FN int vsnprintf(char *d, size_t n, const char *format, va_list list);
MO_CHECKED_FN int swprintf(wchar_t *d, size_t n, const wchar_t *format, ...);
MO_CHECKED_FN int vswprintf(wchar_t *d, size_t n, const wchar_t *format, va_list list);
MO_CHECKED_FN int __sprintf_chk(char *d, int flag, size_t room, const char *format, ...);
MO_CHECKED_FN int __vsprintf_chk(char *d, int flag, size_t room, const char *format, va_list list);
MO_CHECKED_FN int __snprintf_chk(char *d, size_t n, int flag, size_t room, const char *format, ...);
MO_CHECKED_FN int __vsnprintf_chk(char *d, size_t n, int flag, size_t room, const char *format, va_list list);
MO_CHECKED_FN int __swprintf_chk(wchar_t *d, size_t n, int flag, size_t room, const wchar_t *format, ...);
MO_CHECKED_FN int __vswprintf_chk(wchar_t *d, size_t n, int flag, size_t room, const wchar_t *format, va_list list);

enum { ELSEWHERE = 512, NOT_FORTIFIED = -1 };

/* libc's, with the compiler's bound where there is one. */
static int cut(char *d, size_t n, int flag, size_t bound, const char *format, va_list list)
{
    if (!MO_REAL_IS_FOUND(vsnprintf))
        mo_real_wait();
#ifdef __GLIBC__
    if (flag != NOT_FORTIFIED)
        return MO_REAL(__vsnprintf_chk)(d, n, flag, bound, format, list);
#endif
    (void)flag;
    (void)bound;
    return MO_REAL(vsnprintf)(d, n, format, list);
}

static int unbounded(char *d, int flag, size_t bound, const char *format, va_list list)
{
    if (!MO_REAL_IS_FOUND(vsprintf))
        mo_real_wait();
#ifdef __GLIBC__
    if (flag != NOT_FORTIFIED)
        return MO_REAL(__vsprintf_chk)(d, flag, bound, format, list);
#endif
    (void)flag;
    (void)bound;
    return MO_REAL(vsprintf)(d, format, list);
}

static int print(const char *function, char *d, int flag, size_t bound, const char *format, va_list list)
{
    char elsewhere[ELSEWHERE];
    size_t room = mo_room(function, d, SIZE_MAX, format);
    if (room == SIZE_MAX)
        return unbounded(d, flag, bound, format, list);
    va_list again;
    va_copy(again, list);
    int n = cut(elsewhere, sizeof elsewhere, flag, sizeof elsewhere, format, again);
    va_end(again);
    if (n < 0)
        return n;
    if ((size_t)n >= bound)
        mo_real_fortify_failed();
    if ((size_t)n >= room)
        mo_look(function, (uintptr_t)d, (size_t)n + 1, (uintptr_t)format, MO_DST);
    if ((size_t)n >= sizeof elsewhere)
        return unbounded(d, flag, bound, format, list);
    (void)mo_real_move(d, elsewhere, (size_t)n + 1);
    return n;
}

static int print_cut(const char *function, char *d, size_t n, int flag, size_t bound, const char *format, va_list list)
{
    mo_fortify(n, bound);
    size_t room = mo_room(function, d, n, format);
    int length = cut(d, room, flag, bound, format, list);
    if (mo_unlikely(room < n) && length >= 0 && (size_t)length >= room)
        mo_look(function, (uintptr_t)d, mo_min((size_t)length + 1, n), (uintptr_t)format, MO_DST);
    return length;
}

static int wide(wchar_t *d, size_t n, int flag, size_t bound, const wchar_t *format, va_list list)
{
    if (!MO_REAL_IS_FOUND(vswprintf))
        mo_real_wait();
#ifdef __GLIBC__
    if (flag != NOT_FORTIFIED)
        return MO_REAL(__vswprintf_chk)(d, n, flag, bound, format, list);
#endif
    (void)flag;
    (void)bound;
    return MO_REAL(vswprintf)(d, n, format, list);
}

/* What does not fit into n wide characters is an error, which says nothing of its length: where n is more than there
 * is, it is printed elsewhere first. If that is too small as well it is printed into what there is, which may fail. */
static int print_wide(const char *function, wchar_t *d, size_t n, int flag, size_t bound, const wchar_t *format,
                      va_list list)
{
    wchar_t elsewhere[ELSEWHERE];
    size_t asked = n > SIZE_MAX / sizeof *d ? SIZE_MAX - 1 : n * sizeof *d;
    mo_fortify(n, bound);
    size_t room = mo_room(function, d, asked, format);
    if (mo_likely(room == asked))
        return wide(d, n, flag, bound, format, list);
    va_list again;
    va_copy(again, list);
    int length = wide(elsewhere, mo_min(n, ELSEWHERE), flag, ELSEWHERE, format, again);
    va_end(again);
    if (length < 0)
        return wide(d, room / sizeof *d, flag, bound, format, list);
    size_t written = ((size_t)length + 1) * sizeof *d;
    if (written > room)
        mo_look(function, (uintptr_t)d, written, (uintptr_t)format, MO_DST);
    (void)mo_real_move(d, elsewhere, written);
    return length;
}

int vsprintf(char *d, const char *format, va_list list)
{
    return print("vsprintf", d, NOT_FORTIFIED, SIZE_MAX, format, list);
}

int __vsprintf_chk(char *d, int flag, size_t room, const char *format, va_list list)
{
    return print("vsprintf", d, flag, room, format, list);
}

int vsnprintf(char *d, size_t n, const char *format, va_list list)
{
    return print_cut("vsnprintf", d, n, NOT_FORTIFIED, SIZE_MAX, format, list);
}

int __vsnprintf_chk(char *d, size_t n, int flag, size_t room, const char *format, va_list list)
{
    return print_cut("vsnprintf", d, n, flag, room, format, list);
}

int vswprintf(wchar_t *d, size_t n, const wchar_t *format, va_list list)
{
    return print_wide("vswprintf", d, n, NOT_FORTIFIED, SIZE_MAX, format, list);
}

int __vswprintf_chk(wchar_t *d, size_t n, int flag, size_t room, const wchar_t *format, va_list list)
{
    return print_wide("vswprintf", d, n, flag, room, format, list);
}

int sprintf(char *d, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    int n = print("sprintf", d, NOT_FORTIFIED, SIZE_MAX, format, list);
    va_end(list);
    return n;
}

int __sprintf_chk(char *d, int flag, size_t room, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    int n = print("sprintf", d, flag, room, format, list);
    va_end(list);
    return n;
}

int snprintf(char *d, size_t n, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    int length = print_cut("snprintf", d, n, NOT_FORTIFIED, SIZE_MAX, format, list);
    va_end(list);
    return length;
}

int __snprintf_chk(char *d, size_t n, int flag, size_t room, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    int length = print_cut("snprintf", d, n, flag, room, format, list);
    va_end(list);
    return length;
}

int swprintf(wchar_t *d, size_t n, const wchar_t *format, ...)
{
    va_list list;
    va_start(list, format);
    int length = print_wide("swprintf", d, n, NOT_FORTIFIED, SIZE_MAX, format, list);
    va_end(list);
    return length;
}

int __swprintf_chk(wchar_t *d, size_t n, int flag, size_t room, const wchar_t *format, ...)
{
    va_list list;
    va_start(list, format);
    int length = print_wide("swprintf", d, n, flag, room, format, list);
    va_end(list);
    return length;
}
