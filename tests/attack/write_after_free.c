/* P6: a freed chunk is written to.
 * SIZE WHERE: `first`, `middle`, `last` byte, `all`, or where its `header` was; `before` it is freed is the twin. */
#include "attack.h"

int main(int argc, char **argv)
{
    (void)argc;
    size_t size = number(argv, 1);
    volatile char *p = take(size);
    if (word_is(argv, 2, "before"))
        memset((char *)p, 0x41, size);
    free((char *)p);
    step("write");
    if (word_is(argv, 2, "first"))
        *(volatile char *)hide((char *)p) = 0x41;
    else if (word_is(argv, 2, "middle"))
        *((volatile char *)hide((char *)p) + size / 2) = 0x41;
    else if (word_is(argv, 2, "last"))
        *((volatile char *)hide((char *)p) + size - 1) = 0x41;
    else if (word_is(argv, 2, "header"))
        *((volatile char *)hide((char *)p) - 4) = 0x41;
    else if (word_is(argv, 2, "all"))
        memset(hide((char *)p), 0x41, size);
    step("churn");
    churn(size, enough_pairs(size));
    return finish();
}
