#include "os/roots.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "os/os.h"
#include "os/private.h"

enum {
    THREADS_MOST = 1024,
    STOP_MS = 200,
    LINE_MOST = 640, /* of a line of maps that is looked at; a path behind it does not matter */
    PAGES = 512,     /* entries of pagemap read at once */
};

static int stop_signal; /* 0: none is stopped */
static struct sigaction before;
static bool stopping;                  /* atomic */
static size_t stopped;                 /* atomic: places of `stacks` taken */
static size_t others;                  /* that have been sent the signal */
static size_t waiting;                 /* atomic: threads in the handler */
static uintptr_t stacks[THREADS_MOST]; /* where they stand */

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

/* Sends the signal to every other thread; how many there are. */
static size_t signal_others(int number)
{
    static char entries[4096] __attribute__((aligned(8)));
    long self = mo_os_thread_id(), process = mo_os_process_id(), n;
    size_t count = 0;
    int fd = (int)syscall(SYS_openat, AT_FDCWD, "/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    while (fd >= 0 && (n = syscall(SYS_getdents64, fd, entries, sizeof entries)) > 0) {
        for (long at = 0; at < n;) {
            const struct directory_entry *e = (const void *)(entries + at);
            long thread = number_of(e->name);
            if (thread > 0 && thread != self && (number == 0 || syscall(SYS_tgkill, process, thread, number) == 0))
                count++;
            at += e->size;
        }
    }
    if (fd >= 0)
        syscall(SYS_close, fd);
    return count;
}

void mo_os_threads_stop(void)
{
    int saved = errno;
    struct sigaction now = {.sa_handler = stop_here, .sa_flags = SA_RESTART};
    stopped = waiting = 0;
    if (signal_others(0) != 0) {
        sigfillset(&now.sa_mask);
        stopping = true;
        int number = SIGRTMAX - 1;
        if (sigaction(number, &now, &before) == 0) {
            stop_signal = number;
            others = signal_others(number);
            for (unsigned i = 0; i < STOP_MS && __atomic_load_n(&waiting, __ATOMIC_ACQUIRE) < others; i++)
                mo_os_pause(1);
        }
    }
    errno = saved;
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
    bool wanted; /* private, readable and writable */
};

static uintptr_t hex(const char **at)
{
    uintptr_t v = 0;
    for (;; ++*at) {
        char c = **at;
        if (c >= '0' && c <= '9')
            v = v << 4 | (uintptr_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            v = v << 4 | (uintptr_t)(c - 'a' + 10);
        else
            return v;
    }
}

/* "7f12a000-7f12b000 rw-p ..." */
static struct line parse(const char *text)
{
    struct line l;
    l.low = hex(&text);
    text += *text == '-';
    l.high = hex(&text);
    l.wanted = text[0] == ' ' && text[1] == 'r' && text[2] == 'w' && text[4] == 'p';
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
    m->fd = (int)syscall(SYS_openat, AT_FDCWD, "/proc/self/maps", O_RDONLY | O_CLOEXEC, 0);
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

/* The least address of the mapping that counts: below where a thread stands, its stack is what calls have left. */
static uintptr_t used_from(const struct line *l, uintptr_t stack)
{
    uintptr_t from = l->low;
    if (stack - l->low < l->high - l->low)
        from = stack;
    size_t n = mo_min(__atomic_load_n(&stopped, __ATOMIC_ACQUIRE), THREADS_MOST);
    for (size_t i = 0; i < n; i++)
        if (stacks[i] - l->low < l->high - l->low && stacks[i] > from)
            from = stacks[i];
    return mo_align_down(from, sizeof(uintptr_t));
}

/* Visits those pages of [low, high) that are present. False: pagemap can't be read. */
static bool visit_present(int pagemap, uintptr_t low, uintptr_t high, mo_os_visit *visit)
{
    static uint64_t entries[PAGES];
    const uint64_t present = (uint64_t)1 << 63, swapped = (uint64_t)1 << 62;
    size_t page = mo_os_page_size();
    uintptr_t at = mo_align_down(low, page);
    while (at < high) {
        size_t want = mo_min((high - at + page - 1) / page, PAGES);
        long got = syscall(SYS_pread64, pagemap, entries, want * sizeof *entries, (long)(at / page * sizeof *entries));
        if (got <= 0)
            return false;
        for (size_t i = 0; i < (size_t)got / sizeof *entries; i++, at += page) {
            /* A guard marker may look like a page that is swapped out. */
            if ((entries[i] & present) == 0 && ((entries[i] & swapped) == 0 || !mo_os_readable(at)))
                continue;
            visit(mo_max(at, low), mo_min(at + page, high));
        }
    }
    return true;
}

bool mo_os_roots(uintptr_t stack, mo_os_visit *visit)
{
    static struct maps m;
    struct line l;
    int saved = errno;
    bool good = open_maps(&m);
    int pagemap = (int)syscall(SYS_openat, AT_FDCWD, "/proc/self/pagemap", O_RDONLY | O_CLOEXEC, 0);
    good = good && pagemap >= 0;
    while (good && next_line(&m, &l))
        if (l.wanted)
            good = visit_present(pagemap, used_from(&l, stack), l.high, visit);
    if (m.fd >= 0)
        syscall(SYS_close, m.fd);
    if (pagemap >= 0)
        syscall(SYS_close, pagemap);
    errno = saved;
    return good;
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
