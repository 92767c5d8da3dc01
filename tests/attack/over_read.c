/* P4: reads past the end of a chunk. A string without its terminator stops at the tail's second byte; a read at a
 * distance sees the neighbour, unless a guard is there.
 * SIZE HOW: `string`, `far`; `inside`, the twin: the string has its terminator. */
#include "attack.h"

enum { COUNT = 64 };

int main(int argc, char **argv)
{
    (void)argc;
    size_t size = number(argv, 1), slot = slot_bytes(size);
    char *chunks[COUNT];
    for (int i = 0; i < COUNT; i++)
        memset(chunks[i] = take(size), 0x53, size);
    step("read");
    if (word_is(argv, 2, "far")) {
        for (int i = 0; i < COUNT; i++)
            for (size_t at = size; at < size + (slot ? slot : size + 32); at++)
                if (((volatile char *)chunks[i])[at] == 0x53)
                    fail("%zu bytes past the end there is another chunk's content", at - size);
        return finish();
    }
    if (word_is(argv, 2, "inside"))
        chunks[7][size - 1] = 0;
    size_t length = strlen(hide(chunks[7])), most = word_is(argv, 2, "inside") ? size - 1 : size + 1;
    if (length > most)
        fail("a string of %zu bytes goes on for %zu more", size, length - size);
    return finish();
}
