/* P2: each bit of a header, inverted alone and with each other bit, is noticed at free. SIZE PAIRS (0 or 1) */
#include "attack.h"

static char *chunk;

static void change_and_free(void *mask)
{
    uint64_t header;
    memcpy(&header, hide(chunk - 8), 8);
    header ^= *(uint64_t *)mask;
    memcpy(hide(chunk - 8), &header, 8);
    free(chunk);
}

int main(int argc, char **argv)
{
    (void)argc;
    size_t size = number(argv, 1);
    chunk = take(size);
    step("children");
    for (int i = 0; i < 64; i++)
        for (int j = i; j < (number(argv, 2) ? 64 : i + 1); j++) {
            uint64_t mask = (uint64_t)1 << i | (uint64_t)1 << j;
            /* One in 2^32 is valid by chance, and then not also at another address. */
            for (int tries = 2; !child_reports(change_and_free, &mask, "moat: heap-buffer-overflow");
                 chunk = take(size))
                if (--tries == 0)
                    fail("bits %d and %d of the header inverted: no report of it", i, j);
        }
    free(chunk);
    return finish();
}
