/* P1: a freed slot holds nothing: no link, no list word, no old header. Only its first byte, the fence, stays.
 * SIZE HOW: `freed`, or `live`, the twin: a live chunk's header is there to be seen. */
#include "attack.h"

enum { COUNT = 300 };

int main(int argc, char **argv)
{
    (void)argc;
    static char *chunks[COUNT];
    size_t size = number(argv, 1), slot = slot_bytes(size), readable = 0, odd = 0;
    for (int i = 0; i < COUNT; i++)
        memset(chunks[i] = take(size), 0x77, size);
    for (int i = 0; i < COUNT && word_is(argv, 2, "freed"); i++)
        free(chunks[i]);
    for (int i = 0; i < COUNT; i++) {
        char *from = hide(chunks[i] - 7), *to = chunks[i] - 8 + (slot ? slot : size + 8);
        if (distance_to_fault(from, 1, (size_t)(to - from), false) < (size_t)(to - from))
            continue; /* its pages are gone */
        readable++;
        odd += !all_bytes(from, 0, (size_t)(to - from));
    }
    if (word_is(argv, 2, "freed") ? odd != 0 : odd != COUNT)
        fail("%zu of %zu readable slots hold something", odd, readable);
    step("end");
    _exit(0);
}
