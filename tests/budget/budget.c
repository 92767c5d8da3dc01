/* Counts the instructions of malloc and free, one step at a time.
 *
 *     budget SUBJECT LIBRARY           counts, prints the table and fails when a limit is passed
 *     budget --show SUBJECT [LIBRARY]  the table only; without a library for libc's malloc
 *     budget --self-test               checks the decoder
 *
 * The subject runs under ptrace with LIBRARY preloaded. What is counted is the routine alone: from the first
 * instruction after the call to its return, so neither the call nor a PLT of the subject.
 */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "budget.h"

/* A step takes some 10 us. The size with a budget is counted through several refills, the others for the table. */
enum { WARM = 5000, PAIRS = 1966, PAIRS_SHOWN = 80, SIZES = 5 };
static const size_t sizes[SIZES] = {16, 32, 64, 256, 1024};
static const size_t budget_size = 32;

/* The figures of one routine at one size. A budget is `at most`; the median is what nearly every call costs, the mean
 * has refills and whatever else is deferred in it. */
enum figure { INSTRUCTIONS, BRANCHES, LOCKED, CALLS, SYSCALLS, FIGURES };
static const char *const figure_names[FIGURES] = {"instructions", "conditional branches", "locked operations",
                                                  "inner calls", "system calls"};
static const char *const routine_names[BUDGET_ROUTINES] = {"malloc", "free"};

/* What gcc 12 makes of the code today, with a few instructions to spare, so that growth is noticed. The goal is 80 +
 * 100 instructions and 6 + 8 conditional branches, and a mean of 1.3 times their sum: tighten a number whenever the
 * code gets better than it. No lock and no inner call: that holds. */
static const struct limit {
    enum budget_routine routine;
    size_t size;
    enum figure figure;
    unsigned median;
} limits[] = {
    {BUDGET_MALLOC, 32, INSTRUCTIONS, 112}, {BUDGET_FREE, 32, INSTRUCTIONS, 152}, {BUDGET_MALLOC, 32, BRANCHES, 9},
    {BUDGET_FREE, 32, BRANCHES, 14},        {BUDGET_MALLOC, 32, LOCKED, 0},       {BUDGET_FREE, 32, LOCKED, 0},
    {BUDGET_MALLOC, 32, CALLS, 0},          {BUDGET_FREE, 32, CALLS, 0},          {BUDGET_MALLOC, 32, SYSCALLS, 0},
    {BUDGET_FREE, 32, SYSCALLS, 0},
};
static const double mean_limit = 1.15 * (112 + 152);

struct counts {
    unsigned of[FIGURES];
};
struct series {
    size_t n;
    struct counts calls[PAIRS];
};
static struct series counted[SIZES][BUDGET_ROUTINES];

static void die(const char *what)
{
    fprintf(stderr, "budget: %s: %s\n", what, strerror(errno));
    exit(2);
}

/* A step wakes the subject and then this process: on one CPU that is several times faster than on two. */
static void one_cpu(void)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    int cpu = sched_getcpu();
    CPU_SET(cpu < 0 ? 0 : cpu, &set);
    sched_setaffinity(0, sizeof set, &set); /* refused: only slower */
}

/* Starts the subject, stopped before its first instruction. */
static pid_t start(const char *subject, const char *library, size_t size, size_t pairs)
{
    pid_t child = fork();
    if (child < 0)
        die("fork");
    if (child == 0) {
        char number[3][24];
        snprintf(number[0], sizeof number[0], "%zu", size);
        snprintf(number[1], sizeof number[1], "%d", WARM);
        snprintf(number[2], sizeof number[2], "%zu", pairs);
        unsetenv("MOAT_OPTIONS");
        if (library != NULL ? setenv("LD_PRELOAD", library, 1) : unsetenv("LD_PRELOAD"))
            die("setenv");
        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
            die("ptrace");
        execl(subject, subject, number[0], number[1], number[2], (char *)NULL);
        die(subject);
    }
    return child;
}

