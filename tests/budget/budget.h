/* What the budget's parts agree on: what is counted, of which routines, and how a line of figures looks. */
#ifndef BUDGET_H
#define BUDGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum budget_routine { BUDGET_MALLOC, BUDGET_FREE, BUDGET_CALLOC, BUDGET_REALLOC, BUDGET_ROUTINES };
enum budget_figure {
    BUDGET_INSTRUCTIONS,
    BUDGET_BRANCHES, /* conditional */
    BUDGET_LOCKS,    /* operations that lock the bus: lock prefix, or xchg with memory */
    BUDGET_INNER,    /* calls */
    BUDGET_KERNEL,   /* system calls */
    BUDGET_FIGURES
};
#define BUDGET_ROUTINE_NAMES                  \
    {                                         \
        "malloc", "free", "calloc", "realloc" \
    }
#define BUDGET_FIGURE_NAMES                                                                        \
    {                                                                                              \
        "instructions", "conditional branches", "locked operations", "inner calls", "system calls" \
    }

/* What one instruction is, as far as the budget asks. */
enum {
    BUDGET_CONDITIONAL = 1,
    BUDGET_LOCKED = 2,
    BUDGET_CALL = 4,
    BUDGET_RETURN = 8,
    BUDGET_REPEATED = 16, /* a string instruction that traps once for each element */
    BUDGET_SYSCALL = 32,
    BUDGET_NEWER = 64 /* of a CPU newer than the first x86-64 ones: SSSE3 to SSE4.2, AES */
};

/* The longest x86 instruction. */
enum { BUDGET_CODE = 15 };

/* Flags of the instruction at code, of which only the bytes that it has are read. */
unsigned budget_decode(const uint8_t code[]);

/* Whether the decoder knows a table of instructions; prints those that it does not. */
bool budget_decode_test(void);

/* What one call did. */
struct budget_counts {
    unsigned of[BUDGET_FIGURES];
};

/* Calls routine(a, b) one step at a time; its result. Counted is the routine alone, from its first instruction to its
 * return. Nothing but the calling thread may trap meanwhile. */
void *budget_step(void *routine, uintptr_t a, uintptr_t b, struct budget_counts *counts);

/* How many of BUDGET_NEWER there were in all calls, but for inner ones: libsodium chooses by itself. */
extern size_t budget_newer;

/* Before the first step: takes SIGTRAP. */
bool budget_step_start(void);

#endif
