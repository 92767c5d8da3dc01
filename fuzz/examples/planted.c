/* A small parser with one heap bug of each class, for trying out fuzzers and allocators: docs/FUZZING.md.
 *
 * Input: records of a tag, a length and as many bytes. Each tag's function is right for most records and wrong for
 * some. planted FILE, or standard input. Compiled with -DPERSISTENT by AFL++: 1,000 inputs a process, by its shared
 * memory. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct record {
    unsigned char tag, n;
    const unsigned char *bytes;
};

static volatile unsigned sum; /* what is read is used */

/* A chunk that no compiler knows the size of. */
static unsigned char *make(size_t n)
{
    unsigned char *volatile p = malloc(n);
    if (p == NULL)
        exit(1);
    return p;
}

/* Longer than the chunk by one byte, of 16. */
static void write_past(const struct record *r)
{
    unsigned char *p = make(16);
    for (size_t i = 0; i < r->n && i <= 16; i++) /* should be < */
        p[i] = r->bytes[i];
    free(p);
}

/* The same in a chunk of 13, behind which an aligned allocator has room. */
static void write_past_odd(const struct record *r)
{
    unsigned char *p = make(13);
    for (size_t i = 0; i < r->n && i <= 13; i++)
        p[i] = r->bytes[i];
    free(p);
}

static void read_past(const struct record *r)
{
    unsigned char *p = make(32);
    memset(p, 1, 32);
    sum += p[r->n > 32 ? 32 : r->n]; /* should be >= and 31 */
    free(p);
}

static void read_past_odd(const struct record *r)
{
    unsigned char *p = make(13);
    memset(p, 1, 13);
    sum += p[r->n > 13 ? 13 : r->n];
    free(p);
}

static void write_before(const struct record *r)
{
    unsigned char *p = make(64);
    memset(p, ' ', 64);
    size_t n = 64;
    while (n > 0 && p[n - 1] == ' ')
        n--;
    if (r->n > 3)
        p[n - 1] = 0; /* of an empty line, too */
    free(p);
}

static void read_before(const struct record *r)
{
    unsigned char *p = make(64);
    memset(p, 1, 64);
    sum += p[(r->n > 3 ? 0 : 1) - 1];
    free(p);
}

static void write_freed(const struct record *r)
{
    unsigned char *p = make(40);
    p[0] = 1;
    if (r->n > 3)
        free(p);
    p[0] = 2;
    if (r->n <= 3)
        free(p);
}

static void read_freed(const struct record *r)
{
    unsigned char *p = make(40);
    p[1] = 1;
    if (r->n > 3)
        free(p);
    sum += p[1];
    if (r->n <= 3)
        free(p);
}

static void free_twice(const struct record *r)
{
    unsigned char *p = make(48);
    p[0] = 1;
    free(p);
    if (r->n > 3)
        free(p);
}

/* Between both frees the memory may have become somebody else's. */
static void free_twice_reused(const struct record *r)
{
    unsigned char *p = make(48), *q;
    free(p);
    q = make(48);
    q[0] = 1;
    if (r->n > 3)
        free(p);
    sum += q[0];
    free(q);
}

static void free_inside(const struct record *r)
{
    unsigned char *p = make(64);
    p[0] = 1;
    free(p + (r->n > 3 ? 16 : 0));
}

static void free_stack(const struct record *r)
{
    unsigned char near[32] __attribute__((aligned(16))), *volatile p = near;
    p[0] = 1;
    if (r->n > 3)
        free(p);
}

static void write_past_large(const struct record *r)
{
    size_t n = 200000;
    unsigned char *p = make(n);
    p[n - (r->n > 3 ? 0 : 1)] = 1;
    free(p);
}

static void read_past_large(const struct record *r)
{
    size_t n = 262144;
    unsigned char *p = make(n);
    p[0] = 1;
    sum += p[n - (r->n > 3 ? 0 : 1)];
    free(p);
}

