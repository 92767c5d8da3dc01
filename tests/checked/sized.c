/* The checked functions that have a size, called with any: none at all, or more than there are addresses. */
#include "cases.h"

#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>
#include <wchar.h>

#include <sys/socket.h>
#include <sys/uio.h>

void *__memcpy_chk(void *, const void *, size_t, size_t);
void *__memmove_chk(void *, const void *, size_t, size_t);
void *__memset_chk(void *, int, size_t, size_t);
void *__mempcpy_chk(void *, const void *, size_t, size_t);
void *__mempcpy(void *, const void *, size_t);
void __explicit_bzero_chk(void *, size_t, size_t);
char *__strncpy_chk(char *, const char *, size_t, size_t);
char *__stpncpy_chk(char *, const char *, size_t, size_t);
size_t strlcpy(char *, const char *, size_t);
size_t __strlcpy_chk(char *, const char *, size_t, size_t);
size_t wcslcpy(wchar_t *, const wchar_t *, size_t);
size_t __wcslcpy_chk(wchar_t *, const wchar_t *, size_t, size_t);
wchar_t *__wmemcpy_chk(wchar_t *, const wchar_t *, size_t, size_t);
wchar_t *__wmemmove_chk(wchar_t *, const wchar_t *, size_t, size_t);
wchar_t *__wmempcpy_chk(wchar_t *, const wchar_t *, size_t, size_t);
wchar_t *__wmemset_chk(wchar_t *, wchar_t, size_t, size_t);
wchar_t *__wcsncpy_chk(wchar_t *, const wchar_t *, size_t, size_t);
wchar_t *__wcpncpy_chk(wchar_t *, const wchar_t *, size_t, size_t);
int __snprintf_chk(char *, size_t, int, size_t, const char *, ...);
int __swprintf_chk(wchar_t *, size_t, int, size_t, const wchar_t *, ...);
size_t __fread_chk(void *, size_t, size_t, size_t, FILE *);
size_t __fread_unlocked_chk(void *, size_t, size_t, size_t, FILE *);
ssize_t __read_chk(int, void *, size_t, size_t);
ssize_t __pread_chk(int, void *, size_t, off_t, size_t);
ssize_t __recv_chk(int, void *, size_t, size_t, int);
ssize_t __recvfrom_chk(int, void *, size_t, size_t, int, struct sockaddr *, socklen_t *);
char *__getcwd_chk(char *, size_t, size_t);
ssize_t __readlink_chk(const char *, char *, size_t, size_t);
ssize_t __readlinkat_chk(int, const char *, char *, size_t, size_t);

#define ANY  ((size_t)-1) /* what a compiler says of a buffer that it does not know */
#define W(p) ((wchar_t *)(void *)(p))

static struct iovec *place(struct call *c)
{
    static struct iovec to;
    to = (struct iovec){c->d, c->n};
    return &to;
}

/* WRITES: all n bytes, TAKES: as many as come. */
#define LIST(WRITES, TAKES)                                                                      \
    WRITES(memcpy, memcpy(c->d, c->s, c->n))                                                     \
    WRITES(memmove, memmove(c->d, c->s, c->n))                                                   \
    WRITES(memset, memset(c->d, 1, c->n))                                                        \
    WRITES(mempcpy, mempcpy(c->d, c->s, c->n))                                                   \
    WRITES(bcopy, bcopy(c->s, c->d, c->n))                                                       \
    WRITES(bzero, bzero(c->d, c->n))                                                             \
    WRITES(explicit_bzero, explicit_bzero(c->d, c->n))                                           \
    WRITES(strncpy, strncpy(c->d, c->s, c->n))                                                   \
    WRITES(stpncpy, stpncpy(c->d, c->s, c->n))                                                   \
    WRITES(wmemcpy, wmemcpy(W(c->d), W(c->s), c->n))                                             \
    WRITES(wmemmove, wmemmove(W(c->d), W(c->s), c->n))                                           \
    WRITES(wmempcpy, wmempcpy(W(c->d), W(c->s), c->n))                                           \
    WRITES(wmemset, wmemset(W(c->d), 1, c->n))                                                   \
    WRITES(wcsncpy, wcsncpy(W(c->d), W(c->s), c->n))                                             \
    WRITES(wcpncpy, wcpncpy(W(c->d), W(c->s), c->n))                                             \
    TAKES(memccpy, memccpy(c->d, c->s, 0, c->n))                                                 \
    TAKES(strlcpy, strlcpy(c->d, c->s, c->n))                                                    \
    TAKES(wcslcpy, wcslcpy(W(c->d), W(c->s), c->n))                                              \
    TAKES(snprintf, snprintf(c->d, c->n, "%d", 1))                                               \
    TAKES(swprintf, swprintf(W(c->d), c->n, L"%d", 1))                                           \
    TAKES(fread, fread(c->d, 1, c->n, stdin))                                                    \
    TAKES(fread_unlocked, (fread_unlocked)(c->d, 1, c->n, stdin))                                \
    TAKES(read, read(c->fd[0], c->d, c->n))                                                      \
    TAKES(pread, pread(c->fd[0], c->d, c->n, 0))                                                 \
    TAKES(readv, readv(-1, place(c), 1))                                                         \
    TAKES(preadv, preadv(-1, place(c), 1, 0))                                                    \
    TAKES(recv, recv(c->fd[0], c->d, c->n, MSG_DONTWAIT))                                        \
    TAKES(recvfrom, recvfrom(c->fd[0], c->d, c->n, MSG_DONTWAIT, NULL, NULL))                    \
    TAKES(recvmsg, struct msghdr m = {.msg_iov = place(c), .msg_iovlen = 1}; recvmsg(-1, &m, 0)) \
    TAKES(readlink, readlink("/proc/self/exe", c->d, c->n))                                      \
    TAKES(readlinkat, readlinkat(AT_FDCWD, "/proc/self/exe", c->d, c->n))                        \
    TAKES(getcwd, c->d == NULL ? NULL : getcwd(c->d, c->n))

