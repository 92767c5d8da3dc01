/* The SIGSEGV handler: what it reports, and that what the program has for SIGSEGV works as without it. Each case is
 * this executable run anew with options. */
#include <setjmp.h>
#include <stdio.h>

#include "child.h"
#include "front/front.h"
#include "guard/pool.h"
#include "mem/large.h"

static volatile sig_atomic_t seen;
static sigjmp_buf back;
static void *volatile low = (void *)8; /* where nothing is */

static void say(const char *text)
{
    if (write(STDOUT_FILENO, text, strlen(text)) < 0)
        _exit(99);
}

static char *sampled(void)
{
    for (int tries = mo_sealed.options.sample_rate == 1 ? 1 : 1000000; tries > 0; tries--) {
        char *p = mo_allocate(64, MO_ORIGIN_MALLOC);
        if (mo_pool_holds((uintptr_t)p))
            return p;
        mo_release(p, MO_ORIGIN_MALLOC);
    }
    _exit(98);
}

static char *freed(void)
{
    char *p = sampled();
    mo_release(p, MO_ORIGIN_MALLOC);
    return p;
}

static void old_handler(int number)
{
    say(number == SIGSEGV ? "[old]" : "[other]");
    _exit(5);
}

static void new_handler(int number, siginfo_t *info, void *context)
{
    say(number == SIGSEGV && context != NULL && info->si_addr == low ? "[new at 8]" : "[new]");
    _exit(6);
}

static void jump(int number)
{
    seen++;
    siglongjmp(back, number);
}

static void count(int number)
{
    (void)number;
    seen++;
}

static void set(void (*handler)(int), int flags)
{
    struct sigaction a = {.sa_handler = handler, .sa_flags = flags};
    sigaction(SIGSEGV, &a, NULL);
}

static void set_new(void)
{
    struct sigaction a = {.sa_flags = SA_SIGINFO};
    a.sa_sigaction = new_handler;
    sigaction(SIGSEGV, &a, NULL);
}

/* Behind a deep stack there is only the alternate one. */
__attribute__((noinline)) static int deep(unsigned levels)
{
    volatile char room[4096];
    int below = levels == 0 ? 0 : deep(levels - 1);
    __asm__ volatile("" : : "r"(room) : "memory"); /* or it becomes a loop */
    return below + 1;
}

static void on_stack(bool overflow)
{
    static char stack[64 * 1024];
    stack_t s = {.ss_sp = stack, .ss_size = sizeof stack};
    char *p = freed();
    sigaltstack(&s, NULL);
    if (overflow)
        _exit(deep(UINT32_MAX) & 1);
    touch_read(p);
}

static void jump_and_go_on(void)
{
    char *p = freed();
    for (int i = 0; i < 3; i++)
        if (sigsetjmp(back, 1) == 0)
            touch_read(i == 1 ? p : (char *)low);
    _exit(seen == 3 ? 40 : 41);
}

static void in_large_guard(void)
{
    char *p = mo_allocate(300000, MO_ORIGIN_MALLOC);
    touch_write(p + 300064);
}

/* With handle_segv=late moat comes with the first sampled chunk, which may be the loader's: musl's allocates before a
 * program's first own code. One chunk in RATE is, so that the next run will do. */
enum { RATE = 1000, MOAT_WAS_FIRST = 96 };

static void be_before_moat(void)
{
    struct sigaction now;
    if (sigaction(SIGSEGV, NULL, &now) != 0 || now.sa_handler != SIG_DFL)
        _exit(MOAT_WAS_FIRST);
}

static void run_case(const char *name)
{
    if (mo_sealed.options.handle_segv == MO_SEGV_LATE)
        be_before_moat();
    if (strcmp(name, "read") == 0)
        touch_read(freed());
    else if (strcmp(name, "write") == 0)
        touch_write(freed());
    else if (strcmp(name, "overflow") == 0)
        for (char *p = sampled();; p += 16)
            touch_write(p);
    else if (strcmp(name, "zero") == 0)
        touch_write(mo_allocate(0, MO_ORIGIN_MALLOC));
    else if (strcmp(name, "large") == 0)
        in_large_guard();
    else if (strcmp(name, "null") == 0)
        touch_read(low);
    else if (strcmp(name, "sent") == 0)
        raise(SIGSEGV);
    else if (strcmp(name, "later") == 0) {
        char *p = freed();
        set(old_handler, 0);
        touch_read(p);
    } else if (strcmp(name, "before, old") == 0) {
        set(old_handler, 0);
        touch_read(freed());
    } else if (strcmp(name, "before, new") == 0) {
        set_new();
        touch_read(freed());
    } else if (strcmp(name, "before, null") == 0) {
        set_new();
        (void)freed();
        touch_read(low);
    } else if (strcmp(name, "before, once") == 0) {
        set(count, (int)SA_RESETHAND);
        touch_read(freed());
        _exit(50);
    } else if (strcmp(name, "ignored, sent") == 0) {
        set(SIG_IGN, 0);
        (void)freed();
        raise(SIGSEGV);
        _exit(51);
    } else if (strcmp(name, "ignored") == 0) {
        set(SIG_IGN, 0);
        touch_read(freed());
    } else if (strcmp(name, "jump") == 0) {
        set(jump, 0);
        jump_and_go_on();
    } else if (strcmp(name, "stack") == 0)
        on_stack(false);
    else if (strcmp(name, "stack overflow") == 0)
        on_stack(true);
    else if (strcmp(name, "child") == 0) {
        char *p = freed();
        if (fork() == 0)
            touch_read(p);
        int status = 0;
        wait(&status);
        _exit(WIFSIGNALED(status) ? WTERMSIG(status) : 0);
    }
    _exit(97);
}

