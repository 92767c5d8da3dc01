/* The formatter of reports: whatever a report is about, it stays in its buffer, and JSON is JSON. */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "diag/report_form.h"
#include "fuzz/harness.h"

uint64_t fuzz_operations;
const size_t fuzz_longest = 700;
const int fuzz_takes_noise = 1;

enum { ROOM = 16384, TEXTS = 6, TEXT_MOST = 64, CANARY = 0x5a };

static const uint8_t *input;
static size_t left;

static void expect(bool holds, const char *what, const char *text)
{
    if (holds)
        return;
    fprintf(stderr, "report: %s: %s\n", what, text);
    abort();
}

static uint64_t take(size_t bytes)
{
    uint64_t v = 0;
    for (; bytes > 0 && left > 0; bytes--, left--)
        v = v << 8 | *input++;
    return v;
}

/* Numbers that are near 0, near the ends, or anything. */
static uint64_t take_number(void)
{
    switch (take(1) % 5) {
    case 0:
        return take(1);
    case 1:
        return 0 - take(1);
    case 2:
        return (uint64_t)1 << take(1) % 64;
    case 3:
        return (uintptr_t)&take_number + take(2); /* in a module */
    default:
        return take(8);
    }
}

static const char *take_text(void)
{
    static char texts[TEXTS][TEXT_MOST + 1];
    static size_t turn;
    char *to = texts[turn++ % TEXTS];
    size_t n = take(1) % (TEXT_MOST + 1);
    for (size_t i = 0; i < n; i++)
        to[i] = (char)take(1);
    to[n] = '\0';
    return to;
}

static struct mo_stack take_stack(void)
{
    struct mo_stack s = {.thread = (uint32_t)take(4), .count = (uint16_t)(take(1) % 24), .guessed = take(1) % 2};
    for (size_t i = 0; i < mo_min(s.count, MO_STACK_MOST); i++)
        s.frames[i] = (uintptr_t)take_number();
    return s;
}

/* JSON as RFC 8259 has it; no more than moat writes: no fractions. NULL: it is none. */
static const char *json_value(const char *at, unsigned depth);

static const char *json_string(const char *at)
{
    if (*at++ != '"')
        return NULL;
    for (; *at != '"'; at++) {
        if (*at < ' ' || *at > '~')
            return NULL;
        if (*at != '\\')
            continue;
        at++;
        if (*at == 'u') {
            for (int i = 0; i < 4; i++)
                if (!isxdigit((unsigned char)*++at))
                    return NULL;
        } else if (*at == '\0' || strchr("\"\\/bfnrt", *at) == NULL) {
            return NULL;
        }
    }
    return at + 1;
}

static const char *json_list(const char *at, char end, unsigned depth)
{
    if (*at == end)
        return at + 1;
    for (;; at++) {
        if (end == '}') {
            at = json_string(at);
            if (at == NULL || *at++ != ':')
                return NULL;
        }
        at = json_value(at, depth + 1);
        if (at == NULL || *at == end)
            return at == NULL ? NULL : at + 1;
        if (*at != ',')
            return NULL;
    }
}

static const char *json_value(const char *at, unsigned depth)
{
    static const char *const words[] = {"null", "true", "false"};
    if (depth > 8)
        return NULL;
    if (*at == '{' || *at == '[')
        return json_list(at + 1, *at == '{' ? '}' : ']', depth);
    if (*at == '"')
        return json_string(at);
    for (size_t i = 0; i < MO_ARRAY_LEN(words); i++)
        if (strncmp(at, words[i], strlen(words[i])) == 0)
            return at + strlen(words[i]);
    at += *at == '-';
    if (!isdigit((unsigned char)*at))
        return NULL;
    while (isdigit((unsigned char)*at))
        at++;
    return at;
}

