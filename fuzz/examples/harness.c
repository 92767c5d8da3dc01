/* A persistent harness that runs with moat and without: docs/FUZZING.md. What it tries is a small parser of a list of
 * words with one bug: a word that begins with a ! is never freed.
 *
 *     afl-clang-fast -g -O1 -fno-builtin -I include -o harness fuzz/examples/harness.c
 *     moat fuzz -i corpus --option detect_leaks=1 -- ./harness
 *
 * Without AFL++ (any compiler) it takes one input from a file or standard input. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <moat/moat.h>

struct word {
    struct word *next;
    char text[24];
};

static struct word *words;

static void add(const char *text, size_t n)
{
    struct word *w = malloc(sizeof *w);
    if (w == NULL)
        return;
    if (n >= sizeof w->text)
        n = sizeof w->text - 1;
    memcpy(w->text, text, n);
    w->text[n] = '\0';
    w->next = words;
    words = w;
}

static void drop(void)
{
    while (words != NULL) {
        struct word *next = words->next;
        if (words->text[0] != '!') /* should not be asked */
            free(words);
        words = next;
    }
}

/* Words of a line, each ended by a blank. */
static void parse(const char *at, size_t n)
{
    while (n > 0) {
        const char *blank = memchr(at, ' ', n);
        size_t size = blank != NULL ? (size_t)(blank - at) : n;
        if (size > 0)
            add(at, size);
        size += blank != NULL;
        at += size;
        n -= size;
    }
    drop();
}

/* One run. moat's part is absent, and costs nothing, where moat is not preloaded. */
static void try(const char *input, size_t n)
{
    if (moat_epoch_begin != NULL)
        (void)moat_epoch_begin();
    parse(input, n);
    if (moat_epoch_end != NULL)
        (void)moat_epoch_end(NULL, 0);
}

#ifdef __AFL_FUZZ_INIT
__AFL_FUZZ_INIT();
#endif

/* AFL++'s loop takes another way in its first round: where AFL_LLVM_DENYLIST names main, every run of an input is the
 * same. */
int main(int argc, char **argv)
{
#ifdef __AFL_FUZZ_INIT
    __AFL_INIT();
    const unsigned char *input = __AFL_FUZZ_TESTCASE_BUF;
    (void)argc;
    (void)argv;
    while (__AFL_LOOP(1000))
        try((const char *)input, (size_t)__AFL_FUZZ_TESTCASE_LEN);
#else
    static char input[4096];
    FILE *in = argc > 1 ? fopen(argv[1], "rb") : stdin;
    if (in == NULL) {
        perror(argv[1]);
        return 2;
    }
    try(input, fread(input, 1, sizeof input, in));
#endif
    return 0;
}
