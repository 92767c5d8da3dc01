/* P3: the attacker writes the header that a chunk had while it lived back, after it was freed.
 * SIZE HOW: `freed`: then frees it again; `reused`: waits until the slot has a new owner, whose header is
 * overwritten with the old one and who then frees it; `live`, the twin: writes it back while the chunk lives. */
#include "attack.h"

int main(int argc, char **argv)
{
    (void)argc;
    size_t size = number(argv, 1), pairs = enough_pairs(size);
    uint64_t old, now;
    char *p = take(size);
    memcpy(&old, hide(p - 8), 8);
    if (word_is(argv, 2, "live"))
        memcpy(hide(p - 8), &old, 8);
    free(hide(p));
    if (word_is(argv, 2, "live"))
        return finish();
    char *owner = NULL;
    if (word_is(argv, 2, "reused")) {
        while (owner != p && pairs--) {
            free(owner);
            owner = take(size);
        }
        if (owner != p)
            fail("the slot was never reused");
        memcpy(&now, hide(p - 8), 8);
        if (now == old)
            fail("the new owner's header is the old one");
    }
    step("write");
    memcpy(hide(p - 8), &old, 8);
    step("free");
    free(hide(p));
    return finish();
}
