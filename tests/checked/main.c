/* Every checked function, on every kind of memory: what fits passes and does its work, what does not is reported
 * before it is done, under the function's name. Each call in a child of its own. Run with libmoat-checked.so preloaded.
 * main.c KIND: bounds, sources, freed, elsewhere, overlap, handler, zero, huge */
#include "cases.h"

#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wchar.h>

#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

static char area[MOST] __attribute__((aligned(64)));
static unsigned failures, count;
static char directory[64], file[80], raw[80];

/* A string of n - 1 characters, not of malloc's. */
static void fill(char *s, size_t n, bool wide)
{
    memset(s, 0, n);
    if (wide)
        for (size_t i = 0; i + 1 < n / sizeof(wchar_t); i++)
            ((wchar_t *)(void *)s)[i] = L'a' + (wchar_t)(i % 26);
    else
        for (size_t i = 0; i + 1 < n; i++)
            s[i] = (char)('a' + i % 26);
}

static void write_file(const char *path, size_t n)
{
    unlink(path); /* a link perhaps */
    FILE *f = fopen(path, "w");
    for (size_t i = 0; f != NULL && i < n; i++)
        fputc('x', f);
    if (f == NULL || fclose(f) != 0)
        abort();
}

/* Where a destination may lie: with `room` bytes to its chunk's end. */
static char *at_start(size_t room)
{
    return malloc(room);
}

static char *inside(size_t room)
{
    return (char *)malloc(room + 48) + 48;
}

static char *full_slot(size_t room) /* no slack: the next slot's header follows */
{
    size_t n = 24;
    while (n < room)
        n += 16;
    return (char *)malloc(n) + n - room;
}

static char *aligned(size_t room)
{
    return aligned_alloc(256, room);
}

static char *inside_aligned(size_t room)
{
    return (char *)aligned_alloc(64, room + 128) + 128;
}

static char *large(size_t room)
{
    return malloc(room > 100000 ? room : 300000 + room) + (room > 100000 ? 0 : 300000);
}

static char *of_class(size_t room) /* the largest slots */
{
    return (char *)malloc(room + 100000) + 100000;
}

static char *not_heap(size_t room)
{
    (void)room;
    return area;
}

