#include "os/roots.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "os/os.h"
#include "os/private.h"

#ifndef SYS_rt_sigtimedwait
#define SYS_rt_sigtimedwait SYS_rt_sigtimedwait_time64 /* 32-bit architectures that came after 2038 was thought of */
#endif

enum {
    THREADS_MOST = 1024,
    STOP_MS = 200,
    LINE_MOST = 640, /* of a line of maps that is looked at; a path behind it does not matter */
    PAGES = 512,     /* entries of pagemap read at once */
    STATUS = 4096,   /* of a thread's status */
};

static int stop_signal; /* 0: none is stopped */
static struct sigaction before;
static bool stopping;                  /* atomic */
static size_t stopped;                 /* atomic: places of `stacks` taken */
static size_t others;                  /* that have been sent the signal */
static size_t waiting;                 /* atomic: threads in the handler */
static uintptr_t stacks[THREADS_MOST]; /* where they stand */
static uint32_t known[THREADS_MOST];   /* threads that have been come to */
static size_t known_count;
static bool all_stand; /* none goes on that could be stopped but was not */

/* In each other thread. The kernel has put its registers on its stack, above this frame. */
static void stop_here(int number)
{
    int saved = errno;
    (void)number;
    __atomic_add_fetch(&waiting, 1, __ATOMIC_ACQ_REL);
    size_t place = __atomic_fetch_add(&stopped, 1, __ATOMIC_ACQ_REL);
    if (place < THREADS_MOST)
        __atomic_store_n(&stacks[place], (uintptr_t)__builtin_frame_address(0), __ATOMIC_RELEASE);
    while (__atomic_load_n(&stopping, __ATOMIC_ACQUIRE))
        mo_os_pause(1);
    __atomic_sub_fetch(&waiting, 1, __ATOMIC_ACQ_REL);
    errno = saved;
}

struct directory_entry { /* linux_dirent64 */
    uint64_t inode, offset;
    uint16_t size;
    uint8_t type;
    char name[];
};

static long number_of(const char *name)
{
    long n = 0;
    for (; *name >= '0' && *name <= '9'; name++)
        n = n * 10 + (*name - '0');
    return *name == '\0' ? n : 0;
}

/* The value of a line of a thread's status; NULL: there is none. */
static const char *value_of(const char *status, const char *key)
{
    const char *at = strstr(status, key);
    return at != NULL ? at + strlen(key) + strspn(at + strlen(key), " \t") : NULL;
}

static size_t read_of_thread(long thread, const char *file, char *to, size_t size)
{
    char path[64] = "/proc/self/task/", digits[24];
    char *at = path + strlen(path);
    size_t n = 0;
    for (long rest = thread; rest > 0; rest /= 10)
        digits[n++] = (char)('0' + rest % 10);
    while (n > 0)
        *at++ = digits[--n];
    memcpy(at, file, strlen(file) + 1);
    return mo_os_read_file(path, to, size);
}

/* Is it in sigwait for the signal, which would give it to the program? "128 0x7ffd1234 ..." */
static bool waits_for(const char *call, int number)
{
    uint64_t set;
    long which = 0;
    for (; *call >= '0' && *call <= '9'; call++)
        which = which * 10 + (*call - '0');
    if (which != SYS_rt_sigtimedwait || strncmp(call, " 0x", 3) != 0)
        return false;
    call += 3;
    return mo_os_copy(mo_os_read_hex(&call), &set, sizeof set) == sizeof set && (set >> (number - 1) & 1) != 0;
}

enum answer { TAKES, BLOCKS, ENDED };

/* Would the thread take the signal? One that has ended, or blocks it, would be waited for in vain. */
static enum answer ask(long thread, int number)
{
    static char text[STATUS];
    if (read_of_thread(thread, "/status", text, sizeof text) == 0)
        return TAKES;
    const char *state = value_of(text, "\nState:"), *blocked = value_of(text, "\nSigBlk:");
    if (state != NULL && (*state == 'Z' || *state == 'X'))
        return ENDED;
    if (blocked != NULL && (mo_os_read_hex(&blocked) >> (number - 1) & 1) != 0)
        return BLOCKS;
    return read_of_thread(thread, "/syscall", text, sizeof text) != 0 && waits_for(text, number) ? BLOCKS : TAKES;
}

static bool is_known(long thread)
{
    for (size_t i = 0; i < known_count; i++)
        if (known[i] == (uint32_t)thread)
            return true;
    return false;
}

