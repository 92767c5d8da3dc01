/* Confinements that a process puts on itself once it runs. The filters allow what the published ones do, so far as a
 * program that allocates can tell, and end the process for anything else:
 * sshd      preauth_insns of OpenSSH's sandbox-seccomp-filter.c
 * chromium  baseline_policy.cc and the parameters' restrictions beside it, with mremap as for renderers
 */
#include "confine.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define EVERY UINT32_MAX

/* A call: allowed where argument `arg` has no bits outside `mask`, or is one of `values`. refusal 0: else the end. */
struct rule {
    long call;
    unsigned arg;
    uint32_t mask;          /* EVERY: whatever the arguments are */
    const uint32_t *values; /* up to a 0xffffffff; instead of the mask */
    int refusal;            /* errno for what is not allowed; with a mask of 0 and arg 6: always */
};

#define ALLOW(name)                   \
    {                                 \
        SYS_##name, 0, EVERY, NULL, 0 \
    }
#define REFUSE(name, error)           \
    {                                 \
        SYS_##name, 6, 0, NULL, error \
    }
#define BITS(name, arg, bits)          \
    {                                  \
        SYS_##name, arg, bits, NULL, 0 \
    }
#define VALUES(name, arg, values, error)  \
    {                                     \
        SYS_##name, arg, 0, values, error \
    }

static const struct rule sshd[] = {
    REFUSE(openat, EACCES),
    REFUSE(fstat, EACCES),
    REFUSE(newfstatat, EACCES),
    REFUSE(shmget, EACCES),
    REFUSE(shmat, EACCES),
    REFUSE(shmdt, EACCES),
    ALLOW(brk),
    ALLOW(clock_gettime),
    ALLOW(close),
    ALLOW(exit),
    ALLOW(exit_group),
    ALLOW(futex),
    ALLOW(geteuid),
    ALLOW(getpgid),
    ALLOW(getpid),
    ALLOW(getrandom),
    ALLOW(gettimeofday),
    ALLOW(getuid),
    ALLOW(madvise),
    BITS(mmap, 2, PROT_READ | PROT_WRITE),
    BITS(mprotect, 2, PROT_READ | PROT_WRITE),
    ALLOW(mremap),
    ALLOW(munmap),
    ALLOW(nanosleep),
    ALLOW(clock_nanosleep),
    ALLOW(pselect6),
    ALLOW(read),
    ALLOW(rt_sigprocmask),
    ALLOW(shutdown),
    ALLOW(write),
#ifdef SYS_open
    REFUSE(open, EACCES),
    REFUSE(stat, EACCES),
    REFUSE(lstat, EACCES),
    ALLOW(poll),
    ALLOW(select),
    ALLOW(time),
#endif
};

enum {
    PTHREAD_FLAGS = 0x3d0f00, /* of clone, as glibc makes a thread */
    PTHREAD_FLAGS_OLD = 0x7d0f00,
};
static const uint32_t advices[] = {MADV_DONTNEED, MADV_RANDOM, MADV_REMOVE, MADV_NORMAL, MADV_FREE, EVERY};
static const uint32_t names[] = {PR_GET_NAME, PR_SET_NAME, PR_GET_DUMPABLE, PR_SET_DUMPABLE, EVERY};
static const uint32_t threads[] = {PTHREAD_FLAGS, PTHREAD_FLAGS_OLD, EVERY};
static const uint32_t waits[] = {FUTEX_WAIT | FUTEX_PRIVATE_FLAG,
                                 FUTEX_WAKE | FUTEX_PRIVATE_FLAG,
                                 FUTEX_WAIT,
                                 FUTEX_WAKE,
                                 FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG | FUTEX_CLOCK_REALTIME,
                                 FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME,
                                 EVERY};

