/* Memory from the kernel: map, guard, purge, seal, move. See os.h. */
#include <errno.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "os/os.h"
#include "os/private.h"

#ifndef MADV_WIPEONFORK
#define MADV_WIPEONFORK 18
#endif
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif
#ifndef MADV_HUGEPAGE
#define MADV_HUGEPAGE 14
#endif
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#define MADV_GUARD_REMOVE  103
#endif
#ifndef MADV_FREE
#define MADV_FREE 8
#endif
#ifndef SYS_clock_gettime
#define SYS_clock_gettime SYS_clock_gettime64 /* 32-bit architectures that came after 2038 was thought of */
#endif
#ifndef MAP_NORESERVE
#define MAP_NORESERVE 0
#endif
#ifndef PROT_MTE
#define PROT_MTE 0x20 /* aarch64's; it is asked for nowhere else */
#endif
#ifndef PR_SET_TAGGED_ADDR_CTRL
#define PR_SET_TAGGED_ADDR_CTRL 55
#define PR_TAGGED_ADDR_ENABLE   1
#endif
#ifndef PR_MTE_TCF_SYNC
#define PR_MTE_TCF_SYNC  2
#define PR_MTE_TCF_ASYNC 4
#define PR_MTE_TAG_SHIFT 3
#endif
#ifndef PR_SET_VMA
#define PR_SET_VMA           0x53564d41
#define PR_SET_VMA_ANON_NAME 0
#endif
/* The same on every architecture. */
enum { SYS_mseal_number = 462 };

/* mmap without touching errno, which malloc's and free's callers must find as they left it. */
static void *map(void *hint, size_t size, int protection, int flags)
{
    int saved = errno;
    void *p = mmap(hint, size, protection, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
    errno = saved;
    return p == MAP_FAILED ? NULL : p;
}

bool mo_os_renew(void *p, size_t size)
{
    return map(p, size, PROT_READ | PROT_WRITE, MAP_NORESERVE | MAP_FIXED) != NULL;
}

static bool advise(void *p, size_t size, int advice)
{
    enum { TRIES = 100 };
    int saved = errno;
    int result;
    /* Guard installation may be interrupted and then asks to be called again; a filter may say so for ever. */
    unsigned tries = advice == MADV_GUARD_INSTALL ? TRIES : 1;
    do
        result = madvise(p, size, advice);
    while (result != 0 && (errno == EAGAIN || errno == EINTR) && --tries > 0);
    errno = saved;
    return result == 0;
}

static bool protect(void *p, size_t size, int protection)
{
    int saved = errno;
    int result = mprotect(p, size, protection);
    errno = saved;
    return result == 0;
}

void mo_os_unmap(void *p, size_t size)
{
    int saved = errno;
    (void)munmap(p, size);
    errno = saved;
}

void *mo_os_reserve(uintptr_t hint, size_t size, size_t align)
{
    char *p = map((void *)hint, size, PROT_NONE, MAP_NORESERVE);
    if (p == NULL || ((uintptr_t)p & (align - 1)) == 0)
        return p;
    mo_os_unmap(p, size);
    if (size > SIZE_MAX - align)
        return NULL;
    p = map(NULL, size + align, PROT_NONE, MAP_NORESERVE);
    if (p == NULL)
        return NULL;
    char *start = (char *)mo_align_up((uintptr_t)p, align);
    size_t before = (size_t)(start - p);
    if (before != 0)
        mo_os_unmap(p, before);
    if (align - before != 0)
        mo_os_unmap(start + size, align - before);
    return start;
}

/* The nest, filled from its end down, so that it begins beside what the loader has mapped: page tables that are there
 * already serve it. One thread uses it, at start. */
static char *nest;
static size_t nest_size, nest_left; /* left: below what is taken */
static bool nest_markers, nest_closed = true;

void mo_os_nest_open(size_t size, bool markers)
{
    nest = map(NULL, size, PROT_NONE, MAP_NORESERVE);
    nest_left = nest_size = nest != NULL ? size : 0;
    nest_markers = markers;
    nest_closed = false;
}

size_t mo_os_nest_below(const void *p)
{
    return nest_left != 0 && (const char *)p == nest + nest_left ? nest_left : 0;
}

void mo_os_nest_close(void)
{
    nest_closed = true;
}

/* Guard markers keep its parts in one mapping, but not the first, the page of random streams, which is one of its own:
 * on both sides of it the guards are by protection. So are all in locked memory, which takes no markers. */
static char *take_from_nest(size_t size, size_t page)
{
    if (nest_closed || nest_left < 2 * page || size > nest_left - 2 * page)
        return NULL;
    char *p = nest + nest_left - page - size;
    bool beside_first = nest_size - nest_left <= 2 * page;
    if (!nest_markers || beside_first || !protect(p, size + page, PROT_READ | PROT_WRITE) ||
        !advise(p + size, page, MADV_GUARD_INSTALL)) {
        if (!protect(p + size, page, PROT_NONE) || !protect(p, size, PROT_READ | PROT_WRITE))
            return NULL;
    }
    nest_left = (size_t)(p - nest);
    return p;
}

void mo_os_unmap_guarded(void *p, size_t size)
{
    size_t page = mo_os_page_size();
    size = mo_align_up(size, page);
    if ((uintptr_t)p - (uintptr_t)nest >= nest_size)
        mo_os_unmap((char *)p - page, size + 2 * page);
    else if (!mo_os_guard(p, size) && mo_os_purge(p, size))
        (void)!mo_os_close(p, size);
}

void *mo_os_map_guarded(size_t size, const char *name)
{
    size_t page = mo_os_page_size();
    size = mo_align_up(size, page);
    char *p = take_from_nest(size, page);
    if (p != NULL) {
        mo_os_name(p, size, name);
        return p;
    }
    p = map(NULL, size + 2 * page, PROT_NONE, MAP_NORESERVE);
    if (p == NULL)
        return NULL;
    if (!protect(p + page, size, PROT_READ | PROT_WRITE)) {
        mo_os_unmap(p, size + 2 * page);
        return NULL;
    }
    mo_os_name(p + page, size, name);
    return p + page;
}

void *mo_os_map_shared(size_t size)
{
    int saved = errno;
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    errno = saved;
    return p == MAP_FAILED ? NULL : p;
}

bool mo_os_open(void *p, size_t size)
{
    return protect(p, size, PROT_READ | PROT_WRITE);
}

bool mo_os_open_tagged(void *p, size_t size)
{
    return protect(p, size, PROT_READ | PROT_WRITE | PROT_MTE);
}

bool mo_os_tags(bool sync)
{
    enum { ALL_BUT_0 = 0xfffe };
    int saved = errno;
    int result = prctl(PR_SET_TAGGED_ADDR_CTRL,
                       PR_TAGGED_ADDR_ENABLE | (sync ? PR_MTE_TCF_SYNC : PR_MTE_TCF_ASYNC) |
                           (unsigned long)ALL_BUT_0 << PR_MTE_TAG_SHIFT,
                       0UL, 0UL, 0UL);
    errno = saved;
    return result == 0;
}

bool mo_os_close(void *p, size_t size)
{
    return protect(p, size, PROT_NONE);
}

bool mo_os_read_only(void *p, size_t size)
{
    return protect(p, size, PROT_READ);
}

void mo_os_seal(void *p, size_t size)
{
    int saved = errno;
    (void)syscall(SYS_mseal_number, p, size, 0UL);
    errno = saved;
}

void mo_os_name(void *p, size_t size, const char *name)
{
    static bool refused; /* most kernels are built without it */
    int saved = errno;
    if (refused || nest_closed) /* sandboxes end a process for prctl: only at start */
        return;
    refused = 0 != prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, (unsigned long)(uintptr_t)p, (unsigned long)size,
                         (unsigned long)(uintptr_t)name);
    errno = saved;
}

