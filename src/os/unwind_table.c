/* Reading .eh_frame: DWARF's tables of how to get from a frame to its caller. See unwind.h. */
#include "os/unwind_table.h"

#include <string.h>

#include "os/code.h"

#if MO_UNWIND

/* DWARF's call frame instructions as far as compilers use them. */
enum {
    CFA_NOP,
    CFA_ADVANCE1 = 0x02,
    CFA_ADVANCE2,
    CFA_ADVANCE4,
    CFA_OFFSET_EXTENDED,
    CFA_RESTORE_EXTENDED,
    CFA_UNDEFINED,
    CFA_SAME,
    CFA_REGISTER,
    CFA_REMEMBER,
    CFA_RESTORE_STATE,
    CFA_DEF,
    CFA_DEF_REGISTER,
    CFA_DEF_OFFSET,
    CFA_DEF_EXPRESSION,
    CFA_EXPRESSION,
    CFA_OFFSET_EXTENDED_SF,
    CFA_DEF_SF,
    CFA_DEF_OFFSET_SF,
    CFA_VAL_OFFSET,
    CFA_VAL_EXPRESSION = 0x16,
    CFA_ARGS_SIZE = 0x2e,
    CFA_ADVANCE = 0x40,
    CFA_OFFSET = 0x80,
    CFA_RESTORE = 0xc0,

    ENCODING_PC_REL_S4 = 0x1b,
    ENCODING_U4 = 0x03,
    ENCODING_DATA_REL_S4 = 0x3b,

    REMEMBERED_MOST = 3
};

struct table {
    const unsigned char *header;  /* .eh_frame_hdr */
    uintptr_t pc;                 /* what is looked up */
    uintptr_t start, end;         /* of the function */
    struct mo_bytes initial, own; /* instructions of the CIE, of the FDE */
    uint64_t code_align;
    int64_t data_align;
    bool signal_frame;
    const unsigned char *limit;
};

static size_t encoded_size(uint64_t encoding)
{
    return (encoding & 7) == 3 ? 4 : (encoding & 7) == 2 ? 2 : 8;
}

/* Its first bytes: the length, and the end that follows from it. */
static struct mo_bytes entry_at(const unsigned char *p, const unsigned char *limit)
{
    struct mo_bytes b = {p, limit, false};
    uint64_t n = mo_take(&b, 4);
    if (n == 0 || n > (uint64_t)(limit - b.at)) /* 0xffffffff: 64-bit DWARF, which no compiler makes here */
        b.bad = true;
    else
        b.end = b.at + n;
    return b;
}

/* Reads the CIE; *encoding: of the addresses in its FDEs. */
static bool read_cie(struct table *t, struct mo_bytes b, uint64_t *encoding, bool *augmented)
{
    if (mo_take(&b, 4) != 0)
        return false;
    uint64_t version = mo_take(&b, 1);
    const char *augmentation = (const char *)b.at;
    mo_skip(&b, strnlen(augmentation, (size_t)(b.end - b.at)) + 1);
    t->code_align = mo_take_uleb(&b);
    t->data_align = mo_take_sleb(&b);
    uint64_t ra = version == 1 ? mo_take(&b, 1) : mo_take_uleb(&b);
    if (b.bad || (version != 1 && version != 3) || ra != MO_REG_RA)
        return false;
    *augmented = augmentation[0] == 'z';
    if (!*augmented)
        return augmentation[0] == '\0';
    uint64_t size = mo_take_uleb(&b);
    struct mo_bytes data = b;
    mo_skip(&b, size);
    for (const char *c = augmentation + 1; *c != '\0'; c++) {
        if (*c == 'R')
            *encoding = mo_take(&data, 1);
        else if (*c == 'P')
            mo_skip(&data, encoded_size(mo_take(&data, 1)));
        else if (*c == 'L')
            mo_skip(&data, 1);
        else if (*c == 'S')
            t->signal_frame = true;
        else
            return false;
    }
    t->initial = b;
    return !b.bad && !data.bad;
}

