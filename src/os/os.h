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
    bool tags;            /* memory tagging (aarch64's MTE, Linux 5.10) */
    bool terminal;        /* stderr is one */
    size_t address_limit; /* RLIMIT_AS in bytes, SIZE_MAX when there is none */
};

/* Learns the features. */
void mo_os_start(struct mo_os_features *f);

/* CPUs that this process may use: affinity and cgroup quota, at least 1. */
unsigned mo_os_count_cpus(void);

/* Reserves size bytes of inaccessible address space, aligned to align (a power of two, at least a page).
 * hint is an address to try, or 0. NULL when there is no room. */
void *mo_os_reserve(uintptr_t hint, size_t size, size_t align) MO_CHECKED;

/* Maps size bytes of readable, writable zeros between two inaccessible pages. */
void *mo_os_map_guarded(size_t size, const char *name) MO_CHECKED;
void mo_os_unmap_guarded(void *p, size_t size);

/* The same, shared with forked children, without a guard. */
void *mo_os_map_shared(size_t size) MO_CHECKED;

/* From open to close mo_os_map_guarded maps side by side in one reservation of size bytes, while there is room, with an
 * inaccessible page between any two: small tables then share page tables, each of which costs as much as several pages,
 * and with markers (features.guard_install) one mapping. Only at start, by one thread. */
void mo_os_nest_open(size_t size, bool markers);
void mo_os_nest_close(void);
size_t mo_os_nest_below(const void *p); /* inaccessible bytes right before the part p, the last one taken; or 0 */

bool mo_os_open(void *p, size_t size) MO_CHECKED; /* inaccessible reservation -> readable, writable */
/* The same, where every 16 bytes get a tag (base/tag.h): 0 for what is new. Only after mo_os_tags. */
bool mo_os_open_tagged(void *p, size_t size) MO_CHECKED;
/* Tags are checked in this thread, and in those that it starts: a fault at once (sync), or soon. System calls take
 * pointers with tags. */
bool mo_os_tags(bool sync) MO_CHECKED;
bool mo_os_close(void *p, size_t size) MO_CHECKED; /* -> inaccessible; contents stay until purged */
bool mo_os_read_only(void *p, size_t size) MO_CHECKED;
void mo_os_unmap(void *p, size_t size);
void mo_os_seal(void *p, size_t size); /* forbids further changes of the mapping where the kernel can */
void mo_os_name(void *p, size_t size, const char *name);

/* Guard markers (MADV_GUARD_INSTALL): the range faults on access and its pages are given back, without splitting the
 * mapping. Only where features.guard_install; false when the kernel refuses the range, as for locked memory: then
 * there may be markers before the page that it refused. Whole: for what is accessible; all of it or nothing. */
bool mo_os_guard(void *p, size_t size) MO_CHECKED;
/* Maps anew what is mapped: accessible, zero, and nothing that the program did to these pages is left. */
bool mo_os_renew(void *p, size_t size) MO_CHECKED;
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

/* Reads at most size - 1 bytes of the file at path, 0-terminates; the count read, or 0. If it can't be opened, 0, and
 * buf is not written, so that its page need not be made present. */
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

/* A mutual exclusion lock; 0 is unlocked, else the word names its holder: see lock.c. The order in which locks may be
 * taken is that of their ranks, and a debug build ends at a lock that is waited for while one of its rank or a later
 * one is held. Rank 0: stands alone, and is only tried. */
enum mo_lock_rank {
    MO_RANK_NONE,
    MO_RANK_START,
    MO_RANK_THREADS, /* random stream of threads without a cache */
    MO_RANK_CACHES,  /* pool of caches */
    MO_RANK_PURGE,   /* one thread at a time gives back */
    MO_RANK_HEAP = 1 << 20,
    MO_RANK_LARGE,
    MO_RANK_POOL, /* of sampled chunks */
};
/* A bin's: by class, then by shard, which may be below 0. Bin 0 of a heap's shard is the heap's. */
#define MO_RANK_BIN(class, shard) (((class) + 1) << 12 | ((shard) + (1u << 11)))

struct mo_lock {
    uint32_t word;
#ifdef MO_DEBUG
    uint32_t rank;
    struct mo_lock *below, *above; /* of those that its holder holds */
#endif
};

