/* The slow half of mo_lock: three states (0 free, 1 held, 2 held with sleepers) over a futex. See os.h. */
#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "os/os.h"

#ifndef SYS_futex
#define SYS_futex SYS_futex_time64 /* 32-bit architectures that came after 2038 was thought of */
#endif

enum { LOCK_FREE, LOCK_HELD, LOCK_WAITED };

uintptr_t mo_lock_forking;

uintptr_t mo_os_self(void)
{
    static __thread char mark __attribute__((tls_model("initial-exec")));
    return (uintptr_t)&mark;
}

void mo_lock_fork_begin(void)
{
    __atomic_store_n(&mo_lock_forking, mo_os_self(), __ATOMIC_RELAXED);
}

void mo_lock_fork_end(void)
{
    __atomic_store_n(&mo_lock_forking, 0, __ATOMIC_RELAXED);
}

bool mo_lock_is_forking(void)
{
    return __atomic_load_n(&mo_lock_forking, __ATOMIC_RELAXED) == mo_os_self();
}

void mo_os_rest(unsigned turns)
{
    for (unsigned i = 0; i < turns; i++) {
#if defined(__x86_64__) || defined(__i386__)
        __builtin_ia32_pause();
#elif defined(__aarch64__)
        __asm__ volatile("yield");
#else
        __asm__ volatile("" ::: "memory");
#endif
    }
}

bool mo_lock_patiently(struct mo_lock *l)
{
    enum { TRIES = 4096, TURNS = 64 };
    for (unsigned i = 0; i < TRIES; i++) {
        if (mo_trylock(l))
            return true;
        mo_os_rest(TURNS);
    }
    return false;
}

bool mo_lock_for(struct mo_lock *l, unsigned milliseconds)
{
    enum { NAP = 5 };
    uint32_t since = mo_os_milliseconds();
    bool mine = mo_trylock(l);
    for (; !mine && mo_os_milliseconds() - since < milliseconds; mine = mo_trylock(l))
        mo_os_pause(NAP);
    return mine;
}

void mo_lock_slow(struct mo_lock *l)
{
    if (mo_lock_is_forking())
        return;
    /* Critical sections are tens of nanoseconds: a short spin saves two system calls. */
    for (int spin = 0; spin < 64; spin++) {
        if (__atomic_load_n(&l->word, __ATOMIC_RELAXED) == LOCK_FREE && mo_trylock(l))
            return;
        mo_os_rest(1);
    }
    int saved = errno;
    while (__atomic_exchange_n(&l->word, LOCK_WAITED, __ATOMIC_ACQUIRE) != LOCK_FREE)
        syscall(SYS_futex, &l->word, FUTEX_WAIT_PRIVATE, LOCK_WAITED, NULL, NULL, 0);
    errno = saved;
}

void mo_unlock_slow(struct mo_lock *l)
{
    int saved = errno;
    syscall(SYS_futex, &l->word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
    errno = saved;
}