/* Formats into a buffer of `room` bytes with canaries around it; how much there is. */
static size_t format(char *to, size_t room, const struct mo_case *c, unsigned form)
{
    static char buffer[ROOM + 128];
    memset(buffer, CANARY, sizeof buffer);
    struct mo_text t = {buffer + 64, buffer + 64 + room};
    switch (form) {
    case 0:
        mo_form_text_head(&t, c);
        mo_form_text_rest(&t, c);
        break;
    case 1:
        mo_form_text_warning(&t, c);
        break;
    case 2:
        mo_form_json(&t, c);
        break;
    default:
        mo_form_asan(&t, c);
    }
    expect(t.at >= buffer + 64 && t.at <= buffer + 64 + room, "the text left its buffer", "");
    for (size_t i = 0; i < 64; i++)
        expect(buffer[i] == CANARY && buffer[64 + room + i] == CANARY, "bytes beside the buffer were changed", "");
    size_t n = (size_t)(t.at - buffer - 64);
    memcpy(to, buffer + 64, n);
    to[n] = '\0';
    return n;
}

static void check_numbers(uint64_t v)
{
    char ours[32], libcs[32];
    struct mo_text t = {ours, ours + sizeof ours};
    mo_text_decimal(&t, v);
    *t.at = '\0';
    snprintf(libcs, sizeof libcs, "%" PRIu64, v);
    expect(strcmp(ours, libcs) == 0, "a decimal", ours);
    t.at = ours;
    mo_text_signed(&t, (int64_t)v);
    *t.at = '\0';
    snprintf(libcs, sizeof libcs, "%" PRId64, (int64_t)v);
    expect(strcmp(ours, libcs) == 0, "a signed number", ours);
    t.at = ours;
    mo_text_hex(&t, v);
    *t.at = '\0';
    snprintf(libcs, sizeof libcs, "0x%" PRIx64, v);
    expect(strcmp(ours, libcs) == 0, "a hexadecimal", ours);
}

static void check_forms(const struct mo_case *c)
{
    static char text[ROOM + 1], part[ROOM + 1];
    char start[64];
    snprintf(start, sizeof start, "==%" PRIu64 "== moat: ", c->process);
    size_t n = format(text, ROOM, c, 0);
    expect(strncmp(text, start, strlen(start)) == 0 && text[n - 1] == '\n', "no text report", text);
    n = format(text, ROOM, c, 2);
    const char *end = json_value(text, 0);
    expect(end != NULL && strcmp(end, "\n") == 0, "no JSON", text);
    n = format(text, ROOM, c, 3);
    expect(strstr(text, "AddressSanitizer: ") != NULL && text[n - 1] == '\n', "no report in the sanitizer's form",
           text);
    /* In less room it is cut, and a warning there begins as the whole one; the others leave out frames for what follows
     * them. */
    size_t room = take(2) % ROOM;
    for (unsigned form = 0; form < 4; form++) {
        size_t whole = format(text, ROOM, c, form), cut = format(part, room, c, form);
        expect(cut <= whole && (form != 1 || memcmp(text, part, cut) == 0), "the cut text is another", part);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_operations++;
    input = data;
    left = size;
    check_numbers(take_number());
    struct mo_stack stack = take_stack(), allocated = take_stack(), freed = take_stack();
    struct mo_report_chunk chunk = {
        .address = (uintptr_t)take_number(),
        .requested = (size_t)take_number(),
        .slot = (size_t)take_number(),
        .state = take(1) % 4 != 0 ? take_text() : NULL,
        .origin = take(1) % 4 != 0 ? take_text() : NULL,
        .allocated = take(1) % 2 != 0 ? &allocated : NULL,
        .freed = take(1) % 2 != 0 ? &freed : NULL,
    };
    struct mo_case c = {
        .violation = (enum mo_violation)(take(1) % (MO_FAULT_WILD + 1)),
        .access = (enum mo_access)(take(1) % 3),
        .action = take_text(),
        .address = (uintptr_t)take_number(),
        .chunk = take(1) % 4 != 0 ? &chunk : NULL,
        .offset = take(1) % 4 != 0 ? (ptrdiff_t)take_number() : PTRDIFF_MIN,
        .detail = take_text(),
        .stack = &stack,
        .frame = (uintptr_t)take_number(),
        .process = take_number(),
        .thread = take_number(),
        .warning = take(1) % 2,
    };
    const struct mo_stack *stacks[] = {&stack, &allocated, &freed};
    mo_modules_find(stacks, MO_ARRAY_LEN(stacks));
    check_forms(&c);
    return 0;
}
