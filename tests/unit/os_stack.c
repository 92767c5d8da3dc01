/* Call stacks: the frames that are there are found in order, and nothing that lies on a stack makes a walk fault. */
#include <pthread.h>
#include <stdio.h>
#include <sys/mman.h>
#include <time.h>
#include <ucontext.h>

#include "child.h"
#include "os/os.h"
#include "os/stack.h"

enum { LEVELS = 4, DEEPEST = 13 };

/* Where each level of `descend` returns to, innermost first. */
static uintptr_t returns[DEEPEST];
static struct mo_stack taken;

/* On i386 a guessed stack may be full of what earlier calls have left before it has reached the last frame. */
#if defined(__i386__)
enum { MAY_BE_FULL = 1 };
#else
enum { MAY_BE_FULL = 0 };
#endif

/* Whether `returns` are among the frames, in their order. */
static bool holds_returns(const struct mo_stack *s)
{
    size_t found = 0;
    for (size_t i = 0; i < s->count && found < LEVELS; i++)
        if (s->frames[i] == returns[found])
            found++;
    return found == LEVELS || (MAY_BE_FULL && s->guessed && s->count == MO_STACK_MOST && found >= 2);
}

static void take(void)
{
    mo_stack_take(&taken, MO_STACK_MOST);
}

static __attribute__((noinline)) int descend(int level, void (*bottom)(void))
{
    volatile char room[64]; /* a frame of some size */
    room[0] = (char)level;
    returns[level] = (uintptr_t)__builtin_return_address(0);
    if (level == 0)
        bottom();
    else
        (void)descend(level - 1, bottom);
    return room[0];
}

Test(os_stack, frames_are_found_in_order)
{
    errno = 77;
    (void)descend(LEVELS - 1, take);
    cr_expect_eq(errno, 77);
    cr_expect_eq((long)taken.thread, mo_os_thread_id());
    cr_assert(taken.count >= LEVELS && taken.count <= MO_STACK_MOST, "%u frames", (unsigned)taken.count);
    cr_expect(holds_returns(&taken));
}

static void *descend_in_thread(void *unused)
{
    (void)unused;
    (void)descend(LEVELS - 1, take);
    cr_expect_eq((long)taken.thread, mo_os_thread_id());
    cr_expect(holds_returns(&taken));
    return NULL;
}

Test(os_stack, another_thread)
{
    pthread_t thread;
    cr_assert_eq(pthread_create(&thread, NULL, descend_in_thread, NULL), 0);
    cr_assert_eq(pthread_join(thread, NULL), 0);
    cr_expect_neq((long)taken.thread, mo_os_thread_id());
}

static uintptr_t fault_pc;

