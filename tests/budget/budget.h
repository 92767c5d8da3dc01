/* What the counter and its subject agree on.
 *
 * The subject tells the counter where it is by an int3 with a word in rax. Between BUDGET_BEGIN and
 * BUDGET_END it makes one call through a register or memory, the one to be counted.
 */
#ifndef BUDGET_H
#define BUDGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum budget_word { BUDGET_BEGIN = 0x62656701, BUDGET_END = 0x656e6402 };
enum budget_routine { BUDGET_MALLOC, BUDGET_FREE, BUDGET_ROUTINES };

/* What one instruction is, as far as the budget asks. */
enum {
    BUDGET_CONDITIONAL = 1, /* a conditional branch */
    BUDGET_LOCKED = 2,      /* locks the bus: lock prefix, or xchg with memory */
    BUDGET_CALL = 4,
    BUDGET_RETURN = 8,
    BUDGET_TRAP = 16, /* int3 */
    BUDGET_SYSCALL = 32
};

/* The longest x86 instruction. */
enum { BUDGET_CODE = 15 };

/* Flags of the instruction at code. */
unsigned budget_decode(const uint8_t code[BUDGET_CODE]);

/* Whether the decoder knows a table of instructions; prints those that it does not. */
bool budget_decode_test(void);

#endif
