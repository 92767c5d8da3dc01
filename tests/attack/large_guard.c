/* P9: a large chunk lies between guards.
 * SIZE WHERE: `past`, 64 bytes past its rounded end; `page`, a page past it; `before`, walking down from its start must
 * fault within LIMIT bytes; `inside`, the twin, fills it. */
#include "attack.h"

int main(int argc, char **argv)
{
    (void)argc;
    size_t size = number(argv, 1), rounded = (size + 63) / 64 * 64;
    volatile char *p = take(size);
    if (word_is(argv, 2, "before")) {
        size_t down = distance_to_fault(p, -1, (size_t)1 << 20, false);
        if (down > 2 * (size_t)sysconf(_SC_PAGESIZE))
            fail("read %zu bytes before the start", down);
        return finish();
    }
    step("write");
    if (word_is(argv, 2, "past"))
        p[rounded + 64] = 0x41;
    else if (word_is(argv, 2, "page"))
        p[rounded + (size_t)sysconf(_SC_PAGESIZE)] = 0x41;
    else
        memset((char *)p, 0x41, size);
    free((char *)p);
    return finish();
}