bool mo_os_guard(void *p, size_t size)
{
    return advise(p, size, MADV_GUARD_INSTALL);
}

bool mo_os_unguard(void *p, size_t size)
{
    return advise(p, size, MADV_GUARD_REMOVE);
}

bool mo_os_purge(void *p, size_t size)
{
    return advise(p, size, MADV_DONTNEED);
}

bool mo_os_offer(void *p, size_t size)
{
    return advise(p, size, MADV_FREE);
}

uint32_t mo_os_milliseconds(void)
{
    struct timespec now = {0};
    int saved = errno;
    (void)clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    errno = saved;
    return (uint32_t)now.tv_sec * 1000 + (uint32_t)(now.tv_nsec / 1000000);
}

void mo_os_populate(void *p, size_t size)
{
    (void)advise(p, size, MADV_POPULATE_WRITE);
}

/* One by one: sandboxes end a process for process_madvise, which would save 1 us each. */
bool mo_os_guard_each(char *p, size_t size, size_t step, size_t count)
{
    bool all = true;
    for (size_t i = 0; all && i < count; i++)
        all = advise(p + i * step, size, MADV_GUARD_INSTALL);
    return all;
}

void mo_os_huge(void *p, size_t size)
{
    (void)advise(p, size, MADV_HUGEPAGE);
}

/* qemu's user mode (7.2) agrees to any advice, even to what is none, and leaves a forked child its parent's random
 * numbers. Not asked on x86-64, which is rarely emulated so. */
static bool agrees_to_all;

static void probe_agreement(void)
{
#if !defined(__x86_64__)
    agrees_to_all = advise(NULL, 0, -1);
#endif
}

bool mo_os_wipe_on_fork(void *p, size_t size)
{
    (void)advise(p, size, MADV_DONTDUMP);
    return advise(p, size, MADV_WIPEONFORK) && !agrees_to_all;
}

bool mo_os_move(void *old, size_t old_size, void *now, size_t new_size, bool *hole_kept)
{
    int saved = errno;
    bool moved = mremap(old, old_size, new_size, MREMAP_MAYMOVE | MREMAP_FIXED, now) != MAP_FAILED;
    errno = saved;
    if (!moved)
        return false;
    void *hole = map(old, old_size, PROT_NONE, MAP_NORESERVE);
    *hole_kept = hole == old; /* taken as a hint: chromium's sandbox ends a process for MAP_FIXED_NOREPLACE */
    if (hole != NULL && hole != old)
        mo_os_unmap(hole, old_size);
    return true;
}

bool mo_os_probe_guards(void)
{
    int saved = errno;
    size_t page = mo_os_page_size();
    void *p = map(NULL, page, PROT_READ | PROT_WRITE, 0);
    /* Emulators agree to all advice: a page that can still be made present has no guard. */
    bool yes = p != NULL && advise(p, page, MADV_GUARD_INSTALL) && !advise(p, page, MADV_POPULATE_WRITE);
    if (p != NULL)
        mo_os_unmap(p, page);
    errno = saved;
    return yes;
}

bool mo_os_probe_seal(void)
{
    int saved = errno;
    bool yes = syscall(SYS_mseal_number, NULL, 0UL, 0UL) == 0;
    errno = saved;
    return yes;
}

bool mo_os_probe_wipe(void)
{
    probe_agreement();
    return advise(NULL, 0, MADV_WIPEONFORK) && !agrees_to_all;
}
