#include "fuzzing/reuse.h"

#include <string.h>

#include "diag/report.h"
#include "diag/sealed.h"
#include "front/chunk.h"
#include "front/guarded.h"
#include "fuzzing/forks.h"

enum { PATTERN = 128 }; /* bytes on each side of the payload, where there are so many; farther off are zeros */

/* Their numbers in the pool's table, oldest first. Under the pool's lock; so are the fields of a place that waits. */
static uint32_t waiting[MO_REUSE_MOST] MO_FORKED;
static size_t waiting_at MO_FORKED, waiting_count MO_FORKED, places MO_FORKED, taken MO_FORKED;

static __thread bool wanted __attribute__((tls_model("initial-exec")));

void mo_reuse_next(bool may)
{
    wanted = may;
}

static uintptr_t page_of(const struct mo_pool_slot *g)
{
    return mo_align_down(g->p, mo_sealed.features.page);
}

/* Bytes of a waiting place's payload that have option free_fill_byte. */
static size_t filled(const struct mo_pool_slot *g)
{
    return mo_min(g->n, mo_sealed.options.max_free_fill_size);
}

typedef uint64_t any_pair __attribute__((vector_size(16), may_alias, aligned(1)));

/* The first of the bytes that is another; 0: none. */
static uintptr_t other_byte(uintptr_t start, uintptr_t end, uint8_t byte)
{
    uint64_t word = byte * UINT64_C(0x0101010101010101);
    mo_pair want = {word, word}, any = {0, 0};
    uintptr_t at = start;
    for (; at + sizeof any <= end; at += sizeof any)
        any |= *(const any_pair *)at ^ want;
    if (mo_likely((any[0] | any[1]) == 0))
        start = at;
    while (start < end && mo_load8(start) == byte)
        start++;
    return start < end ? start : 0;
}

/* The first byte of a waiting place that is not as its free left it: in and around the chunk, or in all of the page.
 * 0: none. */
static uintptr_t changed_byte(const struct mo_pool_slot *g, bool whole)
{
    uintptr_t start = whole ? page_of(g) : g->open, end = start + (whole ? mo_sealed.features.page : g->open_size);
    uintptr_t parts[] = {start, g->p, g->p + filled(g), end}, at = 0;
    for (size_t i = 0; i + 1 < MO_ARRAY_LEN(parts) && at == 0; i++)
        at = other_byte(parts[i], parts[i + 1], i == 1 ? (uint8_t)mo_sealed.options.free_fill_byte : 0);
    return at;
}

MO_NORETURN static void report(const struct mo_pool_slot *g, uintptr_t at, const char *action)
{
    struct mo_report_chunk chunk;
    mo_guarded_describe(g, &chunk);
    mo_report_write_after_free(action, g->p, &chunk, at >= g->p ? (ptrdiff_t)(at - g->p) : -(ptrdiff_t)(g->p - at),
                               "a freed chunk's page must stay as it is until its reuse, and this byte did not");
}

/* As the pool does for chunks of one page; with less of the page's pattern. */
static void place(struct mo_pool_slot *g, size_t n, bool far)
{
    size_t page = mo_sealed.features.page;
    uintptr_t start = page_of(g), end = start + page;
    size_t align = mo_sealed.options.align == MO_ALIGN_STRICT ? MO_ALIGN_PLAIN : mo_min(n & -n, MO_ALIGN_PLAIN);
    g->p = far ? mo_align_down(end - n, align) : start;
    g->n = n;
    g->align = 0;
    g->open = g->p - start > PATTERN ? g->p - PATTERN : start;
    g->open_size = mo_min(mo_align_up(g->p + n, MO_ALIGN_PLAIN) + PATTERN, end) - g->open;
}

static struct mo_pool_slot *next_locked(bool *another)
{
    size_t wait = mo_forks_counts() ? MO_REUSE_WAIT_FORKED : MO_REUSE_WAIT;
    *another = waiting_count <= wait && places < MO_REUSE_MOST;
    if (waiting_count <= wait) {
        places += *another;
        return NULL;
    }
    struct mo_pool_slot *g = &mo_pool_table[waiting[waiting_at]];
    waiting_at = (waiting_at + 1) % MO_REUSE_MOST;
    waiting_count--;
    taken++;
    g->state = MO_POOL_BUSY;
    g->lives++;
    return g;
}

static struct mo_pool_slot *add_place(size_t n, struct mo_random *r)
{
    struct mo_pool_slot *g = mo_pool_take_once(n, 1, r);
    if (g != NULL) {
        g->reused = true;
        place(g, n, g->p > page_of(g));
        return g;
    }
    mo_pool_lock();
    places--;
    mo_pool_unlock();
    return NULL;
}

/* In place of the pool's own, as are the two that follow. */
struct mo_pool_slot *mo_pool_take(size_t n, size_t align, struct mo_random *r)
{
    bool another;
    if (!wanted || align != 1 || n - 1 >= mo_sealed.features.page)
        return mo_pool_take_once(n, align, r);
    mo_pool_lock();
    struct mo_pool_slot *g = next_locked(&another);
    mo_pool_unlock();
    if (g == NULL)
        return another ? add_place(n, r) : NULL;
    struct mo_pool_slot before = *g;
    uintptr_t at = changed_byte(g, false);
    if (mo_likely(at == 0)) {
        memset((void *)g->p, 0, filled(g));
        place(g, n, mo_pool_is_far(r));
        at = other_byte(g->open, g->open + g->open_size, 0);
    }
    if (mo_unlikely(at != 0)) {
        before.state = MO_POOL_WAITING;
        *g = before;
        report(g, at, "malloc");
    }
    return g;
}

void mo_pool_retire(struct mo_pool_slot *g)
{
    if (!g->reused) {
        mo_pool_retire_once(g);
        return;
    }
    memset((void *)g->open, 0, g->open_size);
    memset((void *)g->p, (int)mo_sealed.options.free_fill_byte, filled(g));
    mo_pool_lock();
    g->state = MO_POOL_WAITING;
    waiting[(waiting_at + waiting_count++) % MO_REUSE_MOST] = (uint32_t)(g - mo_pool_table);
    mo_pool_unlock();
}

void mo_pool_figures(struct mo_pool_figures *f)
{
    mo_pool_figures_once(f);
    if (!mo_pool_hold())
        return;
    f->live_count -= waiting_count;
    f->live_bytes -= waiting_count * mo_sealed.features.page;
    f->waiting_count += waiting_count;
    f->taken += taken;
    mo_pool_unlock();
}

void mo_reuse_check(const char *action)
{
    const struct mo_pool_slot *g = NULL;
    uintptr_t at = 0;
    if (!mo_pool_hold())
        return;
    for (size_t i = 0; i < waiting_count && at == 0; i++) {
        g = &mo_pool_table[waiting[(waiting_at + i) % MO_REUSE_MOST]];
        at = changed_byte(g, true);
    }
    mo_pool_unlock(); /* a handler of SIGABRT may allocate */
    if (mo_unlikely(at != 0))
        report(g, at, action);
}
