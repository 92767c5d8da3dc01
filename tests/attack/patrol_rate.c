/* P16: how often a patrol finds one damaged chunk of a full slab while the heap grows.
 * SIZE LOW HIGH: out of 300 processes at least LOW and at most HIGH notice it. With as many looks as slots move
 * (patrol=64), half of them anywhere, and a heap that grows from n chunks to 3 n, it is 1 - exp(-ln 3 / 2), or 42 in a
 * hundred; 37 were measured, as some looks go to slabs of other classes. The deviation is 10 of 300. */
#include "attack.h"

enum { PROCESSES = 300, BEFORE = 6000, AFTER = 3 * BEFORE };

static size_t size;

static void grow(void *chunks)
{
    /* Spread over all chunks: children of successive numbers would damage neighbours, and those of the slab that grows
     * next are looked at more often. */
    char *victim = ((char **)chunks)[(uint32_t)getpid() * 0x9e3779b1u % BEFORE];
    victim[size] ^= 1;
    for (int i = BEFORE; i < AFTER; i++)
        (void)take(size);
}

int main(int argc, char **argv)
{
    (void)argc;
    static char *chunks[BEFORE];
    size_t noticed = 0;
    size = number(argv, 1);
    for (int i = 0; i < BEFORE; i++)
        chunks[i] = take(size);
    for (int i = 0; i < PROCESSES; i++)
        noticed += child_reports(grow, chunks, "heap-buffer-overflow: patrol found");
    if (noticed < number(argv, 2) || noticed > number(argv, 3))
        fail("%zu of %d noticed", noticed, PROCESSES);
    return finish();
}