static char *mapped(size_t room)
{
    (void)room;
    return mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static const struct place {
    const char *name;
    char *(*take)(size_t room);
} places[] = {{"start", at_start},   {"inside", inside}, {"full slot", full_slot},          {"aligned", aligned},
              {"largest", of_class}, {"large", large},   {"inside aligned", inside_aligned}};
static const struct place elsewhere[] = {{"global", not_heap}, {"mmap", mapped}};

/* What becomes of one call: 0 it passed, else the report's text is in `text`. */
static char text[65536];
static bool by_handler;
static const struct function *pending;
static struct call *pending_call;

static void on_signal(int number)
{
    (void)number;
    pending->run(pending_call);
}

static void run_call(const struct function *f, struct call *c)
{
    pending = f;
    pending_call = c;
    if (by_handler && (signal(SIGUSR1, on_signal) == SIG_ERR || raise(SIGUSR1) != 0))
        _exit(4);
    if (!by_handler)
        f->run(c);
}

static int in_child(const struct function *f, struct call *c)
{
    int report[2], status = 0;
    size_t got = 0;
    if (pipe(report) != 0 || socketpair(AF_UNIX, SOCK_DGRAM, 0, c->fd) != 0)
        abort();
    if (c->n != 0 && c->n <= MOST && send(c->fd[1], c->s, c->n, 0) < 0)
        abort();
    if (c->n != 0 && c->n <= MOST && (strstr(f->name, "read") != NULL || strstr(f->name, "gets") != NULL)) {
        write_file(file, c->n - 1);
        write_file(raw, c->n);
    }
    c->file = file;
    c->raw = raw;
    pid_t child = fork();
    if (child == 0) {
        dup2(report[1], STDERR_FILENO);
        run_call(f, c);
        _exit(0);
    }
    close(report[1]);
    for (ssize_t n; got < sizeof text - 1 && (n = read(report[0], text + got, sizeof text - 1 - got)) > 0;)
        got += (size_t)n;
    text[got] = 0;
    close(report[0]);
    close(c->fd[0]);
    close(c->fd[1]);
    if (child < 0 || waitpid(child, &status, 0) != child)
        abort();
    return status;
}

static void expect(const struct function *f, const char *where, struct call *c, const char *bug, const char *verb,
                   size_t left)
{
    char wanted[200];
    int status = in_child(f, c);
    count++;
    if (bug == NULL) {
        if (status == 0 && text[0] == 0)
            return;
        printf("%s, %s, %zu bytes: should pass, status %d\n%s\n", f->name, where, c->n, status, text);
    } else {
        bool reads = strcmp(verb, "reads") == 0;
        snprintf(wanted, sizeof wanted, "moat: %s: %s %s ", bug, f->name, verb);
        bool good = WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT && strstr(text, wanted) != NULL;
        snprintf(wanted, sizeof wanted, reads ? " to be read, of %zu" : " written, where there is room for %zu", left);
        if (good && strstr(text, wanted) != NULL)
            return;
        printf("%s, %s, %zu bytes, room for %zu: wanted %s%s, status %d\n%s\n", f->name, where, c->n, left, bug, wanted,
               status, text);
    }
    failures++;
}

static size_t length_of(const struct function *f, size_t n)
{
    char here[4096];
    if (f->fixed)
        return getcwd(here, sizeof here) != NULL ? strlen(here) + 1 : 0;
    return n / f->unit * f->unit;
}

/* Fits, in some kinds of place; one (unit) too much, in one of them; much too much, in another. Reports take their
 * time, and what finds a place's bounds is the same for all functions: the first one, memcpy, tries all. */
static void bounds(const struct function *f)
{
    static char source[MOST];
    const size_t lengths[] = {40, 200, 1000};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        size_t n = length_of(f, lengths[i % 3]);
        const size_t rooms[] = {n, n - f->unit, n - n / 4 / f->unit * f->unit};
        fill(source, n, f->wide);
        for (size_t j = 0; j < 3; j++) {
            size_t turn = (size_t)(f - functions) * 3 + i;
            if (f != functions && turn % 7 != j * 2 && (j != 0 || turn % 3 != 0))
                continue;
            struct call c = {.d = places[i].take(rooms[j]), .n = n, .s = source};
            expect(f, places[i].name, &c, j == 0 ? NULL : "heap-buffer-overflow", "writes", rooms[j]);
        }
    }
}

static void sources(const struct function *f)
{
    if (!f->reads)
        return;
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        size_t n = length_of(f, 40);
        if (f != functions && ((size_t)(f - functions) + i) % 3 != 0)
            continue;
        char *s = places[i].take(n);
        fill(s, n, f->wide);
        struct call c = {.d = area, .n = n, .s = s};
        expect(f, places[i].name, &c, NULL, "", 0);
        /* Of memory one byte more; strings lack their end, which is found in the tail or in the chunk behind. Wide ones
         * have none that is sure to be found. */
        struct call over = {.d = area, .n = n + f->unit, .s = s};
        if (!f->wide)
            memset(s, 'a', n);
        if (!f->wide || strncmp(f->name, "wmem", 4) == 0)
            expect(f, places[i].name, &over, "heap-buffer-overflow", "reads", n);
    }
}

static void freed(const struct function *f)
{
    static char source[MOST];
    size_t n = length_of(f, 40);
    fill(source, n, f->wide);
    struct call c = {.d = at_start(100), .n = n, .s = source};
    free(c.d); /* its slab stays open: others of its class live */
    expect(f, "freed", &c, "heap-use-after-free", "writes", 0);
    c.d = (char *)malloc(500) + 60;
    free(c.d - 60);
    expect(f, "inside a freed one", &c, "heap-use-after-free", "writes", 0);
}

static void passing(const struct function *f)
{
    static char source[MOST];
    size_t n = length_of(f, 1000);
    fill(source, n, f->wide);
    for (size_t i = 0; i < sizeof elsewhere / sizeof elsewhere[0]; i++) {
        struct call c = {.d = elsewhere[i].take(n), .n = n, .s = source};
        expect(f, elsewhere[i].name, &c, NULL, "", 0);
    }
}