/* Waits for the subject's next SIGTRAP, passing on other signals. false: it has ended well. */
static bool wait_trap(pid_t child, enum __ptrace_request how)
{
    for (long signal = 0;;) {
        if (ptrace(how, child, NULL, signal) != 0)
            die("ptrace step");
        int status;
        if (waitpid(child, &status, 0) != child)
            die("waitpid");
        if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
            return false;
        if (!WIFSTOPPED(status)) {
            fprintf(stderr, "budget: the subject died: wait status %#x\n", status);
            exit(2);
        }
        if (WSTOPSIG(status) == SIGTRAP)
            return true;
        signal = WSTOPSIG(status);
    }
}

static struct user_regs_struct registers(pid_t child)
{
    struct user_regs_struct r;
    if (ptrace(PTRACE_GETREGS, child, NULL, &r) != 0)
        die("ptrace registers");
    return r;
}

/* Flags of the instruction at address, from a table once they are known: the code does not change. */
static unsigned flags_at(pid_t child, unsigned long address)
{
    enum { SLOTS = 1 << 14 };
    static struct {
        pid_t child;
        unsigned long address;
        unsigned flags;
    } known[SLOTS];
    size_t i = (address ^ address >> 14) % SLOTS;
    if (known[i].address == address && known[i].child == child)
        return known[i].flags;
    uint8_t code[BUDGET_CODE] = {0};
    struct iovec here = {code, sizeof code}, there = {(void *)address, sizeof code};
    if (process_vm_readv(child, &here, 1, &there, 1, 0) < 1) {
        /* sandboxes may refuse that call; this one is slower */
        for (size_t n = 0; n < sizeof code / sizeof(long); n++) {
            long word = ptrace(PTRACE_PEEKTEXT, child, address + n * sizeof(long), NULL);
            memcpy(code + n * sizeof(long), &word, sizeof word);
        }
    }
    known[i].child = child;
    known[i].address = address;
    known[i].flags = budget_decode(code);
    return known[i].flags;
}

/* From a BUDGET_BEGIN to the BUDGET_END: what the one call in between does. */
static struct counts count_call(pid_t child)
{
    struct counts c = {{0}};
    struct user_regs_struct r = registers(child);
    unsigned long outer_stack = 0; /* the stack pointer before the call; 0 while there was none */
    for (;;) {
        unsigned flags = flags_at(child, r.rip);
        bool inside = outer_stack != 0 && r.rsp < outer_stack;
        if (flags & BUDGET_TRAP && !inside)
            break;
        if (flags & BUDGET_CALL && outer_stack == 0)
            outer_stack = r.rsp;
        if (inside) {
            c.of[INSTRUCTIONS]++;
            c.of[BRANCHES] += (flags & BUDGET_CONDITIONAL) != 0;
            c.of[LOCKED] += (flags & BUDGET_LOCKED) != 0;
            c.of[CALLS] += (flags & BUDGET_CALL) != 0;
            c.of[SYSCALLS] += (flags & BUDGET_SYSCALL) != 0;
        }
        if (!wait_trap(child, PTRACE_SINGLESTEP)) {
            fprintf(stderr, "budget: the subject ended inside a call\n");
            exit(2);
        }
        r = registers(child);
    }
    if (c.of[INSTRUCTIONS] == 0) {
        fprintf(stderr, "budget: no call was seen\n");
        exit(2);
    }
    return c;
}

