/* A storm of corruption: in each of many forked children a random bit is turned, or a few random bytes written, in a
 * header, a tail, a waiting chunk, beside a cache or a table, or in one; then the child goes on as a program does, with
 * the model beside it. Every write must be noticed (a report, or a fault at a guard) or have done no harm; no child may
 * hang, none may crash inside of its report.
 *
 *   fuzz_storm SEED TRIALS [FIRST]      with option zero_check=1M, so that no free slot is looked at in samples only
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "arena/arena.h"
#include "cache/cache.h"
#include "front/chunk.h"
#include "fuzz/model.h"
#include "guard/pool.h"
#include "guard/sampler.h"
#include "mem/classes.h"
#include "mem/large.h"
#include "moat/moat.h"

#include "api/names.h" /* last: it renames */

enum { LIVE = 300, FREED = 40, AFTER = 600, SECONDS = 20, SAID = 16384 };

struct area {
    uintptr_t at;
    size_t size;
};

static uint64_t state; /* of the random choices */
static struct model_chunk freed[FREED];
static size_t freed_count;

static size_t below(size_t n)
{
    return (size_t)model_random(&state, n);
}

static size_t some_size(void)
{
    size_t kind = below(32);
    return kind < 20 ? below(300) : kind < 28 ? below(3000) : kind < 31 ? below(30000) : 140000 + below(100000);
}

static void make(void)
{
    size_t n = some_size(), align = below(8) == 0 ? (size_t)16 << below(9) : 0;
    if (model_count < MODEL_MOST)
        model_made(align != 0 ? aligned_alloc(align, n) : malloc(n), n, align, MO_ORIGIN_MALLOC);
}

static struct model_chunk give(size_t i)
{
    struct model_chunk c = model_take(i);
    free(c.p);
    return c;
}

/* This thread's, also while the sampler has put its marker in the way. */
static struct mo_cache *own_cache(void)
{
    return mo_sampler_cache();
}

/* What may be hit. An area of size 0: not this time. */

static bool in_slab(const struct model_chunk *c, struct mo_place *place)
{
    return mo_heap_locate((uintptr_t)c->p, place) && place->class != MO_CLASS_ZERO;
}

static bool is_large(const struct model_chunk *c)
{
    return (uintptr_t)c->p - mo_sealed.heap_base >= mo_sealed.heap_size && !mo_pool_holds((uintptr_t)c->p);
}

static const struct model_chunk *live(bool (*wanted)(const struct model_chunk *))
{
    for (size_t tries = 0; tries < 2000; tries++) {
        const struct model_chunk *c = &model_chunks[below(model_count)];
        if (wanted(c))
            return c;
    }
    return NULL;
}

static bool is_small(const struct model_chunk *c)
{
    struct mo_place place;
    return in_slab(c, &place);
}

static bool has_tail(const struct model_chunk *c)
{
    struct mo_place place;
    return in_slab(c, &place) && place.slot + place.k->stride > (uintptr_t)c->p + c->n;
}

static bool is_sampled(const struct model_chunk *c)
{
    return mo_pool_holds((uintptr_t)c->p) && c->n != 0;
}

static struct area header(void)
{
    const struct model_chunk *c = live(is_small);
    return c != NULL ? (struct area){(uintptr_t)c->p - MO_HEADER, MO_HEADER} : (struct area){0, 0};
}

static struct area tail(void)
{
    const struct model_chunk *c = live(has_tail);
    struct mo_place place;
    if (c == NULL || !in_slab(c, &place))
        return (struct area){0, 0};
    uintptr_t from = (uintptr_t)c->p + c->n;
    return (struct area){from, place.slot + place.k->stride - from};
}

static struct area large_header(void)
{
    const struct model_chunk *c = live(is_large);
    return c != NULL ? (struct area){(uintptr_t)c->p - MO_HEADER, MO_HEADER} : (struct area){0, 0};
}

static struct area large_tail(void)
{
    const struct model_chunk *c = live(is_large);
    struct mo_large l;
    if (c == NULL || !mo_large_find((uintptr_t)c->p, &l))
        return (struct area){0, 0};
    return (struct area){(uintptr_t)c->p + c->n, mo_large_end(&l) - (uintptr_t)c->p - c->n + 64}; /* and its guard */
}

