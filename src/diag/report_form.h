/* What a report says, and the forms it can have. For the report_*.c files alone.
 *
 * A form appends to a buffer and asks the system nothing: report.c has collected everything before. */
#ifndef MO_REPORT_FORM_H
#define MO_REPORT_FORM_H

#include "base/tag.h"
#include "diag/report.h"
#include "os/modules.h"

enum mo_violation {
    MO_DOUBLE_FREE,
    MO_BAD_FREE,
    MO_OVERFLOW,
    MO_UNDERFLOW,
    MO_WRITE_AFTER_FREE,
    MO_MISMATCH,
    MO_METADATA,
    MO_PANIC,
    MO_NO_MEMORY,
    MO_FAULT_OVERFLOW, /* met by the CPU: in the order of enum mo_access_bug */
    MO_FAULT_AFTER_FREE,
    MO_FAULT_WILD,
};

/* What people read about each kind: the sentence is "<action> <finding> <address><ending>". */
enum mo_case_part { MO_CASE_NAME, MO_CASE_FINDING, MO_CASE_ENDING, MO_CASE_USUALLY, MO_CASE_NEXT };

/* One violation with all that is known of it. */
struct mo_case {
    enum mo_violation violation;
    enum mo_access access; /* of a fault */
    const char *action;
    uintptr_t address;
    const struct mo_report_chunk *chunk; /* or NULL */
    ptrdiff_t offset;                    /* PTRDIFF_MIN: says nothing */
    const char *detail;                  /* or NULL */
    const struct mo_given *given;        /* of a checked function, or NULL */
    const struct mo_stack *stack;        /* of the thread that reports */
    uintptr_t frame;                     /* an address on its stack */
    uint64_t process, thread;
    bool warning; /* the process goes on */
};

/* Where reports of the process go: a descriptor that mo_os_close_file closes, but for 2. */
int mo_report_open(long process);

/* How to find out more. */
const char *mo_case_next(const struct mo_case *c);
const char *mo_case_text(const struct mo_case *c, enum mo_case_part part);

/* Whether the case has a chunk whose address, or whose requested size as well, is known. */
MO_INLINE bool mo_case_has_chunk(const struct mo_case *c)
{
    return c->chunk != NULL && c->chunk->address != 0;
}

MO_INLINE bool mo_case_is_sized(const struct mo_case *c)
{
    return c->chunk != NULL && c->chunk->requested != SIZE_MAX;
}

MO_INLINE bool mo_case_is_fault(const struct mo_case *c)
{
    return c->violation >= MO_FAULT_OVERFLOW;
}

/* What is about no address: the detail is all of the sentence. A tag check's failure that is told late has none. */
MO_INLINE bool mo_case_is_sentence(const struct mo_case *c)
{
    return c->violation == MO_PANIC || c->violation == MO_NO_MEMORY ||
           (MO_TAGS && mo_case_is_fault(c) && c->address == 0);
}

/* Is there room for one more frame of a stack behind which `later` others follow? Each and the report's end have room,
 * however long the names of modules are. */
MO_INLINE bool mo_form_frame_fits(const struct mo_text *t, unsigned later)
{
    enum { FRAME_AND_END = 3072, STACK = 3584 };
    return t->end - t->at > (ptrdiff_t)(FRAME_AND_END + later * STACK);
}

/* The stacks that the chunk has kept. */
MO_INLINE unsigned mo_form_kept(const struct mo_report_chunk *chunk)
{
    return chunk == NULL ? 0 : (chunk->allocated != NULL) + (chunk->freed != NULL);
}

/* "free found a second free of chunk 0x7f12..." */
void mo_form_sentence(struct mo_text *t, const struct mo_case *c);

/* The text for people, in two parts: what needs no system call to find out, and the rest with the stacks. */
void mo_form_text_head(struct mo_text *t, const struct mo_case *c);
void mo_form_text_rest(struct mo_text *t, const struct mo_case *c);

/* A warning for people: one line. */
void mo_form_text_warning(struct mo_text *t, const struct mo_case *c);

/* One line of JSON: docs/REPORTS.md. */
void mo_form_json(struct mo_text *t, const struct mo_case *c);

/* ,"name":{...} */
void mo_form_json_stack(struct mo_text *t, const char *name, const struct mo_stack *s);

/* As the address sanitizer would say it. */
void mo_form_asan(struct mo_text *t, const struct mo_case *c);

/* Calls the program's callback and hook, where there are any, with the text as it was written. */
extern uintptr_t mo_report_callback_words[2]; /* for the test that writes there what an attacker would */
void mo_report_tell(const struct mo_case *c, const char *text, size_t n, bool ends);

/* "0x55d0 (/usr/bin/program+0x1234)": what was being executed in a frame of return address pc. */
void mo_form_frame(struct mo_text *t, uintptr_t pc);
void mo_form_build_id(struct mo_text *t, const struct mo_module *m);
void mo_form_some(struct mo_text *t, const char *s); /* cut at 1 KiB, so that there is room for the rest */
void mo_form_count(struct mo_text *t, uint64_t n, const char *unit); /* "1 byte", "2 bytes" */

#endif
