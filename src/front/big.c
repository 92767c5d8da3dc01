#include "front/big.h"

#include <string.h>

#include "diag/report.h"
#include "front/hot_names.h"
#include "front/mac.h"
#include "mem/dense.h"
#include "mem/large_table.h"

/* The slack field has 16 bits; where a page is larger than 4 KiB more may lie behind the payload, without a pattern. */
static uintptr_t tail_end(const struct mo_large *l)
{
    return l->p + l->n + mo_min(mo_large_end(l) - l->p - l->n, 4096);
}

static void seal(const struct mo_large *l, enum mo_origin origin)
{
    mo_chunk_seal(l->p, l->n, tail_end(l), MO_CLASS_LARGE, origin, l->state);
}

/* Are header and tail good, and does the header agree with the table? *at is where a bad tail is. */
static bool is_good(const struct mo_large *l, enum mo_chunk_fault *fault, uintptr_t *at)
{
    size_t n = 0;
    *fault = mo_chunk_verify(l->p, tail_end(l), l->state, &n, at);
    return *fault == MO_CHUNK_GOOD && n == l->n;
}

/* The same, or reports. */
static void verify(const struct mo_large *l, const char *action)
{
    uintptr_t at = 0;
    enum mo_chunk_fault fault;
    if (mo_likely(is_good(l, &fault, &at)))
        return;
    struct mo_report_chunk chunk = {.address = l->p, .requested = l->n, .slot = l->open_size, .state = "live, large"};
    if (fault == MO_CHUNK_BAD_TAIL)
        mo_report_overflow(action, l->p, &chunk, (ptrdiff_t)(at - l->p), "bytes behind the end were changed");
    mo_report_underflow(action, l->p, &chunk, -MO_HEADER, "the header before the chunk was changed");
}

void *mo_big_allocate(size_t n, size_t align, enum mo_origin origin, int heap)
{
    struct mo_large l = {.heap = (int16_t)heap};
    if (!mo_large_take(n, align, &l))
        return NULL;
    seal(&l, origin);
    mo_large_settle(l.p);
    return (void *)l.p;
}

/* A large chunk's alignment is not remembered: it matches any. */
static struct mo_routine check_routine(const struct mo_large *l, struct mo_routine used)
{
    struct mo_routine made = {mo_header_origin(mo_load64(l->p - MO_HEADER)), l->heap, used.align, l->n, used.action};
    struct mo_report_chunk chunk = {.address = l->p,
                                    .requested = l->n,
                                    .slot = l->open_size,
                                    .state = "live, large",
                                    .origin = mo_origin_name(made.origin)};
    mo_check_routine(&chunk, made, used);
    return made;
}

bool mo_big_release(uintptr_t p, struct mo_routine used)
{
    struct mo_large l;
    /* Claimed first: of two threads that free it at once only one looks at pages that the other closes. */
    if (!mo_large_claim(p, &l))
        return false;
    verify(&l, used.action);
    (void)check_routine(&l, used);
    mo_dense_note(p, l.n);
    mo_large_retire(&l);
    return true;
}

bool mo_big_size(uintptr_t p, size_t *n)
{
    struct mo_large l;
    if (!mo_large_find(p, &l) || l.state == 0)
        return false;
    verify(&l, "malloc_usable_size");
    *n = l.n;
    return true;
}

enum mo_big_result mo_big_resize(uintptr_t p, size_t n, struct mo_routine *made, void **q)
{
    struct mo_large old, now;
    if (!mo_large_find(p, &old) || old.state == 0)
        return MO_BIG_NOT;
    verify(&old, made->action);
    *made = check_routine(&old, *made);
    if (n <= MO_SMALL_MAX)
        return MO_BIG_MOVE;
    if (!mo_large_resize(p, n, &now)) {
        mo_large_settle(p);
        return MO_BIG_MOVE;
    }
    /* What lies between the smaller size and the old tail's end: zero, before the new tail is written. */
    size_t kept = mo_min(old.n, n);
    uintptr_t clear_to = mo_min(now.p + (tail_end(&old) - old.p), mo_large_end(&now));
    if (clear_to > now.p + kept)
        memset((void *)(now.p + kept), 0, clear_to - now.p - kept);
    seal(&now, made->origin);
    mo_large_settle(now.p);
    *q = (void *)now.p;
    return MO_BIG_DONE;
}

size_t mo_big_check(const char *action)
{
    struct mo_large l = {0};
    enum mo_chunk_fault fault;
    uintptr_t bad = 0;
    size_t at = 0, count = 0;
    bool good = true;
    if (!mo_large_hold())
        return 0;
    const char *tables = mo_large_fault_locked();
    while (tables == NULL && good && mo_large_next_locked(&at, &l)) {
        if (mo_unlikely(!mo_large_proven(&l))) {
            tables = "an entry of the table of large chunks was changed";
            break;
        }
        good = is_good(&l, &fault, &bad);
        count++;
    }
    mo_large_unlock(); /* a handler of SIGABRT may allocate */
    if (tables != NULL)
        mo_report_metadata(action, 0, NULL, PTRDIFF_MIN, tables);
    if (!good)
        verify(&l, action);
    return count;
}
