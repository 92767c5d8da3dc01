/* Reports: what a person reads when the heap is corrupted. One function for each kind of violation.
 *
 * A report uses write(2) only, takes no lock but its own, allocates nothing and may run in any state: on
 * a tiny stack, in a signal handler, with the heap corrupted and stdio closed. The first thread to report
 * wins; another that comes meanwhile waits for the end of the process, or for its turn.
 */
#ifndef MO_REPORT_H
#define MO_REPORT_H

#include "base/base.h"
#include "os/stack.h"

/* What is known of the chunk that a report is about; 0 or NULL where it is not known. */
struct mo_report_chunk {
    uintptr_t address;                /* of the payload */
    size_t requested;                 /* bytes, SIZE_MAX when unknown */
    size_t slot;                      /* bytes of the slot or mapping */
    const char *state;                /* "live", "free", "waiting in quarantine", ... */
    const char *origin;               /* "malloc", "new", "new[]", "memalign", or NULL */
    const struct mo_stack *allocated; /* where and by which thread, for chunks that keep it */
    const struct mo_stack *freed;
};

/* One function for each violation: it reports and aborts.
 * action: who found it: "free", "realloc", "malloc", "patrol", "exit", ... address: what that was given, or where it
 * looked. offset: where the evidence is, in bytes from the payload's start; PTRDIFF_MIN when that says nothing.
 * detail: one sentence that says what was seen. */
#define MO_REPORT(name)                                                                                       \
    MO_COLD void mo_report_##name(const char *action, uintptr_t address, const struct mo_report_chunk *chunk, \
                                  ptrdiff_t offset, const char *detail)
MO_NORETURN MO_REPORT(double_free);      /* double-free */
MO_NORETURN MO_REPORT(bad_free);         /* bad-free: not a chunk's start, or no chunk at all */
MO_NORETURN MO_REPORT(overflow);         /* heap-buffer-overflow: bytes past the end were changed */
MO_NORETURN MO_REPORT(underflow);        /* heap-buffer-overflow before the start, or a forged header */
MO_NORETURN MO_REPORT(write_after_free); /* heap-use-after-free */
MO_NORETURN MO_REPORT(mismatch);         /* alloc-dealloc-mismatch */
MO_NORETURN MO_REPORT(metadata);         /* heap-metadata-corruption: moat's own tables disagree */

/* Mismatches and foreign pointers as warnings: the process goes on, and writes MO_WARNINGS of each kind at most. One
 * that comes in the middle of this thread's own report, or while another thread's takes long, is not written. */
enum { MO_WARNINGS = 8 };
MO_COLD void mo_report_warning(bool foreign, const char *action, uintptr_t address, const struct mo_report_chunk *chunk,
                               const char *detail);

/* How many there were, written or not; atomic. */
extern size_t mo_warnings;

/* A bad access that the CPU has met, reported from a SIGSEGV or SIGBUS handler, which then goes on to the program's
 * own handler or the signal's default. ucontext: the handler's third argument. */
enum mo_access { MO_ACCESS_UNKNOWN, MO_ACCESS_READ, MO_ACCESS_WRITE };
enum mo_access_bug { MO_ACCESS_OVERFLOW, MO_ACCESS_AFTER_FREE, MO_ACCESS_WILD };
MO_COLD void mo_report_access(enum mo_access_bug bug, enum mo_access access, uintptr_t address,
                              const struct mo_report_chunk *chunk, const char *detail, const void *ucontext);

/* A function that was given an area that is not all of one live chunk; it has done nothing yet. */
struct mo_given {
    const char *function;
    enum mo_access access; /* what it does there */
    uintptr_t at;
    uintptr_t other; /* the other pointer that it was given, or 0 */
    size_t n;        /* bytes that it would read or write at `at` */
    size_t left;     /* bytes that there are, from `at` to the chunk's end */
};
MO_COLD MO_NORETURN void mo_report_given(enum mo_access_bug bug, const struct mo_given *given,
                                         const struct mo_report_chunk *chunk, ptrdiff_t offset);

/* What this thread holds while it may meet damage that ends the process: the report unlocks it, as a handler of SIGABRT
 * or a callback may fork. NULL: nothing. */
struct mo_lock;
extern __thread struct mo_lock *mo_report_unlocks __attribute__((tls_model("initial-exec")));

/* In a forked child: whoever reports in the parent is not here. */
void mo_report_forked(void);

/* Our own bug or an impossible refusal of the system at start: says so and aborts. */
MO_COLD MO_NORETURN void mo_panic(const char *what);

/* An allocation has failed that must not, by option allocator_may_return_null. */
MO_COLD MO_NORETURN void mo_out_of_memory(void);

/* Sets the program's callback, a moat_report_callback of moat/moat.h or NULL; returns the one before. */
void *mo_report_set_callback(void *now);

/* A formatter that needs no libc: appends to a fixed buffer, cuts what does not fit. */
struct mo_text {
    char *at;
    char *end;
};
void mo_text_string(struct mo_text *t, const char *s);
void mo_text_decimal(struct mo_text *t, uint64_t v);
void mo_text_signed(struct mo_text *t, int64_t v);
void mo_text_hex(struct mo_text *t, uint64_t v); /* with 0x */

#endif
