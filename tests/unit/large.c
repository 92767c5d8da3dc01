/* Large mappings: guards on both sides, the table at any size, what waits and for how long, resizing in place and by
 * moving pages. */
#include <pthread.h>
#include <sys/syscall.h>

#include "child.h"
#include "front/front.h"
#include "mem/large_wait.h"

static size_t page;

static void set_up(void)
{
    mo_front_start();
    page = mo_sealed.features.page;
}

TestSuite(large, .init = set_up);

static struct mo_large take(size_t n, size_t align)
{
    struct mo_large l = {0};
    cr_assert(mo_large_take(n, align, &l), "%zu bytes at %zu", n, align);
    return l;
}

static struct mo_large_figures figures(void)
{
    struct mo_large_figures f;
    mo_large_figures(&f);
    return f;
}

/* What the header says of a mapping; an empty string when all of it holds. */
static const char *flaw(const struct mo_large *l, size_t n, size_t align)
{
    size_t tail = align < 64 ? 64 : align < page ? align : page; /* what alignment may leave behind the payload */
    if (l->p % align != 0 || l->p % 64 != 0)
        return "alignment";
    if (l->n != n || !(l->state & MO_STATE_LIVE))
        return "entry";
    if (l->p - MO_HEADER < l->open || l->p + n > mo_large_end(l))
        return "the chunk does not fit";
    if (mo_large_end(l) - (l->p + n) >= tail)
        return "the payload is not pushed against the far guard";
    if (l->open % page != 0 || l->open_size % page != 0)
        return "pages";
    if (l->open < l->map + page || l->map + l->map_size < mo_large_end(l) + page)
        return "no guard";
    if (!can_write(l->p - MO_HEADER) || !can_write(mo_large_end(l) - 1) || (n > 0 && !can_write(l->p)))
        return "access";
    for (uintptr_t at = mo_max(l->map, l->open - 16 * page); at < l->open; at += page)
        if (can_read(at))
            return "open guard in front";
    if (can_read(l->map) || can_read(l->open - 1) || can_read(mo_large_end(l)) || can_read(l->map + l->map_size - 1))
        return "open guard";
    return "";
}

Test(large, a_mapping_is_as_it_should_be)
{
    static const size_t sizes[] = {0,    1,     63,     64,     65,      4000,    4088,     4089,           4096,
                                   4097, 65536, 131081, 131136, 1000000, 1 << 20, 16777217, (size_t)1 << 30};
    for (size_t i = 0; i < MO_ARRAY_LEN(sizes); i++) {
        struct mo_large l = take(sizes[i], 1), found;
        cr_assert_str_empty(flaw(&l, sizes[i], 1), "%zu bytes: %s", sizes[i], flaw(&l, sizes[i], 1));
        size_t looked = mo_min(l.open_size, 1 << 20);
        cr_assert(all_are(l.open, looked, 0) && all_are(mo_large_end(&l) - looked, looked, 0));
        cr_assert(mo_large_find(l.p, &found));
        cr_assert_eq(memcmp(&found, &l, sizeof l), 0);
        cr_assert(mo_large_put(l.p));
    }
}

Test(large, any_alignment)
{
    static const size_t sizes[] = {0, 1, 100, 4096, 4097, 200000};
    for (size_t align = 16; align <= (size_t)64 << 20; align *= 2) {
        for (size_t i = 0; i < MO_ARRAY_LEN(sizes); i++) {
            struct mo_large l = take(sizes[i], align);
            const char *what = flaw(&l, sizes[i], align);
            cr_assert_str_empty(what, "%zu bytes at %zu: %s", sizes[i], align, what);
            memset((void *)(l.p - MO_HEADER), 0x5a, sizes[i] + MO_HEADER);
            cr_assert(mo_large_put(l.p));
        }
    }
}

Test(large, guards_fault)
{
    static const size_t aligns[] = {1, 1 << 20};
    for (size_t i = 0; i < MO_ARRAY_LEN(aligns); i++) {
        struct mo_large l = take(200000, aligns[i]);
        cr_assert_not(faults(touch_write, mo_large_end(&l) - 1));
        cr_assert(faults(touch_write, mo_large_end(&l)));
        cr_assert(faults(touch_read, mo_large_end(&l)));
        cr_assert(faults(touch_write, l.open - 1));
        cr_assert(faults(touch_read, l.open - page));
        cr_assert(faults(touch_write, l.map + l.map_size - 1));
    }
}

