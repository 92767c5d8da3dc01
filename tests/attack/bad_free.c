/* P3: what is freed was never allocated.
 * WHAT: stack, global, constant, mmap, libc, code, null-page, high, or `null`, the twin. */
#define _GNU_SOURCE
#include "attack.h"

#include <sys/mman.h>

static char global[256] __attribute__((aligned(64)));

int main(int argc, char **argv)
{
    (void)argc;
    char stack[256] __attribute__((aligned(64))) = {1};
    churn(100, 10);
    const void *p = NULL;
    if (word_is(argv, 1, "stack"))
        p = stack + 64;
    else if (word_is(argv, 1, "global"))
        p = global + 64;
    else if (word_is(argv, 1, "constant"))
        p = (const void *)((uintptr_t) "a text that nobody allocated" & ~(uintptr_t)15);
    else if (word_is(argv, 1, "mmap"))
        p = (char *)mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) + 32768;
    else if (word_is(argv, 1, "libc"))
        p = stdin;
    else if (word_is(argv, 1, "code"))
        p = (const void *)((uintptr_t)&main & ~(uintptr_t)15);
    else if (word_is(argv, 1, "null-page"))
        p = (const void *)8;
    else if (word_is(argv, 1, "high"))
        p = (const void *)~(uintptr_t)15;
    step("free");
    free(hide(p));
    return finish();
}
