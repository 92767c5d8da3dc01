/* P6: a dangling pointer is used when its memory already has a new owner: what then can still be noticed, and what not.
 * SIZE HOW: `write` into the new owner's bytes; `past`, into what the old chunk had and the new one has not; `read`;
 * `owner`, the twin, uses the memory through the new pointer. */
#include "attack.h"

int main(int argc, char **argv)
{
    (void)argc;
    size_t size = number(argv, 1), pairs = enough_pairs(size);
    char *stale = take(size), *owner = NULL;
    free(hide(stale));
    /* The new owner asks for one byte less: the old one's last byte is now behind its end. */
    while (owner != stale && pairs--) {
        free(owner);
        owner = take(size - 1);
    }
    if (owner != stale)
        not_here("the memory was never reused");
    memset(owner, 0x55, size - 1);
    char *p = hide(word_is(argv, 2, "owner") ? owner : stale);
    step("use");
    if (word_is(argv, 2, "write"))
        memset(p, 0x41, size - 1);
    else if (word_is(argv, 2, "past"))
        p[size - 1] = 0x41;
    else if (word_is(argv, 2, "read") && p[0] == 0x55)
        fail("the old pointer reads what the new owner wrote");
    bool harmed = owner[0] != 0x55;
    step("free");
    free(owner);
    step("use");
    if (harmed)
        fail("the new owner's bytes were changed through the old pointer");
    return finish();
}
