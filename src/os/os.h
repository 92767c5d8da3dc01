/* What moat asks of the operating system; the only layer that knows Linux.
 *
 * No function here allocates, takes a lock of another layer or changes errno for its caller: a failed
 * call is false, NULL or 0, and the caller decides whether that is an error or a weaker guard. All may
 * be called before start-up, in a forked child and inside a report, but mo_os_start, which comes first.
 */
#ifndef MO_OS_H
#define MO_OS_H

#include "base/base.h"

/* What this kernel and process allow; filled by mo_os_start, constant after it. */
struct mo_os_features {
    size_t page;          /* bytes in a page */
    bool guard_install;   /* MADV_GUARD_INSTALL (Linux 6.13) */
    bool mseal;           /* mseal (Linux 6.10, 64-bit) */
    bool wipe_on_fork;    /* MADV_WIPEONFORK (Linux 4.14) */
    bool getrandom;       /* entropy came from getrandom, not from AT_RANDOM */
    bool secure;          /* AT_SECURE: the environment is not to be trusted */
    bool aes;             /* AES instructions */
    bool terminal;        /* stderr is one */
    unsigned cpus;        /* CPUs this process may use: affinity and cgroup quota, at least 1 */
    size_t address_limit; /* RLIMIT_AS in bytes, SIZE_MAX when there is none */
};

/* Learns the features. */
void mo_os_start(struct mo_os_features *f);

/* Reserves size bytes of inaccessible address space, aligned to align (a power of two, at least a page).
 * hint is an address to try, or 0. NULL when there is no room. */
void *mo_os_reserve(uintptr_t hint, size_t size, size_t align) MO_CHECKED;

/* Maps size bytes of readable, writable zeros between two inaccessible pages. */
void *mo_os_map_guarded(size_t size, const char *name) MO_CHECKED;
void mo_os_unmap_guarded(void *p, size_t size);

/* From open to close mo_os_map_guarded maps side by side in one reservation of size bytes, while there is room, with an
 * inaccessible page between any two: small tables then share page tables, each of which costs as much as several pages,
 * and with markers (features.guard_install) one mapping. Only at start, by one thread. */
void mo_os_nest_open(size_t size, bool markers);
void mo_os_nest_close(void);
size_t mo_os_nest_below(const void *p); /* inaccessible bytes right before the part p, the last one taken; or 0 */

bool mo_os_open(void *p, size_t size) MO_CHECKED;  /* inaccessible reservation -> readable, writable */
bool mo_os_close(void *p, size_t size) MO_CHECKED; /* -> inaccessible; contents stay until purged */
bool mo_os_read_only(void *p, size_t size) MO_CHECKED;
void mo_os_unmap(void *p, size_t size);
void mo_os_seal(void *p, size_t size); /* forbids further changes of the mapping where the kernel can */
void mo_os_name(void *p, size_t size, const char *name);

/* Guard markers (MADV_GUARD_INSTALL): the range faults on access and its pages are given back, without splitting the
 * mapping. Only where features.guard_install; false when the kernel refuses the range, as for locked memory: then
 * there may be markers before the page that it refused. Whole: for what is accessible; all of it or nothing. */
bool mo_os_guard(void *p, size_t size) MO_CHECKED;
bool mo_os_unguard(void *p, size_t size) MO_CHECKED;
/* The same for count ranges of size bytes, step bytes apart. */
bool mo_os_guard_each(char *p, size_t size, size_t step, size_t count) MO_CHECKED;
MO_CHECKED MO_INLINE bool mo_os_guard_whole(void *p, size_t size)
{
    bool whole = mo_os_guard(p, size);
    if (mo_unlikely(!whole))
        (void)!mo_os_unguard(p, size);
    return whole;
}

bool mo_os_readable(uintptr_t at);                 /* asks the kernel; true for the whole page of 4 KiB */
bool mo_os_purge(void *p, size_t size) MO_CHECKED; /* gives pages back at once; they read as zero after */
bool mo_os_offer(void *p, size_t size) MO_CHECKED; /* lets the kernel take pages when it needs them (Linux 4.5) */
uint32_t mo_os_milliseconds(void);                 /* of a clock that only goes forward; wraps */
void mo_os_populate(void *p, size_t size);         /* makes pages present, where the kernel can (Linux 5.14) */
void mo_os_huge(void *p, size_t size);             /* pages not yet present are to be huge, where the kernel can */
bool mo_os_wipe_on_fork(void *p, size_t size);     /* and keeps the range out of core files */