Test(large, guards_are_of_random_length)
{
    enum { N = 400 };
    static struct mo_large all[N];
    size_t before[9] = {0}, after[9] = {0};
    for (int i = 0; i < N; i++) {
        all[i] = take(1, 1);
        size_t b = (all[i].open - all[i].map) / page;
        size_t a = (all[i].map + all[i].map_size - mo_large_end(&all[i])) / page;
        cr_assert(b >= 1 && b <= 8 && a >= 1 && a <= 8);
        before[b]++;
        after[a]++;
    }
    for (int i = 1; i <= 8; i++) /* 50 of each are expected, 6.6 is one deviation */
        cr_assert(before[i] > 5 && before[i] < 95 && after[i] > 5 && after[i] < 95);
    for (int i = 0; i < N; i++)
        cr_assert(mo_large_put(all[i].p));
    for (int i = 0; i < N; i++) { /* what is taken again may have a longer one in front */
        struct mo_large l = take(1, 1);
        size_t b = (l.open - l.map) / page, a = (l.map + l.map_size - mo_large_end(&l)) / page;
        cr_assert(b >= 1 && b <= 15 && a >= 1 && a <= 8);
        cr_assert(mo_large_put(l.p));
    }
}

Test(large, impossible_sizes_are_refused)
{
    struct mo_large l = {0};
    struct mo_large_figures before = figures();
    static const size_t sizes[] = {SIZE_MAX, SIZE_MAX - 64, PTRDIFF_MAX, (size_t)PTRDIFF_MAX + 1,
                                   sizeof(size_t) > 4 ? SIZE_MAX / 4 : SIZE_MAX};
    errno = 77;
    for (size_t i = 0; i < MO_ARRAY_LEN(sizes); i++)
        for (size_t align = 1; align != 0; align <<= 7)
            cr_assert_not(mo_large_take(sizes[i], align, &l), "%zu at %zu", sizes[i], align);
    for (size_t align = (size_t)1 << (sizeof(size_t) > 4 ? 50 : 31); align != 0; align <<= 1)
        cr_assert_not(mo_large_take(100, align, &l), "at %zu", align);
    cr_assert_eq(errno, 77);
    struct mo_large_figures after = figures();
    cr_assert(after.live_count == before.live_count && after.live_bytes == before.live_bytes);
}

Test(large, put_makes_it_inaccessible)
{
    struct mo_large l = take(300000, 1), found;
    struct mo_large_figures before = figures();
    memset((void *)l.p, 0x5a, 300000);
    cr_assert(mo_large_put(l.p));
    for (uintptr_t at = l.map; at < l.map + l.map_size; at += page)
        cr_assert_not(can_read(at));
    cr_assert(faults(touch_read, l.p));
    cr_assert(faults(touch_write, l.p + 299999));
    struct mo_large_figures after = figures();
    cr_assert_eq(after.live_count, before.live_count - 1);
    cr_assert_eq(after.live_bytes, before.live_bytes - l.open_size);
    cr_assert_eq(after.waiting_count, before.waiting_count + 1);
    cr_assert_eq(after.waiting_bytes, before.waiting_bytes + l.map_size);
    cr_assert(mo_large_find(l.p, &found) && found.state == 0, "it waits, and is not live");
    cr_assert_not(mo_large_put(l.p), "a second free");
    cr_assert_not(mo_large_put(l.p + 64));
    cr_assert_not(mo_large_put(0));
    cr_assert_not(mo_large_resize(l.p, 400000, &found));
    cr_assert_eq(figures().waiting_count, after.waiting_count);
}

Test(large, find_and_around)
{
    struct mo_large a = take(5000, 1), found;
    cr_assert_not(mo_large_find(0, &found));
    cr_assert_not(mo_large_find(a.p + 1, &found));
    cr_assert_not(mo_large_find(a.open, &found) && a.open != a.p);
    const uintptr_t inside[] = {a.map, a.open, a.p, a.p + 4999, mo_large_end(&a), a.map + a.map_size - 1};
    for (size_t i = 0; i < MO_ARRAY_LEN(inside); i++)
        cr_assert(mo_large_around(inside[i], &found) && found.p == a.p);
    cr_assert_not(mo_large_around((uintptr_t)&found, &found));
    cr_assert_not(mo_large_around(0, &found));
}