/* As Debian's binaries call them. */
#define FORTIFIED(WRITES, TAKES)                                                         \
    WRITES(memcpy, __memcpy_chk(c->d, c->s, c->n, ANY))                                  \
    WRITES(memmove, __memmove_chk(c->d, c->s, c->n, ANY))                                \
    WRITES(memset, __memset_chk(c->d, 1, c->n, ANY))                                     \
    WRITES(mempcpy, __mempcpy_chk(c->d, c->s, c->n, ANY))                                \
    WRITES(explicit_bzero, __explicit_bzero_chk(c->d, c->n, ANY))                        \
    WRITES(strncpy, __strncpy_chk(c->d, c->s, c->n, ANY))                                \
    WRITES(stpncpy, __stpncpy_chk(c->d, c->s, c->n, ANY))                                \
    WRITES(wmemcpy, __wmemcpy_chk(W(c->d), W(c->s), c->n, ANY))                          \
    WRITES(wmemmove, __wmemmove_chk(W(c->d), W(c->s), c->n, ANY))                        \
    WRITES(wmempcpy, __wmempcpy_chk(W(c->d), W(c->s), c->n, ANY))                        \
    WRITES(wmemset, __wmemset_chk(W(c->d), 1, c->n, ANY))                                \
    WRITES(wcsncpy, __wcsncpy_chk(W(c->d), W(c->s), c->n, ANY))                          \
    WRITES(wcpncpy, __wcpncpy_chk(W(c->d), W(c->s), c->n, ANY))                          \
    TAKES(strlcpy, __strlcpy_chk(c->d, c->s, c->n, ANY))                                 \
    TAKES(wcslcpy, __wcslcpy_chk(W(c->d), W(c->s), c->n, ANY))                           \
    TAKES(snprintf, __snprintf_chk(c->d, c->n, 1, ANY, "%d", 1))                         \
    TAKES(swprintf, __swprintf_chk(W(c->d), c->n, 1, ANY, L"%d", 1))                     \
    TAKES(fread, __fread_chk(c->d, ANY, 1, c->n, stdin))                                 \
    TAKES(fread_unlocked, __fread_unlocked_chk(c->d, ANY, 1, c->n, stdin))               \
    TAKES(read, __read_chk(c->fd[0], c->d, c->n, ANY))                                   \
    TAKES(pread, __pread_chk(c->fd[0], c->d, c->n, 0, ANY))                              \
    TAKES(recv, __recv_chk(c->fd[0], c->d, c->n, ANY, MSG_DONTWAIT))                     \
    TAKES(recvfrom, __recvfrom_chk(c->fd[0], c->d, c->n, ANY, MSG_DONTWAIT, NULL, NULL)) \
    TAKES(readlink, __readlink_chk("/proc/self/exe", c->d, c->n, ANY))                   \
    TAKES(readlinkat, __readlinkat_chk(AT_FDCWD, "/proc/self/exe", c->d, c->n, ANY))     \
    TAKES(getcwd, c->d == NULL ? NULL : __getcwd_chk(c->d, c->n, ANY))

#define PLAIN(function, ...)                     \
    static void sized_##function(struct call *c) \
    {                                            \
        (void)(c);                               \
        __VA_ARGS__;                             \
    }
#define CHK(function, ...)                     \
    static void chk_##function(struct call *c) \
    {                                          \
        __VA_ARGS__;                           \
    }
LIST(PLAIN, PLAIN)
FORTIFIED(CHK, CHK)

#define WHOLE(function, ...)     {#function, sized_##function, 1, .whole = true},
#define PART(function, ...)      {#function, sized_##function, 1},
#define CHK_WHOLE(function, ...) {#function, chk_##function, 1, .whole = true},
#define CHK_PART(function, ...)  {#function, chk_##function, 1},
const struct function sized[] = {LIST(WHOLE, PART) FORTIFIED(CHK_WHOLE, CHK_PART)};
const size_t sized_count = sizeof sized / sizeof sized[0];
