/* P3: a pointer far from any chunk, but likely inside moat's own address space, is freed.
 * SIZE BITS SIGN: 1 << BITS bytes above (`up`) or below (`down`) a live chunk. */
#include "attack.h"

int main(int argc, char **argv)
{
    (void)argc;
    size_t size = number(argv, 1), far = (size_t)1 << number(argv, 2);
    uintptr_t p = (uintptr_t)take(size);
    step("free");
    free(hide((void *)(word_is(argv, 3, "up") ? p + far : p - far)));
    return finish();
}
