/* Start-up: once, by whoever comes first, before any other code of the process perhaps. */
#include "base/tag.h"
#include "cache/cache.h"
#include "diag/extra.h"
#include "diag/report.h"
#include "front/chunk.h"
#include "front/fault.h"
#include "front/hot_names.h"
#include "front/thread.h"
#include "mem/classes.h"
#include "mem/large.h"

static struct mo_lock start_lock = MO_LOCK(MO_RANK_START);

enum { STDERR = 2 };
enum {
    NEST = 1 << 20
}; /* address space for the tables of start, of which most are never touched: 500 KiB in production */

/* Streams of the modules that draw without a thread's: heap, large mappings, threads without a cache; and that of the
 * first thread. They fill a page. */
enum { STREAM_HEAP, STREAM_LARGE, STREAM_THREADS, STREAMS, STREAM_FIRST = STREAMS };

static struct mo_random *streams(bool *wiped)
{
    size_t page = mo_sealed.features.page;
    struct mo_random *r = mo_os_map_guarded(page, "moat random");
    if (r == NULL)
        return NULL;
    /* With a seed a child goes on with its parent's numbers. */
    *wiped = mo_sealed.options.seed != 0 || mo_os_wipe_on_fork(r, page);
    mo_os_populate(r, page);
    return r;
}

static void draw_keys(struct mo_random *r)
{
    for (size_t i = 0; i < MO_ARRAY_LEN(mo_sealed.aes_keys); i++) {
        uint64_t words[2] = {mo_random_u64(r), mo_random_u64(r)};
        __builtin_memcpy(mo_sealed.aes_keys[i], words, sizeof words);
    }
    uint64_t words[2] = {mo_random_u64(r), mo_random_u64(r)};
    __builtin_memcpy(mo_sealed.sip_key, words, sizeof words);
    mo_sealed.fence = (uint8_t)((mo_random_u64(r) & 0x74) | 0x83); /* see chunk.h */
    mo_hot_start();
    for (unsigned class = 0; class < MO_CLASSES; class++)
        mo_sealed.classes[class].fields = mo_fields(class, MO_ORIGIN_MALLOC, 0);
}

static void choose_shards(void)
{
    enum { MOST = 16 }; /* beyond, memory for partly used slabs costs more than a lock's contention */
    size_t n = mo_sealed.options.shards;
    mo_sealed.shard_count = n != 0 ? n : mo_min(mo_os_count_cpus(), MOST);
}

/* Tags for small chunks, where CPU and kernel have them. They come with the hot path that has AES instructions, and not
 * with libmoat-fuzz.so, which looks for pointers in memory. */
static void choose_tags(void)
{
    static const char line[] = "moat: mte: there are no memory tags here\n";
    static const uint8_t by_profile[MO_PROFILES] = {MO_TAGS_ASYNC, MO_TAGS_SYNC, MO_TAGS_OFF, MO_TAGS_OFF};
    size_t asked = mo_sealed.options.mte;
    size_t choice = asked == MO_TAGS_AUTO ? by_profile[mo_sealed.options.profile] : asked;
    bool able = MO_TAGS && mo_extra_profile != MO_PROFILE_FUZZ && mo_sealed.features.tags && mo_hot_has_aes() &&
                mo_sealed.features.aes && mo_sealed.options.mac == MO_MAC_AUTO;
    if (choice == MO_TAGS_OFF)
        return;
    mo_sealed.tagged = able && mo_os_tags(choice == MO_TAGS_SYNC);
    if (asked != MO_TAGS_AUTO && !mo_sealed.tagged)
        (void)mo_os_write(STDERR, line, sizeof line - 1);
    if (mo_sealed.tagged && mo_sealed.options.purge == MO_PURGE_LAZY)
        mo_sealed.options.purge =
            MO_PURGE_EAGER; /* a page that the kernel takes loses its tags, a chunk half of them */
}

/* What needs no memory. */
static void prepare(void)
{
    mo_os_start(&mo_sealed.features);
    (void)mo_os_thread_known();
    mo_options_load(&mo_sealed.options, mo_sealed.features.secure);
    choose_tags();
    if (mo_sealed.options.guards != MO_GUARDS_AUTO)
        mo_sealed.features.guard_install = false;
    mo_random_start();
    mo_cache_start();
    mo_classes_start();
    mo_os_nest_open(mo_max(NEST, 64 * mo_sealed.features.page) + mo_arena_heap_room(),
                    mo_sealed.features.guard_install);
}

/* Without memory all allocations fail, and each tries again: what there is of the tables stays. */
static void start_locked(void)
{
    static bool prepared, wiped;
    static struct mo_random *r;
    if (!prepared)
        prepare();
    prepared = true;
    if (r == NULL) {
        r = streams(&wiped);
        if (r == NULL)
            return;
        draw_keys(&r[STREAM_HEAP]);
    }
    choose_shards();
    if (!mo_heap_start(&r[STREAM_HEAP]) || !mo_large_start(&r[STREAM_LARGE]) ||
        (mo_cache_count() == 0 && !mo_cache_first(&r[STREAM_FIRST], wiped)) || !mo_arena_start()) {
        mo_sealed.shard_count = 0;
        return;
    }
    mo_thread_start(&r[STREAM_THREADS], r, wiped ? 0 : STREAMS);
    mo_os_nest_close();
    mo_sealed.small_last = (uint8_t)mo_class_of(MO_CLEAR_INLINE - MO_HEADER);
    mo_sealed.aes = mo_hot_has_aes() && mo_sealed.features.aes && mo_sealed.options.mac == MO_MAC_AUTO;
    mo_sealed.aes_heap_size = mo_sealed.aes && !mo_sealed.tagged ? mo_sealed.heap_size : 0;
    mo_fault_start();
    __atomic_store_n(&mo_sealed.ready, true, __ATOMIC_RELEASE);
    /* A kernel that refuses leaves the page writable: weaker, and `moat doctor` says so. */
    if (!mo_sealed_close())
        return;
}

bool mo_front_start(void)
{
    if (mo_likely(__atomic_load_n(&mo_sealed.ready, __ATOMIC_ACQUIRE)))
        return true;
    mo_lock(&start_lock);
    if (!mo_sealed.ready)
        start_locked();
    mo_unlock(&start_lock);
    return mo_sealed.ready;
}
