/* P3: what is freed was never allocated.
 * WHAT: stack, global, constant, tls, mmap, break, libc, code, null-page, high, noncanonical, or `null`, the twin.
 * ROUTINE: free, realloc or usable (malloc_usable_size). */
#define _GNU_SOURCE
#include "attack.h"

#include <malloc.h>
#include <sys/mman.h>

static char global[256] __attribute__((aligned(64)));
static __thread char own[256] __attribute__((aligned(64)));

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
    else if (word_is(argv, 1, "tls"))
        p = own + 64;
    else if (word_is(argv, 1, "break"))
        p = (char *)(((uintptr_t)sbrk(65536) + 32768) & ~(uintptr_t)15);
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
    else if (word_is(argv, 1, "noncanonical"))
        p = (const void *)(UINTPTR_MAX / 2 + 1 + 4096);
    step("free");
    void *q = NULL;
    if (word_is(argv, 2, "free"))
        free(hide(p));
    else if (word_is(argv, 2, "realloc"))
        q = realloc(hide(p), 100);
    else if (malloc_usable_size(hide(p)) != 0)
        fail("a size is known of what was never allocated");
    free(q);
    return finish();
}
