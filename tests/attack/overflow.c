/* P4: writes past the requested end.
 * SIZE COUNT HOW: COUNT bytes, by a loop that writes the value HOW or, with `flip`, inverts a bit of each byte; or by
 * `copy`, a memcpy that is COUNT too long; `string`, a strcpy whose terminator is the last of them; `append`, a strcat;
 * `print`, a sprintf. COUNT 0 fills the chunk to its last byte and not further: the twin. What follows a chunk is never
 * 0x00, 0x41 or 0xff, the values that overflows write most, so that a single one of them is a change. */
#include "attack.h"

#include <sys/mman.h>

/* n bytes of text, then its end; not from malloc, whose neighbours they would change. */
static char *text_of(size_t n)
{
    char *text = mmap(NULL, n + 1, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (text == MAP_FAILED)
        fail("no memory for a text of %zu bytes", n);
    memset(text, 0x41, n);
    return text;
}

/* True when something else is there now. */
static bool by_loop(char *p, size_t size, size_t count, char **argv)
{
    volatile char *end = p + size;
    bool changed = count == 0, flip = word_is(argv, 3, "flip");
    for (size_t i = 0; i < count; i++) {
        char now = flip ? (char)(end[i] ^ 1) : (char)number(argv, 3);
        changed |= end[i] != now;
        end[i] = now;
    }
    return changed;
}

static void by_function(char *p, size_t size, size_t count, const char *how, char *text)
{
    size_t half = size / 2;
    if (strcmp(how, "copy") == 0) {
        memcpy(p, text, size + count);
        return;
    }
    text[size + count - 1] = 0;
    if (strcmp(how, "string") == 0) {
        strcpy(p, text);
    } else if (strcmp(how, "append") == 0) {
        memset(p, 0x41, half);
        p[half] = 0;
        strcat(p, text + half);
    } else {
        sprintf(p, "%s", text);
    }
}

int main(int argc, char **argv)
{
    (void)argc;
    size_t size = number(argv, 1), count = number(argv, 2);
    const char *how = word(argv, 3);
    bool loop = strcmp(how, "flip") == 0 || strncmp(how, "0x", 2) == 0;
    char *text = loop ? NULL : text_of(size + count);
    char *before = take(size), *p = take(size), *after = take(size);
    memset(p, 0x55, size);

    step("write");
    if (!loop)
        by_function(p, size, count, how, text);
    else if (!by_loop(p, size, count, argv))
        fail("the bytes written were there already");
    step("free");
    free(p);
    step("neighbours");
    free(after);
    free(before);
    return finish();
}
