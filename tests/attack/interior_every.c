/* P3: a pointer into a chunk is reported wherever in its slab the chunk lies: looking at what such a pointer says must
 * not run into the guard behind the slab. SIZE OFFSET COUNT: of COUNT chunks each is tried, in a child. */
#include "attack.h"

static void release(void *p)
{
    free(p);
}

int main(int argc, char **argv)
{
    (void)argc;
    size_t size = number(argv, 1), offset = number(argv, 2), count = number(argv, 3);
    char **chunks = take(count * sizeof *chunks);
    for (size_t i = 0; i < count; i++)
        chunks[i] = take(size);
    step("children");
    for (size_t i = 0; i < count; i++)
        if (!child_reports(release, hide(chunks[i] + offset), "moat: bad-free"))
            fail("chunk %zu, %p: no report of a free of %zu bytes into it", i, (void *)chunks[i], offset);
    for (size_t i = 0; i < count; i++)
        free(chunks[i]);
    return finish();
}
