/* read, recv and their kin. A length may be larger than the buffer as long as little comes: what fits goes into the
 * chunk, and the next bytes into a place here, by one call of the kind that takes several places. If there are any, the
 * kernel would have written past the chunk. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "checked/check.h"

MO_CHECKED_FN ssize_t read(int fd, void *d, size_t n);
MO_CHECKED_FN ssize_t __read_chk(int fd, void *d, size_t n, size_t bound);
MO_CHECKED_FN ssize_t readv(int fd, const struct iovec *to, int count);
MO_CHECKED_FN ssize_t pread(int fd, void *d, size_t n, off_t at);
MO_CHECKED_FN ssize_t __pread_chk(int fd, void *d, size_t n, off_t at, size_t bound);
MO_CHECKED_FN ssize_t preadv(int fd, const struct iovec *to, int count, off_t at);
MO_CHECKED_FN ssize_t recv(int fd, void *d, size_t n, int flags);
MO_CHECKED_FN ssize_t __recv_chk(int fd, void *d, size_t n, size_t bound, int flags);
MO_CHECKED_FN ssize_t recvfrom(int fd, void *d, size_t n, int flags, struct sockaddr *from, socklen_t *size);
MO_CHECKED_FN ssize_t __recvfrom_chk(int fd, void *d, size_t n, size_t bound, int flags, struct sockaddr *from,
                                     socklen_t *size);
MO_CHECKED_FN ssize_t recvmsg(int fd, struct msghdr *message, int flags);
#ifdef __GLIBC__
MO_CHECKED_FN ssize_t pread64(int fd, void *d, size_t n, off64_t at);
MO_CHECKED_FN ssize_t __pread64_chk(int fd, void *d, size_t n, off64_t at, size_t bound);
MO_CHECKED_FN ssize_t preadv64(int fd, const struct iovec *to, int count, off64_t at);
#endif

enum {
    PLACES = 64,     /* places kept of a list that has to be changed */
    SPILL = 64,      /* bytes taken beyond the chunk */
    LIST_MOST = 1024 /* the kernel refuses longer ones */
};

/* A list of places of which one is larger than its chunk. */
struct list {
    struct iovec places[PLACES + 1];
    char spill[SPILL];
    int count;
    size_t fits;     /* bytes that there is room for */
    const void *bad; /* the place, */
    size_t asked;    /* its length, */
    size_t room;     /* and what its chunk has */
};

/* Cuts the list behind the place that is too large; false: none is. */
static bool cut(const char *function, const struct iovec *to, size_t count, struct list *l)
{
    size_t i = 0, room = 0, fits = 0;
    if (count > LIST_MOST || to == NULL)
        return false;
    for (; i < count; i++) {
        room = mo_room(function, to[i].iov_base, to[i].iov_len, NULL);
        if (room < to[i].iov_len)
            break;
        fits += room;
    }
    if (mo_likely(i == count))
        return false;
    size_t kept = mo_min(i, PLACES - 1); /* of a longer list the start: less is read than could be, which is allowed */
    for (size_t j = 0; j < kept; j++)
        l->places[j] = to[j];
    l->count = (int)kept;
    l->fits = SIZE_MAX;
    if (kept != i)
        return true;
    l->places[kept] = (struct iovec){to[i].iov_base, room};
    l->places[kept + 1] = (struct iovec){l->spill, mo_min(to[i].iov_len - room, sizeof l->spill)};
    l->count += 2;
    l->fits = fits + room;
    l->bad = to[i].iov_base;
    l->asked = to[i].iov_len;
    l->room = room;
    return true;
}

/* What came: more than there was room for? */
static ssize_t judge(const char *function, ssize_t got, const struct list *l)
{
    if (got > 0 && (size_t)got > l->fits)
        mo_look(function, (uintptr_t)l->bad, l->asked, 0, MO_DST);
    return got;
}

static MO_COLD ssize_t read_cut(int fd, void *d, size_t n)
{
    struct iovec to = {d, n};
    struct list l;
    return cut("read", &to, 1, &l) ? judge("read", MO_REAL(readv)(fd, l.places, l.count), &l) : MO_REAL(read)(fd, d, n);
}

ssize_t read(int fd, void *d, size_t n)
{
    if (!MO_REAL_IS_FOUND(read))
        mo_real_wait();
    return mo_likely(mo_fits((uintptr_t)d, n, MO_DST)) ? MO_REAL(read)(fd, d, n) : read_cut(fd, d, n);
}

ssize_t __read_chk(int fd, void *d, size_t n, size_t bound)
{
    mo_fortify(n, bound);
    return read(fd, d, n);
}

ssize_t readv(int fd, const struct iovec *to, int count)
{
    struct list l;
    if (!MO_REAL_IS_FOUND(readv))
        mo_real_wait();
    if (!cut("readv", to, (size_t)count, &l))
        return MO_REAL(readv)(fd, to, count);
    return judge("readv", MO_REAL(readv)(fd, l.places, l.count), &l);
}

