/* P2: headers drawn at random, and headers seen at other chunks with random fields, are all refused.
 * SIZE TRIES */
#include "attack.h"

static char *chunk;

static void forge_and_free(void *header)
{
    memcpy(hide(chunk - 8), header, 8);
    free(chunk);
}

static uint64_t next_random(uint64_t *state)
{
    *state += 0x9e3779b97f4a7c15u; /* splitmix64 */
    uint64_t z = (*state ^ *state >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

int main(int argc, char **argv)
{
    (void)argc;
    size_t size = number(argv, 1), tries = number(argv, 2), taken = 0;
    uint64_t state = (uint64_t)getpid(), own;
    chunk = take(size);
    memcpy(&own, hide(chunk - 8), 8);
    step("children");
    for (size_t i = 0; i < tries; i++) {
        uint64_t header = next_random(&state), seen;
        if (i % 3 == 1) /* the fields are right, only the upper half, where the MAC may be, is guessed */
            header = (header & ~(uint64_t)0xffffffff) | (own & 0xffffffff);
        if (i % 3 == 2) { /* the linear forgery: a difference of two valid headers is applied to a third */
            memcpy(&seen, hide((char *)take(size) - 8), 8);
            memcpy(&header, hide((char *)take(size) - 8), 8);
            header ^= seen ^ own;
        }
        /* One in 2^32 is right by chance: one of all tries may be. */
        if (header != own && !child_reports(forge_and_free, &header, "moat: heap-buffer-overflow") && ++taken > 1)
            fail("header %#llx was taken in place of %#llx", (unsigned long long)header, (unsigned long long)own);
    }
    return finish();
}
