/* A static program: every routine of the family comes from moat, and the program's result says so. */
#include <malloc.h>
#include <moat/moat.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int fail(const char *what)
{
    fprintf(stderr, "static/program: %s\n", what);
    return EXIT_FAILURE;
}

int main(void)
{
    struct moat_stats before, after;
    if (moat_stats(&before, sizeof before) != 0)
        return fail("moat_stats");
    enum { COUNT = 1000, SIZE = 100 };
    static char *chunks[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        chunks[i] = i % 2 == 0 ? malloc(SIZE) : calloc(1, SIZE);
        if (chunks[i] == NULL)
            return fail("no memory");
        memset(chunks[i], 1, SIZE);
    }
    if (moat_stats(&after, sizeof after) != 0 || after.live_count < before.live_count + COUNT)
        return fail("malloc and calloc are not moat's");
    if (malloc_usable_size(chunks[0]) < SIZE)
        return fail("malloc_usable_size");
    for (size_t i = 0; i < COUNT; i++)
        chunks[i] = realloc(chunks[i], SIZE * 2);
    for (size_t i = 0; i < COUNT; i++)
        free(chunks[i]);
    void *aligned = memalign(256, SIZE), *other = NULL;
    if (aligned == NULL || (size_t)aligned % 256 != 0 || posix_memalign(&other, 64, SIZE) != 0)
        return fail("memalign");
    free(aligned);
    free(other);
    /* libc's own use of malloc: a stream's buffer, strdup */
    char *text = strdup("text");
    FILE *f = fopen("/dev/null", "w");
    if (text == NULL || f == NULL || fprintf(f, "%s", text) != 4 || fclose(f) != 0)
        return fail("libc on moat's malloc");
    free(text);
    printf("%s\n", moat_version());
    return EXIT_SUCCESS;
}