/* Through a pointer from before a realloc that moved. */
static void write_moved(const struct record *r)
{
    unsigned char *p = make(24), *volatile old = p, *q;
    p[0] = 1;
    q = realloc(p, r->n > 3 ? 5000 : 24);
    if (q == NULL)
        exit(1);
    (r->n > 3 ? old : q)[0] = 2;
    free(q);
}

static void write_empty(const struct record *r)
{
    unsigned char *p = make(r->n > 3 ? 0 : 1);
    p[0] = 1;
    free(p);
}

/* Nobody frees it, so no free can look at it. */
static void write_past_kept(const struct record *r)
{
    static unsigned char *kept;
    if (kept == NULL)
        kept = make(24);
    kept[r->n > 3 ? 24 : 23] = 1;
}

/* From one member into the next: one object to every allocator. */
static void write_inside(const struct record *r)
{
    struct {
        unsigned char name[8], admin;
    } *volatile p = (void *)make(sizeof *p);
    p->admin = 0;
    memcpy(p->name, r->bytes, r->n > 8 ? 9 : r->n);
    sum += p->admin;
    free(p);
}

static const struct {
    unsigned char tag;
    void (*parse)(const struct record *);
} parsers[] = {
    {'a', write_past},       {'b', write_past_odd},    {'c', read_past},   {'d', read_past_odd},
    {'e', write_before},     {'f', read_before},       {'g', write_freed}, {'h', read_freed},
    {'i', free_twice},       {'j', free_twice_reused}, {'k', free_inside}, {'l', free_stack},
    {'m', write_past_large}, {'n', read_past_large},   {'o', write_moved}, {'p', write_empty},
    {'q', write_past_kept},  {'r', write_inside},
};

static void parse(const unsigned char *at, size_t size)
{
    while (size >= 2) {
        struct record r = {at[0], at[1], at + 2};
        if (r.n > size - 2)
            return;
#ifdef ONLY /* a campaign for some of them */
        if (strchr(ONLY, r.tag) == NULL)
            return;
#endif
        for (size_t i = 0; i < sizeof parsers / sizeof parsers[0]; i++)
            if (parsers[i].tag == r.tag)
                parsers[i].parse(&r);
        at += 2 + r.n;
        size -= 2 + (size_t)r.n;
    }
}

#ifdef CHILDREN /* each parses the same input, as a fork server's would; ends as the first one that crashes */
static void fork_children(const unsigned char *input, size_t n)
{
    for (int i = 0, status; i < CHILDREN; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            parse(input, n);
            exit(0);
        }
        if (waitpid(pid, &status, 0) != pid || status != 0)
            abort();
    }
}
#endif

#ifdef PERSISTENT
__AFL_FUZZ_INIT();
#endif

int main(int argc, char **argv)
{
#ifdef KEPT /* live chunks that every run finds: what a real program has set up before its first input */
    for (size_t i = 0; i < KEPT; i++)
        make(1 + i % 500)[0] = 1;
#ifndef PERSISTENT
    __AFL_INIT();
#endif
#endif
#ifdef PERSISTENT
    (void)argc;
    (void)argv;
    __AFL_INIT();
    const unsigned char *input = __AFL_FUZZ_TESTCASE_BUF;
    while (__AFL_LOOP(1000))
        parse(input, (size_t)__AFL_FUZZ_TESTCASE_LEN);
#else
    static unsigned char input[4096];
    FILE *in = argc > 1 ? fopen(argv[1], "rb") : stdin;
    if (in == NULL) {
        perror(argv[1]);
        return 2;
    }
    size_t n = fread(input, 1, sizeof input, in);
#ifdef WARM /* as many good inputs in this process before it, as in persistent mode */
    unsigned char good[4] = {input[0], 2, 'x', 'y'};
    for (size_t i = 0; i < WARM; i++)
        parse(good, sizeof good);
#endif
#ifdef CHILDREN
    fork_children(input, n);
#endif
    parse(input, n);
#endif
    return 0;
}
