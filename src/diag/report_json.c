/* Reports as one line of JSON. The keys are documented in docs/REPORTS.md. */
#include "diag/report_form.h"
#include "moat/moat.h"

enum {
    STRING_MOST =
        1000, /* bytes taken of a string: texts and paths are shorter, but for what was made too long on purpose */
    FRAME_ROOM =
        8192 /* kept free for what follows, and for each further stack; a frame's path may grow sixfold by escapes */
};

static void string(struct mo_text *t, const char *s)
{
    mo_text_string(t, "\"");
    for (size_t i = 0; s[i] != '\0' && i < STRING_MOST; i++) {
        unsigned char c = (unsigned char)s[i];
        char out[7] = {(char)c, '\0'};
        if (c == '"' || c == '\\') {
            out[0] = '\\';
            out[1] = (char)c;
        } else if (c < ' ' || c > '~') { /* paths need not be UTF-8 */
            static const char digits[] = "0123456789abcdef";
            char escape[7] = {'\\', 'u', '0', '0', digits[c >> 4], digits[c & 15], '\0'};
            __builtin_memcpy(out, escape, sizeof escape);
        }
        mo_text_string(t, out);
    }
    mo_text_string(t, "\"");
}

/* ,"key": */
static void key(struct mo_text *t, const char *name)
{
    mo_text_string(t, ",\"");
    mo_text_string(t, name);
    mo_text_string(t, "\":");
}

static void string_or_null(struct mo_text *t, const char *name, const char *s)
{
    key(t, name);
    if (s != NULL)
        string(t, s);
    else
        mo_text_string(t, "null");
}

/* Addresses are texts: numbers of JSON are doubles to many readers. */
static void address(struct mo_text *t, uintptr_t v)
{
    mo_text_string(t, "\"");
    mo_text_hex(t, v);
    mo_text_string(t, "\"");
}

static void number_or_null(struct mo_text *t, const char *name, size_t v, size_t null)
{
    key(t, name);
    if (v != null)
        mo_text_decimal(t, v);
    else
        mo_text_string(t, "null");
}

static void frame(struct mo_text *t, uintptr_t pc)
{
    const struct mo_module *m = mo_module_of(pc - 1);
    mo_text_string(t, "{\"address\":");
    address(t, pc - 1);
    string_or_null(t, "module", m != NULL ? m->path : NULL);
    key(t, "offset");
    if (m != NULL)
        address(t, pc - 1 - m->bias);
    else
        mo_text_string(t, "null");
    key(t, "build_id");
    mo_text_string(t, m != NULL && m->id_size != 0 ? "\"" : "null");
    if (m != NULL && m->id_size != 0) {
        mo_form_build_id(t, m);
        mo_text_string(t, "\"");
    }
    mo_text_string(t, "}");
}

static void stack(struct mo_text *t, const char *name, const struct mo_stack *s, unsigned later)
{
    key(t, name);
    if (s == NULL || s->count == 0) {
        mo_text_string(t, "null");
        return;
    }
    mo_text_string(t, "{\"thread\":");
    mo_text_decimal(t, s->thread);
    mo_text_string(t, s->guessed ? ",\"guessed\":true,\"frames\":[" : ",\"guessed\":false,\"frames\":[");
    for (size_t i = 0; i < mo_min(s->count, MO_STACK_MOST) && t->end - t->at > (ptrdiff_t)(FRAME_ROOM * (1 + later));
         i++) {
        if (i != 0)
            mo_text_string(t, ",");
        frame(t, s->frames[i]);
    }
    mo_text_string(t, "]}");
}

void mo_form_json_stack(struct mo_text *t, const char *name, const struct mo_stack *s)
{
    stack(t, name, s, 0);
}

static void chunk(struct mo_text *t, const struct mo_report_chunk *c)
{
    mo_text_string(t, "{\"address\":");
    address(t, c->address);
    number_or_null(t, "requested", c->requested, SIZE_MAX);
    number_or_null(t, "slot", c->slot, 0);
    string_or_null(t, "state", c->state);
    string_or_null(t, "origin", c->origin);
    stack(t, "allocated", c->allocated, c->freed != NULL);
    stack(t, "freed", c->freed, 0);
    mo_text_string(t, "}");
}

static void message(struct mo_text *t, const struct mo_case *c)
{
    char sentence[256];
    struct mo_text s = {sentence, sentence + sizeof sentence - 1};
    mo_form_sentence(&s, c);
    *s.at = '\0';
    string_or_null(t, "message", sentence);
}

void mo_form_json(struct mo_text *t, const struct mo_case *c)
{
    static const char accesses[][sizeof "unknown"] = {"unknown", "read", "write"};
    mo_text_string(t, "{\"moat\":\"" MO_STR(MOAT_VERSION_MAJOR) "." MO_STR(MOAT_VERSION_MINOR) "." MO_STR(
                          MOAT_VERSION_PATCH) "\",\"schema\":1,\"process\":");
    mo_text_decimal(t, c->process);
    key(t, "thread");
    mo_text_decimal(t, c->thread);
    string_or_null(t, "severity", c->warning ? "warning" : "error");
    string_or_null(t, "bug", mo_case_text(c, MO_CASE_NAME));
    message(t, c);
    string_or_null(t, "action", mo_case_is_fault(c) && c->given == NULL ? NULL : c->action);
    string_or_null(t, "access", mo_case_is_fault(c) ? accesses[c->access] : NULL);
    key(t, "address");
    address(t, c->address);
    key(t, "offset");
    if (c->offset != PTRDIFF_MIN)
        mo_text_signed(t, c->offset);
    else
        mo_text_string(t, "null");
    number_or_null(t, "length", c->given != NULL ? c->given->n : SIZE_MAX, SIZE_MAX);
    number_or_null(t, "available", c->given != NULL ? c->given->left : SIZE_MAX, SIZE_MAX);
    key(t, "other");
    if (c->given != NULL && c->given->other != 0)
        address(t, c->given->other);
    else
        mo_text_string(t, "null");
    string_or_null(t, "evidence", !mo_case_is_sentence(c) ? c->detail : NULL);
    stack(t, "stack", c->stack, mo_form_kept(c->chunk));
    key(t, "chunk");
    if (mo_case_has_chunk(c))
        chunk(t, c->chunk);
    else
        mo_text_string(t, "null");
    string_or_null(t, "usually", mo_case_text(c, MO_CASE_USUALLY));
    string_or_null(t, "next", mo_case_next(c));
    mo_text_string(t, "}\n");
}
