/* Epochs of a persistent harness, and the look for leaks when the process exits. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <sys/stat.h>

#include "api/names.h"
#include "cache/cache.h"
#include "diag/report_form.h"
#include "front/front.h"
#include "front/thread.h"
#include "fuzzing/leaks.h"
#include "fuzzing/reuse.h"
#include "guard/pool.h"
#include "moat/moat.h"

enum { HIGH_FD = 200, PATIENCE = 1000 }; /* out of the way of programs that count on the numbers below; milliseconds */

/* Between begin and end: what there was at its begin. Under the turn. */
static struct {
    bool open;
    size_t number;
    struct mo_leak_set old; /* of option detect_leaks */
    struct mo_pool_figures pool;
} epoch;

/* One search at a time. By process: a thread that had the turn when its process forked is not in the child. */
static long turn;   /* atomic: the process that has it, or 0 */
static bool ending; /* atomic: the process ends, epochs are over */

static bool take_turn(unsigned milliseconds)
{
    long self = mo_os_process_id(), seen = __atomic_load_n(&turn, __ATOMIC_RELAXED);
    uint32_t since = mo_os_milliseconds();
    for (;;) {
        if (seen != self && __atomic_compare_exchange_n(&turn, &seen, self, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
            return true;
        if (mo_os_milliseconds() - since >= milliseconds)
            return false;
        mo_os_pause(1);
        seen = __atomic_load_n(&turn, __ATOMIC_RELAXED);
    }
}

static void give_turn(void)
{
    __atomic_store_n(&turn, 0, __ATOMIC_RELEASE);
}

/* Where the report goes: the file that was stderr at start. Some programs close it on their way out, and may have
 * another file by its number then. */
static struct {
    struct stat file;
    int copy;
} output = {.copy = -1};

static bool is_output(int fd)
{
    struct stat s;
    return fstat(fd, &s) == 0 && s.st_dev == output.file.st_dev && s.st_ino == output.file.st_ino;
}

static int output_of(bool at_exit)
{
    return at_exit && output.copy >= 0 && !is_output(STDERR_FILENO) && is_output(output.copy) ? output.copy
                                                                                              : STDERR_FILENO;
}

__attribute__((constructor(102))) static void keep_stderr(void)
{
    int saved = errno;
    mo_front_start();
    if (mo_sealed.options.detect_leaks != 0 && fstat(STDERR_FILENO, &output.file) == 0)
        output.copy = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, HIGH_FD);
    errno = saved;
}

static void say_not_looked(bool at_exit)
{
    static const char blind[] = "moat: detect_leaks: not looked for: no /proc/self/pagemap, no memory or no lock\n";
    (void)mo_os_write(output_of(at_exit), blind, sizeof blind - 1);
}

/* What libc does after us; but for a file that another thread reads from or writes to it would wait. */
static void flush(FILE *f)
{
    if (ftrylockfile(f) != 0)
        return;
    (void)fflush_unlocked(f);
    funlockfile(f);
}

/* Ends the process where there are leaks, as option leak_exitcode says; else says how many, and of how many bytes. */
static size_t look_for_leaks(const struct mo_leak_set *old, const char *what, bool at_exit, size_t *bytes)
{
    struct mo_leak_set set;
    bool good;
    size_t leaks = mo_leaks_search(&set, old, &good);
    if (!good)
        say_not_looked(at_exit);
    if (leaks != 0)
        mo_leaks_report(what, output_of(at_exit));
    for (size_t i = 0; i < leaks; i++)
        *bytes += set.chunks[i].n;
    mo_leaks_drop(&set);
    if (leaks == 0 || mo_sealed.options.leak_exitcode == 0)
        return leaks;
    if (at_exit) {
        flush(stdout);
        flush(stderr);
    }
    mo_os_exit((int)mo_sealed.options.leak_exitcode);
}

/* For an epoch: false, with EBUSY, while another thread searches, or at the end. */
static bool take_turn_for_epoch(void)
{
    if (!__atomic_load_n(&ending, __ATOMIC_ACQUIRE) && take_turn(PATIENCE))
        return true;
    errno = EBUSY;
    return false;
}

MO_EXPORT int moat_epoch_begin(void)
{
    mo_front_start();
    if (!take_turn_for_epoch())
        return -1;
    if (epoch.open) {
        give_turn();
        errno = EBUSY;
        return -1;
    }
    epoch.open = true;
    epoch.number++;
    mo_pool_figures(&epoch.pool);
    if (mo_sealed.options.detect_leaks != 0 && !mo_leaks_collect(&epoch.old))
        mo_leaks_drop(&epoch.old);
    give_turn();
    return 0;
}

MO_EXPORT int moat_epoch_end(struct moat_epoch *e, size_t size)
{
    struct mo_pool_figures pool;
    if (!take_turn_for_epoch())
        return -1;
    struct moat_epoch now = {.size = sizeof now, .number = epoch.number};
    if (!epoch.open || (e != NULL && size < sizeof now.size)) {
        give_turn();
        errno = EINVAL;
        return -1;
    }
    epoch.open = false;
    struct mo_cache *c = mo_thread_cache();
    if (c != NULL)
        mo_thread_drain(c); /* what waits is looked at, while it is known whose run it was */
    mo_reuse_check("epoch");
    mo_pool_figures(&pool);
    now.guarded_count = pool.taken - epoch.pool.taken;
    now.guarded_live = pool.live_count;
    now.guarded_grown = (ptrdiff_t)(pool.live_count - epoch.pool.live_count);
    if (mo_sealed.options.detect_leaks != 0 && epoch.old.chunks != NULL)
        now.leaked_count = look_for_leaks(&epoch.old, "the epoch", false, &now.leaked_bytes);
    mo_leaks_drop(&epoch.old);
    give_turn();
    if (e != NULL)
        __builtin_memcpy(e, &now, mo_min(size, sizeof now));
    return 0;
}

/* Before moat's own last look, which has the priority 101. */
__attribute__((destructor(102))) static void at_exit(void)
{
    size_t bytes = 0;
    const struct mo_leak_set none = {0};
    if (mo_sealed.options.check_at_exit != MO_CHECK_OFF)
        mo_reuse_check("exit");
    if (mo_sealed.options.detect_leaks == 0)
        return;
    __atomic_store_n(&ending, true, __ATOMIC_RELEASE);
    if (!take_turn(PATIENCE)) {
        say_not_looked(true);
        return;
    }
    (void)look_for_leaks(&none, "the process", true, &bytes);
    give_turn();
}
