/* Reports: one text in a static buffer, few writes, then the end. See report.h. */
#include "diag/report.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "diag/report_form.h"
#include "diag/sealed.h"
#include "os/os.h"

enum {
    REPORT_SIZE = 32768,
    LAST_LINE = 64 /* kept free for the last line, however long what stands before it */
};

/* The last report's text, for whoever opens a core file: `p mo_report_last`. Static, because the stack
 * of a thread that finds a corruption may have no room for it. */
extern char mo_report_last[REPORT_SIZE];
char mo_report_last[REPORT_SIZE] __attribute__((used, visibility("default")));

/* The thread that reports, and its process; 0 until there is one. It has the turn, unless it left its report by a jump
 * out of a handler or a callback, or ended there: then the turn is taken from it. */
static long reporter MO_FORKED, reporting_process MO_FORKED;
static struct mo_lock turn MO_FORKED;
static bool ending;  /* the process ends after the report that is being written */
static bool out;     /* its text is out: what is left is the callback's, and the process's end */
static bool at_once; /* the next report ends the process without abort */

/* What the reporter has of the text, and how much of it is written. */
static struct mo_text text;
static const char *written;
static int output = STDERR_FILENO;

/* Whether the process ends by an exit status. Options hold only once start-up is through. */
static bool exits(void)
{
    return mo_sealed.ready && mo_sealed.options.abort_on_error == 0;
}

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

/* Where reports go: PREFIX.PROCESS of option log_path, or stderr, also where that file takes no whole report. */
int mo_report_open(long process)
{
    char path[MO_LOG_PATH_SIZE + 24];
    struct mo_text t = {path, path + sizeof path - 1};
    if (mo_sealed.options.log_path[0] == '\0')
        return STDERR_FILENO;
    mo_text_string(&t, mo_sealed.options.log_path);
    mo_text_string(&t, ".");
    mo_text_decimal(&t, (uint64_t)process);
    *t.at = '\0';
    int fd = mo_os_create(path, REPORT_SIZE);
    return fd >= 0 ? fd : STDERR_FILENO;
}

static bool in_color(void)
{
    if (mo_sealed.options.color == MO_COLOR_NEVER)
        return false;
    /* Asked at start: a sandbox that ends the process for the question must not hide the report. */
    return mo_sealed.options.color == MO_COLOR_ALWAYS || (mo_sealed.features.terminal && output == STDERR_FILENO);
}

/* The first line in bold red. The text that is kept has no colour. */
static void write_first_line(void)
{
    static const char red[] = "\033[1;31m", plain[] = "\033[0m";
    while (written < text.at && *written != '\n')
        written++;
    (void)mo_os_write(output, red, sizeof red - 1);
    (void)mo_os_write(output, mo_report_last, (size_t)(written - mo_report_last));
    (void)mo_os_write(output, plain, sizeof plain - 1);
}

/* Writes what has come since the last time; to stderr all of it where the file has failed. */
static void flush(void)
{
    const char *from = written;
    written = text.at;
    if (mo_os_write(output, from, (size_t)(text.at - from)) || output == STDERR_FILENO)
        return;
    mo_os_close_file(output);
    output = STDERR_FILENO;
    (void)mo_os_write(output, mo_report_last, (size_t)(text.at - mo_report_last));
}

void mo_report_forked(void)
{
    if (turn.word == 0 && reporter == 0 && reporting_process == 0)
        return; /* the page need not be copied */
    __atomic_store_n(&turn.word, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&reporter, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&reporting_process, 0, __ATOMIC_RELEASE);
}

/* How long another thread's report may take before this one's is written all the same, in milliseconds: a whole one, as
 * where stderr is slow; one whose text is out, as where the program's crash handler waits for this thread. */
enum { SLICE = 100, PATIENCE = 10000, PATIENCE_OUT = 3000 };