#ifdef MO_DEBUG
#define MO_LOCK(r)  \
    {               \
        .rank = (r) \
    }
#else
#define MO_LOCK(r) \
    {              \
        0          \
    }
#endif
MO_INLINE void mo_lock_set_rank(struct mo_lock *l, uint32_t rank)
{
#ifdef MO_DEBUG
    l->rank = rank;
#else
    (void)l, (void)rank;
#endif
}

void mo_lock(struct mo_lock *l);
void mo_unlock(struct mo_lock *l);
bool mo_trylock(struct mo_lock *l);

/* The same for who can do without: false when it is not to be had within some milliseconds, as when this thread was
 * interrupted by a signal while it held it. */
bool mo_lock_patiently(struct mo_lock *l) MO_CHECKED;
bool mo_lock_for(struct mo_lock *l, unsigned milliseconds) MO_CHECKED; /* the same by the clock; for reports */

/* A short rest between two looks at what another thread changes: a few nanoseconds each. */
void mo_os_rest(unsigned turns);

/* A thread that forks holds every lock while the program's own fork handlers may run, and these may allocate. First it
 * looks for one that it holds already, as where a signal's handler forks that has interrupted malloc; then it takes
 * all. Between begin (all locks are held) and end (they still are) it passes them as if it did not. At last it gives
 * back, in the parent or in the child, what it has taken: of what it held before, the interrupted code goes on in
 * both. */
void mo_lock_fork_look(struct mo_lock *l);
void mo_lock_fork_take(struct mo_lock *l);
void mo_lock_fork_begin(void);
void mo_lock_fork_end(void);
void mo_lock_fork_give(struct mo_lock *l);
void mo_lock_fork_give_in_child(struct mo_lock *l);
bool mo_lock_is_forking(void); /* is it this thread? */

/* What is done with each of a module's locks. */
typedef void mo_lock_visit(struct mo_lock *l);

/* Of a lock's word: there may be sleepers; held before its fork; there is a holder, whose name the rest is. */
enum { MO_LOCK_WAITED = 1, MO_LOCK_KEPT = 2, MO_LOCK_FLAGS = 3, MO_LOCK_NAMED = 4 };
enum { MO_LOCK_CLOSEST = 2048 };  /* thread stacks, on which or beside which the marks lie, are no closer than this */
extern uintptr_t mo_lock_forking; /* which thread is, or 0; atomic */
extern __thread char mo_os_mark __attribute__((tls_model("initial-exec")));
void mo_lock_wake(struct mo_lock *l);

/* Its word names nobody, or a thread that is not there: reports that and ends the process. What the caller holds stays
 * held: a handler of SIGABRT that allocates may wait for it. Whoever reports defines it (diag). */
MO_COLD MO_NORETURN void mo_lock_damaged(const struct mo_lock *l);

/* A thread's name. The fork of a thread whose name is another's, as far away as 2^41 bytes, has less patience than it
 * could. */
MO_INLINE uint32_t mo_lock_name(void)
{
    return (uint32_t)((uintptr_t)&mo_os_mark / MO_LOCK_CLOSEST * (MO_LOCK_FLAGS + 1)) | MO_LOCK_NAMED;
}

/* Lock and unlock with their short halves in the caller, for the few that are in a hurry. */
MO_INLINE void mo_lock_here(struct mo_lock *l)
{
#ifndef MO_DEBUG
    uint32_t seen = 0;
    if (mo_likely(
            __atomic_compare_exchange_n(&l->word, &seen, mo_lock_name(), false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)))
        return;
#endif
    mo_lock(l);
}

MO_INLINE void mo_unlock_here(struct mo_lock *l)
{
#ifdef MO_DEBUG
    mo_unlock(l);
#else
    if (mo_unlikely(__atomic_load_n(&mo_lock_forking, __ATOMIC_RELAXED) != 0))
        mo_unlock(l);
    else if (mo_unlikely((__atomic_exchange_n(&l->word, 0, __ATOMIC_RELEASE) & MO_LOCK_WAITED) != 0))
        mo_lock_wake(l);
#endif
}

#endif
