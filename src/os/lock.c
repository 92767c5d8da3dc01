/* Locks over a futex. A word that is not 0 has its holder's name, and flags. */
#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "os/os.h"

#ifndef SYS_futex
#define SYS_futex SYS_futex_time64 /* 32-bit architectures that came after 2038 was thought of */
typedef int64_t futex_time;
#else
typedef long futex_time;
#endif

enum { PATIENCE = 200 }; /* of an interrupted thread's fork, in milliseconds */
enum { FREE = 0, WAITED = MO_LOCK_WAITED, KEPT = MO_LOCK_KEPT };

uintptr_t mo_lock_forking;
__thread char mo_os_mark __attribute__((tls_model("initial-exec")));

/* Of this thread's way to a fork: it holds a lock already, and how long it waits for others then, in milliseconds. */
static __thread struct {
    bool interrupted;
    unsigned patience;
    unsigned outer; /* forks that this one is within */
} fork_state __attribute__((tls_model("initial-exec")));

uintptr_t mo_os_self(void)
{
    return (uintptr_t)&mo_os_mark;
}

MO_INLINE bool is_mine(uint32_t word)
{
    return (word & ~(uint32_t)MO_LOCK_FLAGS) == mo_lock_name();
}

#ifdef MO_HELGRIND /* tests/helgrind: valgrind's tool is told, as it knows only pthread's locks */
#include <valgrind/helgrind.h>
#else
#define ANNOTATE_RWLOCK_ACQUIRED(lock, is_write) (void)(lock)
#define ANNOTATE_RWLOCK_RELEASED(lock, is_write) (void)(lock)
#endif

#ifdef MO_DEBUG
/* The locks that this thread holds, but for those of no rank: the last one taken. */
static __thread struct mo_lock *held __attribute__((tls_model("initial-exec")));

MO_COLD static MO_NORETURN void out_of_order(const char *what)
{
    (void)mo_os_write(2, what, __builtin_strlen(what));
    __builtin_trap();
}

static void wants(const struct mo_lock *l)
{
    if (l->rank == MO_RANK_NONE || fork_state.interrupted || mo_lock_is_forking())
        return;
    enum { LOOKS = 8 }; /* a fork holds thousands, in order */
    int looks = 0;
    for (const struct mo_lock *other = held; other != NULL && looks < LOOKS; other = other->below, looks++)
        if (other->rank >= l->rank)
            out_of_order("moat: a lock is waited for while one of its rank or a later one is held\n");
}

static void holds(struct mo_lock *l)
{
    ANNOTATE_RWLOCK_ACQUIRED(l, 1);
    if (l->rank == MO_RANK_NONE)
        return;
    l->below = held;
    l->above = NULL;
    if (held != NULL)
        held->above = l;
    held = l;
}

static void unlist(struct mo_lock *l)
{
    if (l->above != NULL)
        l->above->below = l->below;
    else
        held = l->below;
    if (l->below != NULL)
        l->below->above = l->above;
}

static void leaves(struct mo_lock *l)
{
    if (l->rank != MO_RANK_NONE && !is_mine(__atomic_load_n(&l->word, __ATOMIC_RELAXED)))
        out_of_order("moat: a lock is given back by a thread that does not hold it\n");
    if (l->rank != MO_RANK_NONE)
        unlist(l);
    ANNOTATE_RWLOCK_RELEASED(l, 1);
}
#else
MO_INLINE void wants(const struct mo_lock *l)
{
    (void)l;
}

MO_INLINE void holds(struct mo_lock *l)
{
    (void)l;
}

MO_INLINE void leaves(struct mo_lock *l)
{
    (void)l;
}
#endif

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
    /* Not more naps either: where a sandbox refuses the clock it stands still. */
    for (unsigned naps = 0; !mine && naps < milliseconds && mo_os_milliseconds() - since < milliseconds; naps++) {
        mo_os_pause(NAP);
        mine = mo_trylock(l);
    }
    return mine;
}

