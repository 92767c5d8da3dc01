/* P8: prints where the first chunk of this process lies and how far each next one is from the one before, for
 * the runner to look at over many processes. SIZE COUNT */
#include "attack.h"

int main(int argc, char **argv)
{
    (void)argc;
    size_t size = number(argv, 1), count = number(argv, 2);
    uintptr_t before = (uintptr_t)take(size);
    printf("first %#zx\n", (size_t)before);
    for (size_t i = 0; i < count; i++) {
        uintptr_t now = (uintptr_t)take(size);
        printf("distance %td\n", (ptrdiff_t)(now - before));
        before = now;
    }
    fflush(stdout);
    return finish();
}