/* Sends the signal to a thread that has not been come to; true: to this one. */
static bool signal_one(long thread, int number)
{
    if (is_known(thread))
        return false;
    if (known_count == THREADS_MOST) {
        all_stand = false;
        return false;
    }
    known[known_count++] = (uint32_t)thread;
    enum answer a = ask(thread, number);
    all_stand = all_stand && a != BLOCKS;
    return a == TAKES && syscall(SYS_tgkill, mo_os_process_id(), thread, number) == 0;
}

/* Sends the signal to every other thread that is new, or to none when it is 0; how many there are. */
static size_t signal_others(int number)
{
    static char entries[4096] __attribute__((aligned(8)));
    long self = mo_os_thread_id(), n;
    size_t count = 0;
    int fd = (int)syscall(SYS_openat, AT_FDCWD, "/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    while (fd >= 0 && (n = syscall(SYS_getdents64, fd, entries, sizeof entries)) > 0) {
        for (long at = 0; at < n;) {
            const struct directory_entry *e = (const void *)(entries + at);
            long thread = number_of(e->name);
            if (thread > 0 && thread != self && (number == 0 || signal_one(thread, number)))
                count++;
            at += e->size;
        }
    }
    if (fd >= 0)
        syscall(SYS_close, fd);
    return count;
}

/* Again until no thread is new: one that has not been stopped yet may have made another. */
static void stop_all(int number)
{
    enum { ROUNDS = 20 };
    for (unsigned round = 0; round < ROUNDS; round++) {
        size_t was = known_count;
        others += signal_others(number);
        if (known_count == was)
            return;
        for (unsigned i = 0; i < STOP_MS && __atomic_load_n(&waiting, __ATOMIC_ACQUIRE) < others; i++)
            mo_os_pause(1);
    }
    all_stand = false;
}

bool mo_os_threads_stop(void)
{
    int saved = errno;
    struct sigaction now = {.sa_handler = stop_here, .sa_flags = SA_RESTART};
    stopped = waiting = others = known_count = 0;
    all_stand = true;
    if (signal_others(0) != 0) {
        sigfillset(&now.sa_mask);
        stopping = true;
        int number = SIGRTMAX - 1;
        if (sigaction(number, &now, &before) == 0) {
            stop_signal = number;
            stop_all(number);
        }
        all_stand = all_stand && stop_signal != 0 && __atomic_load_n(&waiting, __ATOMIC_ACQUIRE) == others;
    }
    errno = saved;
    return all_stand;
}

void mo_os_threads_go(void)
{
    int saved = errno;
    __atomic_store_n(&stopping, false, __ATOMIC_RELEASE);
    for (unsigned i = 0; i < STOP_MS && __atomic_load_n(&waiting, __ATOMIC_ACQUIRE) != 0; i++)
        mo_os_pause(1);
    if (stop_signal != 0) {
        /* One that has the signal blocked takes it later: it is to do nothing then. */
        if (before.sa_handler == SIG_DFL && stopped < others)
            before.sa_handler = SIG_IGN;
        (void)sigaction(stop_signal, &before, NULL);
    }
    stop_signal = 0;
    errno = saved;
}

struct line {
    uintptr_t low, high;
    bool wanted;   /* private and readable */
    bool writable; /* else it counts where its pages are not the file's */
};

/* "7f12a000-7f12b000 rw-p ..." */
static struct line parse(const char *text)
{
    struct line l;
    l.low = mo_os_read_hex(&text);
    text += *text == '-';
    l.high = mo_os_read_hex(&text);
    l.wanted = text[0] == ' ' && text[1] == 'r' && text[2] != '\0' && text[3] != '\0' && text[4] == 'p';
    l.writable = l.wanted && text[2] == 'w';
    l.wanted = l.wanted && (l.writable || text[3] == '-'); /* code has no pointers of the program's */
    return l;
}

/* Maps, line by line: see next_line. */
struct maps {
    int fd;
    long at, n;
    char text[4096];
};

static bool open_maps(struct maps *m)
{
    m->at = m->n = 0;
    m->fd = (int)syscall(SYS_openat, AT_FDCWD, "/proc/thread-self/maps", O_RDONLY | O_CLOEXEC, 0);
    return m->fd >= 0;
}