/* Waits for the turn; takes it from a thread that does not end its report. */
static void wait_for_turn(long self, long process)
{
    unsigned waited = 0;
    long other = 0;
    while (!mo_lock_for(&turn, SLICE)) {
        long now = __atomic_load_n(&reporter, __ATOMIC_RELAXED);
        waited = now == other ? waited + SLICE : 0;
        other = now;
        bool late = waited >= (__atomic_load_n(&out, __ATOMIC_RELAXED) ? PATIENCE_OUT : PATIENCE) ||
                    (other != 0 && !mo_os_thread_lives(process, other));
        if (late && __atomic_compare_exchange_n(&reporter, &now, self, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
            return;
    }
    __atomic_store_n(&reporter, self, __ATOMIC_RELAXED);
}

/* False where there is nothing to be said, or not to be had: it is a warning, and another thread is at it for so long
 * that it may be waiting for this one; or this very thread is at it. */
static bool become_reporter(bool warning, bool ends)
{
    long self = mo_os_thread_id(), process = mo_os_process_id();
    long owner = __atomic_load_n(&reporting_process, __ATOMIC_ACQUIRE);
    if (owner != 0 && owner != process)
        mo_report_forked(); /* by a system call of its own, for one in a crash handler */
    else if (__atomic_load_n(&reporter, __ATOMIC_RELAXED) == self) {
        /* Inside of its own report, or that was left by a jump: one more is written, but none inside of that. */
        if (warning || (at_once && ending) || (!ends && !out))
            return false;
        at_once = ending;
        ending = ends;
        out = false;
        return true;
    }
    if (warning && !mo_lock_patiently(&turn))
        return false;
    if (warning)
        __atomic_store_n(&reporter, self, __ATOMIC_RELAXED);
    else
        wait_for_turn(self, process);
    at_once = false;
    ending = ends;
    __atomic_store_n(&out, false, __ATOMIC_RELAXED);
    __atomic_store_n(&reporting_process, process, __ATOMIC_RELEASE);
    return true;
}

static void leave_reporter(void)
{
    long self = mo_os_thread_id();
    if (!__atomic_compare_exchange_n(&reporter, &self, 0, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
        return; /* it was taken away */
    __atomic_store_n(&reporting_process, 0, __ATOMIC_RELAXED);
    /* Not mo_unlock, which leaves the lock to a thread that forks: the turn is none of those taken for a fork. Nobody
     * sleeps for it. */
    __atomic_store_n(&turn.word, 0, __ATOMIC_RELEASE);
}

/* The last line stands even where the rest had to be cut. */
static void close_text(const struct mo_case *c, const char *before, const char *last)
{
    if (text.at == text.end)
        text.at[-1] = '\n';
    text.end = mo_report_last + REPORT_SIZE - 1;
    mo_text_string(&text, "==");
    mo_text_decimal(&text, c->process);
    mo_text_string(&text, before);
    mo_text_string(&text, last);
    mo_text_string(&text, "\n");
}

static void collect(struct mo_case *c, struct mo_stack *stack, const void *ucontext)
{
    const struct mo_stack *stacks[3] = {stack};
    if (MO_SMALL)
        return;
    if (ucontext != NULL)
        mo_stack_of_context(stack, ucontext);
    else
        mo_stack_take(stack, MO_STACK_MOST);
    c->stack = stack;
    if (mo_case_has_chunk(c)) {
        stacks[1] = c->chunk->allocated;
        stacks[2] = c->chunk->freed;
    }
    mo_modules_find(stacks, MO_ARRAY_LEN(stacks));
}

/* Writes the report. The caller is the reporter. ucontext: of the fault that is reported, or NULL. */
static void write_report(struct mo_case *c, struct mo_stack *stack, const void *ucontext)
{
    bool ends = !c->warning && (ucontext == NULL || exits());
    c->process = (uint64_t)reporting_process;
    c->thread = (uint64_t)reporter;
    c->frame = (uintptr_t)__builtin_frame_address(0);
    text = (struct mo_text){mo_report_last, mo_report_last + REPORT_SIZE - LAST_LINE};
    written = mo_report_last;
    output = mo_report_open(reporting_process);
    switch (MO_SMALL ? (size_t)MO_REPORT_TEXT : mo_sealed.options.report) {
    case MO_REPORT_JSON:
        collect(c, stack, ucontext);
        mo_form_json(&text, c);
        break;
    case MO_REPORT_ASAN:
        collect(c, stack, ucontext);
        mo_form_asan(&text, c);
        if (!c->warning)
            close_text(c, "==", "ABORTING");
        break;
    default:
        if (c->warning) { /* by write alone: a program in a sandbox must live on */
            mo_form_text_warning(&text, c);
            break;
        }
        mo_form_text_head(&text, c);
        if (in_color())
            write_first_line();
        flush(); /* before system calls that a sandbox may end the process for */
        collect(c, stack, ucontext);
        mo_form_text_rest(&text, c);
        close_text(c, "== moat: ", !ends ? "the fault takes its course" : exits() ? "exiting" : "aborting");
    }
    *text.at = '\0';
    flush();
    if (output != STDERR_FILENO)
        mo_os_close_file(output);
    output = STDERR_FILENO;
    __atomic_store_n(&out, true, __ATOMIC_RELAXED);
    if (!at_once) /* what it did the first time it may do again */
        mo_report_tell(c, mo_report_last, (size_t)(text.at - mo_report_last), ends);
}

__thread struct mo_lock *mo_report_unlocks __attribute__((tls_model("initial-exec")));

static MO_NORETURN void report(struct mo_case *c)
{
    if (mo_report_unlocks != NULL)
        mo_unlock(mo_report_unlocks);
    mo_report_unlocks = NULL;
    static const char again[] = "moat: a second violation during the first one's report: ending\n";
    static struct mo_stack stack;
    if (!become_reporter(false, true)) {
        (void)mo_os_write(STDERR_FILENO, again, sizeof again - 1);
        end_at_once();
    }
    bool last = at_once;
    write_report(c, &stack, NULL);
    if (exits())
        mo_os_exit((int)mo_sealed.options.exitcode);
    if (last)
        end_at_once();
    /* Not our own end: a crash handler of the program's may want its SIGABRT. */
    abort();
}

#define DEFINE_REPORT(name, kind)                                                                       \
    MO_REPORT(name)                                                                                     \
    {                                                                                                   \
        struct mo_case c = {kind, MO_ACCESS_UNKNOWN, action, address, chunk, offset, .detail = detail}; \
        report(&c);                                                                                     \
    }
DEFINE_REPORT(double_free, MO_DOUBLE_FREE)
DEFINE_REPORT(bad_free, MO_BAD_FREE)
DEFINE_REPORT(overflow, MO_OVERFLOW)
DEFINE_REPORT(underflow, MO_UNDERFLOW)
DEFINE_REPORT(write_after_free, MO_WRITE_AFTER_FREE)
DEFINE_REPORT(mismatch, MO_MISMATCH)
DEFINE_REPORT(metadata, MO_METADATA)

void mo_lock_damaged(const struct mo_lock *l)
{
    mo_report_metadata("malloc", (uintptr_t)l, NULL, PTRDIFF_MIN, "a lock names no thread of this process");
}

void mo_panic(const char *what)
{
    struct mo_case c = {.violation = MO_PANIC, .offset = PTRDIFF_MIN, .detail = what};
    report(&c);
}

void mo_out_of_memory(void)
{
    struct mo_case c = {.violation = MO_NO_MEMORY,
                        .offset = PTRDIFF_MIN,
                        .detail = "an allocation failed, and allocator_may_return_null=no"};
    report(&c);
}

void mo_report_access(enum mo_access_bug bug, enum mo_access access, uintptr_t address,
                      const struct mo_report_chunk *chunk, const char *detail, const void *ucontext)
{
    static const char actions[][sizeof "an access"] = {"an access", "a read", "a write"};
    static struct mo_stack stack;
    struct mo_case c = {.violation = MO_FAULT_OVERFLOW + (unsigned)bug,
                        .access = access,
                        .action = actions[access],
                        .address = address,
                        .chunk = chunk,
                        .offset = PTRDIFF_MIN,
                        .detail = detail};
    if (mo_case_has_chunk(&c))
        c.offset = (ptrdiff_t)(address - chunk->address);
    if (!become_reporter(false, exits())) {
        flush(); /* the fault was met by the report itself: what there is of it must do */
        return;
    }
    write_report(&c, &stack, ucontext);
    if (exits())
        mo_os_exit((int)mo_sealed.options.exitcode);
    leave_reporter();
}

void mo_report_given(enum mo_access_bug bug, const struct mo_given *given, const struct mo_report_chunk *chunk,
                     ptrdiff_t offset)
{
    char detail[128];
    struct mo_text t = {detail, detail + sizeof detail - 1};
    struct mo_case c = {MO_FAULT_OVERFLOW + (unsigned)bug,
                        given->access,
                        given->function,
                        given->at,
                        chunk,
                        offset,
                        .detail = detail,
                        .given = given};
    mo_form_count(&t, given->n, " byte");
    mo_text_string(&t, given->n == 1 ? " is to be " : " are to be ");
    mo_text_string(&t, given->access == MO_ACCESS_READ ? "read, of " : "written, where there is room for ");
    mo_text_decimal(&t, given->left);
    if (given->other != 0) {
        mo_text_string(&t, given->access == MO_ACCESS_READ ? "; the destination is " : "; the source is ");
        mo_text_hex(&t, given->other);
    }
    *t.at = '\0';
    report(&c);
}

/* One more of a kind? *taken stays small, so that it never wraps. */
static bool take_turn(unsigned *taken)
{
    return __atomic_load_n(taken, __ATOMIC_RELAXED) < MO_WARNINGS &&
           __atomic_fetch_add(taken, 1, __ATOMIC_RELAXED) < MO_WARNINGS;
}

size_t mo_warnings;

MO_COLD void mo_report_warning(bool foreign, const char *action, uintptr_t address, const struct mo_report_chunk *chunk,
                               const char *detail)
{
    static unsigned counts[2];
    static struct mo_stack stack;
    struct mo_case c = {.violation = foreign ? MO_BAD_FREE : MO_MISMATCH,
                        .action = action,
                        .address = address,
                        .chunk = chunk,
                        .offset = PTRDIFF_MIN,
                        .detail = detail,
                        .warning = true};
    __atomic_add_fetch(&mo_warnings, 1, __ATOMIC_RELAXED);
    if (!take_turn(&counts[foreign]) || !become_reporter(true, false))
        return;
    int saved = errno;
    write_report(&c, &stack, NULL);
    leave_reporter();
    errno = saved;
}
