/* Strings: build with formatting, join, split, copy; the way of command-line tools and small servers. */
#include "work.h"

enum { FIELDS = 24 };

/* The fields joined by a semicolon. */
static char *join(char **fields)
{
    char *line = work_need(strdup(""));
    size_t length = 0;
    for (unsigned i = 0; i < FIELDS; i++) {
        size_t more = strlen(fields[i]);
        line = work_need(realloc(line, length + more + 2));
        memcpy(line + length, fields[i], more);
        length += more;
        line[length++] = ';';
        line[length] = '\0';
    }
    return line;
}

static uint64_t split(const char *line, uint64_t sum)
{
    char *words[FIELDS];
    unsigned n = 0;
    for (const char *end; (end = strchr(line, ';')) != NULL && n < FIELDS; line = end + 1)
        words[n++] = work_need(strndup(line, (size_t)(end - line)));
    for (unsigned i = n; i-- > 0;) {
        sum = work_mix(sum, strlen(words[i]) + (unsigned char)words[i][0]);
        free(words[i]);
    }
    return sum;
}

int main(int argc, char **argv)
{
    size_t lines = work_scaled(argc, argv, 500000);
    struct work_random r = work_seed(7);
    char text[161];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    uint64_t sum = 0;
    for (size_t i = 0; i < lines; i++) {
        char *fields[FIELDS];
        for (unsigned k = 0; k < FIELDS; k++) {
            size_t n = work_size(&r, 4, sizeof text - 1);
            fields[k] = work_alloc(n + 9);
            memcpy(fields[k], text, n);
            fields[k][0] = (char)('a' + (i + k) % 26);
            fields[k][n] = '\0';
        }
        char *line = join(fields);
        sum = split(line, sum);
        for (unsigned k = 0; k < FIELDS; k++)
            free(fields[k]);
        free(line);
    }
    return work_done(sum);
}
