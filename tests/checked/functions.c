#include "cases.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>
#include <wchar.h>

#include <sys/socket.h>
#include <sys/uio.h>

/* Not in every libc's headers; libmoat-checked.so has them all. */
size_t strlcpy(char *, const char *, size_t);
size_t strlcat(char *, const char *, size_t);
size_t wcslcpy(wchar_t *, const wchar_t *, size_t);
size_t wcslcat(wchar_t *, const wchar_t *, size_t);
char *gets(char *);
void *__memcpy_chk(void *, const void *, size_t, size_t);
void *__memmove_chk(void *, const void *, size_t, size_t);
void *__memset_chk(void *, int, size_t, size_t);
void *__mempcpy_chk(void *, const void *, size_t, size_t);
void __explicit_bzero_chk(void *, size_t, size_t);
void *__mempcpy(void *, const void *, size_t);
char *__stpcpy(char *, const char *);
size_t __strlcpy_chk(char *, const char *, size_t, size_t);
size_t __strlcat_chk(char *, const char *, size_t, size_t);
char *__strcpy_chk(char *, const char *, size_t);
char *__stpcpy_chk(char *, const char *, size_t);
char *__strncpy_chk(char *, const char *, size_t, size_t);
char *__stpncpy_chk(char *, const char *, size_t, size_t);
char *__strcat_chk(char *, const char *, size_t);
char *__strncat_chk(char *, const char *, size_t, size_t);
int __sprintf_chk(char *, int, size_t, const char *, ...);
int __vsprintf_chk(char *, int, size_t, const char *, va_list);
int __snprintf_chk(char *, size_t, int, size_t, const char *, ...);
int __vsnprintf_chk(char *, size_t, int, size_t, const char *, va_list);
int __swprintf_chk(wchar_t *, size_t, int, size_t, const wchar_t *, ...);
int __vswprintf_chk(wchar_t *, size_t, int, size_t, const wchar_t *, va_list);
wchar_t *__wmemcpy_chk(wchar_t *, const wchar_t *, size_t, size_t);
wchar_t *__wmemmove_chk(wchar_t *, const wchar_t *, size_t, size_t);
wchar_t *__wmempcpy_chk(wchar_t *, const wchar_t *, size_t, size_t);
wchar_t *__wmemset_chk(wchar_t *, wchar_t, size_t, size_t);
wchar_t *__wcpcpy_chk(wchar_t *, const wchar_t *, size_t);
wchar_t *__wcsncpy_chk(wchar_t *, const wchar_t *, size_t, size_t);
wchar_t *__wcpncpy_chk(wchar_t *, const wchar_t *, size_t, size_t);
wchar_t *__wcsncat_chk(wchar_t *, const wchar_t *, size_t, size_t);
size_t __wcslcpy_chk(wchar_t *, const wchar_t *, size_t, size_t);
size_t __wcslcat_chk(wchar_t *, const wchar_t *, size_t, size_t);
wchar_t *__wcscpy_chk(wchar_t *, const wchar_t *, size_t);
wchar_t *__wcscat_chk(wchar_t *, const wchar_t *, size_t);
char *__gets_chk(char *, size_t);
char *__fgets_chk(char *, size_t, int, FILE *);
char *__fgets_unlocked_chk(char *, size_t, int, FILE *);
size_t __fread_chk(void *, size_t, size_t, size_t, FILE *);
size_t __fread_unlocked_chk(void *, size_t, size_t, size_t, FILE *);
ssize_t __read_chk(int, void *, size_t, size_t);
ssize_t __pread_chk(int, void *, size_t, off_t, size_t);
#ifdef __GLIBC__
ssize_t __pread64_chk(int, void *, size_t, off64_t, size_t);
#else
#define __pread64_chk __pread_chk /* musl's off_t is the wide one */
#endif
ssize_t __recv_chk(int, void *, size_t, size_t, int);
ssize_t __recvfrom_chk(int, void *, size_t, size_t, int, struct sockaddr *, socklen_t *);
char *__getcwd_chk(char *, size_t, size_t);
char *__realpath_chk(const char *, char *, size_t);
ssize_t __readlink_chk(const char *, char *, size_t, size_t);
ssize_t __readlinkat_chk(int, const char *, char *, size_t, size_t);

