/* Reports in the address sanitizer's layout, which crash triage tools parse: its names of bugs, the READ or WRITE line,
 * frames, an empty line after each stack, the summary. What moat knows beyond that goes into lines they pass over. */
#include "diag/report_form.h"

static void thread(struct mo_text *t, const struct mo_case *c, uint64_t number)
{
    mo_text_string(t, "T");
    mo_text_decimal(t, number == c->process ? 0 : number);
}

static void hex(struct mo_text *t, const char *before, uint64_t v)
{
    mo_text_string(t, before);
    mo_text_hex(t, v);
}

/* The sanitizer's word in the first line and the summary. */
static const char *bug(const struct mo_case *c)
{
    return c->violation == MO_FAULT_WILD ? "SEGV" : mo_case_text(c, MO_CASE_NAME);
}

static uintptr_t first_pc(const struct mo_case *c)
{
    return c->stack->count != 0 ? c->stack->frames[0] - 1 : 0;
}

static void registers(struct mo_text *t, const struct mo_case *c)
{
    hex(t, "pc ", first_pc(c));
    hex(t, " bp ", c->frame);
    hex(t, " sp ", c->frame);
}

/* Where the evidence is: the sanitizer names the byte, not the chunk. */
static uintptr_t place(const struct mo_case *c)
{
    return c->offset != PTRDIFF_MIN && mo_case_has_chunk(c) ? c->chunk->address + (uintptr_t)c->offset : c->address;
}

static void access_line(struct mo_text *t, const struct mo_case *c)
{
    /* What moat notices later has been a write: nothing else leaves traces. */
    mo_text_string(t, mo_case_is_fault(c) && c->access == MO_ACCESS_READ ? "READ" : "WRITE");
    mo_text_string(t, " of size ");
    mo_text_decimal(t, c->given != NULL ? c->given->n : 1);
    hex(t, " at ", place(c));
    mo_text_string(t, " thread ");
    thread(t, c, c->thread);
    mo_text_string(t, "\n");
}

/* "(malloc vs operator delete)" of the sanitizer; who released it is all that is certain here. */
static void mismatched(struct mo_text *t, const struct mo_case *c)
{
    mo_text_string(t, " (");
    mo_text_string(t, c->chunk != NULL && c->chunk->origin != NULL ? c->chunk->origin : "malloc");
    mo_text_string(t, " vs ");
    mo_text_string(t, c->action);
    mo_text_string(t, ")");
}

static void in_thread(struct mo_text *t, const struct mo_case *c)
{
    hex(t, "", c->address);
    mo_text_string(t, " in thread ");
    thread(t, c, c->thread);
    mo_text_string(t, ":\n");
}

static void first_lines(struct mo_text *t, const struct mo_case *c)
{
    mo_text_string(t, "=================================================================\n==");
    mo_text_decimal(t, c->process);
    mo_text_string(t, c->warning ? "==WARNING: AddressSanitizer: " : "==ERROR: AddressSanitizer: ");
    switch (c->violation) {
    case MO_DOUBLE_FREE:
        mo_text_string(t, "attempting double-free on ");
        in_thread(t, c);
        return;
    case MO_BAD_FREE:
        mo_text_string(t, "attempting free on address which was not malloc()-ed: ");
        in_thread(t, c);
        return;
    case MO_FAULT_WILD:
        hex(t, "SEGV on unknown address ", c->address);
        mo_text_string(t, " (");
        registers(t, c);
        mo_text_string(t, " ");
        thread(t, c, c->thread);
        mo_text_string(t, ")\n==");
        mo_text_decimal(t, c->process);
        mo_text_string(t, "==The signal is caused by a ");
        mo_text_string(t, c->access == MO_ACCESS_READ ? "READ" : c->access == MO_ACCESS_WRITE ? "WRITE" : "UNKNOWN");
        mo_text_string(t, " memory access.\n");
        return;
    default:
        break;
    }
    mo_text_string(t, bug(c));
    if (c->violation == MO_MISMATCH)
        mismatched(t, c);
    hex(t, c->violation == MO_MISMATCH ? " on " : " on address ", place(c));
    mo_text_string(t, c->violation == MO_MISMATCH ? "" : " at ");
    if (c->violation != MO_MISMATCH)
        registers(t, c);
    mo_text_string(t, "\n");
    if (c->violation != MO_MISMATCH && c->violation != MO_METADATA && !mo_case_is_sentence(c))
        access_line(t, c);
}

