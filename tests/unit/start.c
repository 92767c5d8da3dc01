/* Start-up: what it settles from options and machine, that it happens once, and that each process is on its own. */
#include <stdio.h>

#include "cache/cache.h"
#include "child.h"
#include "front/front.h"
#include "front/hot_names.h"
#include "mem/classes.h"

static void set_up(void)
{
    mo_front_start();
}

TestSuite(start, .init = set_up);

/* On 32 bits there is no reservation: the address table covers the whole address space. */
enum { DIRECT = sizeof(void *) == 4 };

Test(start, settles_what_it_should)
{
    const struct mo_sealed_data *s = &mo_sealed;
    cr_assert(s->ready);
    if (DIRECT)
        cr_assert_geq(s->heap_size, (size_t)3 << 30);
    else
        cr_assert(mo_is_pow2(s->heap_size) && s->heap_size <= s->options.heap_reserve);
    cr_assert(s->granules != NULL && s->states != NULL && s->slabs != NULL && s->shards != NULL);
    cr_assert(DIRECT || (s->heap_base != 0 && s->heap_base % mo_min(s->heap_size, (size_t)2 << 20) == 0));
    size_t shards = s->options.shards != 0 ? s->options.shards : mo_min(mo_os_count_cpus(), 16);
    cr_assert_eq(s->shard_count, shards);
    cr_assert_eq(s->aes, mo_hot_has_aes() && s->features.aes && s->options.mac == MO_MAC_AUTO);
    cr_assert_eq(s->features.guard_install && s->options.guards != MO_GUARDS_AUTO, false);
    cr_assert_eq(s->classes[s->small_last].stride, MO_CLEAR_INLINE);
    cr_assert_gt(s->cache_bytes, sizeof(struct mo_cache));
    cr_assert_eq(s->features.page, (size_t)sysconf(_SC_PAGESIZE));
}

/* What a small process touches needs few page tables: its first chunks are where the address table ends, and the small
 * tables, the shards among them, are beside each other. */
Test(start, what_comes_first_lies_together)
{
    enum { LAST = 512 << 20, NEST = 4 << 20 };
    void *p = mo_allocate(100, MO_ORIGIN_MALLOC);
    if (!DIRECT &&
        mo_sealed.options.sample_rate > 1000) /* else it is a sample, and the program's own first chunks have been */
        cr_assert_leq(mo_sealed.heap_base + mo_sealed.heap_size - (uintptr_t)p, LAST);
    mo_release(p, MO_ORIGIN_MALLOC);
    cr_assert_leq(mo_max((uintptr_t)mo_sealed.states, (uintptr_t)mo_sealed.shards) -
                      mo_min((uintptr_t)mo_sealed.states, (uintptr_t)mo_sealed.shards),
                  mo_max(NEST, 64 * mo_sealed.features.page));
    cr_assert_leq((uintptr_t)mo_sealed.slabs - (uintptr_t)mo_sealed.granules,
                  (mo_sealed.heap_size >> MO_GRANULE_SHIFT) * sizeof(struct mo_granule) + 2 * mo_sealed.features.page);
}

Test(start, keys_are_random)
{
    cr_assert_not(all_are((uintptr_t)mo_sealed.sip_key, sizeof mo_sealed.sip_key, mo_sealed.sip_key[0]));
    for (size_t i = 0; i < MO_ARRAY_LEN(mo_sealed.aes_keys); i++) {
        cr_assert_not(all_are((uintptr_t)mo_sealed.aes_keys[i], 16, mo_sealed.aes_keys[i][0]));
        cr_assert_neq(memcmp(mo_sealed.aes_keys[i], mo_sealed.sip_key, 16), 0);
        for (size_t j = 0; j < i; j++)
            cr_assert_neq(memcmp(mo_sealed.aes_keys[i], mo_sealed.aes_keys[j], 16), 0);
    }
}

Test(start, happens_once)
{
    static struct mo_sealed_data before;
    memcpy(&before, &mo_sealed, sizeof before);
    mo_front_start();
    mo_release(mo_allocate(10, MO_ORIGIN_MALLOC), MO_ORIGIN_MALLOC);
    mo_front_start();
    cr_assert_eq(memcmp(&before, &mo_sealed, sizeof before), 0);
}

