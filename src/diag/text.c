/* Text without libc: the formatter of reports and complaints. */
#include "diag/report.h"

void mo_text_string(struct mo_text *t, const char *s)
{
    if (s == NULL)
        return;
    while (*s != '\0' && t->at < t->end)
        *t->at++ = *s++;
}

static MO_COLD void number(struct mo_text *t, uint64_t v, unsigned base)
{
    char digits[21]; /* 2^64 has 20 decimal ones, and the final 0 */
    char *first = digits + sizeof digits - 1;
    *first = '\0';
    do {
        *--first = "0123456789abcdef"[v % base];
        v /= base;
    } while (v != 0);
    mo_text_string(t, first);
}

void mo_text_decimal(struct mo_text *t, uint64_t v)
{
    number(t, v, 10);
}

void mo_text_signed(struct mo_text *t, int64_t v)
{
    if (v < 0)
        mo_text_string(t, "-");
    /* Negated as unsigned: INT64_MIN has no positive twin. */
    mo_text_decimal(t, v < 0 ? 0 - (uint64_t)v : (uint64_t)v);
}

void mo_text_hex(struct mo_text *t, uint64_t v)
{
    mo_text_string(t, "0x");
    number(t, v, 16);
}