static void on_fault(int signal_number, siginfo_t *info, void *context)
{
    (void)signal_number;
    (void)info;
    mo_stack_of_context(&taken, context);
#if defined(__x86_64__)
    fault_pc = (uintptr_t)((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
#endif
#if defined(__x86_64__) && defined(__GLIBC__)
    if (taken.guessed)
        _exit(4);
#elif defined(__powerpc__)
    if (!taken.guessed)
        _exit(5);
#endif
    /* The frames of the code that was interrupted, not of this handler. */
    _exit(taken.count > LEVELS && holds_returns(&taken) && (fault_pc == 0 || taken.frames[0] == fault_pc + 1) ? 0 : 3);
}

static void fault(void)
{
    static volatile uintptr_t nowhere = 16;
    touch_write((void *)nowhere);
}

static void fault_below(void *on_own_stack)
{
    static char stack[65536];
    struct sigaction action = {.sa_sigaction = on_fault,
                               .sa_flags = SA_SIGINFO | (on_own_stack != NULL ? SA_ONSTACK : 0)};
    const stack_t own = {.ss_sp = stack, .ss_size = sizeof stack};
    sigaltstack(&own, NULL);
    sigaction(SIGSEGV, &action, NULL);
    (void)descend(LEVELS - 1, fault);
    _exit(2);
}

Test(os_stack, of_a_fault)
{
    cr_expect_eq(run_child(fault_below, NULL).code, 0);
    cr_expect_eq(run_child(fault_below, &taken).code, 0, "with a stack for signals");
}

static void call_through_nothing(void *unused)
{
    (void)unused;
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
    sigaction(SIGSEGV, &action, NULL);
    (void)descend(LEVELS - 1, (void (*)(void))(uintptr_t)16);
    _exit(2);
}

Test(os_stack, of_a_call_through_a_wild_pointer)
{
    cr_expect_eq(run_child(call_through_nothing, NULL).code, 0);
}

static __attribute__((noinline)) int endless(int n)
{
    static volatile bool stop;
    volatile char room[4096];
    room[0] = (char)n;
    return stop ? 0 : endless(n + 1) + room[0];
}

static void on_overflow(int signal_number, siginfo_t *info, void *context)
{
    (void)signal_number;
    (void)info;
    mo_stack_of_context(&taken, context);
    /* Looked for among 16 KiB of words: these frames take 4 KiB each. */
    bool enough = taken.guessed ? taken.count >= 2 : taken.count == MO_STACK_MOST;
    _exit(enough ? 0 : 3);
}

/* The first thread's stack, whose end is below what the kernel lets it grow to. */
static void overflow_the_stack(void *unused)
{
    static char stack[65536];
    const struct rlimit small = {1 << 20, 1 << 20};
    struct sigaction action = {.sa_sigaction = on_overflow, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    const stack_t own = {.ss_sp = stack, .ss_size = sizeof stack};
    (void)unused;
    setrlimit(RLIMIT_STACK, &small);
    sigaltstack(&own, NULL);
    sigaction(SIGSEGV, &action, NULL);
    _exit(endless(0));
}

Test(os_stack, of_a_stack_that_has_overflowed)
{
    struct child c = run_child(overflow_the_stack, NULL);
    cr_expect_eq(c.code, 0, "signal %d", c.signal);
}

#ifdef __x86_64__
/* The same where no table says how far the frame goes: its callers are looked for above pages that are not there. */
Test(os_stack, of_an_overflow_that_is_guessed)
{
    enum { CLOSED = 65536, BELOW = 40000 };
    char *p = mmap(NULL, 2 * CLOSED, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    cr_assert(p != MAP_FAILED && mprotect(p, CLOSED, PROT_NONE) == 0);
    (void)descend(LEVELS - 1, take);
    memcpy(p + CLOSED + 1024, returns, LEVELS * sizeof returns[0]);
    ucontext_t u = {0};
    u.uc_mcontext.gregs[REG_RIP] = 16;
    u.uc_mcontext.gregs[REG_RSP] = (greg_t)(uintptr_t)(p + CLOSED - BELOW);
    mo_stack_of_context(&taken, &u);
    cr_expect(taken.guessed && taken.count == LEVELS + 1 && holds_returns(&taken), "%u frames", (unsigned)taken.count);
    cr_assert_eq(munmap(p, 2 * CLOSED), 0);
}
#endif

#ifdef __GLIBC__ /* musl has no makecontext */
static ucontext_t back, there;
static bool there_was_found;

static void run_there(void)
{
    (void)descend(LEVELS - 1, take);
    there_was_found = holds_returns(&taken);
}

Test(os_stack, a_stack_between_inaccessible_pages)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), size = mo_align_up(32768, page);
    char *p = mmap(NULL, size + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    cr_assert(p != MAP_FAILED && mprotect(p + page, size, PROT_READ | PROT_WRITE) == 0);
    cr_assert_eq(getcontext(&there), 0);
    there.uc_stack.ss_sp = p + page;
    there.uc_stack.ss_size = size;
    there.uc_link = &back;
    makecontext(&there, run_there, 0);
    cr_assert_eq(swapcontext(&back, &there), 0);
    cr_expect(there_was_found);
}
#endif

#if defined(__x86_64__) && defined(__GLIBC__)
#include <execinfo.h>

static bool same, interrupted; /* of an interrupted instruction we have the address + 1 */

/* libgcc's unwinder, which may allocate, finds the same frames: all but the innermost, which is this one. */
static void compare_with_backtrace(void)
{
    enum { MOST = 40 };
    void *theirs[MOST];
    mo_stack_take(&taken, MO_STACK_MOST);
    int count = backtrace(theirs, MOST), at = 0;
    /* Unit tests hold moat itself, so that its frames come first: to the one that descend has called. */
    size_t ours = 0;
    while (ours < taken.count && taken.frames[ours] != returns[0])
        ours++;
    while (at < count && (uintptr_t)theirs[at] != returns[0])
        at++;
    same = !taken.guessed && ours < taken.count && at < count;
    for (; ours < taken.count && at < count; ours++, at++)
        same = same && taken.frames[ours] - (uintptr_t)theirs[at] <= (interrupted ? 1 : 0);
    same = same && (ours == MO_STACK_MOST || at == count);
}

static int compare_in_qsort(const void *a, const void *b)
{
    (void)a;
    (void)b;
    return descend(LEVELS - 2, compare_with_backtrace);
}

static void compare_in_handler(int signal_number)
{
    (void)signal_number;
    (void)descend(1, compare_with_backtrace);
}

/* An object on the stack that needs more than the usual alignment: the frame is found by an expression. */
static __attribute__((noinline)) void realigned(void)
{
    volatile char room[256] __attribute__((aligned(128)));
    room[0] = (char)descend(1, compare_with_backtrace);
    same = same && room[0] == 1;
}

Test(os_stack, as_libgcc_sees_it)
{
    int two[2] = {1, 2};
    (void)descend(LEVELS - 1, compare_with_backtrace);
    cr_expect(same, "direct");
    (void)descend(12, compare_with_backtrace);
    cr_expect(same && taken.count == MO_STACK_MOST, "a deep stack");
    qsort(two, 2, sizeof two[0], compare_in_qsort);
    cr_expect(same, "through libc");
    realigned();
    cr_expect(same, "through a realigned frame");
    signal(SIGUSR1, compare_in_handler);
    interrupted = true;
    raise(SIGUSR1);
    cr_expect(same, "in a signal handler");
}
#endif

/* Words that a stack might hold, most of them lies. */
static uintptr_t lie(uint64_t *state, const char *closed)
{
    uint64_t n = next_number(state);
    switch (n % 7) {
    case 0:
        return (uintptr_t)n;
    case 1:
        return (uintptr_t)closed + n / 8 % 4096;
    case 2:
        return (uintptr_t)&lie + n / 8 % 65536;
    case 3:
        return (uintptr_t)&printf + n / 8 % 16777216;
    case 4:
        return (uintptr_t)&state + n / 8 % 65536;
    case 5:
        return (uintptr_t)&returns + n / 8 % 8192;
    default:
        return UINTPTR_MAX - n / 8 % 64;
    }
}

static __attribute__((noinline)) void take_above(volatile uintptr_t *words)
{
    mo_stack_take(&taken, MO_STACK_MOST);
    words[0] = taken.count;
}

/* Where libc or the processor has no unwind tables, each walk makes thousands of system calls. */
static bool is_time_left(void)
{
    return clock() < 10 * CLOCKS_PER_SEC;
}

static void take_among_lies(void *unused)
{
    enum { WORDS = 1024 };
    uint64_t state = 88172645463325252u;
    const char *closed = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    volatile uintptr_t words[WORDS];
    (void)unused;
    for (int round = 0; round < 2000 && is_time_left(); round++) {
        for (size_t i = 0; i < WORDS; i++)
            words[i] = lie(&state, closed);
        take_above(words);
    }
}

Test(os_stack, lies_do_no_harm)
{
    struct child c = run_child(take_among_lies, NULL);
    cr_expect_eq(c.code, 0, "signal %d", c.signal);
}

/* Where the registers are behind a pointer, which may be a lie too: one that points to lies, every other time. */
static void point_to_registers(ucontext_t *u, int round)
{
#if defined(__powerpc__) && !defined(__powerpc64__)
    mcontext_t *inside = (mcontext_t *)(void *)((char *)(u + 1) - sizeof(mcontext_t)); /* the struct's last part */
#ifdef __GLIBC__
    mcontext_t **pointer = &u->uc_mcontext.uc_regs;
    inside = (mcontext_t *)((uintptr_t)inside & ~(uintptr_t)15);
#else
    mcontext_t **pointer = &u->uc_regs;
#endif
    if (round % 2 == 0)
        *pointer = inside;
#else
    (void)u;
    (void)round;
#endif
}

static void walk_of_lies(void *unused)
{
    uint64_t state = 1234567;
    const char *closed = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    (void)unused;
    for (int round = 0; round < 20000 && is_time_left(); round++) {
        ucontext_t u;
        uintptr_t *words = (uintptr_t *)(void *)&u;
        for (size_t i = 0; i < sizeof u / sizeof *words; i++)
            words[i] = lie(&state, closed);
        point_to_registers(&u, round);
        mo_stack_of_context(&taken, &u);
        if (taken.count > MO_STACK_MOST)
            _exit(4);
    }
}

Test(os_stack, registers_that_lie_do_no_harm)
{
    struct child c = run_child(walk_of_lies, NULL);
    cr_expect_eq(c.code, 0, "signal %d", c.signal);
}
