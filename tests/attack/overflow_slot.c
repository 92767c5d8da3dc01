/* P4: one byte changed at the far end of the chunk's slot, or the first of the next slot.
 * SIZE WHERE: `last`, `next`, or `none`, the twin. */
#include "attack.h"

int main(int argc, char **argv)
{
    (void)argc;
    size_t size = number(argv, 1), slot = slot_bytes(size);
    char *before = take(size), *p = take(size), *after = take(size);
    memset(p, 0x55, size);
    if (!slot && !word_is(argv, 2, "none"))
        fail("no slot for %zu bytes", size);
    volatile char *end = p - 8 + slot;

    step("write");
    if (word_is(argv, 2, "last") && end - 1 >= p + size)
        end[-1] ^= 0x20;
    else if (word_is(argv, 2, "next") || word_is(argv, 2, "last"))
        for (volatile char *b = p + size; b <= end; b++)
            *b ^= 0x20; /* a linear overflow up to the neighbour's first byte */
    step("free");
    free(p);
    step("neighbours");
    free(after);
    free(before);
    return finish();
}
