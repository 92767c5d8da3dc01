/* Reports: one text in a static buffer, one write, abort(). See report.h. */
#include "diag/report.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "os/os.h"

enum {
    REPORT_SIZE = 2048,
    LAST_LINE = 64,    /* kept free for the last line, however long what stands before it */
    WARNING_SIZE = 384 /* on the stack: warnings of several threads may come at once */
};

/* The last report's text, for whoever opens a core file: `p mo_report_last`. Static, because the stack
 * of a thread that finds a corruption may have no room for it. */
extern char mo_report_last[REPORT_SIZE];
char mo_report_last[REPORT_SIZE] __attribute__((used));

/* The thread that reports, and its process; 0 until there is one. */
static long reporter, reporting_process;

enum mo_violation {
    MO_DOUBLE_FREE,
    MO_BAD_FREE,
    MO_OVERFLOW,
    MO_UNDERFLOW,
    MO_WRITE_AFTER_FREE,
    MO_MISMATCH,
    MO_METADATA,
};

/* What people read about each kind: the sentence is "<action> <finding> <address><ending>". */
static const struct {
    const char *name, *finding, *ending, *usually, *next;
} violations[] = {
    [MO_DOUBLE_FREE] = {"double-free", "found a second free of chunk", "",
                        "two parts of the program both believe they own it, or an error path frees it again",
                        "make it repeat with 'moat run -o seed=1' and a debugger; valgrind shows both frees"},
    [MO_BAD_FREE] =
        {"bad-free", "of", ", which is not the start of a chunk",
         "a pointer to the stack, to a global or into the middle of a chunk, or one from another allocator",
         "a debugger shows where the pointer came from; 'moat options foreign' if it is another allocator's"},
    [MO_OVERFLOW] =
        {"heap-buffer-overflow", "found bytes changed past the end of chunk", "",
         "a copy or loop wrote more than was asked for; the write came earlier than this report",
         "make it repeat with 'moat run -o seed=1' and watch the changed byte in a debugger, or run valgrind"},
    [MO_UNDERFLOW] = {"heap-buffer-overflow", "found a changed header before chunk", "",
                      "a write before the chunk's start, or past the end of the one before it",
                      "make it repeat with 'moat run -o seed=1' and watch the header in a debugger, or run valgrind"},
    [MO_WRITE_AFTER_FREE] = {"heap-use-after-free", "found bytes changed in the freed chunk", "",
                             "a pointer was kept and written through after its chunk was freed",
                             "'moat run --profile strict' holds freed chunks longer; valgrind shows the write"},
    [MO_MISMATCH] = {"alloc-dealloc-mismatch", "of", ", which was allocated in another way",
                     "new with free, malloc with delete, new[] with delete, or delete with a wrong size or alignment",
                     "release it by the routine that belongs to the one that allocated it"},
    [MO_METADATA] = {"heap-metadata-corruption", "found moat's own tables changed at", "",
                     "a write through a wild pointer, an attack, or a bug in moat",
                     "keep the core file; if the program is innocent, report it as SECURITY.md says"},
};

/* Ends the process without abort(): for a report inside a report, whose abort() would come back here. */
static MO_NORETURN void end_at_once(void)
{
    struct sigaction by_default = {.sa_handler = SIG_DFL};
    sigset_t only_abort;
    sigemptyset(&only_abort);
    sigaddset(&only_abort, SIGABRT);
    sigaction(SIGABRT, &by_default, NULL);
    sigprocmask(SIG_UNBLOCK, &only_abort, NULL);
    kill((pid_t)mo_os_process_id(), SIGABRT);
    for (;;)
        _exit(128 + SIGABRT);
}

/* Waits for the process to end by the thread that reports: nobody ever unlocks this. */
static MO_NORETURN void wait_for_end(void)
{
    static struct mo_lock never;
    (void)mo_trylock(&never);
    for (;;)
        mo_lock(&never);
}

static void write_text(const char *text, const struct mo_text *t)
{
    mo_os_write(STDERR_FILENO, text, (size_t)(t->at - text));
}

