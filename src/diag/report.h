/* Reports: what a person reads when the heap is corrupted. One function for each kind of violation.
 *
 * A report uses write(2) only, takes no lock but its own, allocates nothing and may run in any state: on
 * a tiny stack, in a signal handler, with the heap corrupted and stdio closed. The first thread to report
 * wins; another that comes meanwhile waits for the end of the process. All end in abort().
 */
#ifndef MO_REPORT_H
#define MO_REPORT_H

#include "base/base.h"

/* What is known of the chunk that a report is about; 0 or NULL where it is not known. */
struct mo_report_chunk {
    uintptr_t address;  /* of the payload */
    size_t requested;   /* bytes, SIZE_MAX when unknown */
    size_t slot;        /* bytes of the slot or mapping */
    const char *state;  /* "live", "free", "waiting in quarantine", ... */
    const char *origin; /* "malloc", "new", "new[]", "memalign", or NULL */
};

enum mo_violation {
    MO_DOUBLE_FREE,      /* double-free */
    MO_BAD_FREE,         /* bad-free: not a chunk's start, or no chunk at all */
    MO_OVERFLOW,         /* heap-buffer-overflow: bytes past the end were changed */
    MO_UNDERFLOW,        /* heap-buffer-overflow before the start, or a forged or corrupted header */
    MO_WRITE_AFTER_FREE, /* heap-use-after-free */
    MO_MISMATCH,         /* alloc-dealloc-mismatch */
    MO_METADATA,         /* heap-metadata-corruption: moat's own tables disagree */
};

/* Reports a violation found by `action` ("free", "realloc", "malloc", ...) at `address` and aborts.
 * offset: where the evidence is, in bytes from the payload's start; PTRDIFF_MIN when that says nothing.
 * detail: one sentence that says what was seen. */
MO_COLD MO_NORETURN void mo_report(enum mo_violation v, const char *action, uintptr_t address,
                                   const struct mo_report_chunk *chunk, ptrdiff_t offset, const char *detail);

/* One warning on stderr, `moat: ` before it and a newline after; the program goes on. */
MO_COLD void mo_warn(const char *action, uintptr_t address, const char *detail);

/* Our own bug or an impossible refusal of the system at start: says so and aborts. */
MO_COLD MO_NORETURN void mo_panic(const char *what);

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