#define UNKNOWN ((size_t)-1) /* what a compiler says of a buffer that it does not know */
#define W(p)    ((wchar_t *)(void *)(p))
#define WIDE    (sizeof(wchar_t))

/* A call must have done what it is for. */
static void must(bool what, const char *name)
{
    if (!what) {
        fprintf(stderr, "%s did not do its work: %s\n", name, strerror(errno));
        _exit(3);
    }
}

static FILE *open_file(const struct call *c)
{
    FILE *f = fopen(c->file, "r");
    must(f != NULL, "fopen");
    return f;
}

static FILE *open_raw(const struct call *c)
{
    FILE *f = fopen(c->raw, "r");
    must(f != NULL, "fopen");
    return f;
}

static int open_fd(const struct call *c)
{
    int fd = open(c->raw, O_RDONLY);
    must(fd >= 0, "open");
    return fd;
}

/* A link that says n bytes. */
static const char *link_of(const struct call *c)
{
    char to[MOST + 1];
    memset(to, 'x', c->n);
    to[c->n] = 0;
    unlink(c->raw);
    must(symlink(to, c->raw) == 0, "symlink");
    return c->raw;
}

static void to_stdin(const struct call *c)
{
    must(freopen(c->file, "r", stdin) != NULL, "freopen");
}

static int print_list(int (*f)(char *, const char *, va_list), char *d, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    int n = f(d, format, list);
    va_end(list);
    return n;
}

static int print_fortified(char *d, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    int n = __vsprintf_chk(d, 1, UNKNOWN, format, list);
    va_end(list);
    return n;
}

static int print_list_n(bool fortified, char *d, size_t size, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    int n = fortified ? __vsnprintf_chk(d, size, 1, UNKNOWN, format, list) : vsnprintf(d, size, format, list);
    va_end(list);
    return n;
}

static int print_wide(bool fortified, wchar_t *d, size_t size, const wchar_t *format, ...)
{
    va_list list;
    va_start(list, format);
    int n = fortified ? __vswprintf_chk(d, size, 1, UNKNOWN, format, list) : vswprintf(d, size, format, list);
    va_end(list);
    return n;
}

/* Half of the string is there already: the chunk's first bytes hold it. */
static size_t half(struct call *c, size_t unit)
{
    size_t had = c->n / unit / 2;
    for (size_t i = 0; i < had * unit; i++)
        c->d[i] = c->s[i];
    for (size_t i = 0; i < unit; i++)
        c->d[had * unit + i] = 0;
    return had;
}

/* Two places: the first, of nothing, is good. */
static struct iovec *places(struct call *c)
{
    static struct iovec to[2];
    static char first[8];
    to[0] = (struct iovec){first, 0};
    to[1] = (struct iovec){c->d, c->n};
    return to;
}

#define DO(function, ...)                     \
    static void do_##function(struct call *c) \
    {                                         \
        __VA_ARGS__;                          \
    }
#define SAME(function) must(memcmp(c->d, c->s, c->n) == 0, #function)

