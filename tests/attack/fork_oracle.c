/* P2: a server forks a child for each request, and each child that dies tells its attacker that a guess was wrong.
 * SIZE HOW:
 *   whole     he writes a header whose MAC he guesses at once
 *   bytewise  he overwrites a header of before the fork byte by byte: each byte is right after 256 guesses at most
 *   after     chunks that children allocate themselves: do address and header repeat in the next child, so that
 *             guessing byte by byte works for them too?
 *   alive     the twin: children free what they should */
#include "attack.h"

#include <sys/wait.h>

enum { LIVE = 2000, CHILDREN = 200, EACH = 8, GUESSES = 150 };
static size_t size;
static char *victim;
static unsigned char guess[8];
static size_t guess_bytes, guess_at, tries;

static void overwrite_and_free(void *unused)
{
    (void)unused;
    memcpy(hide(victim - 8 + guess_at), guess + guess_at, guess_bytes);
    free(victim);
}

static bool dies(void)
{
    tries++;
    return child_reports(overwrite_and_free, NULL, "moat: ");
}

static void whole(void)
{
    guess_at = 4;
    guess_bytes = 4;
    for (uint32_t i = 1; i <= GUESSES; i++) {
        uint32_t mac, now = i * 2654435761u;
        memcpy(&mac, hide(victim - 4), 4);
        memcpy(guess + 4, &now, 4);
        if (now != mac && !dies())
            fail("MAC %#x was taken for %#x", now, mac);
    }
}

static void bytewise(void)
{
    step("learn");
    for (guess_at = 0, guess_bytes = 1; guess_at < 8; guess_at++) {
        int value = 0;
        while (value < 256 && (guess[guess_at] = (unsigned char)value, dies()))
            value++;
        if (value == 256)
            return; /* no value is right: nothing was learned */
    }
    if (memcmp(guess, hide(victim - 8), 8) == 0)
        fail("the header is known after %zu children", tries);
}

struct seen {
    uintptr_t address;
    uint64_t header;
};

/* How many of the children's nth chunks are the most common one. */
static size_t most_common(struct seen all[][EACH], int n)
{
    size_t most = 0;
    for (int i = 0; i < CHILDREN; i++) {
        size_t times = 0;
        for (int j = 0; j < CHILDREN; j++)
            times += all[i][n].address == all[j][n].address && all[i][n].header == all[j][n].header;
        most = times > most ? times : most;
    }
    return most;
}

static void after(void)
{
    static struct seen all[CHILDREN][EACH];
    for (int i = 0; i < CHILDREN; i++) {
        int ends[2];
        if (pipe(ends) != 0)
            fail("pipe");
        pid_t child = fork();
        if (child == 0) {
            for (int n = 0; n < EACH; n++) {
                char *p = take(size);
                all[i][n].address = (uintptr_t)p;
                memcpy(&all[i][n].header, hide(p - 8), 8);
                if (n % 2)
                    free(take(size)); /* what waits since before the fork comes out, too */
            }
            _exit(write(ends[1], all[i], sizeof all[i]) != sizeof all[i]);
        }
        if (read(ends[0], all[i], sizeof all[i]) != sizeof all[i] || waitpid(child, NULL, 0) != child)
            fail("no answer from a child");
        close(ends[0]);
        close(ends[1]);
    }
    /* Of 5,000 bytes there are few slots: the most common chunk is that of one child in 12. Of the others it is one in
     * 50 at most. */
    const size_t most = size < 5000 || size > 100000 ? CHILDREN / 8 : CHILDREN / 4;
    for (int n = 0; n < EACH; n++)
        if (most_common(all, n) > most)
            fail("chunk %d is the same in %zu of %d children", n, most_common(all, n), CHILDREN);
}

static void release(void *unused)
{
    (void)unused;
    free(victim);
    free(take(size));
}

int main(int argc, char **argv)
{
    (void)argc;
    static char *live[LIVE];
    size = number(argv, 1);
    size_t count = size < 5000 ? LIVE : LIVE / 20;
    for (size_t i = 0; i < count; i++)
        live[i] = take(size);
    for (size_t i = 0; i < count; i += 2)
        free(live[i]);
    victim = live[count / 2 + 1];
    step("children");
    if (word_is(argv, 2, "whole"))
        whole();
    else if (word_is(argv, 2, "bytewise"))
        bytewise();
    else if (word_is(argv, 2, "after"))
        after();
    else if (child_reports(release, NULL, "moat"))
        fail("a child that only frees died");
    return finish();
}
