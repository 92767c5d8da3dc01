/* P4: writes past the requested end.
 * SIZE COUNT VALUE: COUNT bytes of VALUE; `flip` inverts a bit of each byte instead. COUNT 0 fills the chunk
 * to its last byte and not further: the twin. What follows a chunk is never 0x00, 0x41 or 0xff, the values
 * that overflows write most, so that a single one of them is a change. */
#include "attack.h"

int main(int argc, char **argv)
{
    (void)argc;
    size_t size = number(argv, 1), count = number(argv, 2);
    bool flip = word_is(argv, 3, "flip");
    char *before = take(size), *p = take(size), *after = take(size);
    memset(p, 0x55, size);

    step("write");
    volatile char *end = p + size;
    bool changed = count == 0;
    for (size_t i = 0; i < count; i++) {
        char now = flip ? (char)(end[i] ^ 1) : (char)number(argv, 3);
        changed |= end[i] != now;
        end[i] = now;
    }
    if (!changed)
        fail("the bytes written were there already");
    step("free");
    free(p);
    step("neighbours");
    free(after);
    free(before);
    return finish();
}