DO(memcpy, memcpy(c->d, c->s, c->n); SAME(memcpy))
DO(memmove, memmove(c->d, c->s, c->n); SAME(memmove))
DO(memset, memset(c->d, 7, c->n); must(c->d[c->n - 1] == 7, "memset"))
DO(mempcpy, must(mempcpy(c->d, c->s, c->n) == c->d + c->n, "mempcpy"); SAME(mempcpy))
DO(memccpy, must(memccpy(c->d, c->s, 1, c->n) == NULL, "memccpy"); SAME(memccpy))
DO(bcopy, bcopy(c->s, c->d, c->n); SAME(bcopy))
DO(bzero, bzero(c->d, c->n); must(c->d[c->n - 1] == 0, "bzero"))
DO(explicit_bzero, explicit_bzero(c->d, c->n); must(c->d[c->n - 1] == 0, "explicit_bzero"))
DO(f_memcpy, __memcpy_chk(c->d, c->s, c->n, UNKNOWN); SAME(memcpy))
DO(f_memmove, __memmove_chk(c->d, c->s, c->n, UNKNOWN); SAME(memmove))
DO(f_memset, __memset_chk(c->d, 7, c->n, UNKNOWN); must(c->d[c->n - 1] == 7, "memset"))
DO(f_mempcpy, __mempcpy_chk(c->d, c->s, c->n, UNKNOWN); SAME(mempcpy))
DO(u_mempcpy, must(__mempcpy(c->d, c->s, c->n) == c->d + c->n, "mempcpy"); SAME(mempcpy))
DO(f_explicit_bzero, __explicit_bzero_chk(c->d, c->n, UNKNOWN); must(c->d[c->n - 1] == 0, "explicit_bzero"))

DO(strcpy, strcpy(c->d, c->s); SAME(strcpy))
DO(stpcpy, must(stpcpy(c->d, c->s) == c->d + c->n - 1, "stpcpy"); SAME(stpcpy))
DO(strncpy, strncpy(c->d, c->s + c->n / 2, c->n); must(c->d[c->n - 1] == 0, "strncpy"))
DO(stpncpy, stpncpy(c->d, c->s + c->n / 2, c->n); must(c->d[c->n - 1] == 0, "stpncpy"))
DO(strcat, strcat(c->d, c->s + half(c, 1)); SAME(strcat))
DO(strncat, strncat(c->d, c->s + half(c, 1), INT_MAX); SAME(strncat))
DO(strlcpy, must(strlcpy(c->d, c->s, INT_MAX) == c->n - 1, "strlcpy"); SAME(strlcpy))
DO(strlcat, must(strlcat(c->d, c->s + half(c, 1), INT_MAX) == c->n - 1, "strlcat"); SAME(strlcat))
DO(f_strcpy, __strcpy_chk(c->d, c->s, UNKNOWN); SAME(strcpy))
DO(f_stpcpy, __stpcpy_chk(c->d, c->s, UNKNOWN); SAME(stpcpy))
DO(f_strncpy, __strncpy_chk(c->d, c->s, c->n, UNKNOWN); SAME(strncpy))
DO(f_stpncpy, __stpncpy_chk(c->d, c->s, c->n, UNKNOWN); SAME(stpncpy))
DO(f_strcat, __strcat_chk(c->d, c->s + half(c, 1), UNKNOWN); SAME(strcat))
DO(f_strncat, __strncat_chk(c->d, c->s + half(c, 1), 10000, UNKNOWN); SAME(strncat))

DO(u_stpcpy, must(__stpcpy(c->d, c->s) == c->d + c->n - 1, "stpcpy"); SAME(stpcpy))
DO(f_strlcpy, must(__strlcpy_chk(c->d, c->s, INT_MAX, UNKNOWN) == c->n - 1, "strlcpy"); SAME(strlcpy))
DO(f_strlcat, must(__strlcat_chk(c->d, c->s + half(c, 1), INT_MAX, UNKNOWN) == c->n - 1, "strlcat"); SAME(strlcat))

