/* A heap for each request: what its parser allocates, overflows or leaves dangling meets no other request's memory, and
 * one call gives all of it back. Build: cc request.c -lmoat */
#include <moat/moat.h>
#include <stdio.h>
#include <string.h>

struct word {
    struct word *next;
    char text[];
};

static size_t count_words(moat_heap *request, const char *line)
{
    struct word *words = NULL;
    size_t n = 0;
    while (*(line += strspn(line, " ")) != '\0') {
        size_t length = strcspn(line, " ");
        struct word *word = moat_heap_malloc(request, sizeof *word + length + 1);
        if (word == NULL)
            return n;
        memcpy(word->text, line, length); /* its memory is zero: so is the end of the text */
        word->next = words;
        words = word;
        line += length;
        n++;
    }
    return n;
}

int main(void)
{
    static const char *const lines[] = {"one request", "a second one", "and one more of them"};
    size_t total = 0;
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        moat_heap *request = moat_heap_create();
        if (request == NULL)
            return 1;
        total += count_words(request, lines[i]);
        moat_heap_destroy(request);
    }
    printf("%zu words\n", total);
    return total != 10;
}
