/* Reports: the exact text, in a child whose stderr is a pipe, and the way it ends. */
#include "os/os.h"
#include "report_child.h"

Test(report, overflow)
{
    expect_report(overflow,
                  "==PID== moat: heap-buffer-overflow: free found bytes changed past the end of chunk 0x71200018\n"
                  "==PID==     what: 1 byte past the end of a 24-byte chunk (offset 24)\n"
                  "==PID==     chunk: 0x71200018, 24 bytes requested, slot of 32 bytes, live, from malloc\n"
                  "==PID==     evidence: the first byte past the end is 0x41, not 0x00\n"
                  "==PID==     thread: PID\n"
                  "==PID==     usually: a copy or loop wrote more than was asked for; the write came earlier than "
                  "this report\n"
                  "==PID==     next: 'moat run -o sample_rate=1,sample_slots=65536' stops at the access itself and "
                  "keeps stacks; with options patrol, neighbours and check_at_exit damage is met sooner\n"
                  "==PID== moat: aborting\n");
}

static void double_free(void)
{
    struct mo_report_chunk freed = chunk;
    freed.state = "waiting in quarantine";
    freed.origin = NULL;
    freed.requested = 1;
    mo_report_double_free("realloc", chunk.address, &freed, PTRDIFF_MIN, "its slot is marked free");
}

Test(report, double_free)
{
    expect_report(double_free,
                  "==PID== moat: double-free: realloc found a second free of chunk 0x71200018\n"
                  "==PID==     chunk: 0x71200018, 1 byte requested, slot of 32 bytes, waiting in quarantine\n"
                  "==PID==     evidence: its slot is marked free\n"
                  "==PID==     thread: PID\n"
                  "==PID==     usually: two parts of the program both believe they own it, or an error path frees "
                  "it again\n"
                  "==PID==     next: 'moat run -o sample_rate=1,sample_slots=65536' shows where it was allocated and "
                  "freed before\n"
                  "==PID== moat: aborting\n");
}

Test(report, bad_free_of_nothing_known)
{
    expect_report(bad_free, "==PID== moat: bad-free: free of 0x1000, which is not the start of a chunk\n"
                            "==PID==     thread: PID\n"
                            "==PID==     usually: a pointer to the stack, to a global or into the middle of a chunk, "
                            "or one from another allocator\n"
                            "==PID==     next: a debugger shows where the pointer came from; 'moat options foreign' "
                            "if it is another allocator's\n"
                            "==PID== moat: aborting\n");
}

static void underflow(void)
{
    mo_report_underflow("malloc", unknown.address, &unknown, -8, "its code does not fit it");
}

Test(report, underflow_of_unknown_size)
{
    expect_report(underflow,
                  "==PID== moat: heap-buffer-overflow: malloc found a changed header before chunk 0x71200018\n"
                  "==PID==     what: 8 bytes before the start of a chunk (offset -8)\n"
                  "==PID==     chunk: 0x71200018\n"
                  "==PID==     evidence: its code does not fit it\n"
                  "==PID==     thread: PID\n"
                  "==PID==     usually: a write before the chunk's start, or past the end of the one before it\n"
                  "==PID==     next: 'moat run -o sample_rate=1,sample_slots=65536' stops at the access itself and "
                  "keeps stacks; with options patrol, neighbours and check_at_exit damage is met sooner\n"
                  "==PID== moat: aborting\n");
}

static void write_after_free(void)
{
    mo_report_write_after_free("malloc", chunk.address, &chunk, 5, "it holds 0x41, not 0");
}

static void mismatch(void)
{
    mo_report_mismatch("delete[]", chunk.address, &chunk, PTRDIFF_MIN, "it came from malloc");
}

static void metadata(void)
{
    mo_report_metadata("malloc", UINTPTR_MAX, NULL, 0, "a count and its bitmap disagree");
}

Test(report, first_lines_of_the_others)
{
    struct ended e = run(write_after_free);
    expect_abort(&e);
    cr_expect(strstr(e.text, "== moat: heap-use-after-free: malloc found bytes changed in the freed chunk "
                             "0x71200018\n") != NULL);
    cr_expect(strstr(e.text, "what: 5 bytes into a 24-byte chunk (offset 5)\n") != NULL, "%s", e.text);
    e = run(mismatch);
    expect_abort(&e);
    cr_expect(strstr(e.text, "== moat: alloc-dealloc-mismatch: delete[] of 0x71200018, which was allocated in "
                             "another way\n") != NULL);
    e = run(metadata);
    expect_abort(&e);
    cr_expect(strstr(e.text, "== moat: heap-metadata-corruption: malloc found moat's own tables changed at 0xff") !=
              NULL);
    cr_expect(strstr(e.text, "what: 0 bytes into a chunk (offset 0)\n") != NULL, "%s", e.text);
}