DO(wmemcpy, wmemcpy(W(c->d), W(c->s), c->n / WIDE); SAME(wmemcpy))
DO(wmemmove, wmemmove(W(c->d), W(c->s), c->n / WIDE); SAME(wmemmove))
DO(wmempcpy, wmempcpy(W(c->d), W(c->s), c->n / WIDE); SAME(wmempcpy))
DO(wmemset, wmemset(W(c->d), 7, c->n / WIDE); must(W(c->d)[c->n / WIDE - 1] == 7, "wmemset"))
DO(wcscpy, wcscpy(W(c->d), W(c->s)); SAME(wcscpy))
DO(wcpcpy, wcpcpy(W(c->d), W(c->s)); SAME(wcpcpy))
DO(wcsncpy, wcsncpy(W(c->d), W(c->s), c->n / WIDE); SAME(wcsncpy))
DO(wcpncpy, wcpncpy(W(c->d), W(c->s), c->n / WIDE); SAME(wcpncpy))
DO(wcscat, wcscat(W(c->d), W(c->s) + half(c, WIDE)); SAME(wcscat))
DO(wcsncat, wcsncat(W(c->d), W(c->s) + half(c, WIDE), INT_MAX); SAME(wcsncat))
DO(wcslcpy, wcslcpy(W(c->d), W(c->s), INT_MAX); SAME(wcslcpy))
DO(wcslcat, wcslcat(W(c->d), W(c->s) + half(c, WIDE), INT_MAX); SAME(wcslcat))
DO(f_wmemcpy, __wmemcpy_chk(W(c->d), W(c->s), c->n / WIDE, UNKNOWN); SAME(wmemcpy))
DO(f_wmemset, __wmemset_chk(W(c->d), 7, c->n / WIDE, UNKNOWN); must(c->d[0] == 7, "wmemset"))
DO(f_wcscpy, __wcscpy_chk(W(c->d), W(c->s), UNKNOWN); SAME(wcscpy))
DO(f_wcscat, __wcscat_chk(W(c->d), W(c->s) + half(c, WIDE), UNKNOWN); SAME(wcscat))

DO(f_wmemmove, __wmemmove_chk(W(c->d), W(c->s), c->n / WIDE, UNKNOWN); SAME(wmemmove))
DO(f_wmempcpy, __wmempcpy_chk(W(c->d), W(c->s), c->n / WIDE, UNKNOWN); SAME(wmempcpy))
DO(f_wcpcpy, __wcpcpy_chk(W(c->d), W(c->s), UNKNOWN); SAME(wcpcpy))
DO(f_wcsncpy, __wcsncpy_chk(W(c->d), W(c->s), c->n / WIDE, UNKNOWN); SAME(wcsncpy))
DO(f_wcpncpy, __wcpncpy_chk(W(c->d), W(c->s), c->n / WIDE, UNKNOWN); SAME(wcpncpy))
DO(f_wcsncat, __wcsncat_chk(W(c->d), W(c->s) + half(c, WIDE), 10000, UNKNOWN); SAME(wcsncat))
DO(f_wcslcpy, __wcslcpy_chk(W(c->d), W(c->s), INT_MAX, UNKNOWN); SAME(wcslcpy))
DO(f_wcslcat, __wcslcat_chk(W(c->d), W(c->s) + half(c, WIDE), INT_MAX, UNKNOWN); SAME(wcslcat))

