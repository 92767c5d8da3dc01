/* What the process and its kernel are: features, limits, environment, files, entropy. See os.h. */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "os/os.h"
#include "os/private.h"
#include "os/stack.h"

#if defined(__aarch64__) && !defined(HWCAP_AES)
#define HWCAP_AES (1 << 3)
#endif
#if defined(__aarch64__) && !defined(HWCAP2_MTE)
#define HWCAP2_MTE (1 << 18)
#endif

#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>
#endif

extern char **environ;

size_t mo_os_page_size(void)
{
    size_t page = getauxval(AT_PAGESZ);
    return page != 0 ? page : 4096;
}

#if defined(__x86_64__) || defined(__i386__)
/* glibc (2.33 and later) tells what it has asked the CPU at its start, by leaf: a leaf's four registers as the CPU has
 * set them, and what can be used of that. Declared here, as older ones have no <sys/platform/x86.h>. */
struct leaf {
    unsigned has[4], usable[4];
};
extern const struct leaf *__x86_get_cpuid_feature_leaf(unsigned leaf) __attribute__((weak));

/* Of CPUID's leaf 1. The instruction leaves a virtual machine, which takes 6 to 20 us (measured): it is used once, and
 * only where nobody else tells; __builtin_cpu_init uses it five times. */
static unsigned feature_bits(void)
{
    unsigned a, b, c, d;
    if (&__x86_get_cpuid_feature_leaf != NULL)
        return __x86_get_cpuid_feature_leaf(0)->has[2];
    __cpuid(1, a, b, c, d);
    return c;
}
#endif

static bool have_aes(void)
{
#if defined(__x86_64__) || defined(__i386__)
    const unsigned need = bit_AES | bit_SSSE3 | bit_SSE4_1;
    return (feature_bits() & need) == need;
#elif defined(__aarch64__)
    return (getauxval(AT_HWCAP) & HWCAP_AES) != 0;
#else
    return false;
#endif
}

static bool have_tags(void)
{
#if defined(__aarch64__)
    return (getauxval(AT_HWCAP2) & HWCAP2_MTE) != 0;
#else
    return false;
#endif
}

static bool is_terminal(int fd)
{
    struct termios t;
    return ioctl(fd, TCGETS, &t) == 0; /* libc's: glibc's struct is not the kernel's on powerpc */
}

void mo_os_start(struct mo_os_features *f)
{
    int saved = errno;
    struct rlimit limit;
    unsigned char byte;

    f->page = mo_os_page_size();
    f->terminal = is_terminal(STDERR_FILENO);
    if (!MO_SMALL)
        mo_stack_start();
    f->guard_install = mo_os_probe_guards();
    f->mseal = mo_os_probe_seal();
    f->wipe_on_fork = mo_os_probe_wipe();
    f->getrandom = mo_os_entropy(&byte, sizeof byte);
    f->secure = getauxval(AT_SECURE) != 0;
    f->aes = have_aes();
    f->tags = have_tags();
    f->address_limit = SIZE_MAX;
    if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY && limit.rlim_cur < SIZE_MAX)
        f->address_limit = (size_t)limit.rlim_cur;
    errno = saved;
}

/* "QUOTA PERIOD" of cgroup v2's cpu.max, rounded up to whole CPUs; 0 when there is no quota to read. */
static unsigned cgroup_cpus(void)
{
    char text[64];
    unsigned long value[2] = {0, 0};
    if (mo_os_read_file("/sys/fs/cgroup/cpu.max", text, sizeof text) == 0 || text[0] == 'm')
        return 0;
    const char *s = text;
    for (int i = 0; i < 2; i++, s++)
        for (; *s >= '0' && *s <= '9'; s++)
            value[i] = value[i] * 10 + (unsigned long)(*s - '0');
    return value[1] == 0 ? 0 : (unsigned)((value[0] + value[1] - 1) / value[1]);
}

