/* P3: a pointer into a live chunk is freed.
 * SIZE OFFSET HOW: `plain`; `dressed`, with the chunk's own header copied before it, as an attacker would do. OFFSET 0
 * is the twin. */
#include "attack.h"

int main(int argc, char **argv)
{
    (void)argc;
    size_t size = number(argv, 1), offset = number(argv, 2);
    char *p = take(size);
    step("write");
    if (offset && word_is(argv, 3, "dressed"))
        memcpy(p + offset - 8, hide(p - 8), 8);
    step("free");
    free(hide(p + offset));
    return finish();
}
