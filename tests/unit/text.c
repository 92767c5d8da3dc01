/* The formatter of reports: every function at its edges, and a buffer that is too small. */
#include <criterion/criterion.h>
#include <string.h>

#include "diag/report.h"

static char buffer[64];

static struct mo_text fresh(size_t size)
{
    memset(buffer, '~', sizeof buffer);
    return (struct mo_text){buffer, buffer + size};
}

/* What was appended equals `wanted` and nothing after it was touched. */
static void expect(const struct mo_text *t, const char *wanted)
{
    size_t n = (size_t)(t->at - buffer);
    cr_assert_eq(n, strlen(wanted), "%zu bytes appended, not %zu: %.*s", n, strlen(wanted), (int)n, buffer);
    cr_assert(memcmp(buffer, wanted, n) == 0, "'%.*s' in place of '%s'", (int)n, buffer, wanted);
    for (size_t i = n; i < sizeof buffer; i++)
        cr_assert_eq(buffer[i], '~', "byte %zu after the text was changed", i - n);
}

Test(text, decimal)
{
    static const struct {
        uint64_t value;
        const char *text;
    } cases[] = {{0, "0"},
                 {9, "9"},
                 {10, "10"},
                 {4294967296u, "4294967296"},
                 {1000000000000000000u, "1000000000000000000"},
                 {UINT64_MAX, "18446744073709551615"}};
    for (size_t i = 0; i < MO_ARRAY_LEN(cases); i++) {
        struct mo_text t = fresh(sizeof buffer);
        mo_text_decimal(&t, cases[i].value);
        expect(&t, cases[i].text);
    }
}

Test(text, signed_numbers)
{
    static const struct {
        int64_t value;
        const char *text;
    } cases[] = {
        {0, "0"}, {-1, "-1"}, {42, "42"}, {INT64_MAX, "9223372036854775807"}, {INT64_MIN, "-9223372036854775808"}};
    for (size_t i = 0; i < MO_ARRAY_LEN(cases); i++) {
        struct mo_text t = fresh(sizeof buffer);
        mo_text_signed(&t, cases[i].value);
        expect(&t, cases[i].text);
    }
}

Test(text, hex)
{
    static const struct {
        uint64_t value;
        const char *text;
    } cases[] = {
        {0, "0x0"}, {15, "0xf"}, {16, "0x10"}, {0x7f0123456789u, "0x7f0123456789"}, {UINT64_MAX, "0xffffffffffffffff"}};
    for (size_t i = 0; i < MO_ARRAY_LEN(cases); i++) {
        struct mo_text t = fresh(sizeof buffer);
        mo_text_hex(&t, cases[i].value);
        expect(&t, cases[i].text);
    }
}

Test(text, strings_append)
{
    struct mo_text t = fresh(sizeof buffer);
    mo_text_string(&t, "one");
    mo_text_string(&t, "");
    mo_text_string(&t, NULL);
    mo_text_string(&t, " two");
    expect(&t, "one two");
}

Test(text, cuts_what_does_not_fit)
{
    struct mo_text t = fresh(8);
    mo_text_string(&t, "12345678");
    expect(&t, "12345678");
    mo_text_string(&t, "9");
    mo_text_decimal(&t, 1);
    mo_text_signed(&t, -1);
    mo_text_hex(&t, 1);
    expect(&t, "12345678");

    t = fresh(5);
    mo_text_decimal(&t, 1234567);
    expect(&t, "12345");
    t = fresh(3);
    mo_text_hex(&t, 0xabc);
    expect(&t, "0xa");
    t = fresh(1);
    mo_text_signed(&t, -7);
    expect(&t, "-");
    t = fresh(0);
    mo_text_string(&t, "x");
    expect(&t, "");
}
