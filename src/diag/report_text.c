/* Reports as text for people. */
#include <string.h>

#include "diag/report_form.h"

/* The parts of mo_case_part in their order, each with its end. The last two are not shown with MO_SMALL. */
#ifdef MO_BUILD_SMALL
#define TEXTS(name, finding, ending, usually, next) name "\0" finding "\0" ending
#else
#define TEXTS(name, finding, ending, usually, next) name "\0" finding "\0" ending "\0" usually "\0" next
#endif
#define VIOLATIONS(X)                                                                                      \
    X(MO_DOUBLE_FREE, "double-free", "found a second free of chunk", "",                                   \
      "two parts of the program both believe they own it, or an error path frees it again",                \
      "'moat run -o sample_rate=1,sample_slots=65536' shows where it was allocated and freed before")      \
    X(MO_BAD_FREE, "bad-free", "of", ", which is not the start of a chunk",                                \
      "a pointer to the stack, to a global or into the middle of a chunk, or one from another allocator",  \
      "a debugger shows where the pointer came from; 'moat options foreign' if it is another allocator's") \
    X(MO_OVERFLOW, "heap-buffer-overflow", "found bytes changed past the end of chunk", "",                \
      "a copy or loop wrote more than was asked for; the write came earlier than this report", "")         \
    X(MO_UNDERFLOW, "heap-buffer-overflow", "found a changed header before chunk", "",                     \
      "a write before the chunk's start, or past the end of the one before it", "")                        \
    X(MO_WRITE_AFTER_FREE, "heap-use-after-free", "found bytes changed in the freed chunk", "",            \
      "a pointer was kept and written through after its chunk was freed", "")                              \
    X(MO_MISMATCH, "alloc-dealloc-mismatch", "of", ", which was allocated in another way",                 \
      "new with free, malloc with delete, new[] with delete, or delete with a wrong size or alignment",    \
      "release it by the routine that belongs to the one that allocated it")                               \
    X(MO_METADATA, "heap-metadata-corruption", "found moat's own tables changed at", "",                   \
      "a write through a wild pointer, an attack, or a bug in moat",                                       \
      "keep the core file; if the program is innocent, report it as SECURITY.md says")                     \
    X(MO_PANIC, "panic", "", "", "a bug in moat, or no memory where it cannot go on without",              \
      "'moat doctor' shows what this system gives")                                                        \
    X(MO_NO_MEMORY, "out-of-memory", "", "", "a length taken from the input, or a leak",                   \
      "the stack is that of the allocation")                                                               \
    X(MO_FAULT_OVERFLOW, "heap-buffer-overflow", "at", ", outside of its chunk",                           \
      "an index or a copy went past the chunk's end, or before its start", "")                             \
    X(MO_FAULT_AFTER_FREE, "heap-use-after-free", "at", ", in a freed chunk",                              \
      "a pointer was kept and used after its chunk was freed", "")                                         \
    X(MO_FAULT_WILD, "wild-access", "at", ", where there is no chunk",                                     \
      "a pointer that was never set, was overwritten, or outlived its memory", "")

/* Places in one text, as a pointer takes the loader a relocation of 24 bytes. */
static const struct violations {
#define X(violation, ...) char violation[sizeof(TEXTS(__VA_ARGS__))];
    VIOLATIONS(X)
#undef X
} violations = {
#define X(violation, ...) TEXTS(__VA_ARGS__),
    VIOLATIONS(X)
#undef X
};
static const uint16_t places[] = {
#define X(violation, ...) [violation] = offsetof(struct violations, violation),
    VIOLATIONS(X)
#undef X
};

const char *mo_case_text(const struct mo_case *c, enum mo_case_part part)
{
    const char *text = (const char *)&violations + places[c->violation];
    for (; part > 0; part--)
        text += strlen(text) + 1;
    return text;
}