static bool next_line(struct maps *m, struct line *l)
{
    char line[LINE_MOST];
    size_t n = 0;
    for (;;) {
        if (m->at == m->n) {
            m->at = 0;
            do
                m->n = syscall(SYS_read, m->fd, m->text, sizeof m->text);
            while (m->n < 0 && errno == EINTR);
            if (m->n <= 0) {
                m->n = 0;
                return false;
            }
        }
        char c = m->text[m->at++];
        if (c == '\n')
            break;
        if (n < sizeof line - 1)
            line[n++] = c;
    }
    line[n] = '\0';
    *l = parse(line);
    return true;
}

/* The least address of the mapping that counts: below where a thread stands, its stack is what calls have left. In a
 * mapping that several threads stand in, the stack of one may lie below that of another. */
static uintptr_t used_from(const struct line *l, uintptr_t stack)
{
    uintptr_t from = l->low;
    size_t stand = 0, n = mo_min(__atomic_load_n(&stopped, __ATOMIC_ACQUIRE), THREADS_MOST);
    for (size_t i = 0; i <= n; i++) {
        uintptr_t at = i < n ? stacks[i] : stack;
        if (at - l->low >= l->high - l->low)
            continue;
        stand++;
        from = at;
    }
    return stand == 1 ? mo_align_down(from, sizeof(uintptr_t)) : l->low;
}

static int pagemap = -1;
static bool only_anonymous; /* of the mapping that is visited */

bool mo_os_present(uintptr_t low, uintptr_t high, mo_os_visit *visit)
{
    static uint64_t entries[PAGES];
    const uint64_t present = (uint64_t)1 << 63, swapped = (uint64_t)1 << 62, of_file = (uint64_t)1 << 61;
    const uint64_t guard = (uint64_t)1 << 58; /* a guard marker (Linux 6.15) */
    size_t page = mo_os_page_size();
    uintptr_t at = mo_align_down(low, page);
    while (at < high) {
        size_t want = mo_min((high - at + page - 1) / page, PAGES);
        long got = syscall(SYS_pread64, pagemap, entries, want * sizeof *entries, (long)(at / page * sizeof *entries));
        if (got <= 0)
            return false;
        for (size_t i = 0; i < (size_t)got / sizeof *entries; i++, at += page) {
            if ((entries[i] & guard) != 0 || (only_anonymous && (entries[i] & of_file) != 0))
                continue;
            /* A guard marker may look like a page that is swapped out. */
            if ((entries[i] & present) == 0 && ((entries[i] & swapped) == 0 || !mo_os_readable(at)))
                continue;
            visit(mo_max(at, low), mo_min(at + page, high));
        }
    }
    return true;
}

bool mo_os_roots(uintptr_t stack, mo_os_range *range)
{
    static struct maps m;
    struct line l;
    int saved = errno;
    bool good = open_maps(&m);
    pagemap = (int)syscall(SYS_openat, AT_FDCWD, "/proc/thread-self/pagemap", O_RDONLY | O_CLOEXEC, 0);
    good = good && pagemap >= 0;
    while (good && next_line(&m, &l)) {
        only_anonymous = !l.writable;
        if (l.wanted)
            good = range(used_from(&l, stack), l.high);
    }
    if (m.fd >= 0)
        syscall(SYS_close, m.fd);
    if (pagemap >= 0)
        syscall(SYS_close, pagemap);
    errno = saved;
    return good;
}

size_t mo_os_copy(uintptr_t from, void *to, size_t n)
{
    enum { READABLE = 4096 }; /* bytes that one question is about */
    int saved = errno;
    struct iovec here = {to, n}, there = {(void *)from, n}; /* NOLINT(performance-no-int-to-ptr) */
    long got = syscall(SYS_process_vm_readv, mo_os_thread_id(), &here, 1ul, &there, 1ul, 0ul);
    if (got < 0 && errno != EFAULT) { /* not in this kernel, or refused */
        uintptr_t end = mo_min(from + n, mo_align_down(from, READABLE) + READABLE);
        got = mo_os_readable(from) ? (long)(end - from) : 0;
        memcpy(to, (const void *)from, (size_t)got); /* NOLINT(performance-no-int-to-ptr) */
    }
    errno = saved;
    return got > 0 ? (size_t)got : 0;
}

bool mo_os_mapping_of(uintptr_t a, uintptr_t *low, uintptr_t *high)
{
    static struct maps m;
    struct line l;
    int saved = errno;
    bool found = false;
    if (open_maps(&m)) {
        while (!found && next_line(&m, &l))
            found = a - l.low < l.high - l.low;
        syscall(SYS_close, m.fd);
    }
    if (found) {
        *low = l.low;
        *high = l.high;
    }
    errno = saved;
    return found;
}
