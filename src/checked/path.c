/* getcwd and realpath: a smaller buffer than their size says (or than PATH_MAX) will do for a short path, so that it is
 * asked for elsewhere first where the chunk is smaller. */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "checked/check.h"

MO_CHECKED_FN char *getcwd(char *d, size_t n);
MO_CHECKED_FN char *__getcwd_chk(char *d, size_t n, size_t bound);
MO_CHECKED_FN char *realpath(const char *path, char *d);
MO_CHECKED_FN char *__realpath_chk(const char *path, char *d, size_t bound);

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