static struct area beside_sampled(void)
{
    const struct model_chunk *c = live(is_sampled);
    if (c == NULL)
        return (struct area){0, 0};
    uintptr_t page = mo_align_down((uintptr_t)c->p, mo_sealed.features.page);
    uintptr_t after = (uintptr_t)c->p + c->n;
    if (below(2) == 0 && page < (uintptr_t)c->p)
        return (struct area){page, (uintptr_t)c->p - page};
    return (struct area){after, mo_align_up(after, mo_sealed.features.page) - after + 8};
}

static struct area waiting_slot(size_t from, size_t size)
{
    for (size_t tries = 0; tries < 200 && freed_count != 0; tries++) {
        struct mo_place place;
        if (in_slab(&freed[below(freed_count)], &place))
            return (struct area){place.slot + from, mo_min(size, place.k->stride - from)};
    }
    return (struct area){0, 0};
}

static struct area waiting_header(void)
{
    return waiting_slot(0, MO_HEADER);
}

static struct area waiting_payload(void)
{
    return waiting_slot(MO_HEADER, SIZE_MAX);
}

static struct area waiting_elsewhere(void)
{
    for (size_t tries = 0; tries < 200 && freed_count != 0; tries++) {
        const struct model_chunk *c = &freed[below(freed_count)];
        if (c->n != 0 && (uintptr_t)c->p - mo_sealed.heap_base >= mo_sealed.heap_size)
            return (struct area){(uintptr_t)c->p, c->n};
    }
    return (struct area){0, 0};
}

static struct area ready_slot(void)
{
    for (size_t tries = 0; tries < 200; tries++) {
        unsigned class = MO_CLASS_FIRST + (unsigned)below(MO_CLASS_LAST);
        size_t n = mo_cache_ready(own_cache(), class);
        const struct mo_class *k = &mo_sealed.classes[class];
        if (n != 0)
            return (struct area){*mo_cache_at(own_cache(), k->ready_at + (uint32_t)(below(n) * sizeof(uintptr_t))),
                                 k->stride};
    }
    return (struct area){0, 0};
}

/* The pages before and behind what only moat writes. */
static struct area neighbourhood(void)
{
    size_t page = mo_sealed.features.page, cache = mo_align_up(mo_sealed.cache_bytes, page);
    uintptr_t streams = mo_align_down((uintptr_t)own_cache()->random, page); /* several may share a page */
    const struct area all[] = {
        {(uintptr_t)own_cache() - page, page},
        {(uintptr_t)own_cache() + cache, page},
        {streams - page, page},
        {streams + page, page},
        {(uintptr_t)mo_sealed.states - page, page},
        {(uintptr_t)mo_sealed.slabs - page, page},
        {(uintptr_t)mo_sealed.granules - page, page},
        {(uintptr_t)mo_sealed.shards - page, page},
        {(uintptr_t)&mo_sealed, sizeof mo_sealed},
    };
    return all[below(MO_ARRAY_LEN(all))];
}

static struct mo_place some_place(void)
{
    struct mo_place place = {0};
    const struct model_chunk *c = live(is_small);
    if (c == NULL || !in_slab(c, &place))
        fail("no small chunk");
    return place;
}

static struct area state_word(void)
{
    return (struct area){(uintptr_t)some_place().state, sizeof(uint16_t)};
}

static struct area slab_descriptor(void)
{
    return (struct area){(uintptr_t)some_place().slab, sizeof(struct mo_slab)};
}

static struct area granule_entry(void)
{
    return (struct area){(uintptr_t)mo_granule_of(some_place().slot), sizeof(struct mo_granule)};
}

static struct area cache_stock(void)
{
    return (struct area){(uintptr_t)&own_cache()->stock[some_place().class], sizeof(struct mo_stock)};
}

static struct area cache_entries(void)
{
    const struct mo_class *k = some_place().k;
    return (struct area){(uintptr_t)mo_cache_at(own_cache(), k->random_at), k->ready_end - k->random_at};
}

static struct area bin(void)
{
    struct mo_place place = some_place();
    struct mo_bin *b = &mo_sealed.shards[place.shard].bins[place.class];
    return (struct area){(uintptr_t)&b->partial_count, sizeof *b - offsetof(struct mo_bin, partial_count)};
}

static struct mo_lock *others[16];
static size_t others_count;

static void note(struct mo_lock *l)
{
    if (others_count < MO_ARRAY_LEN(others))
        others[others_count++] = l;
}

