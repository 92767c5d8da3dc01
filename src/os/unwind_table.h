/* What .eh_frame says of an address: how each register of its function's caller is found. For unwind.c. */
#ifndef MO_UNWIND_TABLE_H
#define MO_UNWIND_TABLE_H

#include "os/unwind.h"

/* Bytes being read, 1, 2, 4 or 8 at a time; `bad` once something did not fit. */
struct mo_bytes {
    const unsigned char *at, *end;
    bool bad;
};

/* How a register of the caller is found. */
enum mo_how { MO_SAME, MO_UNDEFINED, MO_AT_OFFSET, MO_IS_OFFSET, MO_IN_REGISTER, MO_AT_EXPRESSION, MO_IS_EXPRESSION };
struct mo_rule {
    uint8_t how;
    int32_t value; /* offset from the CFA, register, or place of the expression from the header on */
};

/* A row of the table that the instructions stand for. */
struct mo_row {
    struct mo_rule reg[MO_REGS];
    struct mo_rule cfa; /* MO_IN_REGISTER with cfa_offset, or MO_AT_EXPRESSION */
    int32_t cfa_offset;
    bool signal_frame; /* what a signal has interrupted comes next: on another stack perhaps */
};

/* Finds the row for pc. *header is what the places of expressions count from, *limit the end of all tables. */
bool mo_unwind_row(uintptr_t pc, struct mo_row *row, const unsigned char **header,
                   const unsigned char **limit) MO_CHECKED;

MO_INLINE uint64_t mo_take(struct mo_bytes *b, size_t n)
{
    uint64_t v = 0;
    if (mo_unlikely((size_t)(b->end - b->at) < n)) {
        b->bad = true;
        return 0;
    }
    __builtin_memcpy(&v, b->at, n); /* the lowest byte first, as on all machines this is for */
    b->at += n;
    return v;
}

MO_INLINE int32_t mo_take_s4(struct mo_bytes *b)
{
    return (int32_t)mo_take(b, 4);
}

MO_INLINE uint64_t mo_take_uleb(struct mo_bytes *b)
{
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint64_t byte = mo_take(b, 1);
        v |= (byte & 0x7f) << shift;
        if ((byte & 0x80) == 0)
            return v;
    }
    b->bad = true;
    return 0;
}

MO_INLINE int64_t mo_take_sleb(struct mo_bytes *b)
{
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 64;) {
        uint64_t byte = mo_take(b, 1);
        v |= (byte & 0x7f) << shift;
        shift += 7;
        if ((byte & 0x80) == 0)
            return (int64_t)(shift < 64 && (byte & 0x40) != 0 ? v | (UINT64_MAX << shift) : v);
    }
    b->bad = true;
    return 0;
}

MO_INLINE void mo_skip(struct mo_bytes *b, uint64_t n)
{
    if ((uint64_t)(b->end - b->at) < n)
        b->bad = true;
    else
        b->at += n;
}

#endif
