/* The heap profile: the guard pool's live chunks with the stacks of their allocation, as text that pprof reads.
 *
 * A first line of sums, a line for each chunk (count and bytes that are live, the same again for what was ever
 * allocated, which is not known, and return addresses), then the mappings, by which a viewer finds symbols. Each chunk
 * stands for as many as option sample_rate says. May be done in a signal handler, so no lock is taken: a chunk is read
 * between two looks that find it live.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <sys/syscall.h>

#include "api/names.h"
#include "api/sight.h"
#include "diag/sealed.h"
#include "front/front.h"
#include "guard/pool.h"
#include "moat/moat.h"
#include "os/os.h"

static void put_number(struct mo_out *o, uint64_t v, const char *behind)
{
    mo_text_decimal(&o->text, v);
    mo_text_string(&o->text, behind);
}

/* "5: 160 [5: 160] @" */
static void put_counts(struct mo_out *o, uint64_t count, uint64_t bytes)
{
    uint64_t rate = mo_sealed.options.sample_rate;
    put_number(o, count * rate, ": ");
    put_number(o, bytes * rate, " [");
    put_number(o, count * rate, ": ");
    put_number(o, bytes * rate, "] @");
}

static void put_chunk(struct mo_out *o, const struct mo_pool_slot *g)
{
    struct mo_stack stack = {.count = 0};
    uintptr_t p = g->p;
    size_t n = g->n;
    const struct mo_stack *made = mo_pool_stack(g, false);
    if (made != NULL)
        stack = *made;
    if (mo_pool_find(p) != g)
        return;
    put_counts(o, 1, n);
    for (size_t i = 0; i < mo_min(stack.count, MO_STACK_MOST); i++) {
        mo_text_string(&o->text, " ");
        mo_text_hex(&o->text, stack.frames[i]);
    }
    mo_text_string(&o->text, "\n");
    mo_out_flush(o);
}

static void put_mappings(struct mo_out *o)
{
    long got = 0;
    int fd = (int)syscall(SYS_openat, AT_FDCWD, "/proc/self/maps", O_RDONLY | O_CLOEXEC, 0);
    mo_text_string(&o->text, "\nMAPPED_LIBRARIES:\n");
    do {
        o->text.at += got;
        mo_out_flush(o);
        got = syscall(SYS_read, fd, o->buf, sizeof o->buf);
    } while (got > 0);
    mo_os_close_file(fd);
}

bool mo_profile_write(int fd)
{
    const struct mo_pool_slot *g;
    uint64_t count = 0, bytes = 0;
    struct mo_out o;
    if (MO_SMALL)
        return false; /* nothing is sampled */
    mo_front_start();
    mo_out_start(&o, fd);
    for (size_t at = 0; (g = mo_pool_next_locked(&at, true)) != NULL; count++)
        bytes += g->n;
    mo_text_string(&o.text, "heap profile: ");
    put_counts(&o, count, bytes);
    mo_text_string(&o.text, " heapprofile\n");
    for (size_t at = 0; (g = mo_pool_next_locked(&at, true)) != NULL;)
        put_chunk(&o, g);
    put_mappings(&o);
    return !o.bad;
}

MO_EXPORT int moat_profile_dump(int fd)
{
    int saved = errno;
    bool done = mo_profile_write(fd);
    errno = done ? saved : EIO;
    return done ? 0 : -1;
}
