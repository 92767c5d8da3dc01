/* getcwd, realpath and readlink: a smaller buffer than their size says (or than PATH_MAX) will do for a short path, so
 * that it is asked for elsewhere first where the chunk is smaller. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "checked/check.h"

MO_CHECKED_FN char *getcwd(char *d, size_t n);
MO_CHECKED_FN char *__getcwd_chk(char *d, size_t n, size_t bound);
MO_CHECKED_FN char *realpath(const char *path, char *d);
MO_CHECKED_FN char *__realpath_chk(const char *path, char *d, size_t bound);
MO_CHECKED_FN ssize_t readlink(const char *path, char *d, size_t n);
MO_CHECKED_FN ssize_t __readlink_chk(const char *path, char *d, size_t n, size_t bound);
MO_CHECKED_FN ssize_t readlinkat(int fd, const char *path, char *d, size_t n);
MO_CHECKED_FN ssize_t __readlinkat_chk(int fd, const char *path, char *d, size_t n, size_t bound);

static char *take(const char *function, char *d, const char *found, const char *path)
{
    size_t n = strlen(found) + 1;
    mo_write(function, d, n, path);
    return mo_real_move(d, found, n);
}

char *getcwd(char *d, size_t n)
{
    char elsewhere[PATH_MAX];
    if (!MO_REAL_IS_FOUND(getcwd))
        mo_real_wait();
    if (d == NULL)
        return MO_REAL(getcwd)(d, n);
    size_t room = mo_room("getcwd", d, n, NULL);
    if (mo_likely(room >= n) || room >= sizeof elsewhere)
        return MO_REAL(getcwd)(d, room);
    if (MO_REAL(getcwd)(elsewhere, mo_min(n, sizeof elsewhere)) == NULL)
        return NULL;
    return take("getcwd", d, elsewhere, NULL);
}

char *__getcwd_chk(char *d, size_t n, size_t bound)
{
    mo_fortify(n, bound);
    return getcwd(d, n);
}

char *realpath(const char *path, char *d)
{
    char elsewhere[PATH_MAX];
    if (!MO_REAL_IS_FOUND(realpath))
        mo_real_wait();
    if (d == NULL || mo_likely(mo_room("realpath", d, PATH_MAX, path) >= PATH_MAX))
        return MO_REAL(realpath)(path, d);
    elsewhere[0] = '\0';
    if (MO_REAL(realpath)(path, elsewhere) != NULL)
        return take("realpath", d, elsewhere, path);
    if (errno == EACCES || errno == ENOENT) { /* glibc says there which part it was */
        int saved = errno;
        (void)take("realpath", d, elsewhere, path);
        errno = saved;
    }
    return NULL;
}

char *__realpath_chk(const char *path, char *d, size_t bound)
{
    if (mo_unlikely(bound < PATH_MAX))
        mo_real_fortify_failed();
    return realpath(path, d);
}

/* What a link says has no end, and may be cut. Apart, as readlink may be called on a signal handler's small stack. */
MO_COLD static ssize_t link_elsewhere(const char *function, int fd, const char *path, char *d, size_t n)
{
    char elsewhere[PATH_MAX];
    n = mo_min(n, sizeof elsewhere);
    ssize_t got = fd == AT_FDCWD ? MO_REAL(readlink)(path, elsewhere, n) : MO_REAL(readlinkat)(fd, path, elsewhere, n);
    if (got > 0) {
        mo_write(function, d, (size_t)got, path);
        (void)mo_real_move(d, elsewhere, (size_t)got);
    }
    return got;
}

ssize_t readlink(const char *path, char *d, size_t n)
{
    if (!MO_REAL_IS_FOUND(readlink))
        mo_real_wait();
    if (mo_likely(mo_room("readlink", d, n, path) >= n))
        return MO_REAL(readlink)(path, d, n);
    return link_elsewhere("readlink", AT_FDCWD, path, d, n);
}

ssize_t __readlink_chk(const char *path, char *d, size_t n, size_t bound)
{
    mo_fortify(n, bound);
    return readlink(path, d, n);
}

ssize_t readlinkat(int fd, const char *path, char *d, size_t n)
{
    if (!MO_REAL_IS_FOUND(readlinkat))
        mo_real_wait();
    if (mo_likely(mo_room("readlinkat", d, n, path) >= n))
        return MO_REAL(readlinkat)(fd, path, d, n);
    return link_elsewhere("readlinkat", fd, path, d, n);
}

ssize_t __readlinkat_chk(int fd, const char *path, char *d, size_t n, size_t bound)
{
    mo_fortify(n, bound);
    return readlinkat(fd, path, d, n);
}