ssize_t preadv(int fd, const struct iovec *to, int count, off_t at)
{
    struct list l;
    if (!MO_REAL_IS_FOUND(preadv))
        mo_real_wait();
    if (!cut("preadv", to, (size_t)count, &l))
        return MO_REAL(preadv)(fd, to, count, at);
    return judge("preadv", MO_REAL(preadv)(fd, l.places, l.count, at), &l);
}

ssize_t pread(int fd, void *d, size_t n, off_t at)
{
    struct iovec to = {d, n};
    struct list l;
    if (!MO_REAL_IS_FOUND(pread))
        mo_real_wait();
    if (mo_likely(mo_fits((uintptr_t)d, n, MO_DST)) || !cut("pread", &to, 1, &l))
        return MO_REAL(pread)(fd, d, n, at);
    return judge("pread", MO_REAL(preadv)(fd, l.places, l.count, at), &l);
}

ssize_t __pread_chk(int fd, void *d, size_t n, off_t at, size_t bound)
{
    mo_fortify(n, bound);
    return pread(fd, d, n, at);
}

#ifdef __GLIBC__
ssize_t preadv64(int fd, const struct iovec *to, int count, off64_t at)
{
    struct list l;
    if (!MO_REAL_IS_FOUND(preadv64))
        mo_real_wait();
    if (!cut("preadv", to, (size_t)count, &l))
        return MO_REAL(preadv64)(fd, to, count, at);
    return judge("preadv", MO_REAL(preadv64)(fd, l.places, l.count, at), &l);
}

ssize_t pread64(int fd, void *d, size_t n, off64_t at)
{
    struct iovec to = {d, n};
    struct list l;
    if (!MO_REAL_IS_FOUND(pread64))
        mo_real_wait();
    if (mo_likely(mo_fits((uintptr_t)d, n, MO_DST)) || !cut("pread", &to, 1, &l))
        return MO_REAL(pread64)(fd, d, n, at);
    return judge("pread", MO_REAL(preadv64)(fd, l.places, l.count, at), &l);
}

ssize_t __pread64_chk(int fd, void *d, size_t n, off64_t at, size_t bound)
{
    mo_fortify(n, bound);
    return pread64(fd, d, n, at);
}
#endif

/* On a stream MSG_TRUNC means that bytes are thrown away, not written: their count says nothing. */
static bool throws_away(int fd, int flags)
{
    int kind = 0, saved = errno;
    socklen_t size = sizeof kind;
    bool yes =
        (flags & MSG_TRUNC) != 0 && getsockopt(fd, SOL_SOCKET, SO_TYPE, &kind, &size) == 0 && kind == SOCK_STREAM;
    errno = saved;
    return yes;
}

ssize_t recv(int fd, void *d, size_t n, int flags)
{
    struct iovec to = {d, n};
    struct list l;
    if (!MO_REAL_IS_FOUND(recv))
        mo_real_wait();
    if (mo_likely(mo_fits((uintptr_t)d, n, MO_DST)) || throws_away(fd, flags) || !cut("recv", &to, 1, &l))
        return MO_REAL(recv)(fd, d, n, flags);
    struct msghdr message = {.msg_iov = l.places, .msg_iovlen = (size_t)l.count};
    return judge("recv", MO_REAL(recvmsg)(fd, &message, flags), &l);
}

ssize_t __recv_chk(int fd, void *d, size_t n, size_t bound, int flags)
{
    mo_fortify(n, bound);
    return recv(fd, d, n, flags);
}

ssize_t recvfrom(int fd, void *d, size_t n, int flags, struct sockaddr *from, socklen_t *size)
{
    struct iovec to = {d, n};
    struct list l;
    if (!MO_REAL_IS_FOUND(recvfrom))
        mo_real_wait();
    if (mo_likely(mo_fits((uintptr_t)d, n, MO_DST)) || throws_away(fd, flags) || !cut("recvfrom", &to, 1, &l))
        return MO_REAL(recvfrom)(fd, d, n, flags, from, size);
    bool named = from != NULL && size != NULL;
    struct msghdr message = {.msg_iov = l.places,
                             .msg_iovlen = (size_t)l.count,
                             .msg_name = named ? from : NULL,
                             .msg_namelen = named ? *size : 0};
    ssize_t got = judge("recvfrom", MO_REAL(recvmsg)(fd, &message, flags), &l);
    if (got >= 0 && named)
        *size = message.msg_namelen;
    return got;
}

ssize_t __recvfrom_chk(int fd, void *d, size_t n, size_t bound, int flags, struct sockaddr *from, socklen_t *size)
{
    mo_fortify(n, bound);
    return recvfrom(fd, d, n, flags, from, size);
}

ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
    struct list l;
    if (!MO_REAL_IS_FOUND(recvmsg))
        mo_real_wait();
    if (message == NULL || throws_away(fd, flags) || !cut("recvmsg", message->msg_iov, (size_t)message->msg_iovlen, &l))
        return MO_REAL(recvmsg)(fd, message, flags);
    struct iovec *had = message->msg_iov;
    size_t count = (size_t)message->msg_iovlen;
    message->msg_iov = l.places;
    message->msg_iovlen = (size_t)l.count;
    ssize_t got = MO_REAL(recvmsg)(fd, message, flags);
    message->msg_iov = had;
    message->msg_iovlen = count;
    return judge("recvmsg", got, &l);
}