static void count(const char *subject, const char *library, size_t size, struct series result[BUDGET_ROUTINES])
{
    size_t pairs = size == budget_size ? PAIRS : PAIRS_SHOWN;
    pid_t child = start(subject, library, size, pairs);
    int status;
    if (waitpid(child, &status, 0) != child || !WIFSTOPPED(status))
        die("the subject does not start");
    while (wait_trap(child, PTRACE_CONT)) {
        struct user_regs_struct r = registers(child);
        if (r.rax != BUDGET_BEGIN || r.rdi >= BUDGET_ROUTINES || result[r.rdi].n == pairs)
            continue;
        struct series *s = &result[r.rdi];
        s->calls[s->n++] = count_call(child);
    }
    if (result[BUDGET_MALLOC].n != pairs || result[BUDGET_FREE].n != pairs) {
        fprintf(stderr, "budget: %zu calls of malloc and %zu of free seen, want %zu\n", result[BUDGET_MALLOC].n,
                result[BUDGET_FREE].n, pairs);
        exit(2);
    }
}

static int ascending(const void *a, const void *b)
{
    unsigned x = *(const unsigned *)a, y = *(const unsigned *)b;
    return (x > y) - (x < y);
}

static unsigned median(const struct series *s, enum figure f)
{
    unsigned values[PAIRS];
    for (size_t i = 0; i < s->n; i++)
        values[i] = s->calls[i].of[f];
    qsort(values, s->n, sizeof values[0], ascending);
    return values[s->n / 2];
}

static double mean(const struct series *s, enum figure f)
{
    double sum = 0;
    for (size_t i = 0; i < s->n; i++)
        sum += s->calls[i].of[f];
    return sum / (double)s->n;
}

static void print_table(void)
{
    printf("%-7s %5s", "", "bytes");
    for (size_t f = 0; f < FIGURES; f++)
        printf("  %20s", figure_names[f]);
    printf("\n%-7s %5s", "", "");
    for (size_t f = 0; f < FIGURES; f++)
        printf("  %20s", "median (mean)");
    printf("\n");
    for (size_t r = 0; r < BUDGET_ROUTINES; r++)
        for (size_t s = 0; s < SIZES; s++) {
            printf("%-7s %5zu", routine_names[r], sizes[s]);
            for (size_t f = 0; f < FIGURES; f++)
                printf("  %9u (%8.2f)", median(&counted[s][r], f), mean(&counted[s][r], f));
            printf("\n");
        }
}

static size_t index_of(size_t size)
{
    for (size_t s = 0; s < SIZES; s++)
        if (sizes[s] == size)
            return s;
    fprintf(stderr, "budget: no size %zu in the table\n", size);
    exit(2);
}

static bool within_limits(void)
{
    bool good = true;
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        const struct limit *l = &limits[i];
        unsigned got = median(&counted[index_of(l->size)][l->routine], l->figure);
        if (got > l->median) {
            printf("over budget: %s(%zu): %u %s, at most %u\n", routine_names[l->routine], l->size, got,
                   figure_names[l->figure], l->median);
            good = false;
        }
    }
    size_t s = index_of(budget_size);
    double pair = mean(&counted[s][BUDGET_MALLOC], INSTRUCTIONS) + mean(&counted[s][BUDGET_FREE], INSTRUCTIONS);
    if (pair > mean_limit) {
        printf("over budget: a pair of %zu bytes: %.1f instructions in the mean, at most %.1f\n", budget_size, pair,
               mean_limit);
        good = false;
    }
    return good;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--self-test") == 0)
        return budget_decode_test() ? EXIT_SUCCESS : EXIT_FAILURE;
    bool show = argc > 1 && strcmp(argv[1], "--show") == 0;
    char **rest = argv + 1 + show;
    int count_rest = argc - 1 - show;
    if (count_rest != 2 && !(show && count_rest == 1)) {
        fprintf(stderr, "usage: budget [--show] SUBJECT LIBRARY\n");
        return 2;
    }
    one_cpu();
    for (size_t s = 0; s < SIZES; s++)
        count(rest[0], count_rest == 2 ? rest[1] : NULL, sizes[s], counted[s]);
    print_table();
    return show || within_limits() ? EXIT_SUCCESS : EXIT_FAILURE;
}