unsigned mo_os_count_cpus(void)
{
    unsigned long mask[1024 / sizeof(unsigned long) / CHAR_BIT];
    unsigned n = 0;
    int saved = errno;
    long bytes = syscall(SYS_sched_getaffinity, 0, sizeof mask, mask);
    errno = saved;
    for (long i = 0; i < bytes / (long)sizeof mask[0]; i++)
        n += (unsigned)__builtin_popcountl(mask[i]);
    unsigned quota = cgroup_cpus();
    if (quota != 0 && quota < n)
        n = quota;
    return n != 0 ? n : 1;
}

bool mo_os_entropy(void *buf, size_t n)
{
    int saved = errno;
    /* Not getrandom(3): it may be a cancellation point. GRND_NONBLOCK: early in boot rather AT_RANDOM than a hang. */
    long got = syscall(SYS_getrandom, buf, n, 1u);
    errno = saved;
    if (got == (long)n)
        return true;
    /* 16 random bytes from the kernel at exec; each call takes them with a counter and the addresses at
     * hand, and ChaCha20 (mem/random.c) expands what it is given. */
    static uintptr_t calls; /* not 64 bits: not every 32-bit processor adds those atomically */
    const unsigned char *seed = (const unsigned char *)getauxval(AT_RANDOM);
    uint64_t call = __atomic_add_fetch(&calls, 1, __ATOMIC_RELAXED) ^ ((uint64_t)mo_os_process_id() << 32);
    unsigned char *out = buf;
    for (size_t i = 0; i < n; i++)
        out[i] = (unsigned char)((seed != NULL ? seed[i % 16] : 0) ^ (call >> (8 * (i % 8))) ^
                                 ((uint64_t)(uintptr_t)buf >> (8 * (i / 16 % 8))));
    return false;
}

size_t mo_os_read_file(const char *path, char *buf, size_t size)
{
    int saved = errno;
    size_t n = 0;
    int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC | O_NOCTTY, 0);
    if (fd >= 0) {
        while (n < size - 1) {
            long got = syscall(SYS_read, fd, buf + n, size - 1 - n);
            if (got < 0 && errno == EINTR)
                continue;
            if (got <= 0)
                break;
            n += (size_t)got;
        }
        syscall(SYS_close, fd);
        buf[n] = 0;
    }
    errno = saved;
    return n;
}

/* poll(2), and not poll(3), which is a cancellation point. */
static long poll_one(struct pollfd *one, int milliseconds)
{
#ifdef SYS_poll
    return syscall(SYS_poll, one, (unsigned)(one != NULL), milliseconds);
#else
    const int64_t limit[2] = {milliseconds / 1000, (int64_t)(milliseconds % 1000) * 1000000};
#ifndef SYS_ppoll
#define SYS_ppoll SYS_ppoll_time64
#endif
    return syscall(SYS_ppoll, one, (unsigned)(one != NULL), limit, NULL, (size_t)8);
#endif
}

void mo_os_pause(unsigned milliseconds)
{
    int saved = errno;
    (void)poll_one(NULL, (int)milliseconds);
    errno = saved;
}

/* Whether fd takes something now. A pipe or socket that nobody reads any more would end the process by SIGPIPE. */
static bool takes(int fd, uint32_t since)
{
    struct pollfd one = {fd, POLLOUT, 0};
    long ready = 0;
    while (ready == 0 || (ready < 0 && errno == EINTR)) {
        uint32_t waited = mo_os_milliseconds() - since;
        if (waited >= MO_WRITE_PATIENCE)
            return false;
        ready = poll_one(&one, (int)(MO_WRITE_PATIENCE - waited));
    }
    return ready < 0 || (one.revents & (POLLERR | POLLHUP | POLLNVAL)) == 0; /* < 0: refused to ask */
}

