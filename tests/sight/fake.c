/* A process that says it has moat, and lies. fake MODE [SEED]: layout, magic, cycle, huge, wild or random. Waits. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/prctl.h>

#include "arena/arena.h"
#include "front/sight.h"

static struct mo_sealed_data sealed = {.ready = true, .shard_count = 1, .cache_bytes = 1 << 16};
static struct mo_shard shard;
static struct mo_slab slabs[64];
static struct mo_granule granules[64];
static uint16_t states[4096];
static struct mo_large larges[64];
static struct mo_large_table table = {.entries = larges, .room = 64, .used = 3};
static struct mo_cache cache, *all = &cache;
static struct mo_table tables;
static size_t figure = 64;
static struct mo_heap_places heap = {&figure, &figure, &figure, &figure, &figure, &tables, &tables, &tables};
static struct mo_cache_places caches = {&all, &figure};
static struct mo_pool_places pool = {&figure, &figure, &figure, &figure, &figure, &figure, 8};

/* Not const: the lies are told at run time. */
extern struct mo_sight fake_sight;
__attribute__((used)) struct mo_sight fake_sight = {
    .magic = MO_SIGHT_MAGIC,
    .layout = MO_SIGHT_LAYOUT,
    .sealed = &sealed,
    .heap = &heap,
    .cache = &caches,
    .pool = &pool,
    .large = &table,
    .spare_bytes = &figure,
    .warnings = &figure,
};

__asm__(".pushsection .note.moat, \"a\", %note\n"
        "    .balign 4\n"
        "    .4byte 5, 4, 1\n"
        "    .asciz \"moat\"\n"
        "    .balign 4\n"
        "    .4byte fake_sight - .\n"
        ".popsection");

static void make_sane(void)
{
    for (unsigned i = MO_CLASS_FIRST; i < MO_CLASSES; i++)
        sealed.classes[i] = (struct mo_class){.stride = 32 * i,
                                              .ready_at = 1024,
                                              .ready_end = 2048,
                                              .random_at = 2048,
                                              .fifo_at = 3072,
                                              .fifo_end = 4096,
                                              .word_shift = 5,
                                              .span_shift = 16,
                                              .slots = 64,
                                              .slab_bytes = 61440};
    sealed.heap_base = 1 << 20;
    sealed.heap_size = 64 << 20;
    sealed.shards = &shard;
    sealed.slabs = slabs;
    sealed.granules = granules;
    sealed.states = states;
    sealed.features.page = 4096;
    for (size_t i = 1; i < 64; i++)
        slabs[i] = (struct mo_slab){.base = sealed.heap_base + (i << 16),
                                    .introduced = 60,
                                    .free_count = 30,
                                    .class = (uint8_t)(1 + i % 40),
                                    .flags = MO_SLAB_OPEN};
}

static void scribble(void *p, size_t n)
{
    unsigned char *bytes = p;
    for (size_t i = 0; i < n; i++)
        if (rand() % 3 == 0)
            bytes[i] = (unsigned char)rand();
}

int main(int argc, char **argv)
{
    const char *mode = argc > 1 ? argv[1] : "";
    char c;
    (void)prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0);
    make_sane();
    srand((unsigned)atoi(argc > 2 ? argv[2] : "1"));
    if (strcmp(mode, "layout") == 0)
        fake_sight.layout++;
    if (strcmp(mode, "magic") == 0)
        fake_sight.magic[0]++;
    if (strcmp(mode, "cycle") == 0)
        cache.next = &cache;
    if (strcmp(mode, "huge") == 0) {
        memset(&shard, 0xff, sizeof shard);
        memset(slabs, 0xff, sizeof slabs);
        memset(larges, 0xff, sizeof larges);
        figure = table.room = SIZE_MAX;
        sealed.heap_size = SIZE_MAX;
    }
    if (strcmp(mode, "wild") == 0) {
        sealed.slabs = (struct mo_slab *)(uintptr_t)0x1000;
        sealed.shards = NULL;
        table.entries = NULL;
        all = (struct mo_cache *)(uintptr_t)-8;
        heap.states = NULL;
    }
    if (strcmp(mode, "random") == 0) {
        scribble(&shard, sizeof shard);
        scribble(slabs, sizeof slabs);
        scribble(larges, sizeof larges);
        scribble(&cache, sizeof cache);
        scribble(granules, sizeof granules);
        scribble(rand() % 2 != 0 ? (void *)&sealed.heap_base : (void *)sealed.classes,
                 rand() % 2 != 0 ? 64 : sizeof(struct mo_class) * 2);
    }
    (void)prctl(PR_SET_NAME, "<a&\033[2J\"\\>");
    if (write(1, "lies\n", 5) != 5)
        return 1;
    while (read(0, &c, 1) > 0)
        continue;
    return 0;
}
