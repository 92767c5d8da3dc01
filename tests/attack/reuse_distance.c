/* P7: how many frees of its class lie between a chunk's free and the reuse of its slot.
 * SIZE MEAN LEAST: the mean and the least that are allowed. */
#include "attack.h"

enum { MAP_SIZE = 1 << 18, LIVE = 32, FREES = 300000, WARM = 60000 };
static struct {
    uintptr_t address;
    size_t when;
} map[MAP_SIZE];

static size_t *freed_at(const void *p)
{
    size_t i = (uintptr_t)p * 0x9e3779b97f4a7c15u >> 46;
    while (map[i].address && map[i].address != (uintptr_t)p)
        i = (i + 1) % MAP_SIZE;
    map[i].address = (uintptr_t)p;
    return &map[i].when;
}

int main(int argc, char **argv)
{
    (void)argc;
    static char *live[LIVE];
    size_t size = number(argv, 1), seen = 0, sum = 0, least = SIZE_MAX;
    for (int i = 0; i < LIVE; i++)
        live[i] = take(size);
    for (size_t i = 1; i <= FREES; i++) {
        char **p = &live[i * 13 % LIVE];
        free(*p);
        *freed_at(*p) = i;
        *p = take(size);
        size_t when = *freed_at(*p);
        if (i < WARM || !when)
            continue;
        seen++;
        sum += i - when;
        least = i - when < least ? i - when : least;
    }
    size_t mean = seen ? (sum + seen / 2) / seen : 0;
    printf("reuse %zu bytes: mean %zu, least %zu frees\n", size, mean, least);
    fflush(stdout);
    if (mean < number(argv, 2) || least < number(argv, 3))
        fail("reused after %zu frees on average, %zu at least", mean, least);
    return finish();
}