Test(large, a_table_of_ten_thousand, .timeout = 100)
{
    enum { N = 10000 };
    static struct mo_large all[N];
    struct mo_large_figures before = figures(), f;
    struct mo_large found;
    size_t lost = 0, open = 0;
    uint64_t seed = 1234567;
    for (size_t i = 0; i < N; i++)
        all[i] = take(1 + i % 5000, 1);
    f = figures();
    cr_assert_eq(f.live_count, before.live_count + N);
    cr_assert_gt(f.table_bytes, before.table_bytes);
    for (size_t i = 0; i < N; i++)
        lost += !mo_large_find(all[i].p, &found) || memcmp(&found, &all[i], sizeof found) != 0;
    cr_assert_eq(lost, 0);
    for (size_t i = N - 1; i > 0; i--) { /* in random order, so that chains are cut anywhere */
        size_t j = next_number(&seed) % (i + 1);
        found = all[i];
        all[i] = all[j];
        all[j] = found;
    }
    for (size_t i = 0; i < N; i++) {
        cr_assert(mo_large_put(all[i].p));
        open += all[i].guards != MO_LARGE_BARE && can_read(all[i].p);
        if (i % 500 == 0)
            for (size_t j = i + 1; j < N; j++)
                lost += !mo_large_find(all[j].p, &found) || found.state == 0;
    }
    cr_assert_eq(lost, 0);
    cr_assert_eq(open, 0);
    f = figures();
    cr_assert_eq(f.live_count, before.live_count);
    cr_assert_eq(f.live_bytes, before.live_bytes);
    cr_assert_leq(f.waiting_count, mo_sealed.options.large_quarantine_count + MO_LARGE_AGAIN);
}

/* Freed mappings that have waited are taken for new ones, zero and with their guards, but not while they wait. */
Test(large, what_has_waited_is_taken_again)
{
    enum { N = 600 };
    static uintptr_t maps[N];
    size_t count_limit = mo_sealed.options.large_quarantine_count, again = 0, dirty = 0;
    uint64_t seed = 1234567;
    for (size_t i = 0; i < N; i++) {
        struct mo_large l = take(150000 + next_number(&seed) % 20000, 1);
        maps[i] = l.map;
        for (size_t k = 0; k < i; k++) {
            if (maps[k] != l.map)
                continue;
            again++;
            cr_assert_geq(i - k, count_limit, "freed %zu ago", i - k);
        }
        for (size_t at = 0; at < l.open_size; at += 512)
            dirty += *(const uint8_t *)(l.open + at) != 0;
        memset((void *)l.open, 0xff, l.open_size);
        if (i % 20 == 0)
            cr_assert(faults(touch_write, mo_large_end(&l)) && faults(touch_write, l.open - 1));
        cr_assert(mo_large_put(l.p));
    }
    cr_assert_eq(dirty, 0);
    if (count_limit <= 64 && mo_sealed.features.guard_install)
        cr_assert_gt(again, N / 2);
}

/* P10 and the quarantine: addresses that wait are not given out; their number and their bytes are bounded. */
Test(large, what_waits_is_not_reused_and_bounded)
{
    enum { N = 1200 };
    static struct mo_large old[N];
    size_t count_limit = mo_sealed.options.large_quarantine_count, overlaps = 0, beyond = 0;
    uint64_t seed = 7654321;
    for (size_t i = 0; i < N; i++) {
        old[i] = take(1 + next_number(&seed) % 300000, 1);
        for (size_t back = 1; back <= mo_min(i, mo_min(count_limit, 40)); back++) {
            const struct mo_large *o = &old[i - back];
            struct mo_large found;
            if (mo_large_find(o->p, &found) && found.state == 0 && found.map == o->map)
                overlaps += old[i].map < o->map + o->map_size && o->map < old[i].map + old[i].map_size;
        }
        cr_assert(mo_large_put(old[i].p));
        struct mo_large_figures f = figures();
        beyond += f.waiting_count > count_limit + MO_LARGE_AGAIN ||
                  f.waiting_bytes > mo_sealed.options.large_quarantine_bytes;
    }
    cr_assert_eq(overlaps, 0);
    cr_assert_eq(beyond, 0);
    cr_assert_geq(figures().waiting_count, mo_min(count_limit, N));
}

