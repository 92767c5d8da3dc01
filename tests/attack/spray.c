/* P8: an attacker arranges the heap. Counted, for the runner to hold against chance:
 *   hole     he frees one of many chunks of a size, so that the victim's next one of that size lands there
 *   behind   the victim's chunk lies right behind his last one
 *   guessed  the distance from his chunk to the victim's is the one that the trials before saw most often
 *   spray    of many victim's chunks one lies right behind his: no allocator can prevent that
 * SIZE TRIALS */
#include "attack.h"

enum { GROOMED = 64, SPRAYED = 256, DISTANCES = 1 << 16 };
static size_t size, slot;
static struct {
    ptrdiff_t distance;
    size_t times;
} seen[DISTANCES];

static size_t *times_of(ptrdiff_t distance)
{
    size_t i = (size_t)distance * 0x9e3779b97f4a7c15u >> 48;
    while (seen[i].times && seen[i].distance != distance)
        i = (i + 1) % DISTANCES;
    seen[i].distance = distance;
    return &seen[i].times;
}

static bool hole(size_t trial)
{
    char *groomed[GROOMED], *freed;
    for (int i = 0; i < GROOMED; i++)
        groomed[i] = take(size);
    freed = groomed[trial % GROOMED];
    free(freed);
    char *victim = take(size);
    bool hit = victim == freed;
    groomed[trial % GROOMED] = victim;
    for (int i = 0; i < GROOMED; i++)
        free(groomed[i]);
    return hit;
}

/* The victim's chunk comes right after the attacker's. */
static void next(bool *behind, bool *guessed)
{
    static ptrdiff_t best;
    static size_t best_times;
    char *mine = take(size), *victim = take(size);
    ptrdiff_t distance = (ptrdiff_t)((uintptr_t)victim - (uintptr_t)mine);
    *behind = distance == (ptrdiff_t)slot;
    *guessed = best_times && distance == best;
    size_t *times = times_of(distance);
    if (++*times > best_times) {
        best_times = *times;
        best = distance;
    }
    free(mine);
    free(victim);
}

static bool spray(void)
{
    static char *sprayed[SPRAYED];
    bool hit = false;
    char *mine = take(size);
    for (int i = 0; i < SPRAYED; i++) {
        sprayed[i] = take(size);
        hit |= sprayed[i] == mine + slot;
    }
    for (int i = 0; i < SPRAYED; i++)
        free(sprayed[i]);
    free(mine);
    return hit;
}

int main(int argc, char **argv)
{
    (void)argc;
    size = number(argv, 1);
    slot = slot_bytes(size) ? slot_bytes(size) : (size + 8 + 15) / 16 * 16;
    size_t trials = number(argv, 2), holes = 0, behinds = 0, guesses = 0, sprays = 0;
    for (size_t i = 0; i < trials; i++) {
        bool behind, guessed;
        holes += hole(i);
        next(&behind, &guessed);
        behinds += behind;
        guesses += guessed;
        sprays += i % 64 == 0 && spray();
    }
    printf("trials %zu\nhole %zu\nbehind %zu\nguessed %zu\nsprays %zu\nspray %zu\n", trials, holes, behinds, guesses,
           (trials + 63) / 64, sprays);
    fflush(stdout);
    return finish();
}