DO(sprintf, must(sprintf(c->d, "%s", c->s) == (int)c->n - 1, "sprintf"); SAME(sprintf))
DO(vsprintf, must(print_list(vsprintf, c->d, "%s", c->s) == (int)c->n - 1, "vsprintf"); SAME(vsprintf))
DO(snprintf, must(snprintf(c->d, INT_MAX, "%s", c->s) == (int)c->n - 1, "snprintf"); SAME(snprintf))
DO(vsnprintf, must(print_list_n(false, c->d, c->n, "%s+", c->s) == (int)c->n, "vsnprintf"))
DO(f_sprintf, must(__sprintf_chk(c->d, 1, UNKNOWN, "%s", c->s) == (int)c->n - 1, "sprintf"); SAME(sprintf))
DO(f_vsprintf, must(print_fortified(c->d, "%s", c->s) == (int)c->n - 1, "vsprintf"); SAME(vsprintf))
DO(f_snprintf, must(__snprintf_chk(c->d, c->n, 1, UNKNOWN, "%s", c->s) == (int)c->n - 1, "snprintf"); SAME(snprintf))
DO(f_vsnprintf, must(print_list_n(true, c->d, c->n, "%s", c->s) == (int)c->n - 1, "vsnprintf"); SAME(vsnprintf))
DO(swprintf, must(swprintf(W(c->d), 1000, L"%ls", c->s) > 0, "swprintf"); SAME(swprintf))
DO(vswprintf, must(print_wide(false, W(c->d), 1000, L"%ls", c->s) > 0, "vswprintf"); SAME(vswprintf))
DO(f_swprintf, must(__swprintf_chk(W(c->d), 500, 1, UNKNOWN, L"%ls", c->s) > 0, "swprintf"); SAME(swprintf))
DO(f_vswprintf, must(print_wide(true, W(c->d), 1000, L"%ls", c->s) > 0, "vswprintf"); SAME(vswprintf))

DO(gets, to_stdin(c); must(gets(c->d) != NULL && strlen(c->d) == c->n - 1, "gets"))
DO(f_gets, to_stdin(c); must(__gets_chk(c->d, UNKNOWN) != NULL && strlen(c->d) == c->n - 1, "gets"))
DO(fgets, must(fgets(c->d, INT_MAX, open_file(c)) != NULL && strlen(c->d) == c->n - 1, "fgets"))
DO(fgets_unlocked, must(fgets_unlocked(c->d, INT_MAX, open_file(c)) != NULL && strlen(c->d) == c->n - 1, "fgets"))
DO(f_fgets, must(__fgets_chk(c->d, UNKNOWN, (int)c->n, open_file(c)) != NULL && strlen(c->d) == c->n - 1, "fgets"))
DO(f_fgets_unlocked, must(__fgets_unlocked_chk(c->d, UNKNOWN, (int)c->n, open_file(c)) != NULL, "fgets"))
DO(fread, must(fread(c->d, 1, 1 << 30, open_raw(c)) == c->n, "fread"))
DO(fread_unlocked, must((fread_unlocked)(c->d, 1, c->n, open_raw(c)) == c->n, "fread"))
DO(f_fread, must(__fread_chk(c->d, UNKNOWN, 1, 1 << 30, open_raw(c)) == c->n, "fread"))
DO(f_fread_unlocked, must(__fread_unlocked_chk(c->d, UNKNOWN, 1, c->n, open_raw(c)) == c->n, "fread"))

DO(read, must(read(open_fd(c), c->d, 1 << 30) == (ssize_t)c->n, "read"))
DO(f_read, must(__read_chk(open_fd(c), c->d, c->n, UNKNOWN) == (ssize_t)c->n, "read"))
DO(pread, must(pread(open_fd(c), c->d, 1 << 30, 0) == (ssize_t)c->n, "pread"))
DO(pread64, must(pread64(open_fd(c), c->d, 1 << 30, 0) == (ssize_t)c->n, "pread64"))
DO(f_pread, must(__pread_chk(open_fd(c), c->d, c->n, 0, UNKNOWN) == (ssize_t)c->n, "pread"))
DO(f_pread64, must(__pread64_chk(open_fd(c), c->d, c->n, 0, UNKNOWN) == (ssize_t)c->n, "pread64"))
DO(readv, must(readv(open_fd(c), places(c), 2) == (ssize_t)c->n, "readv"))
DO(preadv, must(preadv(open_fd(c), places(c), 2, 0) == (ssize_t)c->n, "preadv"))
DO(preadv64, must(preadv64(open_fd(c), places(c), 2, 0) == (ssize_t)c->n, "preadv"))
DO(recv, must(recv(c->fd[0], c->d, 1 << 20, MSG_PEEK) == (ssize_t)c->n, "recv"))
DO(f_recv, must(__recv_chk(c->fd[0], c->d, c->n, UNKNOWN, 0) == (ssize_t)c->n, "recv"))
DO(recvfrom, socklen_t size = 0;
   must(recvfrom(c->fd[0], c->d, 1 << 20, MSG_TRUNC, NULL, &size) == (ssize_t)c->n, "recvfrom"))