MO_INLINE bool take(struct mo_lock *l, uint32_t name)
{
    uint32_t seen = FREE;
    return __atomic_compare_exchange_n(&l->word, &seen, name, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

bool mo_trylock(struct mo_lock *l)
{
    bool taken = take(l, mo_lock_name());
    if (taken)
        holds(l);
    return taken;
}

/* Waits while the word is that, for a second at most: false. A signal's handler ends the call, not the wait. */
static bool sleep_on(struct mo_lock *l, uint32_t word)
{
    static const futex_time second[2] = {1, 0};
    for (uint32_t since = mo_os_milliseconds();;) {
        if (syscall(SYS_futex, &l->word, FUTEX_WAIT_PRIVATE, word, second, NULL, 0) == 0 || errno == EAGAIN)
            return true;
        if (errno == ETIMEDOUT || mo_os_milliseconds() - since >= 1000)
            return false;
    }
}

/* Whether the thread that the word names can be there: a living one's mark lies in memory that can be read. Bits of its
 * address beyond the word's are tried out: 64 system calls on x86-64, and 5 ms of them where it is not there. Not its
 * number, for which a sandbox may end the process, and which a forked child does not keep. */
static bool holder_lives(uint32_t word)
{
    const uint64_t named = (uint64_t)1 << 41, most = (uint64_t)1 << 56;
    uint64_t at = (uint64_t)(word / (2 * MO_LOCK_NAMED)) * (2 * MO_LOCK_CLOSEST);
    if (!mo_os_readable(mo_os_self()))
        return true; /* one cannot ask */
    for (; at < most && at <= UINTPTR_MAX; at += named)
        if (mo_os_readable((uintptr_t)at))
            return true;
    return false;
}

/* A write to the word, which others would wait for for ever. Twice, a second apart: the word may be of a holder that
 * has ended since, and of a new thread in its place. */
static bool is_damaged(struct mo_lock *l, uint32_t word)
{
    return !holder_lives(word) && !sleep_on(l, word) && !holder_lives(word);
}

MO_COLD static void lock_slow(struct mo_lock *l, uint32_t name)
{
    /* Critical sections are tens of nanoseconds: a short spin saves two system calls. */
    for (int spin = 0; spin < 64; spin++) {
        if (__atomic_load_n(&l->word, __ATOMIC_RELAXED) == FREE && take(l, name))
            return;
        mo_os_rest(1);
    }
    int saved = errno;
    while (!take(l, name | WAITED)) {
        uint32_t word = __atomic_fetch_or(&l->word, WAITED, __ATOMIC_RELAXED) | WAITED;
        if (word == WAITED) { /* it has just been given back */
            if (__atomic_compare_exchange_n(&l->word, &word, name | WAITED, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
                break;
        } else if ((word & MO_LOCK_NAMED) == 0 || (!sleep_on(l, word) && is_damaged(l, word)))
            mo_lock_damaged(l);
    }
    errno = saved;
}

void mo_lock(struct mo_lock *l)
{
    uint32_t name = mo_lock_name();
    wants(l);
    if (mo_unlikely(!take(l, name))) {
        if (mo_lock_is_forking()) {
            if (fork_state.interrupted) /* and may have given up on it */
                mo_lock_fork_take(l);
            return;
        }
        lock_slow(l, name);
    }
    holds(l);
}

void mo_unlock(struct mo_lock *l)
{
    if (mo_unlikely(__atomic_load_n(&mo_lock_forking, __ATOMIC_RELAXED) != 0) && mo_lock_is_forking())
        return;
    leaves(l);
    if (mo_unlikely((__atomic_exchange_n(&l->word, FREE, __ATOMIC_RELEASE) & WAITED) != 0))
        mo_lock_wake(l);
}

void mo_lock_wake(struct mo_lock *l)
{
    int saved = errno;
    syscall(SYS_futex, &l->word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
    errno = saved;
}

void mo_lock_fork_look(struct mo_lock *l)
{
    if (is_mine(__atomic_load_n(&l->word, __ATOMIC_RELAXED))) {
        __atomic_fetch_or(&l->word, KEPT, __ATOMIC_RELAXED);
        fork_state.interrupted = true;
        fork_state.patience = PATIENCE;
    }
}

/* A thread that holds a lock may not wait for others for ever: their holders may be waiting for it. */
void mo_lock_fork_take(struct mo_lock *l)
{
    if (!fork_state.interrupted)
        mo_lock(l);
    else if (!is_mine(__atomic_load_n(&l->word, __ATOMIC_RELAXED)) && !mo_lock_for(l, fork_state.patience))
        fork_state.patience = 0;
}

/* Forks of two threads at once, when one has no patience: the first to come is the one. Forks within forks, in handlers
 * of signals, are counted. */
void mo_lock_fork_begin(void)
{
    uintptr_t none = 0;
    fork_state.patience = PATIENCE; /* anew, for the handlers: what was given up passes without its holder at last */
    if (mo_lock_is_forking())
        fork_state.outer++;
    else
        (void)__atomic_compare_exchange_n(&mo_lock_forking, &none, mo_os_self(), false, __ATOMIC_RELAXED,
                                          __ATOMIC_RELAXED);
}

void mo_lock_fork_end(void)
{
    fork_state.interrupted = false;
    if (!mo_lock_is_forking())
        return;
    if (fork_state.outer > 0)
        fork_state.outer--;
    else
        __atomic_store_n(&mo_lock_forking, 0, __ATOMIC_RELAXED);
}

bool mo_lock_is_forking(void)
{
    return __atomic_load_n(&mo_lock_forking, __ATOMIC_RELAXED) == mo_os_self();
}

/* What it has taken since, whether before or between begin and end, and not what it held before. */
void mo_lock_fork_give(struct mo_lock *l)
{
    uint32_t word = __atomic_load_n(&l->word, __ATOMIC_RELAXED);
    if (!is_mine(word))
        return;
    if ((word & KEPT) != 0)
        __atomic_fetch_and(&l->word, ~(uint32_t)KEPT, __ATOMIC_RELAXED);
    else
        mo_unlock(l);
}

/* The holders of all others are not here, nor is another thread that forks. */
void mo_lock_fork_give_in_child(struct mo_lock *l)
{
    if (mo_unlikely(__atomic_load_n(&mo_lock_forking, __ATOMIC_RELAXED) != 0) && !mo_lock_is_forking())
        __atomic_store_n(&mo_lock_forking, 0, __ATOMIC_RELAXED);
    mo_lock_fork_give(l);
    uint32_t word = __atomic_load_n(&l->word, __ATOMIC_RELAXED);
    if (word != FREE && !is_mine(word))
        __atomic_store_n(&l->word, FREE, __ATOMIC_RELAXED);
}