Test(large, what_waits_is_bounded_by_bytes)
{
    size_t bytes = mo_sealed.options.large_quarantine_bytes;
    for (int i = 0; i < 20; i++) {
        struct mo_large l = take(bytes / 4, 1);
        cr_assert(mo_large_put(l.p));
        cr_assert_leq(figures().waiting_bytes, bytes);
    }
    struct mo_large huge = take(bytes + 1, 1), found;
    cr_assert(mo_large_put(huge.p));
    cr_assert_leq(figures().waiting_bytes, bytes);
    cr_assert_not(mo_large_find(huge.p, &found));
}

static void pattern(uintptr_t p, size_t n)
{
    for (size_t i = 0; i < n; i += 97)
        ((uint8_t *)p)[i] = (uint8_t)(i * 31 >> 3);
}

static size_t damage(uintptr_t p, size_t n)
{
    size_t wrong = 0;
    for (size_t i = 0; i < n; i += 97)
        wrong += ((uint8_t *)p)[i] != (uint8_t)(i * 31 >> 3);
    return wrong;
}

Test(large, resize_in_place)
{
    struct mo_large_figures before = figures();
    struct mo_large l = take(400000, 1), now, found;
    size_t room = l.map + l.map_size - page - l.p;
    pattern(l.p, 400000);
    cr_assert(mo_large_resize(l.p, 150000, &now));
    cr_assert(now.p == l.p && now.n == 150000 && now.map == l.map && now.map_size == l.map_size);
    cr_assert(mo_large_find(l.p, &found) && memcmp(&found, &now, sizeof now) == 0);
    cr_assert_eq(damage(l.p, 150000), 0);
    cr_assert_lt(mo_large_end(&now) - l.p, 150000 + page, "what is left over is given back");
    cr_assert_not(can_read(mo_large_end(&now)) || can_read(l.p + 399999));
    cr_assert(faults(touch_write, mo_large_end(&now)));
    cr_assert_eq(figures().live_bytes, before.live_bytes + now.open_size);

    uintptr_t had = mo_large_end(&now);
    cr_assert(mo_large_resize(l.p, room, &now));
    cr_assert(now.p == l.p && now.n == room && mo_large_end(&now) + page == l.map + l.map_size);
    cr_assert_eq(damage(l.p, 150000), 0);
    cr_assert(all_are(had, mo_large_end(&now) - had, 0), "a page that comes back is zero");
    cr_assert(faults(touch_write, mo_large_end(&now)));
    cr_assert(mo_large_find(l.p, &found) && found.n == room);

    cr_assert_not(mo_large_resize(l.p, room / 4 - 1, &now), "too small for its address space");
    cr_assert(mo_large_find(l.p, &found) && found.n == room, "a refusal changes nothing");
    cr_assert_eq(damage(l.p, 150000), 0);
    cr_assert(mo_large_put(l.p));
    cr_assert_eq(figures().live_bytes, before.live_bytes);
}

/* Guard markers are refused there: what shrinks and grows again must be accessible and zero all the same. */
Test(large, resize_in_locked_memory)
{
    struct mo_large l = take(400000, 1), now;
    pattern(l.p, 400000);
    cr_assert_eq(syscall(SYS_mlock, l.open, l.open_size), 0); /* sanitizers make mlock do nothing */
    cr_assert(mo_large_resize(l.p, 150000, &now));
    uintptr_t had = mo_large_end(&now);
    cr_assert_not(can_read(had));
    cr_assert(mo_large_resize(l.p, 300000, &now));
    cr_assert(can_write(had) && can_write(mo_large_end(&now) - 1));
    cr_assert(all_are(had, mo_large_end(&now) - had, 0));
    cr_assert_eq(damage(now.p, 150000), 0);
    cr_assert(mo_large_put(now.p));
    cr_assert_not(can_read(now.p));
}

