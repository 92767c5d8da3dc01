/* P2: the header of a chunk of the same class and size, valid where it is, is copied before another.
 * SIZE HOW: `other`; `swap`, the two change places; or `own`, the twin. */
#include "attack.h"

int main(int argc, char **argv)
{
    (void)argc;
    size_t size = number(argv, 1);
    char *a = take(size), *b = take(size);
    char header[8];
    step("write");
    memcpy(header, hide(a - 8), 8);
    memcpy(hide(a - 8), hide((word_is(argv, 2, "other") ? b : a) - 8), 8);
    if (word_is(argv, 2, "swap")) {
        memcpy(hide(a - 8), hide(b - 8), 8);
        memcpy(hide(b - 8), header, 8);
    }
    step("free");
    free(a);
    step("neighbours");
    free(b);
    return finish();
}
