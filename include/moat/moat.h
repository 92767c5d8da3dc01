/* moat: a hardened malloc for Linux. The API beside the standard one.
 *
 * A program needs none of this: malloc, free and their kin behave as ISO C, POSIX and the GNU manual say.
 * Every function here may be called from any thread, but not from a signal handler.
 */
#ifndef MOAT_H
#define MOAT_H

#include <stddef.h>
#include <stdint.h>

#define MOAT_VERSION_MAJOR 0
#define MOAT_VERSION_MINOR 1
#define MOAT_VERSION_PATCH 0

#ifdef __cplusplus
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow" /* a function may be named as a structure is */
extern "C" {
#endif

/* Options compiled into a program: define it in the program, as the same text that MOAT_OPTIONS takes.
 * /etc/moat.conf and the environment come after it and win. */
extern const char *moat_options __attribute__((weak));

/* Figures of the heap, in bytes unless they say count. A snapshot: other threads go on meanwhile, so
 * that sums may differ by what they do. */
struct moat_stats {
    size_t size;            /* of this structure, as the library knows it */
    size_t allocated;       /* slots and mappings of live chunks */
    size_t live_count;      /* count of live chunks */
    size_t cached;          /* free slots ready in thread caches */
    size_t quarantined;     /* freed slots that wait in thread caches */
    size_t large;           /* of `allocated`, what is in large mappings */
    size_t large_count;     /* count of live large mappings */
    size_t large_waiting;   /* address space of freed large mappings that wait */
    size_t slabs;           /* bytes of slabs that are open */
    size_t slab_count;      /* count of slabs that are open */
    size_t purged_count;    /* count of slabs given back to the system so far */
    size_t guard_count;     /* count of guards in place */
    size_t metadata;        /* bytes of tables and caches that are mapped and in use */
    size_t reserved;        /* address space set aside for small chunks */
    size_t resident;        /* of the whole process, from the kernel; 0 where /proc is not there */
    size_t mappings_count;  /* count of mappings moat has made that it still holds */
    size_t threads_count;   /* count of thread caches in use, those of heaps included */
    size_t shards_count;    /* count of shards */
    size_t classes_count;   /* count of size classes */
    size_t requested;       /* bytes that the program asked for of all live chunks; of aligned ones their slots */
    size_t active;          /* bytes of open slabs, large mappings and sampled chunks */
    size_t fragmentation;   /* active less requested, in thousandths of active */
    size_t retained;        /* of `slabs`, those that are wholly free and kept for later */
    size_t frees_count;     /* count of small frees so far; known in steps of some hundred a thread */
    size_t sampled_count;   /* count of allocations sampled so far */
    size_t unsampled_count; /* count of those that were due but had no place in the guard pool */
    size_t warnings_count;  /* count of mismatched and foreign releases that were let pass */
};

/* Figures of one size class. */
struct moat_class_stats {
    size_t slot;       /* bytes of a slot, header included */
    size_t largest;    /* largest request that it serves */
    size_t live_count; /* count of live chunks */
    size_t cached_count;
    size_t quarantined_count;
    size_t slab_count; /* count of open slabs */
};

/* Figures of one shard. */
struct moat_shard_stats {
    size_t slabs;        /* bytes of open slabs */
    size_t taken;        /* bytes of slots that are not with the shard: live, cached or quarantined */
    size_t purged_count; /* count of slabs given back to the system so far */
};

/* Fills *s, which has `size` bytes as its writer knew the structure (sizeof *s). Returns 0, or -1 with
 * errno EINVAL when size is smaller than the first member. Looks at every live chunk: takes some 20 ns for each. */
int moat_stats(struct moat_stats *s, size_t size);

/* Fills *s for class number `index`, from 0. Returns 0, or -1 with errno EINVAL when there is no such
 * class or size is not sizeof *s. */
int moat_class_stats(size_t index, struct moat_class_stats *s, size_t size);

/* The same for shard number `index`, from 0. */
int moat_shard_stats(size_t index, struct moat_shard_stats *s, size_t size);

/* Writes the figures of moat_stats, of each class and each shard to file descriptor fd: as a table for people, as one
 * line of JSON, or as OpenMetrics text, which node_exporter's textfile collector reads too. Allocates nothing. */
enum moat_stats_form { MOAT_STATS_TABLE, MOAT_STATS_JSON, MOAT_STATS_OPENMETRICS };
void moat_stats_write(int fd, enum moat_stats_form form);

/* The table. */
void moat_stats_print(int fd);

/* Writes to fd the sampled chunks that are live, with the stacks of their allocation, as a heap profile that pprof
 * reads, scaled by option sample_rate. Of small chunks: those above 32 KiB are not sampled. Returns 0, or -1 with errno
 * EIO when not all could be written. Allocates nothing. This function alone may be called in a signal handler. See
 * docs/STATISTICS.md. */
int moat_profile_dump(int fd);

/* "moat MAJOR.MINOR.PATCH"; constant. */
const char *moat_version(void);

/* The value of an option by name, as moat runs with it: 0 and *value, or -1 with errno ENOENT. An option
 * that takes words gives the word's index in the order that `moat options` shows, one that takes a text its length. */
int moat_option(const char *name, size_t *value);

/* Gives back to the system what is free now: drains the caller's thread cache and purges empty slabs.
 * Returns bytes given back. */
size_t moat_purge(void);

/* What moat has to report: heap corruption, a fault at a guard, or a warning (options mismatch and foreign). */
struct moat_report {
    size_t size;     /* of this structure, as the library knows it */
    const char *bug; /* "heap-buffer-overflow", "double-free", ...: see docs/REPORTS.md */
    const void *address;
    const char *text; /* the report in the form that option `report` says, 0-terminated */
    size_t text_size; /* bytes of text, without the 0 */
    int ends;         /* whether the process ends next; not after a warning, or a fault, which takes its course */
};
typedef void moat_report_callback(const struct moat_report *report);

/* Has `callback` called after each report is written, NULL: nothing; returns the one before. It runs in the thread that
 * met the violation, inside of malloc, free or a signal handler, with the heap damaged: it must not allocate, free or
 * wait for another thread. What it is given is gone when it returns. */
moat_report_callback *moat_set_report_callback(moat_report_callback *callback);

/* The same, for a program that defines this function. One that has moat preloaded must export it (-rdynamic). */
void moat_report_hook(const struct moat_report *report) __attribute__((weak));
/* Verifies every live chunk (header and tail), every free slot (its zeros) and moat's own tables. Whatever is damaged
 * is reported and ends the process, as at free; else returns the count of live chunks. Other threads may go on
 * meanwhile; chunks that one of them is making, resizing or freeing at the moment are passed by. Takes about 50 ns a
 * chunk. */
size_t moat_check_heap(void);

/* Beside the standard routines, which are moat's own: malloc (its bytes are zero), calloc, realloc, aligned_alloc,
 * posix_memalign, free, malloc_usable_size (exactly what was asked for).
 *
 * free, where the caller states what it asked malloc, calloc or realloc for, or aligned_alloc: C23's free_sized and
 * free_aligned_sized under names that no libc's header has. Another size or alignment than the chunk's is reported as
 * option mismatch says. */
void moat_free_sized(void *p, size_t n) __asm__("free_sized");
void moat_free_aligned_sized(void *p, size_t align, size_t n) __asm__("free_aligned_sized");

/* realloc to count * n bytes; NULL and errno ENOMEM, p as before, where that overflows. */
void *moat_reallocarray(void *p, size_t count, size_t n);

/* realloc in place: 1, and the chunk at p has n bytes from now on; 0: that can't be done there, it is as before.
 * Always 0 for chunks above 128 KiB. */
int moat_resize(void *p, size_t n);

/* A heap for one purpose: slabs that serve nobody else, and end as a whole. For a parser's or a request's memory: what
 * overflows or dangles there meets nothing of others, and one call gives all of it back.
 *
 * Its chunks are as malloc's, headers, checks and quarantine included; free, realloc (which keeps them in their heap)
 * and malloc_usable_size take them, free_sized too, and any thread may. They are not sampled. A heap has one lock. Its
 * first use of each size class opens a slab and its end closes it, by system calls, and each page that it touches costs
 * a page fault: see docs/LANGUAGES.md. Heaps survive fork. */
typedef struct moat_heap moat_heap;

/* A new heap; NULL and errno ENOMEM: there are 1,024 already (64 on 32-bit), or no memory. */
moat_heap *moat_heap_create(void);

/* Ends the heap: every chunk of it is verified as by free and its life ends, and all its addresses are inaccessible
 * when this returns. They never serve another size, nor anything but a later heap, after 32 others have been destroyed.
 * A chunk of it that is freed later is reported, so is the heap itself when it is used again. No other thread may be in
 * a call for the heap or a chunk of it. NULL is nothing. */
void moat_heap_destroy(moat_heap *heap);

/* n bytes of zeros from the heap, the second at a multiple of align, a power of two. heap NULL: malloc, aligned_alloc.
 * NULL and errno ENOMEM: no memory; EINVAL: align is no power of two. */
void *moat_heap_malloc(moat_heap *heap, size_t n);
void *moat_heap_aligned_alloc(moat_heap *heap, size_t align, size_t n);

/* Calls visit for every live chunk, of one heap or (NULL) all, with its address and requested bytes, until it returns
 * something other than 0, which is returned; else 0. No lock is held meanwhile: visit may allocate and free. What other
 * threads or visit itself make or free on the way may be met or not. Takes some 50 ns a chunk, for each above 128 KiB
 * as long as a search of their table. */
int moat_walk(moat_heap *heap, int (*visit)(void *chunk, size_t size, void *context), void *context);

/* Bytes from p to the end of the live chunk that it points into, as requested: 0 at its end. SIZE_MAX where p is none
 * of moat's (stack, globals, other mappings); 0 where no live chunk is: in freed memory that has not been handed out
 * again, between chunks, and for malloc(0)'s address. Any thread may ask at any time, in a signal handler too; what is
 * known of a chunk that another thread frees or resizes meanwhile is known no longer when the answer comes. Takes some
 * 10 ns. For chunks above 128 KiB and for foreign addresses the table of large chunks is searched, in 20 ns to a
 * microsecond with a thousand of them, under its lock: one that is not to be had for some milliseconds, as in a handler
 * that has interrupted its holder, is not waited for, and the address counts as foreign. */
size_t moat_object_size(const void *p);

/* The start of the live chunk that p points into, or to the end of; NULL where moat_object_size says 0 or SIZE_MAX, but
 * for the end of a chunk and malloc(0)'s address. */
void *moat_object_base(const void *p);

/* Returns when n bytes at p are inside of one live chunk, n is 0 or p is none of moat's. Else reports an access to
 * them, a write if `write` is not 0, and the process ends: heap-buffer-overflow, heap-use-after-free or wild-access. An
 * assertion for parsers and runtimes; what libmoat-checked.so does for libc's functions. Threads, signals and cost: as
 * moat_object_size. */
void moat_check(const void *p, size_t n, int write);

/* Epochs, of libmoat-fuzz.so alone: the runs of a persistent fuzzing harness. Weak, so that one and the same harness
 * runs with it and without:
 *
 *     while (__AFL_LOOP(1000)) {
 *         if (moat_epoch_begin != NULL)
 *             moat_epoch_begin();
 *         ... one run ...
 *         if (moat_epoch_end != NULL)
 *             moat_epoch_end(NULL, 0);
 *     }
 *
 * What happened since moat_epoch_begin. */
struct moat_epoch {
    size_t size;             /* of this structure, as the library knows it */
    size_t number;           /* of the epoch, from 1 */
    size_t guarded_count;    /* count of allocations between guards */
    size_t guarded_live;     /* count of those that live now, of any epoch */
    ptrdiff_t guarded_grown; /* by how many that has grown */
    size_t leaked_count;     /* with option detect_leaks: chunks allocated in it that nothing points to now */
    size_t leaked_bytes;
};

/* Starts an epoch. Returns 0, or -1 with errno EBUSY when there is one, or while another thread has been searching for
 * leaks for a second, or when the process ends; the last two hold for the end of an epoch as well. There is one epoch,
 * whichever thread began it. */
int moat_epoch_begin(void) __attribute__((weak));

/* Ends it: the calling thread's quarantine is given back, so that each slot in it is verified now and a write to freed
 * memory is reported in the run that made it; and with option detect_leaks leaks are reported, which ends the process
 * with option leak_exitcode (23), unless that is 0. Fills *e, if e is not NULL, which has `size` bytes as its writer
 * knew the structure. Returns 0, or -1 with errno EINVAL when there is no epoch. */
int moat_epoch_end(struct moat_epoch *e, size_t size) __attribute__((weak));

#ifdef __cplusplus
}
#pragma GCC diagnostic pop
#endif

#endif
