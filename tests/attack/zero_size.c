/* P11: malloc(0) gives a pointer of its own that can't be read or written.
 * HOW: `unique`, `free` (twins), `read`, `write`, by a memcpy (`copy`) or a strcpy (`string`), `double`, `realloc` (a
 * twin: it may grow). */
#include "attack.h"

enum { COUNT = 10000 };

int main(int argc, char **argv)
{
    (void)argc;
    static char *all[COUNT];
    volatile char *p = take(0);
    if (word_is(argv, 1, "unique")) {
        for (int i = 0; i < COUNT; i++)
            if (!set_put(all[i] = take(0)))
                fail("%p was given twice", (void *)all[i]);
        for (int i = 0; i < COUNT; i++)
            free(all[i]);
    } else if (word_is(argv, 1, "read")) {
        step("read");
        (void)*p;
    } else if (word_is(argv, 1, "write")) {
        step("write");
        *p = 0x41;
    } else if (word_is(argv, 1, "copy")) {
        step("write");
        memcpy(hide((char *)p), hide("eight of"), 8);
    } else if (word_is(argv, 1, "string")) {
        step("write");
        strcpy(hide((char *)p), hide("a text"));
    } else if (word_is(argv, 1, "double")) {
        free((char *)p);
        step("free");
    } else if (word_is(argv, 1, "realloc")) {
        p = realloc((char *)p, 100);
        memset((char *)p, 0x41, 100);
    }
    free(hide((char *)p));
    return finish();
}