DO(f_recvfrom, must(__recvfrom_chk(c->fd[0], c->d, c->n, UNKNOWN, 0, NULL, NULL) == (ssize_t)c->n, "recvfrom"))
DO(recvmsg, struct msghdr m = {.msg_iov = places(c), .msg_iovlen = 2};
   must(recvmsg(c->fd[0], &m, 0) == (ssize_t)c->n && m.msg_iov == places(c) && m.msg_iovlen == 2, "recvmsg"))

DO(getcwd, must(getcwd(c->d, PATH_MAX) == c->d && strlen(c->d) == c->n - 1, "getcwd"))
DO(f_getcwd, must(__getcwd_chk(c->d, PATH_MAX, UNKNOWN) == c->d && strlen(c->d) == c->n - 1, "getcwd"))
DO(realpath, must(realpath(".", c->d) == c->d && strlen(c->d) == c->n - 1, "realpath"))
DO(readlink, must(readlink(link_of(c), c->d, INT_MAX) == (ssize_t)c->n && c->d[c->n - 1] == 'x', "readlink"))
DO(f_readlink, must(__readlink_chk(link_of(c), c->d, c->n, UNKNOWN) == (ssize_t)c->n, "readlink"))
DO(readlinkat, must(readlinkat(AT_FDCWD, link_of(c), c->d, INT_MAX) == (ssize_t)c->n, "readlinkat"))
DO(f_readlinkat, must(__readlinkat_chk(AT_FDCWD, link_of(c), c->d, c->n, UNKNOWN) == (ssize_t)c->n, "readlinkat"))
DO(f_realpath, must(__realpath_chk(".", c->d, UNKNOWN) == c->d && strlen(c->d) == c->n - 1, "realpath"))

#define MEMORY(name)                            \
    {                                           \
#name, do_##name, 1, true, false, false \
    }
#define WIDE_ONE(name)                            \
    {                                             \
#name, do_##name, WIDE, true, false, true \
    }
#define NO_SOURCE(name)                          \
    {                                            \
#name, do_##name, 1, false, false, false \
    }
#define FIXED(name)                             \
    {                                           \
#name, do_##name, 1, false, true, false \
    }
#define F(kind, name) F_##kind(name)
#define F_MEMORY(name)                            \
    {                                             \
#name, do_f_##name, 1, true, false, false \
    }
#define F_WIDE_ONE(name)                            \
    {                                               \
#name, do_f_##name, WIDE, true, false, true \
    }
#define F_NO_SOURCE(name)                          \
    {                                              \
#name, do_f_##name, 1, false, false, false \
    }
#define F_FIXED(name)                             \
    {                                             \
#name, do_f_##name, 1, false, true, false \
    }

