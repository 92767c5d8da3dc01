/* From frame to frame. See unwind.h. */
#include "os/unwind.h"

#include <string.h>

#include "os/os.h"
#include "os/private.h"
#include "os/unwind_table.h"

MO_ANY_MEMORY static uintptr_t peek(uintptr_t at)
{
    return *(const uintptr_t *)at;
}

bool mo_unwind_load(struct mo_unwind_memory *m, uintptr_t at, uintptr_t *value)
{
    enum { PAGE = 4096 }; /* the smallest page: what one answer of the kernel vouches for */
    if (at % sizeof *value != 0)
        return false;
    if (at - m->low >= m->high - m->low && mo_align_down(at, PAGE) != m->page) {
        if (!mo_os_readable(at))
            return false;
        m->page = mo_align_down(at, PAGE);
    }
    *value = peek(at);
    return true;
}

#if MO_UNWIND

/* DWARF's operators, as far as compilers and the C library use them for frames. */
enum {
    OP_DEREF = 0x06,
    OP_CONST1U = 0x08,
    OP_CONST1S,
    OP_CONST2U,
    OP_CONST2S,
    OP_CONST4U,
    OP_CONST4S,
    OP_AND = 0x1a,
    OP_MINUS = 0x1c,
    OP_PLUS = 0x22,
    OP_PLUS_CONST,
    OP_SHL,
    OP_GE = 0x2a,
    OP_LIT0 = 0x30,
    OP_BREG0 = 0x70,

    VALUES_MOST = 8 /* on an expression's stack */
};

/* What an expression is evaluated with. */
struct machine {
    const struct mo_frame *frame;
    struct mo_unwind_memory *memory;
    uintptr_t values[VALUES_MOST];
    size_t count;
};

static bool push(struct machine *m, uintptr_t v)
{
    if (m->count == VALUES_MOST)
        return false;
    m->values[m->count++] = v;
    return true;
}

/* a OP b, the two topmost values. */
static bool combine(struct machine *m, unsigned op)
{
    if (m->count < 2)
        return false;
    uintptr_t b = m->values[--m->count], *a = &m->values[m->count - 1];
    switch (op) {
    case OP_AND:
        *a &= b;
        return true;
    case OP_MINUS:
        *a -= b;
        return true;
    case OP_PLUS:
        *a += b;
        return true;
    case OP_SHL:
        *a = b < 64 ? *a << b : 0;
        return true;
    case OP_GE:
        *a = (intptr_t)*a >= (intptr_t)b;
        return true;
    default:
        return false;
    }
}

static bool operate(struct machine *m, struct mo_bytes *b, unsigned op)
{
    if (op >= OP_BREG0 && op < OP_BREG0 + MO_REGS) {
        unsigned reg = op - OP_BREG0;
        uintptr_t base = reg == MO_REG_RA ? m->frame->pc - 1 : m->frame->reg[reg];
        return push(m, base + (uintptr_t)mo_take_sleb(b));
    }
    if (op >= OP_LIT0 && op < OP_LIT0 + 32)
        return push(m, op - OP_LIT0);
    if (op == OP_CONST1U || op == OP_CONST2U || op == OP_CONST4U)
        return push(m, (uintptr_t)mo_take(b, (size_t)1 << (op - OP_CONST1U) / 2));
    if (op == OP_CONST1S)
        return push(m, (uintptr_t)(int8_t)mo_take(b, 1));
    if (op == OP_PLUS_CONST) {
        uintptr_t n = (uintptr_t)mo_take_uleb(b);
        return push(m, n) && combine(m, OP_PLUS);
    }
    if (op == OP_DEREF)
        return m->count > 0 && mo_unwind_load(m->memory, m->values[m->count - 1], &m->values[m->count - 1]);
    return combine(m, op);
}

/* The value of the expression at p. */
static bool evaluate(struct machine *m, const unsigned char *p, const unsigned char *limit, uintptr_t *value)
{
    struct mo_bytes b = {p, limit, false};
    uint64_t n = mo_take_uleb(&b);
    if (b.bad || n > (uint64_t)(limit - b.at))
        return false;
    b.end = b.at + n;
    while (b.at < b.end && !b.bad) {
        unsigned op = (unsigned)mo_take(&b, 1);
        if (!operate(m, &b, op))
            return false;
    }
    *value = m->count > 0 ? m->values[m->count - 1] : 0;
    return !b.bad && m->count > 0;
}

