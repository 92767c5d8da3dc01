/* P5: whatever was written before, a chunk handed out by malloc, or grown by realloc, holds only zeros. SIZE */
#include "attack.h"

enum { LIVE = 64 };

int main(int argc, char **argv)
{
    (void)argc;
    size_t size = number(argv, 1), pairs = enough_pairs(size) / 16;
    static char *live[LIVE];
    for (size_t i = 0; i < pairs; i++) {
        size_t k = i * 7 % LIVE;
        free(live[k]);
        char *p = take(size);
        if (!all_bytes(p, 0, size))
            fail("allocation %zu is not zero", i);
        memset(p, 0xa5, size);
        if (i % 4 == 0) {
            size_t more = size + 1 + i % 40;
            p = realloc(p, more);
            if (!p || !all_bytes(p, 0xa5, size) || !all_bytes(p + size, 0, more - size))
                fail("allocation %zu grown to %zu does not hold its bytes and then zeros", i, more);
            memset(p, 0xa5, more);
        }
        live[k] = p;
    }
    return finish();
}