static ptrdiff_t place_offset;
static size_t place_requested;

static void report_place(void)
{
    struct mo_report_chunk c = chunk;
    c.requested = place_requested;
    mo_report_overflow("free", c.address, &c, place_offset, NULL);
}

Test(report, places)
{
    static const struct {
        ptrdiff_t offset;
        size_t requested;
        const char *text;
    } cases[] = {
        {24, 24, "1 byte past the end of a 24-byte chunk (offset 24)"},
        {25, 24, "2 bytes past the end of a 24-byte chunk (offset 25)"},
        {23, 24, "23 bytes into a 24-byte chunk (offset 23)"},
        {1, 24, "1 byte into a 24-byte chunk (offset 1)"},
        {0, 0, "1 byte past the end of a 0-byte chunk (offset 0)"},
        {-1, 24, "1 byte before the start of a 24-byte chunk (offset -1)"},
        {-PTRDIFF_MAX, SIZE_MAX, "9223372036854775807 bytes before the start of a chunk (offset -9223372036854775807)"},
        {40, SIZE_MAX, "40 bytes into a chunk (offset 40)"},
    };
    for (size_t i = 0; i < MO_ARRAY_LEN(cases); i++) {
        if (sizeof(ptrdiff_t) < 8 && cases[i].offset == -PTRDIFF_MAX)
            continue; /* its text is the one of 64 bits */
        place_offset = cases[i].offset;
        place_requested = cases[i].requested;
        struct ended e = run(report_place);
        expect_abort(&e);
        cr_expect(strstr(e.text, cases[i].text) != NULL, "wanted: %s\n%s", cases[i].text, e.text);
    }
}

static void report_long(void)
{
    char detail[20000];
    memset(detail, 'x', sizeof detail);
    detail[sizeof detail - 1] = '\0';
    mo_report_overflow("free", chunk.address, &chunk, 24, detail);
}

/* A text that does not fit is cut, but the last line is whole. */
Test(report, endless_detail_is_cut)
{
    char last[64];
    struct ended e = run(report_long);
    expect_abort(&e);
    snprintf(last, sizeof last, "\n==%ld== moat: aborting\n", (long)e.child);
    size_t n = strlen(e.text);
    cr_assert(n > strlen(last) && n < 8192);
    cr_expect_str_eq(e.text + n - strlen(last), last);
    cr_expect(strstr(e.text, "xxx\n==") != NULL && strstr(e.text, "    usually: ") != NULL);
}

static void panic(void)
{
    mo_panic("no address space for the tables");
}

Test(report, panic)
{
    expect_report(panic, "==PID== moat: panic: no address space for the tables\n"
                         "==PID==     thread: PID\n"
                         "==PID==     usually: a bug in moat, or no memory where it cannot go on without\n"
                         "==PID==     next: 'moat doctor' shows what this system gives\n"
                         "==PID== moat: aborting\n");
}

static void warn_twice(void)
{
    errno = 77;
    mo_report_warning(true, "free", 0xabc, NULL, "not a chunk of moat's; leaked");
    mo_report_warning(false, "delete", chunk.address, &chunk, "it came from malloc");
    if (errno != 77)
        _exit(1);
}

Test(report, warnings_go_on)
{
    struct ended e = run(warn_twice);
    cr_assert(WIFEXITED(e.status) && WEXITSTATUS(e.status) == 0);
    expect_text(&e, "moat: free of 0xabc: not a chunk of moat's; leaked\n"
                    "moat: delete of 0x71200018: it came from malloc\n");
}

static void warn_long(void)
{
    char detail[2000];
    memset(detail, 'x', sizeof detail);
    detail[sizeof detail - 1] = '\0';
    mo_report_warning(true, "free", 1, NULL, detail);
}

Test(report, endless_warning_is_cut)
{
    struct ended e = run(warn_long);
    size_t n = strlen(e.text);
    cr_assert(n > 1024 && n < 1100);
    cr_expect_str_eq(e.text + n - 3, "xx\n");
}