static struct area lock_word(void)
{
    struct mo_place place = some_place();
    others_count = 0;
    mo_large_locks(note);
    mo_cache_locks(note);
    mo_pool_locks(note);
    struct mo_lock *l = &mo_sealed.shards[place.shard].bins[place.class].lock;
    if (below(3) == 0)
        l = others[below(others_count)];
    return (struct area){(uintptr_t)&l->word, sizeof l->word};
}

static const struct {
    const char *name;
    struct area (*pick)(void);
    bool fenced;        /* its first byte is one that everybody writes alike */
    bool may_be_silent; /* where a change may mean nothing */
} targets[] = {
    {"header of a live chunk", header, true, false},
    {"tail of a live chunk", tail, false, false},
    {"header of a large chunk", large_header, false, false},
    {"tail and guard of a large chunk", large_tail, false, false},
    {"pages of a sampled chunk", beside_sampled, false, false},
    {"header of a waiting chunk", waiting_header, true, false},
    {"payload of a waiting chunk", waiting_payload, false, false},
    {"waiting large or sampled chunk", waiting_elsewhere, false, false},
    {"ready slot", ready_slot, true, false},
    {"beside caches and tables, sealed page", neighbourhood, false, false},
    {"state word", state_word, false, true},
    {"slab's description", slab_descriptor, false, true},
    {"entry of the address table", granule_entry, false, true},
    {"cache: places", cache_stock, false, true},
    {"cache: slots listed", cache_entries, false, true},
    {"shard: counts and lists", bin, false, true},
    {"lock", lock_word, false, true},
};
enum { TARGETS = MO_ARRAY_LEN(targets), NOT_CHANGED = 77 };

static const char only_fence[] = "only the fence";

/* Turns a bit, or writes up to 16 random bytes. False: what is written was there. */
static bool hit(struct area area, bool fenced)
{
    unsigned char *at = (unsigned char *)area.at + below(area.size), was[16], now[16];
    size_t n = 1 + below(mo_min(sizeof was, area.at + area.size - (uintptr_t)at));
    bool turn = below(2) == 0;
    unsigned bit = 1u << below(8);
    fprintf(stderr, "storm: %zu bytes at %p, of %zu from %p on\n", turn ? 1 : n, (void *)at, area.size,
            (void *)area.at);
    if (turn)
        n = 1;
    for (size_t i = 0; i < n; i++)
        now[i] = (unsigned char)below(256);
    /* Where it faults, it does so here, at a write. */
    for (size_t i = 0; i < n; i++) {
        unsigned char *byte = at + i;
        if (!turn)
            __asm__ volatile("" : : : "memory");
        was[i] = turn ? *byte : __atomic_exchange_n(byte, now[i], __ATOMIC_RELAXED);
        if (turn)
            *(volatile unsigned char *)byte = now[i] = (unsigned char)(was[i] ^ bit);
    }
    if (memcmp(was, now, n) == 0)
        return false;
    /* Whoever is given the slot before writes this one's first byte: it may be the fence again before anybody looks. */
    if (fenced && (uintptr_t)at == area.at && memcmp(was + 1, now + 1, n - 1) == 0)
        fprintf(stderr, "storm: %s\n", only_fence);
    return true;
}

static MO_NORETURN void child(size_t target)
{
    model_doing = "before the write";
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    alarm(SECONDS);
    for (int i = 0; i < 20; i++) /* it has its cache */
        make();
    for (freed_count = 0; freed_count < FREED; freed_count++)
        freed[freed_count] = give(below(model_count));
    struct area area = targets[target].pick();
    if (area.size == 0)
        _exit(NOT_CHANGED);
    model_doing = "the write";
    bool fenced = targets[target].fenced;
    if (!hit(area, fenced) || (fenced && (mo_load64(area.at) == 0 || mo_load64(area.at) == mo_sealed.fence) &&
                               targets[target].pick == waiting_header))
        _exit(NOT_CHANGED); /* the fence comes and goes there */
    model_doing = "after the write";
    if (below(2) == 0)
        for (int i = 0; i < AFTER; i++) {
            size_t which = below(model_count);
            if (model_count < LIVE && below(2) == 0)
                make();
            else if (below(4) == 0 && model_chunks[which].n != 0 && model_count > 1) {
                size_t n = some_size() + 1;
                void *q = realloc(model_chunks[which].p, n);
                model_resized(which, q, n);
            } else if (model_count > 1)
                (void)give(which);
        }
    (void)moat_check_heap();
    while (model_count > 0)
        (void)give(model_count - 1);
    (void)moat_purge();
    (void)moat_check_heap();
    _exit(0);
}

