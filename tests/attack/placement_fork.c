/* P8: two children and their parent draw different places, once what the parent had ready is used up. SIZE */
#include "attack.h"

#include <sys/wait.h>

enum { SKIP = 1024, KEPT = 1024 };

static void draw(uintptr_t *to, size_t size)
{
    for (int i = 0; i < SKIP; i++)
        (void)take(size);
    for (int i = 0; i < KEPT; i++)
        to[i] = (uintptr_t)take(size);
}

static size_t same(const uintptr_t *a, const uintptr_t *b)
{
    size_t n = 0;
    for (int i = 0; i < KEPT; i++)
        n += a[i] == b[i];
    return n;
}

int main(int argc, char **argv)
{
    (void)argc;
    static uintptr_t drawn[3][KEPT];
    size_t size = number(argv, 1);
    churn(size, 1000);
    for (int k = 0; k < 2; k++) {
        int ends[2];
        if (pipe(ends) != 0)
            fail("pipe");
        pid_t child = fork();
        if (child == 0) {
            draw(drawn[k], size);
            _exit(write(ends[1], drawn[k], sizeof drawn[k]) != sizeof drawn[k]);
        }
        if (read(ends[0], drawn[k], sizeof drawn[k]) != sizeof drawn[k] || waitpid(child, NULL, 0) != child)
            fail("no answer from child %d", k);
    }
    draw(drawn[2], size);
    for (int k = 0; k < 3; k++)
        if (same(drawn[k], drawn[(k + 1) % 3]) > KEPT / 8)
            fail("%zu of %d places are the same in processes %d and %d", same(drawn[k], drawn[(k + 1) % 3]), KEPT, k,
                 (k + 1) % 3);
    return finish();
}