const char *mo_case_next(const struct mo_case *c)
{
    if (c->violation < MO_METADATA && c->chunk != NULL && c->chunk->allocated != NULL)
        return "'moat symbolize' shows the lines of the stacks";
    const char *next = mo_case_text(c, MO_CASE_NEXT);
    if (*next != '\0')
        return next;
    if (c->violation >= MO_FAULT_OVERFLOW)
        return "the stack is that of the access: 'moat symbolize' shows its lines";
    return "'moat run -o sample_rate=1,sample_slots=65536' stops at the access itself and keeps stacks; with options "
           "patrol, neighbours and check_at_exit damage is met sooner";
}

/* Starts a line: "==1234== " and what follows it. */
static void start_line(struct mo_text *t, const struct mo_case *c, const char *label)
{
    mo_text_string(t, "==");
    mo_text_decimal(t, c->process);
    mo_text_string(t, "== ");
    mo_text_string(t, label);
}

static void line(struct mo_text *t, const struct mo_case *c, const char *label, const char *text)
{
    if (text == NULL)
        return;
    start_line(t, c, label);
    mo_form_some(t, text);
    mo_text_string(t, "\n");
}

void mo_form_some(struct mo_text *t, const char *s)
{
    enum { MOST = 1024 };
    struct mo_text some = {t->at, t->at + mo_min(MOST, (size_t)(t->end - t->at))};
    mo_text_string(&some, s);
    t->at = some.at;
}

void mo_form_count(struct mo_text *t, uint64_t n, const char *unit)
{
    mo_text_decimal(t, n);
    mo_text_string(t, unit);
    if (n != 1)
        mo_text_string(t, "s");
}

/* "1 byte past the end of a 24-byte chunk (offset 24)" */
static void place(struct mo_text *t, const struct mo_case *c)
{
    bool sized = mo_case_is_sized(c);
    start_line(t, c, "    what: ");
    if (c->offset < 0) {
        mo_form_count(t, 0 - (uint64_t)c->offset, " byte");
        mo_text_string(t, " before the start of a ");
    } else if (sized && (size_t)c->offset >= c->chunk->requested) {
        mo_form_count(t, (size_t)c->offset - c->chunk->requested + 1, " byte");
        mo_text_string(t, " past the end of a ");
    } else {
        mo_form_count(t, (uint64_t)c->offset, " byte");
        mo_text_string(t, " into a ");
    }
    if (sized) {
        mo_text_decimal(t, c->chunk->requested);
        mo_text_string(t, "-byte ");
    }
    mo_text_string(t, "chunk (offset ");
    mo_text_signed(t, c->offset);
    mo_text_string(t, ")\n");
}

/* "0x7f12..., 24 bytes requested, slot of 32 bytes, live, from malloc"; what is not known is left out. */
static void describe(struct mo_text *t, const struct mo_case *c)
{
    const struct mo_report_chunk *chunk = c->chunk;
    start_line(t, c, "    chunk: ");
    mo_text_hex(t, chunk->address);
    if (chunk->requested != SIZE_MAX) {
        mo_text_string(t, ", ");
        mo_form_count(t, chunk->requested, " byte");
        mo_text_string(t, " requested");
    }
    if (chunk->slot != 0) {
        mo_text_string(t, ", slot of ");
        mo_form_count(t, chunk->slot, " byte");
    }
    if (chunk->state != NULL) {
        mo_text_string(t, ", ");
        mo_text_string(t, chunk->state);
    }
    if (chunk->origin != NULL) {
        mo_text_string(t, ", from ");
        mo_text_string(t, chunk->origin);
    }
    mo_text_string(t, "\n");
}

void mo_form_sentence(struct mo_text *t, const struct mo_case *c)
{
    const char *finding = mo_case_text(c, MO_CASE_FINDING);
    if (mo_case_is_sentence(c)) {
        mo_text_string(t, c->detail);
        return;
    }
    mo_text_string(t, c->action);
    if (c->given != NULL) {
        mo_text_string(t, c->access == MO_ACCESS_READ ? " reads " : " writes ");
        mo_form_count(t, c->given->n, " byte");
    }
    mo_text_string(t, " ");
    mo_text_string(t, finding);
    mo_text_string(t, " ");
    mo_text_hex(t, c->address);
    mo_text_string(t, mo_case_text(c, MO_CASE_ENDING));
}

