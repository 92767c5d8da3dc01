/* P5: a freed chunk is read: it faults or holds zeros, never what was there. SIZE HOW: `freed`, or `live`, the twin. */
#include "attack.h"

int main(int argc, char **argv)
{
    (void)argc;
    size_t size = number(argv, 1);
    bool live = word_is(argv, 2, "live");
    char *p = take(size), *neighbours[8];
    for (int i = 0; i < 8; i++)
        neighbours[i] = take(size);
    memset(p, 0xaa, size);
    if (!live)
        free(p);
    step("read");
    if (!all_bytes(hide(p), live ? 0xaa : 0, size))
        fail("the freed chunk still holds something");
    for (int i = 0; i < 8; i++)
        free(neighbours[i]);
    return finish();
}
