/* What AFL++ fuzzes in persistent mode: a parser of "name=value;" that keeps its pairs on the heap. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

__AFL_FUZZ_INIT();

struct pair {
    char *name, *value;
    struct pair *next;
};

static char *copy(const char *from, const char *end)
{
    char *text = malloc((size_t)(end - from) + 1);
    if (!text)
        abort();
    memcpy(text, from, (size_t)(end - from));
    text[end - from] = 0;
    return text;
}

static void parse(const char *p, const char *end)
{
    struct pair *all = NULL;
    while (p < end) {
        const char *sign = memchr(p, '=', (size_t)(end - p));
        const char *stop = sign ? memchr(sign, ';', (size_t)(end - sign)) : NULL;
        if (!stop)
            break;
        struct pair *pair = malloc(sizeof *pair);
        if (!pair)
            abort();
        *pair = (struct pair){copy(p, sign), copy(sign + 1, stop), all};
        all = pair;
        if (pair->value[0] == '(' && strchr(pair->value, ')'))
            pair->value = realloc(pair->value, strlen(pair->value) * 3 + 1);
        p = stop + 1;
    }
    while (all) {
        struct pair *next = all->next;
        free(all->name);
        free(all->value);
        free(all);
        all = next;
    }
}

int main(void)
{
    __AFL_INIT();
    const unsigned char *input = __AFL_FUZZ_TESTCASE_BUF;
    while (__AFL_LOOP(1000))
        parse((const char *)input, (const char *)input + __AFL_FUZZ_TESTCASE_LEN);
    return 0;
}