/* Source and destination share their bytes, which is wrong of most functions but no overflow: no report. What memmove
 * and its like make of it is in misc.c. */
static void overlap(const struct function *f)
{
    for (size_t i = 0; f->reads && i < 2; i++) {
        size_t n = length_of(f, 40);
        char *both = malloc(2 * n);
        fill(both + (i == 0 ? 8 : 0), n, f->wide);
        struct call c = {.d = both + (i == 0 ? 0 : 8), .n = n, .s = both + (i == 0 ? 8 : 0)};
        int status = in_child(f, &c);
        count++;
        if (strstr(text, "moat: ") != NULL || WIFSIGNALED(status)) {
            printf("%s, overlapping: status %d\n%s\n", f->name, status, text);
            failures++;
        }
    }
}

static void handler(const struct function *f)
{
    static char source[MOST];
    size_t n = length_of(f, 40);
    by_handler = true;
    fill(source, n, f->wide);
    struct call c = {.d = at_start(n), .n = n, .s = source}, over = {.d = at_start(n - f->unit), .n = n, .s = source};
    expect(f, "in a handler", &c, NULL, "", 0);
    expect(f, "in a handler", &over, "heap-buffer-overflow", "writes", n - f->unit);
}

/* No bytes may be asked for anywhere. */
static void zero(const struct function *f)
{
    char *p = malloc(24), *gone = malloc(3000), *large = malloc(1 << 20), *empty = malloc((size_t)(by_handler ? 1 : 0));
    free(gone);
    free(large);
    char *const at[] = {p, p + 24, p + 25, gone, gone + 3000, large, large + (1 << 20), empty, NULL, (char *)1};
    static char source[8];
    for (size_t i = 0; i < sizeof at / sizeof at[0]; i++) {
        if (f != sized && ((size_t)(f - sized) + i) % 3 != 0)
            continue;
        struct call c = {.d = at[i], .n = 0, .s = source};
        expect(f, "no bytes", &c, NULL, "", 0);
    }
    free(p);
}

/* More than there is, also such that the number of bytes does not fit into a word. */
static void huge(const struct function *f)
{
    static char source[MOST];
    const size_t sizes[] = {SIZE_MAX, SIZE_MAX / 2 + 1, SIZE_MAX / 4 + 2, (size_t)1 << 31};
    for (size_t i = 0; f->whole && i < sizeof sizes / sizeof sizes[0]; i++) {
        char *const at[] = {malloc(100), (char *)malloc(300000) + 299900, (char *)aligned_alloc(64, 164) + 64};
        struct call c = {.d = at[i % 3], .n = sizes[i], .s = source};
        expect(f, "huge", &c, "heap-buffer-overflow", "writes", 100);
    }
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(const struct function *);
    } kinds[] = {{"bounds", bounds},   {"sources", sources}, {"freed", freed}, {"elsewhere", passing},
                 {"overlap", overlap}, {"handler", handler}, {"zero", zero},   {"huge", huge}};
    void (*run)(const struct function *) = NULL;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (argc > 1 && strcmp(argv[1], kinds[i].name) == 0)
            run = kinds[i].run;
    strcpy(directory, "/tmp/moat-checked-XXXXXX");
    if (run == NULL || mkdtemp(directory) == NULL || chdir(directory) != 0)
        return 2;
    snprintf(file, sizeof file, "%s/file", directory);
    snprintf(raw, sizeof raw, "%s/raw", directory);
    (void)!malloc(100); /* keep slabs open */
    (void)!malloc(500);
    bool by_size = run == zero || run == huge;
    for (size_t i = 0; i < (by_size ? sized_count : function_count); i++) {
        const struct function *f = by_size ? &sized[i] : &functions[i];
        if (argc < 3 || strcmp(argv[2], f->name) == 0)
            run(f);
    }
    unlink(file);
    unlink(raw);
    rmdir(directory);
    printf("%u calls, %u failures\n", count, failures);
    return failures != 0 || count == 0;
}