/* Returns for the one thread that may report. */
static void become_reporter(void)
{
    static const char again[] = "moat: a second violation during the first one's report: ending\n";
    long self = mo_os_thread_id(), process = mo_os_process_id();
    long other = 0;
    if (!__atomic_compare_exchange_n(&reporter, &other, self, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) {
        long owner = __atomic_load_n(&reporting_process, __ATOMIC_ACQUIRE);
        if (other == self) {
            mo_os_write(STDERR_FILENO, again, sizeof again - 1);
            end_at_once();
        }
        if (owner == 0 || owner == process)
            wait_for_end();
        /* A child forked while its parent reported, by a crash handler for one: the reporter is not here. */
        __atomic_store_n(&reporter, self, __ATOMIC_RELAXED);
    }
    __atomic_store_n(&reporting_process, process, __ATOMIC_RELEASE);
}

/* Starts a line: "==1234== " and what follows it. */
static void start_line(struct mo_text *t, const char *label)
{
    mo_text_string(t, "==");
    mo_text_decimal(t, (uint64_t)mo_os_process_id());
    mo_text_string(t, "== ");
    mo_text_string(t, label);
}

static void line(struct mo_text *t, const char *label, const char *text)
{
    if (text == NULL)
        return;
    start_line(t, label);
    mo_text_string(t, text);
    mo_text_string(t, "\n");
}

static void count(struct mo_text *t, uint64_t n, const char *unit)
{
    mo_text_decimal(t, n);
    mo_text_string(t, unit);
    if (n != 1)
        mo_text_string(t, "s");
}

/* "1 byte past the end of a 24-byte chunk (offset 24)" */
static void place(struct mo_text *t, const struct mo_report_chunk *c, ptrdiff_t offset)
{
    bool sized = c != NULL && c->requested != SIZE_MAX;
    start_line(t, "    what: ");
    if (offset < 0) {
        count(t, 0 - (uint64_t)offset, " byte");
        mo_text_string(t, " before the start of a ");
    } else if (sized && (size_t)offset >= c->requested) {
        count(t, (size_t)offset - c->requested + 1, " byte");
        mo_text_string(t, " past the end of a ");
    } else {
        count(t, (uint64_t)offset, " byte");
        mo_text_string(t, " into a ");
    }
    if (sized) {
        mo_text_decimal(t, c->requested);
        mo_text_string(t, "-byte ");
    }
    mo_text_string(t, "chunk (offset ");
    mo_text_signed(t, offset);
    mo_text_string(t, ")\n");
}

/* "0x7f12..., 24 bytes requested, slot of 32 bytes, live, from malloc"; what is not known is left out. */
static void describe(struct mo_text *t, const struct mo_report_chunk *c)
{
    start_line(t, "    chunk: ");
    mo_text_hex(t, c->address);
    if (c->requested != SIZE_MAX) {
        mo_text_string(t, ", ");
        count(t, c->requested, " byte");
        mo_text_string(t, " requested");
    }
    if (c->slot != 0) {
        mo_text_string(t, ", slot of ");
        count(t, c->slot, " byte");
    }
    if (c->state != NULL) {
        mo_text_string(t, ", ");
        mo_text_string(t, c->state);
    }
    if (c->origin != NULL) {
        mo_text_string(t, ", from ");
        mo_text_string(t, c->origin);
    }
    mo_text_string(t, "\n");
}

static struct mo_text open_report(void)
{
    become_reporter();
    return (struct mo_text){mo_report_last, mo_report_last + REPORT_SIZE - LAST_LINE};
}

static MO_NORETURN void close_report(struct mo_text *t)
{
    if (t->at == t->end)
        t->at[-1] = '\n';
    t->end = mo_report_last + REPORT_SIZE - 1;
    line(t, "moat: ", "aborting");
    *t->at = '\0';
    write_text(mo_report_last, t);
    /* Not our own end: a crash handler of the program's may want its SIGABRT. */
    abort();
}

static void thread_line(struct mo_text *t)
{
    start_line(t, "    thread: ");
    mo_text_decimal(t, (uint64_t)mo_os_thread_id());
    mo_text_string(t, "\n");
}

static MO_NORETURN void report(enum mo_violation v, const char *action, uintptr_t address,
                               const struct mo_report_chunk *chunk, ptrdiff_t offset, const char *detail)
{
    struct mo_text t = open_report();
    start_line(&t, "moat: ");
    mo_text_string(&t, violations[v].name);
    mo_text_string(&t, ": ");
    mo_text_string(&t, action);
    mo_text_string(&t, " ");
    mo_text_string(&t, violations[v].finding);
    mo_text_string(&t, " ");
    mo_text_hex(&t, address);
    mo_text_string(&t, violations[v].ending);
    mo_text_string(&t, "\n");
    if (offset != PTRDIFF_MIN)
        place(&t, chunk, offset);
    if (chunk != NULL && chunk->address != 0)
        describe(&t, chunk);
    line(&t, "    evidence: ", detail);
    thread_line(&t);
    line(&t, "    usually: ", violations[v].usually);
    line(&t, "    next: ", violations[v].next);
    close_report(&t);
}

MO_REPORT(double_free)
{
    report(MO_DOUBLE_FREE, action, address, chunk, offset, detail);
}

MO_REPORT(bad_free)
{
    report(MO_BAD_FREE, action, address, chunk, offset, detail);
}

MO_REPORT(overflow)
{
    report(MO_OVERFLOW, action, address, chunk, offset, detail);
}

MO_REPORT(underflow)
{
    report(MO_UNDERFLOW, action, address, chunk, offset, detail);
}

MO_REPORT(write_after_free)
{
    report(MO_WRITE_AFTER_FREE, action, address, chunk, offset, detail);
}

MO_REPORT(mismatch)
{
    report(MO_MISMATCH, action, address, chunk, offset, detail);
}

MO_REPORT(mismatch_warning)
{
    static unsigned written;
    (void)chunk;
    (void)offset;
    if (__atomic_fetch_add(&written, 1, __ATOMIC_RELAXED) < MO_MISMATCH_WARNINGS)
        mo_warn(action, address, detail);
}

MO_REPORT(metadata)
{
    report(MO_METADATA, action, address, chunk, offset, detail);
}

void mo_panic(const char *what)
{
    struct mo_text t = open_report();
    line(&t, "moat: panic: ", what);
    thread_line(&t);
    line(&t, "    usually: ", "a bug in moat, or no memory where it cannot go on without");
    line(&t, "    next: ", "'moat doctor' shows what this system gives");
    close_report(&t);
}

void mo_warn(const char *action, uintptr_t address, const char *detail)
{
    char text[WARNING_SIZE];
    struct mo_text t = {text, text + sizeof text - 1};
    mo_text_string(&t, "moat: ");
    mo_text_string(&t, action);
    if (address != 0) {
        mo_text_string(&t, " of ");
        mo_text_hex(&t, address);
    }
    mo_text_string(&t, ": ");
    mo_text_string(&t, detail);
    t.end++;
    mo_text_string(&t, "\n");
    write_text(text, &t);
}