enum verdict { REPORTED, FAULT, HEALED, SILENT, NOTHING, HARM, HUNG, BROKEN, VERDICTS };
static const char *const verdicts[VERDICTS] = {"reported",    "fault", "healed", "not noticed",
                                               "not changed", "HARM",  "HUNG",   "BROKEN"};

/* One trial; what the child said is in said. */
static enum verdict trial(size_t target, int file, char *said)
{
    int status;
    if (ftruncate(file, 0) != 0 || lseek(file, 0, SEEK_SET) != 0)
        fail("no file");
    pid_t pid = fork();
    if (pid == 0) {
        dup2(file, 2);
        child(target);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        fail("no child");
    ssize_t n = pread(file, said, SAID - 1, 0);
    said[n > 0 ? n : 0] = '\0';
    if (strstr(said, "model: ") != NULL)
        return HARM;
    if (WIFEXITED(status))
        return WEXITSTATUS(status) == NOT_CHANGED ? NOTHING
               : WEXITSTATUS(status) != 0         ? BROKEN
               : strstr(said, only_fence) != NULL ? HEALED
                                                  : SILENT;
    bool begun = strstr(said, "== moat: ") != NULL, twice = strstr(said, "second violation") != NULL;
    bool ended = strstr(said, "moat: aborting\n") != NULL || strstr(said, "takes its course\n") != NULL;
    if (WTERMSIG(status) == SIGALRM)
        return HUNG;
    if (twice || (begun && !ended))
        return BROKEN;
    if (WTERMSIG(status) == SIGABRT)
        return begun ? REPORTED : BROKEN;
    return WTERMSIG(status) == SIGSEGV || WTERMSIG(status) == SIGBUS ? FAULT : BROKEN;
}

int main(int argc, char **argv)
{
    static char said[SAID];
    size_t counts[TARGETS][VERDICTS] = {{0}}, wrong = 0;
    if (argc != 3 && argc != 4) {
        fprintf(stderr, "usage: fuzz_storm SEED TRIALS [FIRST]\n");
        return 2;
    }
    uint64_t seed = strtoull(argv[1], NULL, 10), trials = strtoull(argv[2], NULL, 10);
    uint64_t first = argc == 4 ? strtoull(argv[3], NULL, 10) : 0;
    state = seed * 0x9e3779b97f4a7c15ull | 1;
    while (model_count < LIVE)
        make();
    for (size_t i = 0; i < 3 * LIVE; i++) { /* so that all kinds of free slots are there */
        (void)give(below(model_count));
        make();
    }
    int file = memfd_create("storm", MFD_CLOEXEC);
    for (uint64_t i = first; i < first + trials; i++) {
        size_t target = i % TARGETS;
        state = (seed + i * 0x10001) * 0x9e3779b97f4a7c15ull | 1;
        enum verdict verdict = trial(target, file, said);
        counts[target][verdict]++;
        bool bad = verdict >= HARM || (verdict == SILENT && !targets[target].may_be_silent);
        wrong += bad;
        if (bad && wrong <= 20)
            printf("trial %llu, %s: %s\n%s\n", (unsigned long long)i, targets[target].name, verdicts[verdict], said);
    }
    printf("| what is hit | trials | reported | fault | no harm | harm, hang, crash in the report |\n");
    printf("| --- | ---: | ---: | ---: | ---: | ---: |\n");
    for (size_t t = 0; t < TARGETS; t++) {
        const size_t *c = counts[t];
        size_t bad = c[HARM] + c[HUNG] + c[BROKEN] + (targets[t].may_be_silent ? 0 : c[SILENT]);
        printf("| %s | %zu | %zu | %zu | %zu | %zu |\n", targets[t].name,
               c[REPORTED] + c[FAULT] + c[HEALED] + c[SILENT] + c[HARM] + c[HUNG] + c[BROKEN], c[REPORTED], c[FAULT],
               c[HEALED] + (targets[t].may_be_silent ? c[SILENT] : 0), bad);
    }
    return wrong != 0;
}
