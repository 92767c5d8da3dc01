/* P16: damage to a chunk that the program never frees. SIZE DAMAGE NOTICED.
 * DAMAGE: `past` and `before` change a byte behind or before a live chunk, `header` one of the header behind it,
 * whether or not a chunk is or ever was there, `freed` one of a freed chunk, `none` is the twin.
 * NOTICED, how it is to come to light: `exit`, `child` (exit of a forked child), `call` (moat_check_heap), `free` of
 * the chunk behind, `own` free of the chunk before, `patrol` while chunks of the size are allocated. */
#include <dlfcn.h>

#include "attack.h"

enum { AROUND = 40, TRIES = 20000 };

static char **words;
static size_t size;
static volatile char *victim;

static void damage(void)
{
    if (word_is(words, 2, "past"))
        victim[size] ^= 1;
    else if (word_is(words, 2, "before"))
        victim[-1] ^= 1;
    else if (word_is(words, 2, "header"))
        victim[slot_bytes(size) - 5] ^= 1;
    else if (word_is(words, 2, "freed"))
        victim[size / 2] ^= 1;
    else if (!word_is(words, 2, "none"))
        fail("no such damage");
}

static void call(void)
{
    typedef size_t check_heap(void);
    check_heap *check;
    void *symbol = dlsym(RTLD_DEFAULT, "moat_check_heap");
    memcpy(&check, &symbol, sizeof check);
    if (symbol != NULL && check() < AROUND)
        fail("fewer chunks were verified than are live");
}

static void patrol(void)
{
    for (int i = 0; i < TRIES; i++)
        (void)take(size);
}

/* Two chunks that lie side by side; the one behind is freed. */
static void free_behind(void)
{
    static char *all[TRIES];
    size_t stride = slot_bytes(size), n = 0;
    char *behind = NULL;
    for (; n < TRIES && behind == NULL; n++) {
        all[n] = take(size);
        for (size_t i = 0; i < n && behind == NULL; i++)
            if (all[n] - all[i] == (ptrdiff_t)stride || all[i] - all[n] == (ptrdiff_t)stride) {
                behind = all[n] > all[i] ? all[n] : all[i];
                victim = all[n] > all[i] ? all[i] : all[n];
            }
    }
    if (behind == NULL && stride != 0)
        fail("no two chunks lie side by side");
    damage();
    step("free");
    free(behind);
}

static void damage_and_exit(void *unused)
{
    (void)unused;
    damage();
    exit(0);
}

int main(int argc, char **argv)
{
    (void)argc;
    static char *around[AROUND];
    words = argv;
    size = number(argv, 1);
    for (int i = 0; i < AROUND; i++)
        around[i] = take(size);
    victim = around[AROUND / 2];
    for (int i = 0; i < AROUND && word_is(argv, 2, "header"); i++)
        if (around[i] < victim) /* the first: it has a slot behind it */
            victim = around[i];
    if (word_is(argv, 2, "freed"))
        free((char *)victim);
    if (word_is(argv, 3, "free")) {
        free_behind();
        return finish();
    }
    if (word_is(argv, 3, "child")) {
        if (child_reports(damage_and_exit, NULL, "heap-buffer-overflow: exit found") != word_is(argv, 2, "past"))
            fail("the child's end");
        return finish();
    }
    damage();
    step(word(argv, 3));
    if (word_is(argv, 3, "own"))
        free((char *)victim);
    if (word_is(argv, 3, "call"))
        call();
    if (word_is(argv, 3, "patrol"))
        patrol();
    return finish();
}
