/* P4: writes further before the start of an aligned chunk than its header, which stays as it is: into the unused bytes
 * between its slot's start and the chunk. SIZE ALIGN COUNT: from COUNT bytes before it up to its header; 8, the twin,
 * writes nothing. */
#include "attack.h"

enum { HEADER = 8, COUNT = 64 };

static unsigned char *take_aligned(size_t size, size_t align)
{
    void *p;
    if (posix_memalign(&p, align, size) != 0)
        fail("no memory for %zu bytes", size);
    return hide(p);
}

/* Are there unused bytes before this chunk's header? By the slack, bytes 2 and 3 of the header, it is known how far
 * from its slot's end the chunk starts. */
static bool has_gap(const unsigned char *p, size_t size, size_t slot)
{
    size_t slack = (size_t)p[-6] | (size_t)p[-5] << 8;
    return HEADER + size + slack < slot;
}

int main(int argc, char **argv)
{
    (void)argc;
    size_t size = number(argv, 1), align = number(argv, 2), count = number(argv, 3);
    size_t slot = slot_bytes(size + align - 16);
    unsigned char *chunks[COUNT], *victim = NULL;
    for (int i = 0; i < COUNT; i++) {
        chunks[i] = take_aligned(size, align);
        if (!victim && (slot == 0 || has_gap(chunks[i], size, slot)))
            victim = chunks[i];
    }
    if (!victim)
        fail("no chunk lies apart from its slot's start");
    step("write");
    for (size_t i = HEADER + 1; i <= count; i++)
        ((volatile unsigned char *)victim)[-(ptrdiff_t)i] ^= 0x41;
    step("free");
    free(victim);
    step("neighbours");
    for (int i = 0; i < COUNT; i++)
        if (chunks[i] != victim)
            free(chunks[i]);
    return finish();
}
