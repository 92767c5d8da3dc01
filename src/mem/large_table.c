#include "mem/large_table.h"

#include <sodium.h>

#include "diag/report.h"

enum { FIRST_TABLE = MO_SMALL ? 64 : 256 }; /* entries */

struct mo_large_table mo_large_table MO_FORKED = {.lock = MO_LOCK(MO_RANK_LARGE)};
static uint64_t hash_key;

bool mo_large_table_start(struct mo_random *r)
{
    hash_key = mo_random_u64(r) | 1;
    if (mo_large_table.entries == NULL) /* else a start that came this far and no farther */
        mo_large_table.entries = mo_os_map_guarded(FIRST_TABLE * sizeof(struct mo_large), "moat large");
    if (mo_large_table.entries != NULL)
        mo_large_table.room = FIRST_TABLE;
    return mo_large_table.entries != NULL;
}

static size_t home_of(uintptr_t p)
{
    return (size_t)(((uint64_t)p * hash_key) >> 24) & (mo_large_table.room - 1);
}

struct mo_large *mo_large_entry_locked(uintptr_t p)
{
    size_t i = home_of(p);
    while (mo_large_table.entries[i].p != 0 && mo_large_table.entries[i].p != p)
        i = (i + 1) & (mo_large_table.room - 1);
    return &mo_large_table.entries[i];
}

MO_INLINE uint64_t proof_of(const struct mo_large *l)
{
    uint64_t proof;
    _Static_assert(sizeof proof == crypto_shorthash_BYTES, "SipHash-2-4");
    crypto_shorthash((unsigned char *)&proof, (const unsigned char *)l, offsetof(struct mo_large, proof),
                     mo_sealed.sip_key);
    return proof;
}

bool mo_large_proven(const struct mo_large *l)
{
    return l->proof == proof_of(l);
}

void mo_large_check_locked(const struct mo_large *l)
{
    if (mo_likely(l->p == 0 || l->proof == proof_of(l)))
        return;
    mo_unlock(&mo_large_table.lock);
    mo_report_metadata("free", (uintptr_t)l, NULL, PTRDIFF_MIN, "an entry of the table of large chunks was changed");
}

void mo_large_prove_locked(struct mo_large *entry)
{
    entry->proof = proof_of(entry);
    mo_large_watch(entry, false);
}

__attribute__((weak)) void mo_large_watch(const struct mo_large *l, bool deleted)
{
    (void)l;
    (void)deleted;
}

static bool grow_table_locked(void)
{
    struct mo_large *old = mo_large_table.entries;
    size_t old_room = mo_large_table.room;
    struct mo_large *now = mo_os_map_guarded(2 * old_room * sizeof *now, "moat large");
    if (now == NULL)
        return false;
    mo_large_table.entries = now;
    mo_large_table.room = 2 * old_room;
    for (size_t i = 0; i < old_room; i++)
        if (old[i].p != 0)
            *mo_large_entry_locked(old[i].p) = old[i];
    mo_os_unmap_guarded(old, old_room * sizeof *old);
    return true;
}

bool mo_large_insert_locked(const struct mo_large *l)
{
    if (4 * (mo_large_table.used + 1) > 3 * mo_large_table.room && !grow_table_locked())
        return false;
    struct mo_large *entry = mo_large_entry_locked(l->p);
    *entry = *l;
    mo_large_prove_locked(entry);
    mo_large_table.used++;
    return true;
}

void mo_large_delete_locked(struct mo_large *l)
{
    size_t hole = (size_t)(l - mo_large_table.entries);
    mo_large_watch(l, true);
    mo_large_table.entries[hole] = (struct mo_large){0};
    mo_large_table.used--;
    for (size_t i = (hole + 1) & (mo_large_table.room - 1); mo_large_table.entries[i].p != 0;
         i = (i + 1) & (mo_large_table.room - 1)) {
        /* An entry may move back to the hole unless its home lies after the hole. */
        if (((i - home_of(mo_large_table.entries[i].p)) & (mo_large_table.room - 1)) <
            ((i - hole) & (mo_large_table.room - 1)))
            continue;
        mo_large_table.entries[hole] = mo_large_table.entries[i];
        mo_large_table.entries[i] = (struct mo_large){0};
        hole = i;
    }
}
