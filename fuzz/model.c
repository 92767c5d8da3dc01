#include "fuzz/model.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "guard/pool.h"
#include "mem/large.h"
#include "moat/moat.h"

#include "api/names.h" /* last: it renames */

enum {
    WHOLE = 8192, /* bytes up to which a chunk's contents are looked at whole; of larger ones spots: */
    SPOTS = 64,   /* a word at each of so many places, */
    ENDS = 64     /* and the last bytes */
};

struct model_chunk model_chunks[MODEL_MOST];
size_t model_count, model_bytes;
uint64_t model_operations;
const char *volatile model_doing = "start";
static uint16_t order[MODEL_MOST]; /* numbers of the live chunks by address */
static uint64_t next_key = 1;

void fail(const char *format, ...)
{
    va_list arguments;
    fflush(stdout);
    fprintf(stderr, "model: operation %llu, %s: ", (unsigned long long)model_operations, model_doing);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    fflush(stderr);
    abort();
}

uint64_t model_random(uint64_t *state, uint64_t n)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return (*state >> 11) % n;
}

static uint64_t word_at(uint64_t key, size_t offset)
{
    return key + (offset / 8 + 1) * 0x9e3779b97f4a7c15ull;
}

/* Contents [from, to): writes them, or compares; false where they differ. `from` is a multiple of 8. */
static bool span(char *p, uint64_t key, size_t from, size_t to, bool write)
{
    size_t at = from;
    for (; at + 8 <= to; at += 8) {
        uint64_t wanted = word_at(key, at), found;
        if (write)
            memcpy(p + at, &wanted, 8);
        else if (memcpy(&found, p + at, 8), found != wanted)
            return false;
    }
    uint64_t last = word_at(key, at);
    if (write)
        memcpy(p + at, &last, to - at);
    return write || memcmp(p + at, &last, to - at) == 0;
}

/* The contents of a chunk of n bytes, as far as its first `most`. */
static bool contents(char *p, uint64_t key, size_t n, size_t most, bool write)
{
    if (n <= WHOLE)
        return span(p, key, 0, mo_min(n, most), write);
    size_t last = mo_align_down(n - ENDS, 8), step = mo_align_down(n / SPOTS, 8);
    for (size_t at = 0; at + 8 <= mo_min(last, most); at += step)
        if (!span(p, key, at, at + 8, write))
            return false;
    return most < n || span(p, key, last, n, write);
}

/* Is [from, to) of p zero, as far as it is looked at? */
static bool zero(const char *p, size_t from, size_t to)
{
    static const char zeros[WHOLE];
    if (to - from <= WHOLE)
        return memcmp(p + from, zeros, to - from) == 0;
    for (size_t at = from; at + 8 <= to; at += (to - from) / SPOTS)
        if (memcmp(p + at, zeros, 8) != 0)
            return false;
    return memcmp(p + to - ENDS, zeros, ENDS) == 0;
}