static const struct rule chromium[] = {
    ALLOW(brk),
    ALLOW(munmap),
    ALLOW(mlock),
    ALLOW(munlock),
    ALLOW(mremap),
    ALLOW(mincore),
    ALLOW(gettid),
    ALLOW(getpid),
    ALLOW(getuid),
    ALLOW(geteuid),
    ALLOW(getgid),
    ALLOW(getegid),
    ALLOW(getppid),
    ALLOW(clock_gettime),
    ALLOW(read),
    ALLOW(write),
    ALLOW(close),
    ALLOW(exit),
    ALLOW(exit_group),
    ALLOW(sched_yield),
    ALLOW(rt_sigaction),
    ALLOW(rt_sigprocmask),
    ALLOW(rt_sigreturn),
    ALLOW(sigaltstack),
    ALLOW(ppoll),
    ALLOW(nanosleep),
    ALLOW(restart_syscall),
    ALLOW(sched_getaffinity),
    ALLOW(tgkill),
    ALLOW(gettimeofday),
    ALLOW(rseq),
    ALLOW(getrandom),
    REFUSE(openat, EPERM),
    REFUSE(newfstatat, EPERM),
    REFUSE(readlinkat, EPERM),
    REFUSE(set_robust_list, EPERM),
    REFUSE(clone3, ENOSYS),
    VALUES(clone, 0, threads, EPERM),
    VALUES(madvise, 2, advices, EPERM),
    VALUES(prctl, 0, names, 0),
    VALUES(futex, 1, waits, 0),
    BITS(mprotect, 2, PROT_READ | PROT_WRITE | PROT_EXEC),
    BITS(mmap, 3, MAP_SHARED | MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_NORESERVE | MAP_FIXED | MAP_LOCKED),
#ifdef SYS_poll
    ALLOW(poll),
#endif
};

enum { MOST = 600 };
static struct sock_filter code[MOST];
static unsigned length;

static void emit(uint16_t what, uint32_t k, uint8_t yes, uint8_t no)
{
    code[length++] = (struct sock_filter){what, yes, no, k};
}

static void load(size_t at)
{
    emit(BPF_LD | BPF_W | BPF_ABS, (uint32_t)at, 0, 0);
}

static void answer(int error)
{
    emit(BPF_RET | BPF_K, error != 0 ? SECCOMP_RET_ERRNO | (uint32_t)error : SECCOMP_RET_KILL_PROCESS, 0, 0);
}

static void allow(void)
{
    emit(BPF_RET | BPF_K, SECCOMP_RET_ALLOW, 0, 0);
}

/* Each rule is a block that ends in an answer, behind a jump over it for other calls. */
static void compile(const struct rule *r)
{
    load(offsetof(struct seccomp_data, nr));
    unsigned jump = length;
    emit(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)r->call, 0, 0);
    if (r->mask == EVERY) {
        allow();
    } else if (r->arg == 6) {
        answer(r->refusal);
    } else {
        load(offsetof(struct seccomp_data, args) + r->arg * sizeof(uint64_t)); /* the lower half: little endian */
        for (const uint32_t *v = r->values; v != NULL && *v != EVERY; v++) {
            emit(BPF_JMP | BPF_JEQ | BPF_K, *v, 0, 1);
            allow();
        }
        if (r->values == NULL) {
            emit(BPF_JMP | BPF_JSET | BPF_K, ~r->mask, 1, 0);
            allow();
        }
        answer(r->refusal);
    }
    code[jump].jf = (uint8_t)(length - jump - 1);
}

static bool filter(const struct rule *rules, size_t n)
{
    for (size_t i = 0; i < n; i++)
        compile(&rules[i]);
    answer(0);
    struct sock_fprog program = {(unsigned short)length, code};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

bool confine(const char *how)
{
    if (strcmp(how, "sshd") == 0)
        return filter(sshd, sizeof sshd / sizeof sshd[0]);
    if (strcmp(how, "chromium") == 0)
        return filter(chromium, sizeof chromium / sizeof chromium[0]);
    if (strcmp(how, "mlockall") == 0)
        return mlockall(MCL_FUTURE) == 0;
    return strcmp(how, "chroot") == 0 && chroot("/tmp") == 0 && chdir("/") == 0 && access("/proc", F_OK) != 0;
}