/* In order: keys, fence, base, size, shards, AES, page, seed, reserve, guards, whether malloc works. */
__attribute__((constructor)) static void say(void)
{
    if (getenv("UNIT_SAY") == NULL)
        return;
    mo_front_start();
    for (size_t i = 0; i < sizeof mo_sealed.aes_keys; i++)
        printf("%02x", ((const uint8_t *)mo_sealed.aes_keys)[i]);
    for (size_t i = 0; i < sizeof mo_sealed.sip_key; i++)
        printf("%02x", mo_sealed.sip_key[i]);
    bool works = true;
    for (size_t n = 1; n < 2 << 20; n = n * 3 / 2 + 1) {
        char *p = mo_allocate(n, MO_ORIGIN_MALLOC);
        works = works && p != NULL;
        if (p != NULL)
            p[n - 1] = 1;
        mo_release(p, MO_ORIGIN_MALLOC);
    }
    printf(" %u %zx %zu %zu %d %zu %d\n", mo_sealed.fence, (size_t)mo_sealed.heap_base, mo_sealed.heap_size,
           mo_sealed.shard_count, mo_sealed.aes, mo_sealed.options.seed, works);
    fflush(stdout);
    _exit(0);
}

struct said {
    char keys[1024];
    unsigned fence;
    size_t base, size, shards, seed;
    int aes, works;
};

static struct said listen(const char *options, size_t address_limit)
{
    struct said s;
    struct child c = run_self(options, address_limit);
    cr_assert_eq(c.code, 0, "%s: signal %d, code %d: %s", options, c.signal, c.code, c.text);
    cr_assert_eq(sscanf(c.text, "%1023s %u %zx %zu %zu %d %zu %d", s.keys, &s.fence, &s.base, &s.size, &s.shards,
                        &s.aes, &s.seed, &s.works),
                 8, "%s", c.text);
    cr_assert(s.works, "%s: no memory", options);
    return s;
}

/* P8 and P2: another process tells nothing about this one. */
Test(start, processes_differ)
{
    enum { N = 12 };
    struct said s[N];
    size_t fences = 0, same_base = 0;
    for (size_t i = 0; i < N; i++) {
        s[i] = listen("", 0);
        for (size_t j = 0; j < i; j++) {
            cr_assert_neq(strcmp(s[i].keys, s[j].keys), 0);
            same_base += s[i].base == s[j].base;
            fences += s[i].fence != s[j].fence;
        }
    }
    /* One of 1.5 million places: two pairs agree once in 10^9. */
    cr_assert(SANITIZED || same_base <= 1, "%zu pairs have the same base", same_base);
    cr_assert_gt(fences, N, "the fence is always the same"); /* one of 16; 62 of 66 pairs differ on average */
}

Test(start, one_seed_one_process)
{
    struct said a = listen("seed=42", 0), b = listen("seed=42", 0), c = listen("seed=43", 0);
    cr_assert(a.seed == 42 && strcmp(a.keys, b.keys) == 0 && a.fence == b.fence);
    cr_assert_neq(strcmp(a.keys, c.keys), 0);
}

Test(start, options_are_followed)
{
    cr_assert_eq(listen("shards=5", 0).shards, 5);
    cr_assert_eq(listen("shards=1", 0).shards, 1);
    cr_assert_eq(listen("mac=siphash", 0).aes, 0);
    cr_assert_eq(listen("heap_reserve=256M", 0).size, (size_t)256 << 20);
    cr_assert_eq(listen("heap_reserve=300M", 0).size, (size_t)256 << 20, "a power of two below");
    cr_assert_eq(listen("profile=embedded", 0).size, MO_EMBEDDED_RESERVE);
    cr_assert_eq(listen("profile=strict,shards=2", 0).shards, 2);
    cr_assert(listen("guards=mprotect", 0).works && listen("guards=off", 0).works);
    cr_assert(listen("guards=mprotect,guard_mappings=0", 0).works);
}

/* The reservation is halved until it fits: half of the limit at most. */
Test(start, address_space_may_be_small, .disabled = SANITIZED)
{
    static const size_t limits[] = {(size_t)8 << 30, (size_t)1 << 30, (size_t)256 << 20, (size_t)128 << 20};
    for (size_t i = 0; i < MO_ARRAY_LEN(limits); i++) {
        struct said s = listen("", limits[i]);
        cr_assert_leq(s.size, limits[i] / 2);
        cr_assert_geq(s.size, limits[i] / 8);
    }
}