const struct function functions[] = {
    MEMORY(memcpy),
    MEMORY(memmove),
    NO_SOURCE(memset),
    MEMORY(mempcpy),
    MEMORY(memccpy),
    MEMORY(bcopy),
    NO_SOURCE(bzero),
    NO_SOURCE(explicit_bzero),
    F(MEMORY, memcpy),
    F(MEMORY, memmove),
    F(NO_SOURCE, memset),
    F(MEMORY, mempcpy),
    F(NO_SOURCE, explicit_bzero),
    {"mempcpy", do_u_mempcpy, 1, true, false, false},
    MEMORY(strcpy),
    MEMORY(stpcpy),
    NO_SOURCE(strncpy),
    NO_SOURCE(stpncpy),
    NO_SOURCE(strcat),
    NO_SOURCE(strncat),
    MEMORY(strlcpy),
    NO_SOURCE(strlcat),
    F(MEMORY, strcpy),
    F(MEMORY, stpcpy),
    F(MEMORY, strncpy),
    F(MEMORY, stpncpy),
    F(NO_SOURCE, strcat),
    F(NO_SOURCE, strncat),
    {"stpcpy", do_u_stpcpy, 1, true, false, false},
    F(MEMORY, strlcpy),
    F(NO_SOURCE, strlcat),
    WIDE_ONE(wmemcpy),
    WIDE_ONE(wmemmove),
    WIDE_ONE(wmempcpy),
    {"wmemset", do_wmemset, WIDE, false, false, true},
    WIDE_ONE(wcscpy),
    WIDE_ONE(wcpcpy),
    WIDE_ONE(wcsncpy),
    WIDE_ONE(wcpncpy),
    {"wcscat", do_wcscat, WIDE, false, false, true},
    {"wcsncat", do_wcsncat, WIDE, false, false, true},
    WIDE_ONE(wcslcpy),
    {"wcslcat", do_wcslcat, WIDE, false, false, true},
    F(WIDE_ONE, wmemcpy),
    {"wmemset", do_f_wmemset, WIDE, false, false, true},
    F(WIDE_ONE, wcscpy),
    {"wcscat", do_f_wcscat, WIDE, false, false, true},
    F(WIDE_ONE, wmemmove),
    F(WIDE_ONE, wmempcpy),
    F(WIDE_ONE, wcpcpy),
    F(WIDE_ONE, wcsncpy),
    F(WIDE_ONE, wcpncpy),
    {"wcsncat", do_f_wcsncat, WIDE, false, false, true},
    F(WIDE_ONE, wcslcpy),
    {"wcslcat", do_f_wcslcat, WIDE, false, false, true},
    NO_SOURCE(sprintf),
    NO_SOURCE(vsprintf),
    NO_SOURCE(snprintf),
    NO_SOURCE(vsnprintf),
    F(NO_SOURCE, sprintf),
    F(NO_SOURCE, vsprintf),
    F(NO_SOURCE, snprintf),
    F(NO_SOURCE, vsnprintf),
    {"swprintf", do_swprintf, WIDE, false, false, true},
    {"vswprintf", do_vswprintf, WIDE, false, false, true},
    {"swprintf", do_f_swprintf, WIDE, false, false, true},
    {"vswprintf", do_f_vswprintf, WIDE, false, false, true},
    NO_SOURCE(gets),
    F(NO_SOURCE, gets),
    NO_SOURCE(fgets),
    {"fgets", do_fgets_unlocked, 1, false, false, false},
    F(NO_SOURCE, fgets),
    {"fgets", do_f_fgets_unlocked, 1, false, false, false},
    NO_SOURCE(fread),
    {"fread", do_fread_unlocked, 1, false, false, false},
    F(NO_SOURCE, fread),
    {"fread", do_f_fread_unlocked, 1, false, false, false},
    NO_SOURCE(read),
    F(NO_SOURCE, read),
    NO_SOURCE(pread),
    {"pread", do_pread64, 1, false, false, false},
    F(NO_SOURCE, pread),
    {"pread", do_f_pread64, 1, false, false, false},
    NO_SOURCE(readv),
    NO_SOURCE(preadv),
    {"preadv", do_preadv64, 1, false, false, false},
    NO_SOURCE(recv),
    F(NO_SOURCE, recv),
    NO_SOURCE(recvfrom),
    F(NO_SOURCE, recvfrom),
    NO_SOURCE(recvmsg),
    FIXED(getcwd),
    F(FIXED, getcwd),
    FIXED(realpath),
    F(FIXED, realpath),
    NO_SOURCE(readlink),
    F(NO_SOURCE, readlink),
    NO_SOURCE(readlinkat),
    F(NO_SOURCE, readlinkat),
};
const size_t function_count = sizeof functions / sizeof functions[0];
