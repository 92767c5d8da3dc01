/* Makes moat's memory system calls fail: preloaded before libmoat.so, whose calls then come here. libc's own do not.
 *
 * FAULT=KIND:NTH:ERRNO:once|on    the NTH call of that kind fails with that error, or every one from there on
 * FAULT_COUNT=FILE                a file of COUNT_BYTES: how many calls of each kind there were, in the order of kinds
 *
 * Works before libc is initialised, as moat does: reads the environment from /proc and makes system calls only.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

enum { COUNT_BYTES = 4096, SYS_mseal_number = 462 };

enum kind { MMAP, MUNMAP, MPROTECT, MREMAP, NAME, MSEAL, GETRANDOM, AFFINITY, MAPPINGS, FIRST_ADVICE };

/* The names that FAULT takes; behind FIRST_ADVICE the advice that madvise is called with. */
static const char *const kinds[] = {"mmap",  "munmap",    "mprotect", "mremap",   "prctl",
                                    "mseal", "getrandom", "affinity", "mappings", NULL};
static const struct {
    const char *name;
    int advice;
} advices[] = {{"guard_install", 102}, {"guard_remove", 103}, {"dontneed", MADV_DONTNEED}, {"free", MADV_FREE},
               {"populate", 23},       {"hugepage", 14},      {"dontdump", MADV_DONTDUMP}, {"wipeonfork", 18}};
enum { ADVICES = sizeof advices / sizeof advices[0], KINDS = FIRST_ADVICE + ADVICES };

static int state; /* 0: not set up, 1: somebody is at it, 2: done */
static int fault_kind = -1, fault_error;
static uint32_t fault_from, fault_to;
static uint32_t own_counts[KINDS], *counts = own_counts;

static const char *name_of(int kind)
{
    return kind < FIRST_ADVICE ? kinds[kind] : advices[kind - FIRST_ADVICE].name;
}

static uint32_t number(const char **at)
{
    uint32_t v = 0;
    for (; **at >= '0' && **at <= '9'; ++*at)
        v = v * 10 + (uint32_t)(**at - '0');
    *at += **at == ':';
    return v;
}

static void read_fault(const char *text)
{
    for (int kind = 0; kind < KINDS; kind++) {
        size_t n = strlen(name_of(kind));
        if (strncmp(text, name_of(kind), n) != 0 || text[n] != ':')
            continue;
        text += n + 1;
        fault_from = number(&text);
        fault_error = (int)number(&text);
        fault_to = strcmp(text, "on") == 0 ? UINT32_MAX : fault_from;
        fault_kind = kind;
        return;
    }
}

static void map_counts(const char *path)
{
    int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0);
    void *p = fd >= 0 ? (void *)syscall(SYS_mmap, NULL, (size_t)COUNT_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0L)
                      : MAP_FAILED;
    if (p != MAP_FAILED)
        counts = p; /* shared with forked children */
    if (fd >= 0)
        syscall(SYS_close, fd);
}

static void set_up(void)
{
    static char environment[16384];
    size_t n = 0;
    long got = 1;
    int fd = (int)syscall(SYS_openat, AT_FDCWD, "/proc/self/environ", O_RDONLY | O_CLOEXEC, 0);
    while (fd >= 0 && got > 0 && n < sizeof environment - 1) {
        got = syscall(SYS_read, fd, environment + n, sizeof environment - 1 - n);
        n += got > 0 ? (size_t)got : 0;
    }
    if (fd >= 0)
        syscall(SYS_close, fd);
    for (const char *at = environment; at < environment + n; at += strlen(at) + 1) {
        if (strncmp(at, "FAULT_COUNT=", 12) == 0)
            map_counts(at + 12);
        else if (strncmp(at, "FAULT=", 6) == 0)
            read_fault(at + 6);
    }
}

/* Counts a call; true: it is to fail, and errno says how. */
static bool fails_as(int kind)
{
    int unset = 0;
    if (__atomic_compare_exchange_n(&state, &unset, 1, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
        set_up();
        __atomic_store_n(&state, 2, __ATOMIC_RELEASE);
    }
    while (__atomic_load_n(&state, __ATOMIC_ACQUIRE) != 2)
        ;
    uint32_t use = __atomic_add_fetch(&counts[kind], 1, __ATOMIC_RELAXED);
    if (kind != fault_kind || use < fault_from || use > fault_to)
        return false;
    errno = fault_error;
    return true;
}

/* What may need another mapping is of two kinds: from some use on all of them fail where max_map_count is reached. */
static bool fails(int kind)
{
    return fails_as(kind) || (kind <= MREMAP && fails_as(MAPPINGS));
}

EXPORT void *mmap(void *p, size_t n, int protection, int flags, int fd, off_t offset)
{
    if (fd < 0 && fails(MMAP))
        return MAP_FAILED;
    return (void *)syscall(SYS_mmap, p, n, protection, flags, fd, offset);
}

EXPORT int munmap(void *p, size_t n)
{
    return fails(MUNMAP) ? -1 : (int)syscall(SYS_munmap, p, n);
}

EXPORT int mprotect(void *p, size_t n, int protection)
{
    return fails(MPROTECT) ? -1 : (int)syscall(SYS_mprotect, p, n, protection);
}

EXPORT int madvise(void *p, size_t n, int advice)
{
    for (int i = 0; i < ADVICES; i++)
        if (advices[i].advice == advice && fails(FIRST_ADVICE + i))
            return -1;
    return (int)syscall(SYS_madvise, p, n, advice);
}

EXPORT void *mremap(void *p, size_t old, size_t now, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    void *to = va_arg(arguments, void *);
    va_end(arguments);
    return fails(MREMAP) ? MAP_FAILED : (void *)syscall(SYS_mremap, p, old, now, flags, to);
}

EXPORT int prctl(int what, ...)
{
    unsigned long word[4];
    va_list arguments;
    va_start(arguments, what);
    for (int i = 0; i < 4; i++)
        word[i] = va_arg(arguments, unsigned long);
    va_end(arguments);
    return fails(NAME) ? -1 : (int)syscall(SYS_prctl, what, word[0], word[1], word[2], word[3]);
}

/* libc's, for this file too: only the calls that moat makes by number are looked at. */
static long raw(long what, const long *word)
{
    long result;
#if defined(__x86_64__)
    register long r10 __asm__("r10") = word[3];
    register long r8 __asm__("r8") = word[4];
    register long r9 __asm__("r9") = word[5];
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(what), "D"(word[0]), "S"(word[1]), "d"(word[2]), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
#elif defined(__aarch64__)
    register long x8 __asm__("x8") = what;
    register long x0 __asm__("x0") = word[0];
    register long x1 __asm__("x1") = word[1];
    register long x2 __asm__("x2") = word[2];
    register long x3 __asm__("x3") = word[3];
    register long x4 __asm__("x4") = word[4];
    register long x5 __asm__("x5") = word[5];
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
    result = x0;
#else
#error "no system calls for this architecture here"
#endif
    if (result < 0 && result >= -4095) {
        errno = (int)-result;
        return -1;
    }
    return result;
}

EXPORT long syscall(long what, ...)
{
    long word[6];
    va_list arguments;
    va_start(arguments, what);
    for (int i = 0; i < 6; i++)
        word[i] = va_arg(arguments, long);
    va_end(arguments);
    if ((what == SYS_mseal_number && fails(MSEAL)) || (what == SYS_getrandom && fails(GETRANDOM)) ||
        (what == SYS_sched_getaffinity && fails(AFFINITY)))
        return -1;
    return raw(what, word);
}