void mo_form_text_head(struct mo_text *t, const struct mo_case *c)
{
    start_line(t, c, "moat: ");
    mo_text_string(t, mo_case_text(c, MO_CASE_NAME));
    mo_text_string(t, ": ");
    mo_form_sentence(t, c);
    mo_text_string(t, "\n");
    if (c->offset != PTRDIFF_MIN)
        place(t, c);
    if (mo_case_has_chunk(c))
        describe(t, c);
    if (!mo_case_is_sentence(c))
        line(t, c, "    evidence: ", c->detail);
    start_line(t, c, "    thread: ");
    mo_text_decimal(t, c->thread);
    mo_text_string(t, "\n");
}

void mo_form_text_warning(struct mo_text *t, const struct mo_case *c)
{
    mo_text_string(t, "moat: ");
    mo_text_string(t, c->action);
    mo_text_string(t, " of ");
    mo_text_hex(t, c->address);
    mo_text_string(t, ": ");
    mo_form_some(t, c->detail);
    mo_text_string(t, "\n");
}

void mo_form_frame(struct mo_text *t, uintptr_t pc)
{
    const struct mo_module *m = mo_module_of(pc - 1);
    mo_text_hex(t, pc - 1);
    if (m == NULL)
        return;
    mo_text_string(t, " (");
    mo_text_string(t, m->path);
    mo_text_string(t, "+");
    mo_text_hex(t, pc - 1 - m->bias);
    mo_text_string(t, ")");
}

void mo_form_build_id(struct mo_text *t, const struct mo_module *m)
{
    for (size_t i = 0; i < m->id_size; i++) {
        char two[3] = {"0123456789abcdef"[m->id[i] >> 4], "0123456789abcdef"[m->id[i] & 15], '\0'};
        mo_text_string(t, two);
    }
}

/* "    freed by thread 12:" and a line for each frame. */
static void show_stack(struct mo_text *t, const struct mo_case *c, const char *label, const struct mo_stack *s,
                       unsigned later)
{
    if (s == NULL || s->count == 0)
        return;
    start_line(t, c, label);
    if (s != c->stack) {
        mo_text_string(t, " by thread ");
        mo_text_decimal(t, s->thread);
    }
    mo_text_string(t, s->guessed ? " (guessed: some frames may be left over from earlier calls):\n" : ":\n");
    for (size_t i = 0; i < mo_min(s->count, MO_STACK_MOST) && mo_form_frame_fits(t, later); i++) {
        start_line(t, c, "      #");
        mo_text_decimal(t, i);
        mo_text_string(t, " ");
        mo_form_frame(t, s->frames[i]);
        mo_text_string(t, "\n");
    }
}

static void show_modules(struct mo_text *t, const struct mo_case *c)
{
    const struct mo_module *m;
    for (size_t i = 0; (m = mo_module_number(i)) != NULL && mo_form_frame_fits(t, 0); i++) {
        if (m->id_size == 0)
            continue;
        start_line(t, c, "    module: ");
        mo_text_string(t, m->path);
        mo_text_string(t, " (BuildId: ");
        mo_form_build_id(t, m);
        mo_text_string(t, ")\n");
    }
}

void mo_form_text_rest(struct mo_text *t, const struct mo_case *c)
{
    if (MO_SMALL)
        return;
    show_stack(t, c, "    stack", c->stack, mo_form_kept(c->chunk));
    if (mo_case_has_chunk(c)) {
        show_stack(t, c, "    allocated", c->chunk->allocated, c->chunk->freed != NULL);
        show_stack(t, c, "    freed", c->chunk->freed, 0);
    }
    show_modules(t, c);
    line(t, c, "    usually: ", mo_case_text(c, MO_CASE_USUALLY));
    line(t, c, "    next: ", mo_case_next(c));
}
