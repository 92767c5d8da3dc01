/* P3, P5, P6: realloc of what is not live, and use of the old address after realloc moved the chunk.
 * SIZE HOW: `freed`, `interior`, `read`, `write`, `free`; `moved`, the twin, checks that the bytes moved along. */
#include "attack.h"

int main(int argc, char **argv)
{
    (void)argc;
    size_t size = number(argv, 1);
    char *p = take(size), *q = p;
    memset(p, 0xaa, size);
    step("realloc");
    if (word_is(argv, 2, "freed"))
        free(hide(p));
    if (word_is(argv, 2, "freed"))
        return realloc(hide(p), size + 100) ? finish() : 1;
    if (word_is(argv, 2, "interior"))
        return realloc(hide(p + 16), size + 100) ? finish() : 1;
    for (size_t more = size; q == p && more <= UINT32_MAX / 2; more *= 2)
        if (!(q = hide(realloc(hide(q), more * 2))))
            fail("no memory for %zu", more * 2);
    if (q == p || !all_bytes(q, 0xaa, size))
        fail("%s", q == p ? "never moved" : "the bytes did not move along");
    step("use");
    if (word_is(argv, 2, "read") && !all_bytes(hide(p), 0, size))
        fail("the old place still holds something");
    if (word_is(argv, 2, "write"))
        *(volatile char *)hide(p) = 0x41;
    if (word_is(argv, 2, "free"))
        free(hide(p));
    step("churn");
    churn(size, enough_pairs(size));
    free(q);
    return finish();
}
