/* P1, P3: an attacker who can write anywhere, once, changes what moat keeps out of line. Linked with moat's objects, so
 * that it knows where everything is. It then allocates and frees as a program does, and no two chunks may overlap.
 * WHAT: see the table; `none` is the twin. `chain` is what one must write for two owners: three places. */
#include "attack.h"
#include "cache/cache.h"
#include "front/chunk.h"
#include "mem/classes.h"
#include "mem/large.h"
#include "mem/large_wait.h"
#include "moat/moat.h"

enum { SIZE = 100, NEIGHBOUR = 84, LIVE = 3000, LARGE = 300000 };
static char *live[LIVE], *waiting, *large_live, *large_freed;
static struct mo_cache *cache;
static const struct mo_class *k;
static struct mo_stock *stock;
static unsigned class;
static uintptr_t decoy[64] __attribute__((aligned(64)));

static uintptr_t slot_of(const char *p)
{
    return (uintptr_t)p - MO_HEADER;
}

static struct mo_place place_of(const char *p)
{
    struct mo_place place;
    if (!mo_heap_locate((uintptr_t)p, &place))
        fail("%p is in no slab", (const void *)p);
    return place;
}

static struct mo_bin *bin_of(const struct mo_place *place)
{
    return &mo_sealed.shards[place->shard].bins[place->class];
}

/* A partly used slab of the class. */
static struct mo_slab *partial(void)
{
    struct mo_place place = place_of(live[0]);
    if (bin_of(&place)->partial_count == 0)
        fail("no slab is partly used");
    return &mo_sealed.slabs[bin_of(&place)->partial[0]];
}

/* Where a word stands that is followed by another one, in any of moat's own mappings; by scanning, as the tables of
 * large chunks are found by no exported name. */
static uintptr_t *find_words(uintptr_t first, uintptr_t second)
{
    char line[256];
    size_t from, to;
    uintptr_t *found = NULL;
    FILE *maps = fopen("/proc/self/maps", "r");
    if (!maps)
        fail("no /proc/self/maps");
    while (!found && fgets(line, sizeof line, maps)) {
        char rights[5], path[2] = "";
        if (sscanf(line, "%zx-%zx %4s %*s %*s %*s%*[ ]%1[/]", &from, &to, rights, path) < 3 || rights[1] != 'w' ||
            path[0] || strstr(line, "[stack]") || to - from > 1 << 20)
            continue;
        for (uintptr_t *w = (uintptr_t *)from; w + 1 < (uintptr_t *)to && !found; w++) {
            if ((uintptr_t)w % 4096 == 0 && distance_to_fault((char *)w, 1, 1, false) == 0)
                w += 4096 / sizeof *w - 1;
            else if (w[0] == first && w[1] == second && w != (uintptr_t *)&large_freed && w != (uintptr_t *)&large_live)
                found = w;
        }
    }
    fclose(maps);
    if (!found)
        fail("the words are nowhere");
    return found;
}

static struct mo_large *entry_of(const char *p)
{
    return (struct mo_large *)find_words((uintptr_t)p, LARGE);
}

static uintptr_t *top(void)
{
    if (mo_cache_ready(cache, class) < 2)
        fail("%zu slots are ready", mo_cache_ready(cache, class));
    return mo_cache_at(cache, stock->top) - 1;
}

static void fill_queue(uintptr_t with)
{
    for (uintptr_t *w = mo_cache_at(cache, k->fifo_at); w < mo_cache_at(cache, k->fifo_end); w++)
        *w = with;
}

/* A free slot of our own in another class whose state words are found in the same way. */
static uintptr_t other_class(void)
{
    unsigned other = mo_class_of(NEIGHBOUR);
    free(take(NEIGHBOUR));
    if (other == class || mo_sealed.classes[other].word_shift != k->word_shift || mo_cache_ready(cache, other) == 0)
        fail("no class beside");
    return mo_cache_pop(cache, &cache->stock[other]); /* not listed there any more */
}

static uintptr_t shards_own(void)
{
    struct mo_slab *slab = partial();
    for (unsigned i = 0; i < k->slots; i++)
        if (slab->free[i / 64] >> i % 64 & 1)
            return slab->base + MO_HEADER + (size_t)i * k->stride;
    fail("a slab that is partly used has no free slot");
}