/* Finds the FDE of t->pc in the sorted table of .eh_frame_hdr. */
static const unsigned char *find_fde(struct table *t, const unsigned char *limit)
{
    struct mo_bytes b = {t->header, limit, false};
    if (mo_take(&b, 1) != 1 || mo_take(&b, 1) != ENCODING_PC_REL_S4 || mo_take(&b, 1) != ENCODING_U4 ||
        mo_take(&b, 1) != ENCODING_DATA_REL_S4)
        return NULL;
    mo_skip(&b, 4); /* where .eh_frame is */
    size_t high = mo_take(&b, 4), low = 0;
    if (b.bad || high == 0 || high > (size_t)(limit - b.at) / 8)
        return NULL;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        struct mo_bytes entry = {b.at + 8 * middle, limit, false};
        if ((uintptr_t)t->header + (uintptr_t)(intptr_t)mo_take_s4(&entry) <= t->pc)
            low = middle;
        else
            high = middle;
    }
    struct mo_bytes entry = {b.at + 8 * low, limit, false};
    t->start = (uintptr_t)t->header + (uintptr_t)(intptr_t)mo_take_s4(&entry);
    return t->header + mo_take_s4(&entry);
}

static bool find_table(struct table *t, uintptr_t pc)
{
    uintptr_t low, high;
    memset(t, 0, sizeof *t);
    t->pc = pc;
    t->header = mo_code_tables(pc, &low, &high);
    const unsigned char *limit = t->limit = (const unsigned char *)high;
    if (t->header == NULL || (uintptr_t)t->header < low || (uintptr_t)t->header >= high)
        return false;
    const unsigned char *fde = find_fde(t, limit);
    if (fde == NULL || (uintptr_t)fde < low || fde >= limit)
        return false;
    struct mo_bytes b = entry_at(fde, limit);
    const unsigned char *cie = b.at - mo_take(&b, 4);
    uint64_t encoding = 0;
    bool augmented = false;
    if (b.bad || (uintptr_t)cie < low || cie >= limit || !read_cie(t, entry_at(cie, limit), &encoding, &augmented))
        return false;
    mo_skip(&b, encoded_size(encoding)); /* the start is known from the header's table */
    t->end = t->start + mo_take(&b, encoded_size(encoding));
    if (augmented)
        mo_skip(&b, mo_take_uleb(&b));
    t->own = b;
    return !b.bad && pc >= t->start && pc < t->end;
}

static void set_rule(struct mo_row *row, struct mo_bytes *b, uint64_t reg, enum mo_how how, int64_t value)
{
    if (value != (int32_t)value)
        b->bad = true;
    else if (reg < MO_REGS) /* others, of vectors, are of no interest */
        row->reg[reg] = (struct mo_rule){(uint8_t)how, (int32_t)value};
}

static void set_cfa(struct mo_row *row, struct mo_bytes *b, uint64_t reg, int64_t offset)
{
    if (reg >= MO_REGS || offset != (int32_t)offset)
        b->bad = true;
    row->cfa = (struct mo_rule){MO_IN_REGISTER, (int32_t)reg};
    row->cfa_offset = (int32_t)offset;
}

/* An expression's place, which it is passed over at. */
static int64_t take_expression(const struct table *t, struct mo_bytes *b)
{
    int64_t place = b->at - t->header;
    mo_skip(b, mo_take_uleb(b));
    return place;
}

/* The instructions that define the CFA. */
static void define_cfa(const struct table *t, struct mo_row *row, struct mo_bytes *b, unsigned op)
{
    uint64_t reg = (uint64_t)row->cfa.value;
    int64_t offset = row->cfa_offset;
    if (op == CFA_DEF_EXPRESSION) {
        row->cfa = (struct mo_rule){MO_AT_EXPRESSION, (int32_t)take_expression(t, b)};
        return;
    }
    if (op == CFA_DEF || op == CFA_DEF_SF || op == CFA_DEF_REGISTER)
        reg = mo_take_uleb(b);
    if (op == CFA_DEF || op == CFA_DEF_OFFSET)
        offset = (int64_t)mo_take_uleb(b);
    if (op == CFA_DEF_SF || op == CFA_DEF_OFFSET_SF)
        offset = mo_take_sleb(b) * t->data_align;
    set_cfa(row, b, reg, offset);
}

