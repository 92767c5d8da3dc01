/* P9: a write that runs on and on from a chunk faults soon, at the guard after its slab or mapping.
 * SIZE LIMIT: bytes past the requested end within which it must fault. */
#include "attack.h"

enum { RUN = 4 << 20 };

int main(int argc, char **argv)
{
    (void)argc;
    size_t size = number(argv, 1), limit = number(argv, 2);
    size_t count = ((size_t)8 << 20) / (size + 1) + 8;
    if (count > 4096)
        count = 4096;
    char **chunks = take(count * sizeof *chunks);
    for (size_t i = 0; i < count; i++)
        chunks[i] = take(size);
    char *p = chunks[(size_t)getpid() % count];

    step("write");
    size_t far = distance_to_fault(p + size, 1, RUN, true);
    if (far > limit)
        fail("ran %zu bytes past the end before it faulted", far);
    step("end");
    _exit(0); /* the heap is torn: nothing may look at it any more */
}