static enum mo_access_bug access_bug;
static enum mo_access access_kind;
static uintptr_t access_at;
static const struct mo_stack allocated = {.thread = 11, .count = 2, .frames = {0x1001, 0x2001}};
static const struct mo_stack freed = {.thread = 12, .count = 1, .frames = {0x3001}};

static void on_access(int signal_number, siginfo_t *info, void *context)
{
    struct mo_report_chunk c = chunk;
    (void)signal_number;
    (void)info;
    c.allocated = &allocated;
    c.freed = access_bug == MO_ACCESS_AFTER_FREE ? &freed : NULL;
    errno = 77;
    mo_report_access(access_bug, access_kind, access_at, access_bug == MO_ACCESS_WILD ? NULL : &c, "it lies in a guard",
                     context);
    _exit(errno == 77 ? 66 : 1);
}

static void fault(void)
{
    struct sigaction action = {.sa_sigaction = on_access, .sa_flags = SA_SIGINFO};
    sigaction(SIGSEGV, &action, NULL);
    raise(SIGSEGV);
}

static struct ended run_access(enum mo_access_bug bug, enum mo_access kind, uintptr_t at)
{
    access_bug = bug;
    access_kind = kind;
    access_at = at;
    struct ended e = run(fault);
    cr_assert(WIFEXITED(e.status) && WEXITSTATUS(e.status) == 66, "status %#x: %s", (unsigned)e.status, e.text);
    return e;
}

/* The function returns: what happens next is the handler's. */
Test(report, access_past_the_end)
{
    struct ended e = run_access(MO_ACCESS_OVERFLOW, MO_ACCESS_WRITE, chunk.address + 24);
    cr_expect(strstr(e.text, "==     allocated by thread 11:\n") != NULL, "%s", e.text);
    cr_expect(strstr(e.text, "==       #1 0x2000\n") != NULL, "%s", e.text);
    cr_expect(strstr(e.text, "==     freed by") == NULL, "%s", e.text);
    cr_expect(strstr(e.text, "moat: heap-buffer-overflow: a write at 0x71200030, outside of its chunk\n") != NULL);
    cr_expect(strstr(e.text, "    what: 1 byte past the end of a 24-byte chunk (offset 24)\n") != NULL, "%s", e.text);
    cr_expect(strstr(e.text, "    evidence: it lies in a guard\n") != NULL, "%s", e.text);
    cr_expect(strstr(e.text, "    stack") != NULL, "%s", e.text);
    cr_expect(strstr(e.text, "== moat: the fault takes its course\n") != NULL, "%s", e.text);
}

Test(report, access_after_free)
{
    struct ended e = run_access(MO_ACCESS_AFTER_FREE, MO_ACCESS_READ, chunk.address + 2);
    cr_expect(strstr(e.text, "moat: heap-use-after-free: a read at 0x7120001a, in a freed chunk\n") != NULL);
    cr_expect(strstr(e.text, "==     allocated by thread 11:\n") != NULL, "%s", e.text);
    cr_expect(strstr(e.text, "==     freed by thread 12:\n") != NULL, "%s", e.text);
    cr_expect(strstr(e.text, "==       #0 0x3000\n") != NULL, "%s", e.text);
}

Test(report, access_of_nothing)
{
    struct ended e = run_access(MO_ACCESS_WILD, MO_ACCESS_UNKNOWN, 0x1234);
    cr_expect(strstr(e.text, "moat: wild-access: an access at 0x1234, where there is no chunk\n") != NULL, "%s",
              e.text);
    cr_expect(strstr(e.text, "    what:") == NULL && strstr(e.text, "    chunk:") == NULL, "%s", e.text);
}

static void many_warnings(void)
{
    for (int i = 0; i < 30; i++) {
        mo_report_warning(false, "delete", 1, &chunk, "mismatch");
        mo_report_warning(true, "free", 2, NULL, "foreign");
    }
}

/* A loop that goes wrong does not fill a log. */
Test(report, warnings_are_limited)
{
    struct ended e = run(many_warnings);
    size_t mismatches = 0, foreign = 0;
    for (char *line = strtok(e.text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        mismatches += strcmp(line, "moat: delete of 0x1: mismatch") == 0;
        foreign += strcmp(line, "moat: free of 0x2: foreign") == 0;
    }
    cr_assert(WIFEXITED(e.status) && WEXITSTATUS(e.status) == 0);
    cr_assert_eq(mismatches, MO_WARNINGS);
    cr_assert_eq(foreign, MO_WARNINGS);
}
