/* Reads of an x86-64 instruction only what the budget counts: branches, locks, calls. */
#include <stdio.h>
#include <string.h>

#include "budget.h"

static bool is_legacy_prefix(uint8_t b)
{
    switch (b) {
    case 0x26:
    case 0x2e: /* also a branch hint */
    case 0x36:
    case 0x3e: /* also notrack, bnd's neighbour */
    case 0x64:
    case 0x65:
    case 0x66:
    case 0x67:
    case 0xf0:
    case 0xf2: /* also bnd */
    case 0xf3:
        return true;
    default:
        return false;
    }
}

static unsigned decode_0f(uint8_t op)
{
    if (op >= 0x80 && op <= 0x8f)
        return BUDGET_CONDITIONAL;
    if (op == 0x38 || op == 0x3a)
        return BUDGET_NEWER;
    return op == 0x05 || op == 0x34 ? BUDGET_SYSCALL : 0;
}

unsigned budget_decode(const uint8_t code[])
{
    size_t i = 0;
    unsigned flags = 0;
    for (; i < BUDGET_CODE - 2 && is_legacy_prefix(code[i]); i++)
        if (code[i] == 0xf0)
            flags = BUDGET_LOCKED;
    if ((code[i] & 0xf0) == 0x40) /* REX, always the last prefix */
        i++;
    bool repeats = memchr(code, 0xf3, i) != NULL || memchr(code, 0xf2, i) != NULL;
    uint8_t op = code[i];
    if ((op >= 0xa4 && op <= 0xa7) || (op >= 0xaa && op <= 0xaf))
        return repeats ? BUDGET_REPEATED : 0;
    if (op == 0xc3 || op == 0xcc || (op >= 0x50 && op <= 0x5f)) /* nothing follows: ret, int3, push, pop */
        return op == 0xc3 ? flags | BUDGET_RETURN : flags;
    uint8_t modrm = code[i + 1], reg = modrm >> 3 & 7;
    if (op == 0x0f)
        return flags | decode_0f(modrm);
    if ((op >= 0x70 && op <= 0x7f) || (op >= 0xe0 && op <= 0xe3))
        return flags | BUDGET_CONDITIONAL;
    if ((op == 0x86 || op == 0x87) && modrm < 0xc0)
        return flags | BUDGET_LOCKED;
    if (op == 0xe8 || (op == 0xff && (reg == 2 || reg == 3)))
        return flags | BUDGET_CALL;
    return op == 0xc2 ? flags | BUDGET_RETURN : flags;
}

bool budget_decode_test(void)
{
    static const struct {
        const char *text;
        uint8_t code[BUDGET_CODE];
        unsigned flags;
    } cases[] = {
        {"je rel8", {0x74, 0x10}, BUDGET_CONDITIONAL},
        {"jg rel8", {0x7f, 0x10}, BUDGET_CONDITIONAL},
        {"jne rel32", {0x0f, 0x85, 1, 2, 3, 4}, BUDGET_CONDITIONAL},
        {"jrcxz", {0xe3, 0x05}, BUDGET_CONDITIONAL},
        {"jmp rel32", {0xe9, 1, 2, 3, 4}, 0},
        {"jmp *(rip)", {0xff, 0x25, 1, 2, 3, 4}, 0},
        {"call rel32", {0xe8, 1, 2, 3, 4}, BUDGET_CALL},
        {"call *(rip)", {0xff, 0x15, 1, 2, 3, 4}, BUDGET_CALL},
        {"call *r12", {0x41, 0xff, 0xd4}, BUDGET_CALL},
        {"bnd call rel32", {0xf2, 0xe8, 1, 2, 3, 4}, BUDGET_CALL},
        {"push (rax)", {0xff, 0x30}, 0},
        {"inc eax", {0xff, 0xc0}, 0},
        {"ret", {0xc3}, BUDGET_RETURN},
        {"rep ret", {0xf3, 0xc3}, BUDGET_RETURN},
        {"int3", {0xcc}, 0},
        {"rep stosb", {0xf3, 0xaa}, BUDGET_REPEATED},
        {"rep movsq", {0xf3, 0x48, 0xa5}, BUDGET_REPEATED},
        {"stosb", {0xaa}, 0},
        {"pause", {0xf3, 0x90}, 0},
        {"syscall", {0x0f, 0x05}, BUDGET_SYSCALL},
        {"lock cmpxchg (rdi)", {0xf0, 0x0f, 0xb1, 0x37}, BUDGET_LOCKED},
        {"lock cmpxchg r8,(rdi)", {0xf0, 0x4c, 0x0f, 0xb1, 0x07}, BUDGET_LOCKED},
        {"fs: lock xadd", {0x64, 0xf0, 0x48, 0x0f, 0xc1, 0x07}, BUDGET_LOCKED},
        {"xchg eax,(rdi)", {0x87, 0x07}, BUDGET_LOCKED},
        {"xchg rax,rdx", {0x48, 0x87, 0xd0}, 0},
        {"xchg ax,ax", {0x66, 0x90}, 0},
        {"cmove eax,edx", {0x0f, 0x44, 0xc2}, 0},
        {"sete al", {0x0f, 0x94, 0xc0}, 0},
        {"aesenc xmm0,xmm1", {0x66, 0x0f, 0x38, 0xdc, 0xc1}, BUDGET_NEWER},
        {"pinsrd xmm0,r9d,2", {0x66, 0x41, 0x0f, 0x3a, 0x22, 0xc1, 2}, BUDGET_NEWER},
        {"pxor xmm0,xmm1", {0x66, 0x0f, 0xef, 0xc1}, 0},
        {"mov fs:0x28,rax", {0x64, 0x48, 0x8b, 0x04, 0x25, 0x28}, 0},
        {"endbr64", {0xf3, 0x0f, 0x1e, 0xfa}, 0},
        {"vpxor", {0xc5, 0xf9, 0xef, 0xc0}, 0},
    };
    bool good = true;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        unsigned got = budget_decode(cases[i].code);
        if (got != cases[i].flags) {
            printf("%s: flags %#x, want %#x\n", cases[i].text, got, cases[i].flags);
            good = false;
        }
    }
    return good;
}
