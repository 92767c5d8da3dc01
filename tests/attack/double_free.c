/* P3: the same pointer freed twice.
 * SIZE HOW: `once` (the twin), `twice`, `delayed` by ten other frees, `interleaved` (a b a), `thread` (the second
 * free in another thread), `later` (after many frees and allocations of other sizes), `resized` (realloc has given
 * the chunk its own size again), `zeroed` (the first free is a realloc to 0 bytes). */
#include "attack.h"

#include <pthread.h>

static void *release(void *p)
{
    free(p);
    return NULL;
}

int main(int argc, char **argv)
{
    (void)argc;
    size_t size = number(argv, 1);
    char *a = take(size), *b = take(size), *others[10];
    for (int i = 0; i < 10; i++)
        others[i] = take(size);
    if (word_is(argv, 2, "resized"))
        a = hide(realloc(a, size));
    if (word_is(argv, 2, "zeroed"))
        free(realloc(hide(a), 0)); /* NULL but for allocators that give a chunk of no bytes */
    else
        free(hide(a));
    if (word_is(argv, 2, "delayed"))
        for (int i = 0; i < 10; i++)
            free(others[i]);
    if (word_is(argv, 2, "interleaved"))
        free(b);
    if (word_is(argv, 2, "later"))
        for (size_t n = 1; n < 3000; n++)
            if (slot_bytes(n) != slot_bytes(size))
                churn(n, 10);
    step("free");
    pthread_t thread;
    if (word_is(argv, 2, "thread") && pthread_create(&thread, NULL, release, hide(a)) == 0)
        pthread_join(thread, NULL);
    else if (!word_is(argv, 2, "once"))
        free(hide(a));
    return finish();
}
