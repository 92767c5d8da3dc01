/* Call stacks without the unwinder of libgcc, which takes locks and may allocate. See stack.h.
 *
 * Frames are followed by the compiler's tables (unwind.h), as Debian's libraries keep no frame pointers. Where those
 * are missing, the rest of the stack is looked through for return addresses: words that point into a loaded object,
 * right behind a call instruction. Such a word may be left over from an earlier call, so the stack is marked. */
#include "os/stack.h"

#include <pthread.h>
#include <sys/auxv.h>
#include <ucontext.h>

#include "os/code.h"
#include "os/os.h"
#include "os/unwind.h"

enum {
    SCAN_BYTES = 16384, /* looked through at most */
    SKIP_BYTES = 65536, /* of a frame below the stack that it has overflowed, at most */
    SMALLEST_PAGE = 4096,
    STEPS_MOST = 64, /* frames followed at most: those of moat are not shown */
    MAIN_STACK = 64 << 20
};

/* Where the kernel has put the 16 bytes of AT_RANDOM: above the first thread's stack. Asked at start, as an overflow
 * of that stack may have changed what getauxval reads. */
static uintptr_t first_stack_end;

void mo_stack_start(void)
{
    first_stack_end = (uintptr_t)getauxval(AT_RANDOM);
    mo_code_start();
}

/* The end of the stack that sp lies on, as far as it is known: a thread's descriptor lies above its stack, and the
 * bytes of AT_RANDOM above the first thread's. A stack of the program's own ends where it can't be read. */
static uintptr_t stack_end(uintptr_t sp)
{
    uintptr_t end = UINTPTR_MAX - SCAN_BYTES;
    uintptr_t marks[2] = {(uintptr_t)pthread_self(), first_stack_end};
    for (size_t i = 0; i < MO_ARRAY_LEN(marks); i++)
        if (marks[i] > sp && marks[i] < end)
            end = marks[i];
    return mo_align_down(end, sizeof(uintptr_t));
}

/* What can be read from the running thread's sp on: all of the first thread's stack. The kernel keeps the 128 MiB
 * below it free of other mappings, so that whatever is close below its end is on it. */
static struct mo_unwind_memory memory_of(uintptr_t sp)
{
    struct mo_unwind_memory m = {.page = 1};
    uintptr_t end = first_stack_end;
    if (end > sp && end - sp < MAIN_STACK) {
        m.low = sp;
        m.high = mo_align_down(end, sizeof(uintptr_t));
    }
    return m;
}

static void push(struct mo_stack *s, uintptr_t pc)
{
    /* moat's own innermost frames say nothing; in a static program they can't be told from the program's. */
    if (s->count < s->most && (s->count != 0 || !mo_code_is_own(pc - 1)))
        s->frames[s->count++] = pc;
}

static void scan(struct mo_stack *s, struct mo_unwind_memory *m, uintptr_t sp)
{
    uintptr_t word;
    if (sp > UINTPTR_MAX - SKIP_BYTES - 2 * SCAN_BYTES)
        return; /* what a context says may be nonsense */
    sp = mo_align_up(sp, sizeof(uintptr_t));
    for (uintptr_t last = sp + SKIP_BYTES; sp < last && !mo_unwind_load(m, sp, &word);)
        sp = mo_align_down(sp, SMALLEST_PAGE) + SMALLEST_PAGE;
    uintptr_t end = mo_min(stack_end(sp), sp + SCAN_BYTES);
    s->guessed = true;
    for (uintptr_t at = sp; at < end && s->count < s->most && mo_unwind_load(m, at, &word); at += sizeof word)
        if (!(word >= sp && word < end) && mo_code_is_return(word))
            push(s, word);
}

/* After a call through a wild pointer the caller's frame is whole but for the return address on top of it. */
static enum mo_unwound return_from_nowhere(struct mo_frame *f, struct mo_unwind_memory *m)
{
    uintptr_t caller;
    if (!MO_UNWIND || !mo_unwind_load(m, f->reg[MO_REG_SP], &caller) || !mo_code_is_return(caller))
        return MO_UNWOUND_LOST;
    f->pc = caller;
    f->reg[MO_REG_SP] += sizeof caller;
    return MO_UNWOUND_CALLER;
}

/* On 32-bit powerpc code that was interrupted need not have a frame of its own: its caller is then missing. */
#if defined(__powerpc__) && !defined(__powerpc64__)
enum { LEAVES_LACK_FRAMES = 1 };
#else
enum { LEAVES_LACK_FRAMES = 0 };
#endif