/* One register of the caller. */
static bool recover(const struct mo_frame *f, struct mo_unwind_memory *memory, const struct mo_rule *rule,
                    uintptr_t cfa, const unsigned char *header, const unsigned char *limit, uintptr_t *value)
{
    struct machine m = {.frame = f, .memory = memory};
    switch (rule->how) {
    case MO_AT_OFFSET:
        return mo_unwind_load(memory, cfa + (uintptr_t)(intptr_t)rule->value, value);
    case MO_IS_OFFSET:
        *value = cfa + (uintptr_t)(intptr_t)rule->value;
        return true;
    case MO_IN_REGISTER:
        if (rule->value < 0 || rule->value >= MO_REGS)
            return false;
        *value = f->reg[rule->value];
        return true;
    case MO_AT_EXPRESSION:
        (void)push(&m, cfa);
        return evaluate(&m, header + rule->value, limit, value) && mo_unwind_load(memory, *value, value);
    case MO_IS_EXPRESSION:
        (void)push(&m, cfa);
        return evaluate(&m, header + rule->value, limit, value);
    default: /* as it was, or of no value */
        return true;
    }
}

static bool find_cfa(const struct mo_frame *f, struct mo_unwind_memory *memory, const struct mo_row *row,
                     const unsigned char *header, const unsigned char *limit, uintptr_t *cfa)
{
    struct machine m = {.frame = f, .memory = memory};
    if (row->cfa.how == MO_IN_REGISTER) {
        *cfa = f->reg[row->cfa.value] + (uintptr_t)(intptr_t)row->cfa_offset;
        return true;
    }
    return row->cfa.how == MO_AT_EXPRESSION && evaluate(&m, header + row->cfa.value, limit, cfa);
}

enum mo_unwound mo_unwind_step(struct mo_frame *f, struct mo_unwind_memory *memory)
{
    const unsigned char *header, *limit;
    struct mo_row row;
    struct mo_frame caller = *f;
    uintptr_t cfa;
    if (!mo_unwind_row(f->pc - 1, &row, &header, &limit) || !find_cfa(f, memory, &row, header, limit, &cfa))
        return MO_UNWOUND_LOST;
    if (row.reg[MO_REG_RA].how == MO_UNDEFINED)
        return MO_UNWOUND_END;
    /* A stack grows down; only a signal's frame may lie elsewhere. Without this a loop of frames would be endless. */
    if (cfa <= f->reg[MO_REG_SP] && !row.signal_frame)
        return MO_UNWOUND_LOST;
    for (size_t i = 0; i < MO_REGS; i++)
        if (!recover(f, memory, &row.reg[i], cfa, header, limit, &caller.reg[i]))
            return MO_UNWOUND_LOST;
    if (row.reg[MO_REG_SP].how == MO_SAME)
        caller.reg[MO_REG_SP] = cfa;
    caller.pc = caller.reg[MO_REG_RA];
    if (row.signal_frame)
        caller.pc++; /* the instruction that was interrupted, not one after a call */
    *f = caller;
    return f->pc > 1 ? MO_UNWOUND_CALLER : MO_UNWOUND_END;
}
#elif defined(__powerpc__) && !defined(__powerpc64__)
/* Each frame starts with the address of its caller's, where what it calls keeps the return address. */
enum mo_unwound mo_unwind_step(struct mo_frame *f, struct mo_unwind_memory *m)
{
    uintptr_t sp = f->reg[MO_REG_SP], caller, pc;
    if (!mo_unwind_load(m, sp, &caller) || (caller != 0 && caller <= sp))
        return MO_UNWOUND_LOST;
    if (caller == 0)
        return MO_UNWOUND_END;
    if (!mo_unwind_load(m, caller + sizeof caller, &pc))
        return MO_UNWOUND_LOST;
    f->reg[MO_REG_SP] = caller;
    f->pc = pc;
    return pc > 1 ? MO_UNWOUND_CALLER : MO_UNWOUND_END;
}
#else
enum mo_unwound mo_unwind_step(struct mo_frame *f, struct mo_unwind_memory *m)
{
    (void)f;
    (void)m;
    return MO_UNWOUND_LOST;
}
#endif