static void ready_dup(void)
{
    *top() = top()[-1];
}
static void ready_live(void)
{
    *top() = slot_of(live[5]);
}
static void ready_waiting(void)
{
    *top() = slot_of(waiting);
}
static void ready_outside(void)
{
    *top() = (uintptr_t)decoy + MO_HEADER;
}
static void ready_class(void)
{
    *top() = other_class();
}
static void ready_shard(void)
{
    *top() = shards_own();
}
static void ready_interior(void)
{
    *top() += 32;
}
/* To where it was four chunks ago, which live. Further up may be what was never used, or free: that does no harm. */
static void top_up(void)
{
    enum { TAKEN = 4 };
    size_t was;
    do { /* a refill, or a sampled chunk, may come between */
        was = stock->top;
        for (int i = 0; i < TAKEN; i++)
            (void)take(SIZE);
    } while (stock->top + TAKEN * sizeof(uintptr_t) != was);
    stock->top = (__typeof__(stock->top))was;
}
static void expect(void)
{
    cache->expect = MO_STATE_LIVE;
}
static void owner(void)
{
    cache->owner ^= 2;
}
static void queue_dup(void)
{
    fill_queue(slot_of(waiting));
}
static void queue_live(void)
{
    fill_queue(slot_of(live[5]));
}
static void queue_outside(void)
{
    fill_queue((uintptr_t)decoy + MO_HEADER);
}
static void state_free(void)
{
    *place_of(live[5]).state = (uint16_t)(cache->owner | MO_STATE_STEP);
}
static void state_live(void)
{
    *place_of(waiting).state |= MO_STATE_LIVE;
}
static void state_generation(void)
{
    *place_of(live[5]).state ^= MO_STATE_STEP;
}

static void bitmap_set(void)
{
    struct mo_slab *slab = partial();
    for (unsigned w = 0; w < MO_SLAB_SLOTS / 64; w++)
        slab->free[w] = ~(uint64_t)0;
    slab->free[(k->slots - 1) / 64] >>= 63 - (k->slots - 1) % 64;
}

static void bitmap_clear(void)
{
    memset(partial()->free, 0, sizeof partial()->free);
}
static void count_up(void)
{
    partial()->free_count = k->slots;
}
static void count_down(void)
{
    partial()->free_count = 1;
}
static void slab_base(void)
{
    partial()->base += 2 * k->stride;
}
static void slab_class(void)
{
    partial()->class = (uint8_t)mo_class_of(NEIGHBOUR);
}

static void list_class(void)
{
    struct mo_place place = place_of(live[0]), other = place_of(take(NEIGHBOUR));
    struct mo_bin *b = bin_of(&place);
    for (uint32_t i = 0; i < b->partial_count; i++)
        b->partial[i] = (uint32_t)(other.slab - mo_sealed.slabs);
}

static void list_wild(void)
{
    struct mo_place place = place_of(live[0]);
    struct mo_bin *b = bin_of(&place);
    for (uint32_t i = 0; i < b->partial_count; i++)
        b->partial[i] = 0x7fffffff;
}

static struct mo_granule *granule(void)
{
    return (struct mo_granule *)(uintptr_t)mo_granule_of(slot_of(live[5]));
}
static void granule_class(void)
{
    granule()->class = (uint8_t)mo_class_of(NEIGHBOUR);
}
static void granule_bias(void)
{
    granule()->bias += 3;
}
static void granule_slab(void)
{
    granule()->slab += 1;
}

static void large_extent(void)
{
    struct mo_large *l = entry_of(large_live);
    l->map -= 16 << 20;
    l->map_size += 32 << 20;
}

static void large_revived(void)
{
    entry_of(large_freed)->state = MO_STATE_LIVE;
}

static void large_forged(void)
{
    struct mo_large *l = entry_of(large_live);
    l->p -= 4096;
}

static void large_lost(void)
{
    memset(entry_of(large_live), 0, sizeof(struct mo_large));
}

static void large_outside(void)
{
    struct mo_large *l = entry_of(large_live);
    l->map = l->p + LARGE;
}

static void large_waits(void)
{
    const struct mo_large_waiting *w = &mo_large_waiting;
    size_t i = 0;
    while (i < w->room && w->ring[i] != (uintptr_t)large_freed)
        i++;
    if (i == w->room)
        fail("%p does not wait", (void *)large_freed);
    w->ring[i] = (uintptr_t)large_live;
}