bool mo_os_write(int fd, const char *text, size_t n)
{
    enum { PIECE = 4096 }; /* what a pipe that takes something takes at once */
    int saved = errno;
    uint32_t since = mo_os_milliseconds();
    while (n > 0 && fd >= 0 && takes(fd, since)) { /* a negative one is never ready, nor wrong */
        long put = syscall(SYS_write, fd, text, mo_min(n, PIECE));
        if (put < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (put <= 0)
            break;
        text += put;
        n -= (size_t)put;
        since = mo_os_milliseconds();
    }
    errno = saved;
    return n == 0;
}

int mo_os_create(const char *path, size_t room)
{
    int saved = errno;
    struct stat is;
    struct rlimit most;
    /* Not through a link, not into another one's file or pipe, and for nobody else to read: it holds addresses. Not
     * beyond the limit of file sizes either, where a write ends the process. */
    int fd = (int)syscall(SYS_openat, AT_FDCWD, path,
                          O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK, 0600);
    if (fd >= 0 && (fstat(fd, &is) != 0 || !S_ISREG(is.st_mode) || is.st_uid != geteuid() || is.st_nlink != 1 ||
                    getrlimit(RLIMIT_FSIZE, &most) != 0 ||
                    (most.rlim_cur != RLIM_INFINITY && most.rlim_cur < (rlim_t)is.st_size + room))) {
        syscall(SYS_close, fd);
        fd = -1;
    }
    errno = saved;
    return fd;
}

void mo_os_close_file(int fd)
{
    int saved = errno;
    syscall(SYS_close, fd);
    errno = saved;
}

void mo_os_exit(int status)
{
    for (;;)
        syscall(SYS_exit_group, status);
}

long mo_os_thread_id(void)
{
    return syscall(SYS_gettid);
}

static __thread uint32_t known __attribute__((tls_model("initial-exec")));

uint32_t mo_os_thread_known(void)
{
    int saved = errno;
    if (known == 0)
        known = (uint32_t)mo_os_thread_id();
    errno = saved;
    return known;
}

void mo_os_thread_forked(void)
{
    known = 0;
    (void)mo_os_thread_known(); /* before the child shuts itself in */
}

bool mo_os_thread_lives(long process, long thread)
{
    int saved = errno;
    bool lives = syscall(SYS_tgkill, process, thread, 0) == 0 || errno != ESRCH;
    errno = saved;
    return lives;
}

long mo_os_process_id(void)
{
    return syscall(SYS_getpid);
}

/* The dynamic loader allocates before libc has set environ; /proc has it from the first instruction on. */
static char **early_environment(void)
{
    enum { TEXT = 16384, WORDS = 512 };
    static char text[TEXT];
    static char *words[WORDS + 1];
    size_t n = mo_os_read_file("/proc/self/environ", text, TEXT);
    size_t count = 0;
    for (size_t i = 0; i < n && count < WORDS; i += strlen(text + i) + 1)
        words[count++] = text + i;
    words[count] = NULL;
    return words;
}

char **mo_os_environment(void)
{
    return environ != NULL ? environ : early_environment();
}

size_t mo_os_resident(void)
{
    char text[128];
    size_t value = 0;
    if (mo_os_read_file("/proc/self/statm", text, sizeof text) == 0)
        return 0;
    const char *s = text + strcspn(text, " ");
    for (s += *s == ' '; *s >= '0' && *s <= '9'; s++)
        value = value * 10 + (size_t)(*s - '0');
    return value * mo_os_page_size();
}

bool mo_os_readable(uintptr_t at)
{
    int saved = errno;
    /* The kernel copies the set before it looks at `how`, which is wrong: EINVAL when it could read, else EFAULT. No
     * filter of system calls refuses this one. At NULL there is no set, which is no fault. */
    long result = syscall(SYS_rt_sigprocmask, ~0, (void *)mo_align_down(at, 8), NULL, (size_t)8);
    bool readable = at >= 8 && (result == 0 || errno == EINVAL);
    errno = saved;
    return readable;
}