static void frames(struct mo_text *t, const struct mo_stack *s, unsigned later)
{
    for (size_t i = 0; i < mo_min(s->count, MO_STACK_MOST) && mo_form_frame_fits(t, later); i++) {
        const struct mo_module *m = mo_module_of(s->frames[i] - 1);
        mo_text_string(t, "    #");
        mo_text_decimal(t, i);
        mo_text_string(t, " ");
        mo_form_frame(t, s->frames[i]);
        mo_text_string(t, m == NULL ? "  (<unknown module>)" : "");
        if (m != NULL && m->id_size != 0) {
            mo_text_string(t, " (BuildId: ");
            mo_form_build_id(t, m);
            mo_text_string(t, ")");
        }
        mo_text_string(t, "\n");
    }
    mo_text_string(t, "\n");
}

static void kept(struct mo_text *t, const struct mo_case *c, const char *label, const struct mo_stack *s,
                 unsigned later)
{
    if (s == NULL || s->count == 0)
        return;
    mo_text_string(t, label);
    thread(t, c, s->thread);
    mo_text_string(t, " here:\n");
    frames(t, s, later);
}

/* "0x602000000018 is located 0 bytes after 24-byte region [0x602000000000,0x602000000018)" */
static void region(struct mo_text *t, const struct mo_case *c)
{
    size_t n = c->chunk->requested;
    uintptr_t at = place(c) - c->chunk->address;
    bool before = c->offset != PTRDIFF_MIN && c->offset < 0;
    hex(t, "", place(c));
    mo_text_string(t, " is located ");
    mo_text_decimal(t, before ? 0 - at : at >= n ? at - n : at);
    mo_text_string(t, before ? " bytes before " : at >= n ? " bytes after " : " bytes inside of ");
    mo_text_decimal(t, n);
    hex(t, "-byte region [", c->chunk->address);
    hex(t, ",", c->chunk->address + n);
    mo_text_string(t, ")\n");
}

static void hint(struct mo_text *t, const struct mo_case *c)
{
    mo_text_string(t, "==");
    mo_text_decimal(t, c->process);
    mo_text_string(t, "==HINT: moat: ");
    mo_form_sentence(t, c);
    if (c->detail != NULL && !mo_case_is_sentence(c)) {
        mo_text_string(t, ": ");
        mo_form_some(t, c->detail);
    }
    mo_text_string(t, "\n");
}

void mo_form_asan(struct mo_text *t, const struct mo_case *c)
{
    const struct mo_report_chunk *chunk = c->chunk;
    first_lines(t, c);
    frames(t, c->stack, mo_form_kept(chunk));
    if (mo_case_has_chunk(c) && chunk->requested != SIZE_MAX)
        region(t, c);
    if (mo_case_has_chunk(c)) {
        bool freed = chunk->freed != NULL && chunk->freed->count != 0;
        kept(t, c, "freed by thread ", chunk->freed, chunk->allocated != NULL);
        kept(t, c, freed ? "previously allocated by thread " : "allocated by thread ", chunk->allocated, 0);
    }
    hint(t, c);
    if (c->warning)
        return; /* tools take the summary for the crash's */
    mo_text_string(t, "SUMMARY: AddressSanitizer: ");
    mo_text_string(t, bug(c));
    const struct mo_module *m = mo_module_of(first_pc(c));
    if (m != NULL) {
        mo_text_string(t, " (");
        mo_text_string(t, m->path);
        hex(t, "+", first_pc(c) - m->bias);
        mo_text_string(t, ")");
    }
    mo_text_string(t, "\n");
}