__attribute__((constructor)) static void say_if_asked(void)
{
    const char *name = getenv("FAULT_CASE");
    if (getenv("UNIT_SAY") != NULL && name != NULL)
        run_case(name);
}

static struct child run(const char *name, const char *options)
{
    char all[200];
    struct child c;
    setenv("FAULT_CASE", name, 1);
    snprintf(all, sizeof all, "sample_rate=%d %s", strstr(options, "late") != NULL ? RATE : 1, options);
    int tries = 5;
    do
        c = run_self(all, 0);
    while (c.code == MOAT_WAS_FIRST && --tries > 0);
    return c;
}

/* Where neither kernel nor instruction says what an access was, a report says "an access": the emulator leaves the
 * kernel's word out. */
#if defined(__powerpc__) || (defined(MOAT_TEST_EMULATOR) && (defined(__aarch64__) || defined(__arm__)))
enum { UNSAID = 1 };
#else
enum { UNSAID = 0 };
#endif

static bool says(const char *text, const char *words)
{
    char unsaid[100];
    const char *at = strstr(words, "a read");
    at = at != NULL ? at : strstr(words, "a write");
    if (UNSAID && at != NULL) {
        snprintf(unsaid, sizeof unsaid, "%.*san access", (int)(at - words), words);
        words = unsaid;
    }
    return strstr(text, words) != NULL;
}

/* The end by SIGSEGV after a report with these words. NULL: without one. */
static void expect_fault(const char *name, const char *options, const char *words, const char *more)
{
    struct child c = run(name, options);
    bool reported = strstr(c.text, "moat: ") != NULL;
    cr_expect(c.signal == SIGSEGV && reported == (words != NULL), "%s: signal %d, code %d: %s", name, c.signal, c.code,
              c.text);
    cr_expect(words == NULL || (says(c.text, words) && says(c.text, more)), "%s: wanted %s, %s: %s", name, words, more,
              c.text);
}

static void expect_code(const char *name, const char *options, int code, const char *words, bool reported)
{
    struct child c = run(name, options);
    cr_expect(c.code == code && says(c.text, words) && reported == (strstr(c.text, "moat: ") != NULL),
              "%s: signal %d, code %d: %s", name, c.signal, c.code, c.text);
}

Test(fault, is_reported_and_ends_the_process)
{
    expect_fault("read", "", "heap-use-after-free: a read", "freed by");
    expect_fault("write", "", "heap-use-after-free: a write", "allocated by");
    expect_fault("overflow", "", "heap-buffer-overflow: a write", "64-byte chunk");
    expect_fault("zero", "", "heap-buffer-overflow: a write", "0-byte chunk");
    expect_fault("zero", "sample_rate=0", "heap-buffer-overflow: a write", "malloc(0)");
    expect_fault("large", "", "heap-buffer-overflow: a write", "300000-byte chunk");
    expect_fault("read", "guards=mprotect", "heap-use-after-free: a read", "freed by");
}

Test(fault, of_somebody_else_is_not_reported)
{
    expect_fault("null", "", NULL, NULL);
    expect_fault("sent", "", NULL, NULL);
    expect_fault("stack overflow", "", NULL, NULL);
}

Test(fault, is_left_to_the_system_when_switched_off)
{
    expect_fault("read", "handle_segv=off", NULL, NULL);
    expect_fault("null", "handle_segv=off", NULL, NULL);
}

Test(fault, goes_to_a_handler_that_the_program_sets_later)
{
    expect_code("later", "", 5, "[old]", false);
    expect_code("later", "handle_segv=late", 5, "[old]", false);
}

Test(fault, goes_to_the_programs_handler_after_the_report)
{
    expect_code("before, old", "handle_segv=late", 5, "[old]", true);
    expect_code("before, new", "handle_segv=late", 6, "[new]", true);
    expect_code("before, null", "handle_segv=late", 6, "[new at 8]", false);
    expect_fault("before, once", "handle_segv=late", "heap-use-after-free", "a read");
}

Test(fault, ignored_is_so_only_when_it_was_sent)
{
    expect_code("ignored, sent", "handle_segv=late", 51, "", false);
    expect_fault("ignored", "handle_segv=late", "heap-use-after-free", "a read");
}

Test(fault, handlers_may_jump)
{
    expect_code("jump", "handle_segv=late", 40, "", true);
}

Test(fault, is_handled_on_the_alternate_stack)
{
    expect_fault("stack", "", "heap-use-after-free", "a read");
}

Test(fault, is_reported_in_a_forked_child)
{
    expect_code("child", "", SIGSEGV, "heap-use-after-free", true);
}
