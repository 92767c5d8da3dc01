/* The report of leaks, in the forms that reports have: chunks made in one place are one entry. */
#include <unistd.h>

#include "diag/report_form.h"
#include "diag/sealed.h"
#include "fuzzing/leaks.h"
#include "moat/moat.h"

enum { TEXT = 32768, END = 2048, ENTRIES = 16 };

/* Chunks with one stack, all direct or all indirect. */
struct entry {
    const struct mo_leak_chunk *first;
    size_t count, bytes;
};

static char buffer[TEXT];
static struct mo_text text;
static struct entry entries[ENTRIES]; /* the largest */
static struct mo_leak_chunk firsts[ENTRIES];
static struct mo_stack stacks[ENTRIES];
static size_t entry_count, left_out, total_count, total_bytes;
static long process;

static bool same_place(const struct mo_leak_chunk *a, const struct mo_leak_chunk *b)
{
    if (a->mark != b->mark || (a->made == NULL) != (b->made == NULL))
        return false;
    if (a->made == NULL)
        return true;
    return a->made->count == b->made->count &&
           __builtin_memcmp(a->made->frames, b->made->frames, a->made->count * sizeof *a->made->frames) == 0;
}

/* Direct before indirect, then by bytes; the smallest goes where there are too many. */
static bool goes_before(const struct entry *a, const struct entry *b)
{
    if (a->first->mark != b->first->mark)
        return a->first->mark < b->first->mark;
    return a->bytes > b->bytes;
}

static void keep(struct entry e)
{
    size_t at = entry_count;
    while (at > 0 && goes_before(&e, &entries[at - 1]))
        at--;
    if (at == ENTRIES || entry_count == ENTRIES)
        left_out++;
    if (at == ENTRIES)
        return;
    entry_count = mo_min(entry_count + 1, ENTRIES);
    for (size_t i = entry_count - 1; i > at; i--)
        entries[i] = entries[i - 1];
    entries[at] = e;
}

/* They are ordered so that what was made in one place lies side by side. */
static void gather(const struct mo_leak_set *set, size_t count)
{
    entry_count = left_out = total_bytes = 0;
    total_count = count;
    for (size_t i = 0; i < count;) {
        struct entry e = {.first = &set->chunks[i]};
        for (; i < count && same_place(e.first, &set->chunks[i]); i++) {
            e.count++;
            e.bytes += set->chunks[i].n;
        }
        total_bytes += e.bytes;
        keep(e);
    }
}

/* Copied, as a slot may have another chunk when threads go on. */
void mo_leaks_keep(const struct mo_leak_set *set, size_t count)
{
    gather(set, count);
    for (size_t i = 0; i < entry_count; i++) {
        firsts[i] = *entries[i].first;
        entries[i].first = &firsts[i];
        if (firsts[i].made != NULL) {
            stacks[i] = *firsts[i].made;
            firsts[i].made = &stacks[i];
        }
    }
}

static void find_modules(void)
{
    const struct mo_stack *made[ENTRIES];
    for (size_t i = 0; i < entry_count; i++)
        made[i] = entries[i].first->made;
    mo_modules_find(made, entry_count);
}

static void line(const char *what)
{
    mo_text_string(&text, "==");
    mo_text_decimal(&text, (uint64_t)process);
    mo_text_string(&text, "== ");
    mo_text_string(&text, what);
}

static bool has_room(void)
{
    return text.end - text.at > END;
}

/* "2 chunks of 48 bytes" */
static void amount(size_t count, size_t bytes)
{
    mo_form_count(&text, count, " chunk");
    mo_text_string(&text, " of ");
    mo_form_count(&text, bytes, " byte");
    mo_text_string(&text, count == 1 ? "" : " in all");
}

static void text_entry(const struct entry *e)
{
    const struct mo_stack *s = e->first->made;
    line("    stack of ");
    amount(e->count, e->bytes);
    mo_text_string(&text, ", at ");
    mo_text_hex(&text, e->first->p);
    mo_text_string(&text, e->count > 1 ? " and elsewhere" : "");
    mo_text_string(&text, e->first->mark == MO_LEAK_INDIRECT ? ", reached from chunks that have leaked" : "");
    mo_text_string(&text, s != NULL ? ":\n" : ": not kept\n");
    for (size_t i = 0; s != NULL && i < mo_min(s->count, MO_STACK_MOST) && has_room(); i++) {
        line("      #");
        mo_text_decimal(&text, i);
        mo_text_string(&text, " ");
        mo_form_frame(&text, s->frames[i]);
        mo_text_string(&text, "\n");
    }
}

