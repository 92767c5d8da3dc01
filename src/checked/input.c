/* gets, fgets, fread. A size may be larger than the buffer as long as the input is short: what fits is read, and one
 * more character then says whether libc's would have written on. */
#include "checked/check.h"

MO_CHECKED_FN char *gets(char *d);
MO_CHECKED_FN char *__gets_chk(char *d, size_t bound);
MO_CHECKED_FN char *fgets(char *d, int n, FILE *in);
MO_CHECKED_FN char *fgets_unlocked(char *d, int n, FILE *in);
MO_CHECKED_FN char *__fgets_chk(char *d, size_t bound, int n, FILE *in);
MO_CHECKED_FN char *__fgets_unlocked_chk(char *d, size_t bound, int n, FILE *in);
MO_CHECKED_FN size_t fread(void *d, size_t size, size_t count, FILE *in);
MO_CHECKED_FN size_t fread_unlocked(void *d, size_t size, size_t count, FILE *in);
MO_CHECKED_FN size_t __fread_chk(void *d, size_t bound, size_t size, size_t count, FILE *in);
MO_CHECKED_FN size_t __fread_unlocked_chk(void *d, size_t bound, size_t size, size_t count, FILE *in);

static bool has_more(FILE *in)
{
    return getc(in) != EOF; /* not put back: the process is about to end */
}

/* gets into a chunk: character by character, as its length is known at its end only. */
static char *line_of(char *d, size_t room, size_t bound)
{
    size_t n = 0;
    int c;
    while ((c = getc(stdin)) != EOF && c != '\n') {
        if (n + 1 >= bound)
            mo_real_fortify_failed();
        if (n + 1 >= room)
            mo_look("gets", (uintptr_t)d, n + 2, 0, MO_DST);
        d[n++] = (char)c;
    }
    if (c == EOF && (n == 0 || ferror(stdin)))
        return NULL;
    if (room == 0)
        mo_look("gets", (uintptr_t)d, 1, 0, MO_DST);
    d[n] = '\0';
    return d;
}

char *gets(char *d)
{
    size_t room = mo_room("gets", d, SIZE_MAX, NULL);
    if (room != SIZE_MAX)
        return line_of(d, room, SIZE_MAX);
    if (!MO_REAL_IS_FOUND(gets))
        mo_real_wait();
    return MO_REAL(gets)(d);
}

char *__gets_chk(char *d, size_t bound)
{
    size_t room = mo_room("gets", d, SIZE_MAX, NULL);
#ifdef __GLIBC__
    if (!MO_REAL_IS_FOUND(__gets_chk))
        mo_real_wait();
    if (room == SIZE_MAX)
        return MO_REAL(__gets_chk)(d, bound);
#endif
    return line_of(d, room, bound);
}

typedef char *line_reader(char *d, int n, FILE *in);

/* n is more than the chunk has from d on, which is `room`. */
static char *line_that_fits(line_reader *real, char *d, int n, FILE *in, size_t room)
{
    if (room < 2) { /* not even one character and an end */
        if (n == 1 || has_more(in))
            mo_look("fgets", (uintptr_t)d, mo_min((size_t)n, 2), 0, MO_DST);
        return NULL;
    }
    char *last = d + room - 1, had = *last;
    *last = 1; /* becomes 0 when all is filled, whatever is in the line */
    char *line = real(d, (int)room, in);
    if (*last != '\0') {
        *last = had;
        return line;
    }
    if (line != NULL && last[-1] != '\n' && has_more(in))
        mo_look("fgets", (uintptr_t)d, room + 1, 0, MO_DST);
    return line;
}

MO_INLINE char *get_line(line_reader *real, char *d, int n, FILE *in)
{
    size_t asked = n > 0 ? (size_t)n : 0, room = mo_room("fgets", d, asked, NULL);
    return mo_likely(room >= asked) ? real(d, n, in) : line_that_fits(real, d, n, in, room);
}

char *fgets(char *d, int n, FILE *in)
{
    if (!MO_REAL_IS_FOUND(fgets))
        mo_real_wait();
    return get_line(MO_REAL(fgets), d, n, in);
}

char *fgets_unlocked(char *d, int n, FILE *in)
{
    if (!MO_REAL_IS_FOUND(fgets_unlocked))
        mo_real_wait();
    return get_line(MO_REAL(fgets_unlocked), d, n, in);
}

/* libc's ends the process only when a line is longer than the compiler's bound: so does it here, where that is the
 * smaller one. */
char *__fgets_chk(char *d, size_t bound, int n, FILE *in)
{
#ifdef __GLIBC__
    if (n > 0 && (size_t)n > bound && mo_room("fgets", d, bound, NULL) >= bound) {
        if (!MO_REAL_IS_FOUND(__fgets_chk))
            mo_real_wait();
        return MO_REAL(__fgets_chk)(d, bound, n, in);
    }
#endif
    (void)bound;
    return fgets(d, n, in);
}

char *__fgets_unlocked_chk(char *d, size_t bound, int n, FILE *in)
{
#ifdef __GLIBC__
    if (n > 0 && (size_t)n > bound && mo_room("fgets", d, bound, NULL) >= bound) {
        if (!MO_REAL_IS_FOUND(__fgets_unlocked_chk))
            mo_real_wait();
        return MO_REAL(__fgets_unlocked_chk)(d, bound, n, in);
    }
#endif
    (void)bound;
    return fgets_unlocked(d, n, in);
}

typedef size_t block_reader(void *d, size_t size, size_t count, FILE *in);

MO_INLINE size_t get_blocks(block_reader *real, void *d, size_t bound, size_t size, size_t count, FILE *in)
{
    size_t n;
    if (__builtin_mul_overflow(size, count, &n))
        n = SIZE_MAX - 1; /* SIZE_MAX: foreign */
    mo_fortify(n, bound);
    size_t room = mo_room("fread", d, n, NULL);
    if (mo_likely(room >= n))
        return real(d, size, count, in);
    size_t got = real(d, 1, room, in);
    if (got == room && has_more(in))
        mo_look("fread", (uintptr_t)d, n, 0, MO_DST);
    return got / size;
}

size_t fread(void *d, size_t size, size_t count, FILE *in)
{
    if (!MO_REAL_IS_FOUND(fread))
        mo_real_wait();
    return get_blocks(MO_REAL(fread), d, SIZE_MAX, size, count, in);
}

size_t __fread_chk(void *d, size_t bound, size_t size, size_t count, FILE *in)
{
    if (!MO_REAL_IS_FOUND(fread))
        mo_real_wait();
    return get_blocks(MO_REAL(fread), d, bound, size, count, in);
}

size_t fread_unlocked(void *d, size_t size, size_t count, FILE *in)
{
    if (!MO_REAL_IS_FOUND(fread_unlocked))
        mo_real_wait();
    return get_blocks(MO_REAL(fread_unlocked), d, SIZE_MAX, size, count, in);
}

size_t __fread_unlocked_chk(void *d, size_t bound, size_t size, size_t count, FILE *in)
{
    if (!MO_REAL_IS_FOUND(fread_unlocked))
        mo_real_wait();
    return get_blocks(MO_REAL(fread_unlocked), d, bound, size, count, in);
}
