/* P3: a pointer whose slot was handed out again, and freed again, is freed by its first owner.
 * SIZE HOW: `stale`, or `owner`, the twin, which only frees what it holds. */
#include "attack.h"

int main(int argc, char **argv)
{
    (void)argc;
    size_t size = number(argv, 1), pairs = enough_pairs(size);
    char *stale = take(size);
    free(hide(stale));
    bool again = false;
    for (size_t i = 0; i < pairs && !again; i++) {
        char *now = take(size);
        again = now == stale;
        free(now);
    }
    step(again ? "reused" : "never-reused");
    if (word_is(argv, 2, "stale"))
        free(hide(stale));
    return finish();
}
