/* P4: writes before the start. SIZE COUNT: bytes changed before it, downwards; 0 is the twin. */
#include "attack.h"

int main(int argc, char **argv)
{
    (void)argc;
    size_t size = number(argv, 1), count = number(argv, 2);
    char *before = take(size), *p = take(size), *after = take(size);

    step("write");
    volatile char *start = p;
    for (size_t i = 1; i <= count; i++)
        start[-(ptrdiff_t)i] ^= 0x41;
    step("free");
    free(p);
    step("neighbours");
    free(after);
    free(before);
    return finish();
}
