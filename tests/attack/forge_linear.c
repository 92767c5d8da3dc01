/* P2: a header is forged from three others, as any linear checksum allows: where the addresses of four chunks
 * add up to 0 without carries, so do their headers. SIZE HOW: `sum`, or `own`, the twin. */
#include "attack.h"

enum { COUNT = 512 };
static char *chunks[COUNT];

static uint64_t header_of(const char *p)
{
    uint64_t header;
    memcpy(&header, hide(p - 8), sizeof header);
    return header;
}

/* The chunk whose address is the sum of those of a, b and c, or NULL. */
static char *fourth(const char *a, const char *b, const char *c)
{
    uintptr_t sum = (uintptr_t)a ^ (uintptr_t)b ^ (uintptr_t)c;
    for (int i = 0; i < COUNT; i++)
        if ((uintptr_t)chunks[i] == sum)
            return chunks[i];
    return NULL;
}

int main(int argc, char **argv)
{
    (void)argc;
    size_t size = number(argv, 1);
    for (int i = 0; i < COUNT; i++)
        chunks[i] = take(size);
    for (int i = 0; i + 2 < COUNT; i++) {
        const char *a = chunks[i], *b = chunks[i + 1], *c = chunks[i + 2];
        char *target = fourth(a, b, c);
        if (!target)
            continue;
        uint64_t forged = header_of(a) ^ header_of(b) ^ header_of(c);
        if (word_is(argv, 2, "own"))
            forged = header_of(target);
        memcpy(hide(target - 8), &forged, sizeof forged);
        step("free");
        free(target);
        return finish();
    }
    fail("no four chunks whose addresses add up to 0");
}
