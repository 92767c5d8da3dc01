#include "mem/large_wait.h"

#include "diag/report.h"

enum {
    EVICT_BATCH = 16,  /* mappings unmapped at one free */
    EXCESS_PAGES = 16, /* of what is taken again, and an eighth of what is asked for: twice the longest guards */
    EXCESS_SHARE = 8,
};

struct mo_large_waiting mo_large_waiting;
static size_t bytes_most; /* the option's, or less where RLIMIT_AS counts them as the program's */

bool mo_large_wait_start(void)
{
    struct mo_large_waiting *w = &mo_large_waiting;
    bytes_most = mo_min(mo_sealed.options.large_quarantine_bytes, mo_sealed.features.address_limit / 16);
    w->room = mo_sealed.options.large_quarantine_count + MO_LARGE_AGAIN + 1;
    if (w->ring == NULL)
        w->ring = mo_os_map_guarded(w->room * sizeof *w->ring, "moat large waiting");
    return w->ring != NULL;
}

/* The place in the ring of what waits as number i, 0 the oldest. */
static uintptr_t *place_of(size_t i)
{
    const struct mo_large_waiting *w = &mo_large_waiting;
    return &w->ring[(w->at + i) % w->room];
}

struct span {
    uintptr_t map;
    size_t size;
};

/* Takes the entry out of the ring, where the oldest fills its place, and out of the table. */
static struct span take_locked(size_t i)
{
    struct mo_large_waiting *w = &mo_large_waiting;
    struct mo_large *l = mo_large_entry_locked(*place_of(i));
    mo_large_check_locked(l);
    if (mo_unlikely(l->p == 0 || l->state != 0)) { /* a live chunk must not be unmapped */
        uintptr_t named = *place_of(i);
        mo_unlock_here(&mo_large_table.lock);
        mo_report_metadata("free", named, NULL, PTRDIFF_MIN,
                           "the list of large chunks that wait names one that does not");
    }
    *place_of(i) = *place_of(0);
    w->at = (w->at + 1) % w->room;
    w->count--;
    w->bytes -= l->map_size;
    struct span taken = {l->map, l->map_size};
    mo_large_delete_locked(l);
    return taken;
}

/* Unmaps the oldest that are beyond the budget, or whatever waits, and lets go of the lock. False: there were none. */
static bool evict_and_unlock(bool all)
{
    const struct mo_large_waiting *w = &mo_large_waiting;
    struct span gone[EVICT_BATCH];
    size_t n = 0, most = all ? 0 : mo_sealed.options.large_quarantine_count + MO_LARGE_AGAIN;
    while (n < EVICT_BATCH && w->count > 0 && (w->count > most || w->bytes > bytes_most))
        gone[n++] = take_locked(0);
    mo_unlock_here(&mo_large_table.lock);
    for (size_t i = 0; i < n; i++)
        mo_os_unmap((void *)gone[i].map, gone[i].size);
    return n != 0;
}

void mo_large_wait(const struct mo_large *l, bool again)
{
    struct mo_large_waiting *w = &mo_large_waiting;
    mo_lock_here(&mo_large_table.lock);
    if (!again) {
        struct mo_large *entry = mo_large_entry_locked(l->p);
        entry->guards = MO_LARGE_BARE;
        mo_large_prove_locked(entry);
    }
    *place_of(w->count++) = l->p;
    w->bytes += l->map_size;
    (void)evict_and_unlock(false);
}

bool mo_large_wait_drop(void)
{
    mo_lock_here(&mo_large_table.lock);
    return evict_and_unlock(true);
}

bool mo_large_wait_again_locked(size_t open_size, struct mo_large *l)
{
    size_t page = mo_sealed.features.page, least = open_size + 2 * page;
    size_t excess = (EXCESS_PAGES - 2) * page + open_size / EXCESS_SHARE;
    for (size_t i = 0; i + mo_sealed.options.large_quarantine_count < mo_large_waiting.count; i++) {
        const struct mo_large *entry = mo_large_entry_locked(*place_of(i));
        bool waits = entry->p != 0 && entry->state == 0; /* else it is reported as it is taken */
        if (waits && (entry->guards != MO_LARGE_MARKERS || entry->map_size - least > excess))
            continue;
        struct span taken = take_locked(i);
        l->map = taken.map;
        l->map_size = taken.size;
        l->guards = MO_LARGE_MARKERS;
        return true;
    }
    return false;
}