Test(large, resize_moves_pages)
{
    static const size_t aligns[] = {1, 1024, 1 << 20};
    /* From 150,000 bytes: the first steps copy, the others move pages. */
    for (size_t i = 0; i < MO_ARRAY_LEN(aligns); i++) {
        struct mo_large_figures before = figures();
        struct mo_large l = take(150000, aligns[i]), now, found;
        size_t n = 150000;
        pattern(l.p, n);
        for (int step = 0; step < 9; step++) {
            struct mo_large old = l;
            cr_assert(mo_large_resize(l.p, n * 2, &now));
            cr_assert(now.p != old.p && now.n == n * 2 && now.p % page == old.p % page);
            cr_assert_eq(damage(now.p, n), 0);
            cr_assert(now.p + now.n <= mo_large_end(&now) && mo_large_end(&now) - now.p - now.n < page);
            cr_assert(all_are(now.p + n + page, n - page, 0), "fresh pages are zero");
            cr_assert_not(can_read(now.open - 1) || can_read(mo_large_end(&now)));
            cr_assert_not(can_read(old.p) || can_read(old.open) || can_read(mo_large_end(&old) - 1));
            cr_assert_not(mo_large_find(old.p, &found) && found.state != 0);
            cr_assert(mo_large_find(now.p, &found) && memcmp(&found, &now, sizeof now) == 0);
            pattern(now.p, n * 2);
            l = now;
            n *= 2;
        }
        cr_assert(faults(touch_write, mo_large_end(&l)));
        cr_assert(faults(touch_write, l.open - 1));
        cr_assert_eq(figures().live_count, before.live_count + 1);
        cr_assert_not(mo_large_resize(l.p, PTRDIFF_MAX, &now));
        cr_assert_not(mo_large_resize(l.p, SIZE_MAX - page, &now));
        cr_assert_eq(damage(l.p, n), 0);
        cr_assert(mo_large_put(l.p));
        cr_assert_not(can_read(l.p));
        cr_assert_eq(figures().live_bytes, before.live_bytes);
    }
}

enum { THREADS = 4, ROUNDS = SANITIZED ? 300 : 1500 };
static size_t failures;

static void *churn(void *argument)
{
    uint64_t seed = (uintptr_t)argument * 2654435761u + 1;
    struct mo_large held[8] = {{0}};
    for (int i = 0; i < ROUNDS; i++) {
        struct mo_large *l = &held[next_number(&seed) % 8], now;
        if (l->p != 0 && i % 3 == 0) {
            if (mo_large_resize(l->p, l->n + 70000, &now))
                *l = now;
        } else if (l->p != 0) {
            if (*(size_t *)l->p != l->p * 3 && *(size_t *)l->p != l->map)
                __atomic_add_fetch(&failures, 1, __ATOMIC_RELAXED);
            if (!mo_large_put(l->p))
                __atomic_add_fetch(&failures, 1, __ATOMIC_RELAXED);
            l->p = 0;
            continue;
        } else if (!mo_large_take(8 + next_number(&seed) % 100000, 1, l)) {
            __atomic_add_fetch(&failures, 1, __ATOMIC_RELAXED);
            l->p = 0;
            continue;
        }
        *(size_t *)l->p = l->map;
    }
    for (int i = 0; i < 8; i++)
        if (held[i].p != 0 && !mo_large_put(held[i].p))
            __atomic_add_fetch(&failures, 1, __ATOMIC_RELAXED);
    return NULL;
}

Test(large, threads)
{
    pthread_t threads[THREADS];
    struct mo_large_figures before = figures();
    for (uintptr_t i = 0; i < THREADS; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, churn, (void *)i), 0);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    cr_assert_eq(failures, 0);
    cr_assert_eq(figures().live_count, before.live_count);
    cr_assert_eq(figures().live_bytes, before.live_bytes);
}

Test(large, without_memory_nothing_is_lost, .disabled = SANITIZED)
{
    struct mo_large_figures before = figures();
    struct rlimit limit, none = {4096, 0};
    struct mo_large l = {0}, now;
    struct mo_large held = take(3000000, 1);
    pattern(held.p, held.n);
    getrlimit(RLIMIT_DATA, &limit);
    none.rlim_max = limit.rlim_max;
    cr_assert_eq(setrlimit(RLIMIT_DATA, &none), 0);
    bool took = mo_large_take(200000, 1, &l), resized = mo_large_resize(held.p, 9000000, &now);
    setrlimit(RLIMIT_DATA, &limit);
    cr_assert_not(took);
    cr_assert_not(resized);
    cr_assert_eq(damage(held.p, held.n), 0);
    cr_assert_eq(figures().live_count, before.live_count + 1);
    cr_assert(mo_large_resize(held.p, 9000000, &now));
    cr_assert_eq(damage(now.p, held.n), 0);
}