/* The live chunk's state, its content and a cache entry. */
static void chain(void)
{
    state_free();
    memset((void *)slot_of(live[5]), 0, k->stride);
    ready_live();
}

static void none(void) {}

static const struct {
    const char *name;
    void (*change)(void);
} changes[] = {
#define CHANGE(name) \
    {                \
#name, name  \
    }
    CHANGE(ready_dup),     CHANGE(ready_live),    CHANGE(ready_waiting),  CHANGE(ready_outside),
    CHANGE(ready_class),   CHANGE(ready_shard),   CHANGE(ready_interior), CHANGE(top_up),
    CHANGE(expect),        CHANGE(owner),         CHANGE(queue_dup),      CHANGE(queue_live),
    CHANGE(queue_outside), CHANGE(state_free),    CHANGE(state_live),     CHANGE(state_generation),
    CHANGE(bitmap_set),    CHANGE(bitmap_clear),  CHANGE(count_up),       CHANGE(count_down),
    CHANGE(slab_base),     CHANGE(slab_class),    CHANGE(list_class),     CHANGE(list_wild),
    CHANGE(granule_class), CHANGE(granule_bias),  CHANGE(granule_slab),   CHANGE(large_extent),
    CHANGE(large_revived), CHANGE(large_forged),  CHANGE(large_waits),    CHANGE(chain),
    CHANGE(large_lost),    CHANGE(large_outside), CHANGE(none),
};

/* A new chunk, which must be its owner's alone: nothing of it is another live chunk's. */
static char *own(size_t n)
{
    static struct {
        char *p;
        size_t n;
    } taken[4 * LIVE];
    static size_t count;
    char *p = take(n);
    for (size_t i = 0; i < LIVE; i++)
        if (live[i] && p < live[i] + SIZE && live[i] < p + n)
            fail("%p, %zu bytes, lies in the live chunk %p", (void *)p, n, (void *)live[i]);
    for (size_t i = 0; i < count; i++)
        if (p < taken[i].p + taken[i].n && taken[i].p < p + n)
            fail("%p, %zu bytes, lies in %p, which lives too", (void *)p, n, (void *)taken[i].p);
    taken[count].p = p;
    taken[count++].n = n;
    memset(p, 0x41, n);
    return p;
}

static void prepare(void)
{
    churn(SIZE, 2000);
    for (size_t i = 0; i < LIVE; i++)
        live[i] = take(SIZE);
    for (size_t i = LIVE / 2; i < LIVE; i++) {
        free(live[i]);
        live[i] = NULL;
    }
    large_live = take(LARGE);
    large_freed = take(LARGE);
    free(large_freed);
    churn(NEIGHBOUR, 2000);
    class = mo_class_of(SIZE);
    k = &mo_sealed.classes[class];
    cache = mo_cache_mine;
    stock = &cache->stock[class];
    free(waiting = take(SIZE));
}

static void use(void)
{
    static char *mine[LIVE];
    step("malloc");
    for (size_t i = 0; i < LIVE; i++) {
        mine[i] = own(SIZE);
        if (i % 4 == 0)
            (void)own(NEIGHBOUR);
    }
    step("free");
    for (size_t i = 0; i < LIVE; i++) {
        free(mine[i]);
        free(live[i]);
    }
    free(large_live);
}

int main(int argc, char **argv)
{
    prepare();
    step("write");
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        if (!word_is(argv, 1, changes[i].name))
            continue;
        changes[i].change();
        if (argc > 2 && word_is(argv, 2, "call")) {
            step("call");
            if (moat_check_heap() == 0)
                fail("nothing lives");
        }
        if (word_is(argv, 1, "state_live") || word_is(argv, 1, "large_revived")) { /* what the change is made for */
            step("free");
            free(word_is(argv, 1, "state_live") ? waiting : large_freed);
        }
        use();
        step("reuse");
        churn(SIZE, 5000);
        /* More than wait at a time: each that waits has its turn, also one that is too large to be taken again. */
        char *many[200];
        for (size_t n = 0; n < MO_ARRAY_LEN(many); n++)
            many[n] = take(LARGE);
        for (size_t n = 0; n < MO_ARRAY_LEN(many); n++)
            free(many[n]);
        (void)moat_purge();
        return finish();
    }
    fail("no change is called %s", argv[1]);
}
