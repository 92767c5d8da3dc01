/* P3: memory that is not moat's, given to free, realloc or malloc_usable_size.
 * HOW: free, realloc, size. Where option foreign lets it pass, it stays as it is, realloc says that there is no memory,
 * and its size is 0. */
#include <errno.h>
#include <sys/mman.h>

#include <malloc.h>

#include "attack.h"

int main(int argc, char **argv)
{
    (void)argc;
    char *p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        fail("no mapping");
    memset(p, 7, 8192);
    step(word(argv, 1));
    errno = 0;
    if (word_is(argv, 1, "free")) {
        free(hide(p + 64));
        if (errno != 0)
            fail("free changed errno");
    } else if (word_is(argv, 1, "realloc")) {
        if (realloc(hide(p + 64), 100) != NULL || errno != ENOMEM)
            fail("realloc of it is something, or errno %d", errno);
    } else if (malloc_usable_size(hide(p + 64)) != 0)
        fail("it has a size");
    if (!all_bytes(p, 7, 8192))
        fail("it was changed");
    free(take(100));
    return finish();
}
