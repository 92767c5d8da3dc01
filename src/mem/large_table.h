/* The table of large mappings, by payload address: open addressing with linear probing and backward-shift deletion.
 *
 * It alone says what is live, so it is in a mapping of its own between inaccessible pages, and each entry has a keyed
 * proof: a write at a distance makes no entry and moves none (attack corrupt). For large.c; everything under the lock,
 * but for the look at a copy's proof.
 */
#ifndef MO_LARGE_TABLE_H
#define MO_LARGE_TABLE_H

#include "mem/large.h"

struct mo_large_table {
    struct mo_lock lock;
    struct mo_large *entries;
    size_t room, used;
};
extern struct mo_large_table mo_large_table;

bool mo_large_table_start(struct mo_random *r) MO_CHECKED;

/* The entry of p, or the empty one where it would go. */
struct mo_large *mo_large_entry_locked(uintptr_t p);

/* Is it as it was written, an entry or a copy of one? */
bool mo_large_proven(const struct mo_large *l);

/* The entry is as it was written, or the process ends: what it says is unmapped, or taken for a chunk. */
void mo_large_check_locked(const struct mo_large *l);

/* The entry has been changed: its proof follows. */
void mo_large_prove_locked(struct mo_large *entry);

/* Called for every entry that has been written, and for every one that is about to be deleted, under the table's lock;
 * and without it once for NULL, when there is a pool of sampled chunks (guard/pool.h), before anything of that is given
 * out. Does nothing: libmoat-checked.so has one of its own, to keep an index. */
void mo_large_watch(const struct mo_large *l, bool deleted);

bool mo_large_insert_locked(const struct mo_large *l) MO_CHECKED;
void mo_large_delete_locked(struct mo_large *l);

#endif