static void form_text(const char *what)
{
    line("moat: memory-leak: nothing points to ");
    amount(total_count, total_bytes);
    mo_text_string(&text, " at the end of ");
    mo_text_string(&text, what);
    mo_text_string(&text, "\n");
    for (size_t i = 0; i < entry_count && has_room(); i++)
        text_entry(&entries[i]);
    if (left_out != 0) {
        line("    and from ");
        mo_form_count(&text, left_out, " other place");
        mo_text_string(&text, "\n");
    }
    line(mo_sealed.options.leak_exitcode != 0 ? "moat: exiting\n" : "moat: going on\n");
}

static void asan_entry(const struct entry *e)
{
    const struct mo_stack *s = e->first->made;
    mo_text_string(&text, e->first->mark == MO_LEAK_INDIRECT ? "Indirect" : "Direct");
    mo_text_string(&text, " leak of ");
    mo_text_decimal(&text, e->bytes);
    mo_text_string(&text, " byte(s) in ");
    mo_text_decimal(&text, e->count);
    mo_text_string(&text, " object(s) allocated from:\n");
    for (size_t i = 0; s != NULL && i < mo_min(s->count, MO_STACK_MOST) && has_room(); i++) {
        mo_text_string(&text, "    #");
        mo_text_decimal(&text, i);
        mo_text_string(&text, " ");
        mo_form_frame(&text, s->frames[i]);
        mo_text_string(&text, mo_module_of(s->frames[i] - 1) == NULL ? "  (<unknown module>)\n" : "\n");
    }
    mo_text_string(&text, "\n");
}

static void form_asan(void)
{
    mo_text_string(&text, "\n=================================================================\n==");
    mo_text_decimal(&text, (uint64_t)process);
    mo_text_string(&text, "==ERROR: LeakSanitizer: detected memory leaks\n\n");
    for (size_t i = 0; i < entry_count && has_room(); i++)
        asan_entry(&entries[i]);
    mo_text_string(&text, "SUMMARY: AddressSanitizer: ");
    mo_text_decimal(&text, total_bytes);
    mo_text_string(&text, " byte(s) leaked in ");
    mo_text_decimal(&text, total_count);
    mo_text_string(&text, " allocation(s).\n");
}

static void json_number(const char *key, uint64_t v)
{
    mo_text_string(&text, key);
    mo_text_decimal(&text, v);
}

static void json_entry(const struct entry *e)
{
    const struct mo_stack *s = e->first->made;
    json_number("{\"count\":", e->count);
    json_number(",\"bytes\":", e->bytes);
    mo_text_string(&text, e->first->mark == MO_LEAK_INDIRECT ? ",\"indirect\":true" : ",\"indirect\":false");
    mo_text_string(&text, ",\"address\":\"");
    mo_text_hex(&text, e->first->p);
    mo_text_string(&text, "\"");
    mo_form_json_stack(&text, "allocated", s);
    mo_text_string(&text, "}");
}

static void form_json(const char *what)
{
    mo_text_string(&text, "{\"moat\":\"" MO_STR(MOAT_VERSION_MAJOR) "." MO_STR(MOAT_VERSION_MINOR) "." MO_STR(
                              MOAT_VERSION_PATCH) "\",\"schema\":1");
    json_number(",\"process\":", (uint64_t)process);
    mo_text_string(&text, ",\"severity\":\"error\",\"bug\":\"memory-leak\",\"action\":\"");
    mo_text_string(&text, what);
    mo_text_string(&text, "\"");
    json_number(",\"count\":", total_count);
    json_number(",\"bytes\":", total_bytes);
    mo_text_string(&text, ",\"leaks\":[");
    for (size_t i = 0; i < entry_count && has_room(); i++) {
        mo_text_string(&text, i == 0 ? "" : ",");
        json_entry(&entries[i]);
    }
    json_number("],\"left_out\":", left_out);
    mo_text_string(&text, "}\n");
}

void mo_leaks_report(const char *what, int fd)
{
    process = mo_os_process_id();
    text = (struct mo_text){buffer, buffer + sizeof buffer};
    find_modules();
    if (mo_sealed.options.report == MO_REPORT_JSON)
        form_json(what);
    else if (mo_sealed.options.report == MO_REPORT_ASAN)
        form_asan();
    else
        form_text(what);
    int file = mo_report_open(process);
    (void)mo_os_write(file != STDERR_FILENO ? file : fd, buffer, (size_t)(text.at - buffer));
    if (file != STDERR_FILENO)
        mo_os_close_file(file);
}