static void walk(struct mo_stack *s, struct mo_frame *f, struct mo_unwind_memory *m, size_t most, bool interrupted)
{
    enum mo_unwound step = MO_UNWOUND_CALLER;
    s->thread = mo_os_thread_known();
    s->count = 0;
    s->most = (uint8_t)most;
    s->guessed = interrupted && LEAVES_LACK_FRAMES;
    for (unsigned i = 0; i < STEPS_MOST && s->count < s->most && step == MO_UNWOUND_CALLER; i++) {
        if (f->pc != 0)
            push(s, f->pc);
        step = mo_unwind_step(f, m);
        if (step == MO_UNWOUND_LOST && i == 0 && interrupted)
            step = return_from_nowhere(f, m);
    }
    if (step == MO_UNWOUND_LOST)
        scan(s, m, f->reg[MO_REG_SP]);
}

#if defined(__x86_64__)
/* This function's own frame, with the registers that a caller may have left values in. */
MO_COLD void mo_stack_take(struct mo_stack *s, size_t most)
{
    struct mo_frame f = {0};
    __asm__ volatile("leaq 0f(%%rip), %%rax\n"
                     "0:\tmovq %%rax, %0\n\t"
                     "movq %%rbx, 24(%1)\n\t"
                     "movq %%rbp, 48(%1)\n\t"
                     "movq %%rsp, 56(%1)\n\t"
                     "movq %%r12, 96(%1)\n\t"
                     "movq %%r13, 104(%1)\n\t"
                     "movq %%r14, 112(%1)\n\t"
                     "movq %%r15, 120(%1)"
                     : "=m"(f.pc)
                     : "r"(f.reg)
                     : "rax", "memory");
    f.pc++;
    struct mo_unwind_memory m = memory_of(f.reg[MO_REG_SP]);
    walk(s, &f, &m, most, false);
}
#else
MO_COLD void mo_stack_take(struct mo_stack *s, size_t most)
{
    struct mo_frame f = {.reg[MO_REG_SP] = (uintptr_t)__builtin_frame_address(0)};
    struct mo_unwind_memory m = memory_of(f.reg[MO_REG_SP]);
    walk(s, &f, &m, most, false);
}
#endif

/* The registers of the interrupted code, as this architecture's kernel stores them. */
static struct mo_frame interrupted(const ucontext_t *u)
{
    struct mo_frame f = {0};
#if defined(__x86_64__)
    static const uint8_t places[] = {REG_RAX, REG_RDX, REG_RCX, REG_RBX, REG_RSI, REG_RDI, REG_RBP, REG_RSP,
                                     REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};
    for (size_t i = 0; i < MO_ARRAY_LEN(places); i++)
        f.reg[i] = (uintptr_t)u->uc_mcontext.gregs[places[i]];
    f.pc = (uintptr_t)u->uc_mcontext.gregs[REG_RIP];
#elif defined(__i386__)
    f.pc = (uintptr_t)u->uc_mcontext.gregs[REG_EIP];
    f.reg[MO_REG_SP] = (uintptr_t)u->uc_mcontext.gregs[REG_ESP];
#elif defined(__aarch64__)
    f.pc = (uintptr_t)u->uc_mcontext.pc;
    f.reg[MO_REG_SP] = (uintptr_t)u->uc_mcontext.sp;
#elif defined(__arm__)
    f.pc = (uintptr_t)u->uc_mcontext.arm_pc;
    f.reg[MO_REG_SP] = (uintptr_t)u->uc_mcontext.arm_sp;
#elif defined(__riscv)
    f.pc = (uintptr_t)u->uc_mcontext.__gregs[REG_PC];
    f.reg[MO_REG_SP] = (uintptr_t)u->uc_mcontext.__gregs[REG_SP];
#elif defined(__powerpc__) && !defined(__powerpc64__)
    enum { R1 = 1, NIP = 32 };
#ifdef __GLIBC__
    const mcontext_t *regs = u->uc_mcontext.uc_regs;
#else
    const mcontext_t *regs = u->uc_regs;
#endif
    /* The kernel has put them into the same struct; a pointer out of it is somebody's lie. */
    if ((uintptr_t)regs - (uintptr_t)u <= sizeof *u - sizeof regs->gregs && (uintptr_t)regs % sizeof(uintptr_t) == 0) {
        f.pc = (uintptr_t)regs->gregs[NIP];
        f.reg[MO_REG_SP] = (uintptr_t)regs->gregs[R1];
    } else {
        f.reg[MO_REG_SP] = UINTPTR_MAX;
    }
#else
    (void)u;
    f.reg[MO_REG_SP] = UINTPTR_MAX;
#endif
    /* As if it were a call's: one is taken off again when it is shown. */
    f.pc++;
    return f;
}

void mo_stack_of_context(struct mo_stack *s, const void *ucontext)
{
    struct mo_frame f = interrupted(ucontext);
    struct mo_unwind_memory m = {.page = 1}; /* nothing is sure: sp may lie below a stack that has overflowed */
    walk(s, &f, &m, MO_STACK_MOST, true);
}
