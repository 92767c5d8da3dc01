#include "os/fault.h"

#include <errno.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "base/tag.h"

/* What the program had; looked at only where the caller knows that it was not the default. */
static struct sigaction before;

bool mo_os_fault_catch(void (*handler)(int, siginfo_t *, void *), bool *chained)
{
    int saved = errno;
    struct sigaction now = {.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART};
    now.sa_sigaction = handler; /* the mask is empty as it is: sigemptyset would be one more page of libc's code */
    bool set = sigaction(SIGSEGV, &now, &before) == 0;
    *chained = set && ((before.sa_flags & SA_SIGINFO) != 0 || before.sa_handler != SIG_DFL);
    if (*chained && before.sa_handler != SIG_IGN && (before.sa_flags & SA_RESTART) == 0) {
        /* A signal that is sent goes on to interrupt system calls as before. */
        now.sa_flags &= ~SA_RESTART;
        set = sigaction(SIGSEGV, &now, NULL) == 0;
    }
    errno = saved;
    return set;
}

bool mo_os_fault_is_access(const siginfo_t *info)
{
    return info->si_signo == SIGSEGV && (info->si_code == SEGV_MAPERR || info->si_code == SEGV_ACCERR);
}

#ifdef __riscv
/* The kernel does not say what an access was, but the instruction does. A jump to nowhere has none to look at. */
static enum mo_os_access access_of_instruction(uintptr_t pc)
{
    enum { LOAD = 0x03, LOAD_FLOAT = 0x07, STORE = 0x23, STORE_FLOAT = 0x27, ATOMIC = 0x2f, RESERVE = 2 };
    if (!mo_os_readable(pc) || !mo_os_readable(pc + 3))
        return MO_OS_UNKNOWN;
    const uint16_t *at = (const uint16_t *)pc;
    if ((at[0] & 3) != 3) { /* two bytes: of the first and the third kind six are loads and stores */
        unsigned what = at[0] >> 13;
        if ((at[0] & 3) == 1 || (what & 3) == 0)
            return MO_OS_UNKNOWN;
        return (what & 4) != 0 ? MO_OS_WRITE : MO_OS_READ;
    }
    switch (at[0] & 0x7f) {
    case LOAD:
    case LOAD_FLOAT:
        return MO_OS_READ;
    case STORE:
    case STORE_FLOAT:
        return MO_OS_WRITE;
    case ATOMIC:
        return at[1] >> 11 == RESERVE ? MO_OS_READ : MO_OS_WRITE;
    default:
        return MO_OS_UNKNOWN;
    }
}
#endif

enum { TAG_LATE = 8, TAG_NOW = 9 }; /* si_code SEGV_MTEAERR, SEGV_MTESERR; no other architecture has such numbers */

bool mo_os_fault_is_late(const siginfo_t *info)
{
    return MO_TAGS && info->si_signo == SIGSEGV && info->si_code == TAG_LATE;
}

bool mo_os_fault_is_tag(const siginfo_t *info)
{
    return MO_TAGS && info->si_signo == SIGSEGV && (info->si_code == TAG_NOW || info->si_code == TAG_LATE);
}

uintptr_t mo_os_fault_pointer(const void *ucontext)
{
#if defined(__aarch64__)
    /* Loads and stores have their base register in bits 5 to 9: 31 is the stack pointer. */
    enum { CLASS = 0x0a000000, LOAD_STORE = 0x08000000, BASE = 5, REGISTERS = 31 };
    const ucontext_t *u = ucontext;
    uint32_t instruction;
    if (!mo_os_readable((uintptr_t)u->uc_mcontext.pc))
        return 0;
    __builtin_memcpy(&instruction, (const void *)(uintptr_t)u->uc_mcontext.pc, sizeof instruction);
    unsigned base = instruction >> BASE & 31;
    return (instruction & CLASS) == LOAD_STORE && base < REGISTERS ? (uintptr_t)u->uc_mcontext.regs[base] : 0;
#else
    (void)ucontext;
    return 0;
#endif
}

enum mo_os_access mo_os_fault_access(const void *ucontext)
{
    const ucontext_t *u = ucontext;
#if defined(__x86_64__) || defined(__i386__)
    enum { PAGE_FAULT = 14, WRITE = 2 };
    if (u->uc_mcontext.gregs[REG_TRAPNO] == PAGE_FAULT)
        return (u->uc_mcontext.gregs[REG_ERR] & WRITE) != 0 ? MO_OS_WRITE : MO_OS_READ;
#elif defined(__aarch64__)
    /* The exception syndrome is one of the records behind the registers: each has a magic number and its size. */
    enum { ESR_MAGIC_NUMBER = 0x45535201, DATA_ABORT = 0x24, WRITE = 1 << 6 };
    const uint8_t *at = (const void *)u->uc_mcontext.__reserved, *end = at + sizeof u->uc_mcontext.__reserved;
    uint32_t record[2];
    for (; at + 16 <= end; at += record[1]) {
        __builtin_memcpy(record, at, sizeof record);
        if (record[0] == 0 || record[1] < 16)
            break;
        uint64_t esr;
        __builtin_memcpy(&esr, at + 8, sizeof esr);
        if (record[0] == ESR_MAGIC_NUMBER && (esr >> 26 & 0x3e) == DATA_ABORT)
            return (esr & WRITE) != 0 ? MO_OS_WRITE : MO_OS_READ;
    }
#elif defined(__arm__)
    enum { PAGE_FAULT = 14, WRITE = 1 << 11 };
    if (u->uc_mcontext.trap_no == PAGE_FAULT)
        return (u->uc_mcontext.error_code & WRITE) != 0 ? MO_OS_WRITE : MO_OS_READ;
#elif defined(__riscv)
    return access_of_instruction(u->uc_mcontext.__gregs[REG_PC]);
#else
    (void)u;
#endif
    return MO_OS_UNKNOWN;
}

/* The default again; a signal that was sent, or that tells of an access long past, comes again when the handler
 * returns, as it is blocked until then. */
static void end_by_default(int number, const siginfo_t *info)
{
    struct sigaction by_default = {.sa_handler = SIG_DFL};
    (void)sigaction(number, &by_default, NULL);
    if (info->si_code <= 0 || mo_os_fault_is_late(info))
        (void)syscall(SYS_tgkill, mo_os_process_id(), mo_os_thread_id(), number);
}

void mo_os_fault_pass(int number, siginfo_t *info, void *ucontext, bool chained)
{
    sigset_t mask, itself;
    if (!chained) {
        end_by_default(number, info);
        return;
    }
    if ((before.sa_flags & SA_SIGINFO) == 0 && (before.sa_handler == SIG_DFL || before.sa_handler == SIG_IGN)) {
        /* Only what is sent can be ignored. */
        if (before.sa_handler == SIG_DFL || info->si_code > 0)
            end_by_default(number, info);
        return;
    }
    mask = before.sa_mask;
    sigemptyset(&itself);
    sigaddset(&itself, number);
    (void)sigprocmask(SIG_BLOCK, &mask, NULL);
    if ((before.sa_flags & SA_NODEFER) != 0)
        (void)sigprocmask(SIG_UNBLOCK, &itself, NULL);
    struct sigaction handler = before;
    if ((before.sa_flags & (int)SA_RESETHAND) != 0)
        before = (struct sigaction){.sa_handler = SIG_DFL};
    if ((handler.sa_flags & SA_SIGINFO) != 0)
        handler.sa_sigaction(number, info, ucontext);
    else
        handler.sa_handler(number);
}
