/* P10: an address that served one size class never serves another, nor a large chunk, though all is freed between.
 * ROUNDS */
#include "attack.h"

enum { GRANULE = 4096, MAP_SIZE = 1 << 20, PER_CLASS = 4 << 20, MOST = PER_CLASS / 32, LARGE = 1000 };
static struct {
    uintptr_t granule;
    size_t owner;
} map[MAP_SIZE];

static void claim(uintptr_t granule, size_t owner)
{
    size_t i = granule * 0x9e3779b97f4a7c15u >> 44;
    while (map[i].granule && map[i].granule != granule)
        i = (i + 1) % MAP_SIZE;
    if (map[i].granule && map[i].owner != owner)
        fail("%#zx served chunks of %zu bytes, now of %zu", (size_t)granule * GRANULE, map[i].owner, owner);
    map[i].granule = granule;
    map[i].owner = owner;
}

static void use(size_t size, size_t owner)
{
    static char *chunks[MOST];
    size_t count = PER_CLASS / (size + 16);
    for (size_t i = 0; i < count; i++) {
        chunks[i] = take(size);
        for (uintptr_t at = (uintptr_t)chunks[i]; at < (uintptr_t)chunks[i] + size; at += GRANULE)
            claim(at / GRANULE, owner);
    }
    for (size_t i = 0; i < count; i++)
        free(chunks[i]);
}

int main(int argc, char **argv)
{
    (void)argc;
    static const size_t sizes[] = {16, 50, 100, 200, 500, 1000, 3000, 9000, 20000, 60000, 120000};
    for (size_t round = number(argv, 1); round; round--) {
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
            use(sizes[i], sizes[i]);
        for (size_t size = 200000; size < 2000000; size = size * 3 / 2)
            use(size, LARGE);
    }
    return finish();
}
