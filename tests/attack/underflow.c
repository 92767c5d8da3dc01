/* P4: writes before the start. SIZE COUNT [HOW]: COUNT bytes before it are changed, downwards by a loop, or by a memcpy
 * (`copy`) or strcpy (`string`) whose destination is COUNT too low. COUNT 0 is the twin. */
#include "attack.h"

#include <sys/mman.h>

/* What a copy would put there: bytes that differ from those there are, and none of them 0. Not from malloc. */
static void by_function(char *p, size_t size, size_t count, bool string)
{
    char *text = mmap(NULL, size + count, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (text == MAP_FAILED)
        fail("no memory for a text of %zu bytes", size + count);
    memset(text, 0x41, size + count);
    for (size_t i = 0; i < count; i++) {
        char was = *((volatile char *)p - count + i);
        text[i] = (char)((was ^ 1) != 0 ? was ^ 1 : was ^ 2);
    }
    text[size + count - 1] = 0;
    if (string)
        strcpy(hide(p - count), text);
    else
        memcpy(hide(p - count), text, size + count);
}

int main(int argc, char **argv)
{
    size_t size = number(argv, 1), count = number(argv, 2);
    char *before = take(size), *p = take(size), *after = take(size);

    step("write");
    volatile char *start = p;
    if (argc > 3)
        by_function(p, size, count, word_is(argv, 3, "string"));
    else
        for (size_t i = 1; i <= count; i++)
            start[-(ptrdiff_t)i] ^= 0x41;
    step("free");
    free(p);
    step("neighbours");
    free(after);
    free(before);
    return finish();
}