/* Moves the pages of old_size bytes from old to now, over the reservation there, and extends them with zeros to
 * new_size. *hole_kept: what was at old is an inaccessible reservation; not, when another thread of the process mapped
 * something there meanwhile (or the kernel is older than 4.17). False: nothing has moved. Both ranges are in one
 * mapping each. */
bool mo_os_move(void *old, size_t old_size, void *now, size_t new_size, bool *hole_kept) MO_CHECKED;

/* Fills buf with n random bytes (n at most 256). False: getrandom is refused; buf holds bytes derived
 * from AT_RANDOM, and features.getrandom says so. */
bool mo_os_entropy(void *buf, size_t n);

/* Reads at most size - 1 bytes of the file at path, 0-terminates; the count read, or 0. */
size_t mo_os_read_file(const char *path, char *buf, size_t size);

/* Writes all of it, whatever signals do. False: the file is full, its reader has gone, or it took nothing for
 * MO_WRITE_PATIENCE milliseconds. */
enum { MO_WRITE_PATIENCE = 2000 };
bool mo_os_write(int fd, const char *text, size_t n);
int mo_os_create(const char *path, size_t room); /* a file to append `room` bytes to; -1 where that is refused */
void mo_os_close_file(int fd);
void mo_os_pause(unsigned milliseconds);
MO_NORETURN void mo_os_exit(int status); /* at once: no handler runs */
long mo_os_thread_id(void);
uint32_t mo_os_thread_known(void); /* the same, asked once: not every sandbox allows the question */
void mo_os_thread_forked(void);
uintptr_t mo_os_self(
    void); /* a thread's name without a question: an address that it alone has, and a forked child keeps */
bool mo_os_thread_lives(long process, long thread);
long mo_os_process_id(void);
char **mo_os_environment(void); /* may be NULL this early in a process */

/* Resident bytes of this process and number of its mappings from /proc; 0 where it is not there. */
size_t mo_os_resident(void);

/* A mutual exclusion lock of four bytes; 0 is unlocked. Ranks and owners: see arena/arena.h. */
struct mo_lock {
    uint32_t word;
};
void mo_lock_slow(struct mo_lock *l);
void mo_unlock_slow(struct mo_lock *l);

/* The same for who can do without: false when it is not to be had within some milliseconds, as when this thread was
 * interrupted by a signal while it held it. */
bool mo_lock_patiently(struct mo_lock *l) MO_CHECKED;
bool mo_lock_for(struct mo_lock *l, unsigned milliseconds) MO_CHECKED; /* the same by the clock; for reports */

/* A short rest between two looks at what another thread changes: a few nanoseconds each. */
void mo_os_rest(unsigned turns);

/* A thread that forks holds every lock while the program's own fork handlers may run, and these may allocate. Between
 * begin (all locks are held) and end (they still are) the calling thread passes them as if it did not. */
void mo_lock_fork_begin(void);
void mo_lock_fork_end(void);
extern uintptr_t mo_lock_forking; /* which thread that is, or 0 */
bool mo_lock_is_forking(void);    /* is it this one? */

MO_INLINE void mo_lock(struct mo_lock *l)
{
    uint32_t unlocked = 0;
    if (mo_unlikely(!__atomic_compare_exchange_n(&l->word, &unlocked, 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)))
        mo_lock_slow(l);
}

MO_INLINE void mo_unlock(struct mo_lock *l)
{
    if (mo_unlikely(__atomic_load_n(&mo_lock_forking, __ATOMIC_RELAXED) != 0) && mo_lock_is_forking())
        return;
    if (mo_unlikely(__atomic_exchange_n(&l->word, 0, __ATOMIC_RELEASE) != 1))
        mo_unlock_slow(l);
}

MO_INLINE bool mo_trylock(struct mo_lock *l)
{
    uint32_t unlocked = 0;
    return __atomic_compare_exchange_n(&l->word, &unlocked, 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

#endif