/* Where p goes in the order. */
static size_t place_of(const char *p)
{
    size_t low = 0, high = model_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if ((uintptr_t)model_chunks[order[middle]].p < (uintptr_t)p)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void check_apart(const struct model_chunk *below, const struct model_chunk *above)
{
    if ((uintptr_t)below->p + mo_max(below->n, 1) > (uintptr_t)above->p)
        fail("chunks overlap: %zu bytes at %p and %zu at %p", below->n, (void *)below->p, above->n, (void *)above->p);
}

/* Puts chunk number i, not yet counted, into the order. */
static void enter(size_t i)
{
    const struct model_chunk *c = &model_chunks[i];
    size_t at = place_of(c->p);
    if (at > 0)
        check_apart(&model_chunks[order[at - 1]], c);
    if (at < model_count)
        check_apart(c, &model_chunks[order[at]]);
    memmove(&order[at + 1], &order[at], (model_count - at) * sizeof order[0]);
    order[at] = (uint16_t)i;
    model_count++;
    model_bytes += c->n;
}

static void leave(size_t i)
{
    size_t at = place_of(model_chunks[i].p);
    if (at >= model_count || order[at] != i)
        fail("the model has lost chunk %zu", i);
    model_count--;
    model_bytes -= model_chunks[i].n;
    memmove(&order[at], &order[at + 1], (model_count - at) * sizeof order[0]);
}

/* What holds for every chunk that has just got its address or size. */
static void check_new(const struct model_chunk *c)
{
    uintptr_t p = (uintptr_t)c->p;
    if (p % 16 != 0 || (c->align != 0 && p % c->align != 0))
        fail("%p is not a multiple of %zu", (void *)c->p, mo_max(c->align, 16));
    if (malloc_usable_size(c->p) != c->n)
        fail("%p: %zu bytes usable, %zu wanted", (void *)c->p, malloc_usable_size(c->p), c->n);
}

static void fill(struct model_chunk *c)
{
    c->key = next_key++ * 0xd1342543de82ef95ull;
    (void)contents(c->p, c->key, c->n, c->n, true);
}

void model_made(void *p, size_t n, size_t align, enum mo_origin origin)
{
    if (p == NULL)
        fail("no memory for %zu bytes, aligned %zu", n, align);
    if (model_count == MODEL_MOST)
        fail("the model is full");
    struct model_chunk *c = &model_chunks[model_count];
    *c = (struct model_chunk){.p = p, .n = n, .align = align, .origin = origin};
    check_new(c);
    enter(model_count);
    if (!zero(c->p, 0, n))
        fail("%p: %zu fresh bytes are not zero", p, n);
    fill(c);
}

void model_check(const struct model_chunk *c)
{
    if (!contents(c->p, c->key, c->n, c->n, false))
        fail("the contents of the %zu bytes at %p have changed", c->n, (void *)c->p);
}

void model_check_all(void)
{
    for (size_t i = 0; i < model_count; i++)
        model_check(&model_chunks[i]);
}

struct model_chunk model_take(size_t i)
{
    struct model_chunk c = model_chunks[i];
    size_t last = model_count - 1;
    model_check(&c);
    leave(i);
    if (i != last) {
        order[place_of(model_chunks[last].p)] = (uint16_t)i;
        model_chunks[i] = model_chunks[last];
    }
    return c;
}

void model_resized(size_t i, void *q, size_t n)
{
    struct model_chunk *c = &model_chunks[i], was = *c;
    leave(i);
    *c = (struct model_chunk){.p = q, .n = n, .align = 0, .origin = was.origin};
    /* Its number stays: the last one's, which enter counts, is free. */
    check_new(c);
    enter(i);
    if (!contents(c->p, was.key, was.n, mo_min(was.n, n), false))
        fail("realloc from %zu to %zu bytes lost contents", was.n, n);
    if (n > was.n && !zero(c->p, was.n, n))
        fail("realloc from %zu to %zu bytes: what came along is not zero", was.n, n);
    fill(c);
}

void model_rewrite(size_t i)
{
    model_check(&model_chunks[i]);
    fill(&model_chunks[i]);
}

struct sums {
    size_t of_class[MO_CLASSES];
    size_t large, large_bytes, sampled;
};

static void agree(const char *what, size_t moats, size_t models, bool exact)
{
    if (exact ? moats != models : moats < models)
        fail("statistics: moat says %zu %s, the model %zu", moats, what, models);
}

static struct sums count_all(void)
{
    struct sums sums = {0};
    for (size_t i = 0; i < model_count; i++) {
        const struct model_chunk *c = &model_chunks[i];
        struct mo_place place;
        if (mo_heap_locate((uintptr_t)c->p, &place)) {
            sums.of_class[place.class]++;
        } else if (mo_pool_holds((uintptr_t)c->p)) {
            sums.sampled++;
        } else {
            struct mo_large l;
            if (!mo_large_find((uintptr_t)c->p, &l) || l.n != c->n)
                fail("%p: no large chunk of %zu bytes", (void *)c->p, c->n);
            sums.large++;
            sums.large_bytes += l.open_size;
        }
    }
    return sums;
}

void model_statistics(bool exact)
{
    struct sums sums = count_all();
    struct moat_stats s;
    size_t slots = 0;
    if (moat_stats(&s, sizeof s) != 0)
        fail("moat_stats refuses");
    agree("live chunks", s.live_count, model_count, exact);
    agree("large chunks", s.large_count, sums.large, true);
    agree("bytes of large chunks", s.large, sums.large_bytes, true);
    if (s.classes_count != MO_CLASSES - MO_CLASS_FIRST)
        fail("%zu classes", s.classes_count);
    for (size_t i = 0; i < s.classes_count; i++) {
        struct moat_class_stats k;
        if (moat_class_stats(i, &k, sizeof k) != 0)
            fail("moat_class_stats refuses class %zu", i);
        agree("chunks of a class", k.live_count, sums.of_class[i + MO_CLASS_FIRST], exact);
        slots += k.live_count * k.slot;
    }
    if (exact && s.allocated < slots + s.large)
        fail("statistics: %zu bytes allocated, %zu in slots and %zu large", s.allocated, slots, s.large);
#ifdef __GLIBC__
    struct mallinfo2 m = mallinfo2();
    if (m.hblks != sums.large || m.hblkhd != sums.large_bytes || m.uordblks + m.hblkhd != s.allocated ||
        m.arena != m.uordblks + m.fordblks)
        fail("mallinfo2: hblks %zu, hblkhd %zu, uordblks %zu, arena %zu, fordblks %zu", m.hblks, m.hblkhd, m.uordblks,
             m.arena, m.fordblks);
#endif
}