/* The instructions that say where a register is. */
static void define_register(const struct table *t, struct mo_row *row, const struct mo_row *initial, struct mo_bytes *b,
                            unsigned op)
{
    uint64_t reg = mo_take_uleb(b);
    switch (op) {
    case CFA_OFFSET_EXTENDED:
        set_rule(row, b, reg, MO_AT_OFFSET, (int64_t)mo_take_uleb(b) * t->data_align);
        break;
    case CFA_OFFSET_EXTENDED_SF:
        set_rule(row, b, reg, MO_AT_OFFSET, mo_take_sleb(b) * t->data_align);
        break;
    case CFA_VAL_OFFSET:
        set_rule(row, b, reg, MO_IS_OFFSET, (int64_t)mo_take_uleb(b) * t->data_align);
        break;
    case CFA_RESTORE_EXTENDED:
        if (reg < MO_REGS)
            row->reg[reg] = initial->reg[reg];
        break;
    case CFA_UNDEFINED:
        set_rule(row, b, reg, MO_UNDEFINED, 0);
        break;
    case CFA_SAME:
        set_rule(row, b, reg, MO_SAME, 0);
        break;
    case CFA_REGISTER:
        set_rule(row, b, reg, MO_IN_REGISTER, (int64_t)(mo_take_uleb(b) & 0xff));
        break;
    case CFA_EXPRESSION:
        set_rule(row, b, reg, MO_AT_EXPRESSION, take_expression(t, b));
        break;
    case CFA_VAL_EXPRESSION:
        set_rule(row, b, reg, MO_IS_EXPRESSION, take_expression(t, b));
        break;
    default:
        b->bad = true;
    }
}

/* Runs instructions until the row of t->pc is made. */
static bool run(const struct table *t, struct mo_bytes b, struct mo_row *row, const struct mo_row *initial)
{
    struct mo_row remembered[REMEMBERED_MOST];
    size_t depth = 0;
    uintptr_t at = t->start;
    while (b.at < b.end && !b.bad) {
        unsigned op = (unsigned)mo_take(&b, 1), low = op & 0x3f;
        if (op >= CFA_RESTORE) {
            if (low < MO_REGS)
                row->reg[low] = initial->reg[low];
        } else if (op >= CFA_OFFSET) {
            set_rule(row, &b, low, MO_AT_OFFSET, (int64_t)mo_take_uleb(&b) * t->data_align);
        } else if (op >= CFA_ADVANCE || (op >= CFA_ADVANCE1 && op <= CFA_ADVANCE4)) {
            at += (op >= CFA_ADVANCE ? low : mo_take(&b, (size_t)1 << (op - CFA_ADVANCE1))) * t->code_align;
            if (at > t->pc)
                return !b.bad;
        } else if (op == CFA_REMEMBER && depth < REMEMBERED_MOST) {
            remembered[depth++] = *row;
        } else if (op == CFA_RESTORE_STATE && depth > 0) {
            *row = remembered[--depth];
        } else if ((op >= CFA_DEF && op <= CFA_DEF_EXPRESSION) || op == CFA_DEF_SF || op == CFA_DEF_OFFSET_SF) {
            define_cfa(t, row, &b, op);
        } else if (op == CFA_ARGS_SIZE) {
            (void)mo_take_uleb(&b);
        } else if (op != CFA_NOP) {
            define_register(t, row, initial, &b, op);
        }
    }
    return !b.bad;
}

bool mo_unwind_row(uintptr_t pc, struct mo_row *row, const unsigned char **header, const unsigned char **limit)
{
    struct table t;
    struct mo_row initial;
    memset(row, 0, sizeof *row);
    if (!find_table(&t, pc))
        return false;
    /* The CIE's instructions hold for all of the function. */
    struct table whole = t;
    whole.pc = UINTPTR_MAX;
    if (!run(&whole, t.initial, row, row))
        return false;
    initial = *row;
    row->signal_frame = t.signal_frame;
    *header = t.header;
    *limit = t.limit;
    return run(&t, t.own, row, &initial);
}
#endif
