/* A table of the heap that grows within its own reservation; what is not yet in use is inaccessible. It may have a
 * first part elsewhere: beside other tables, so that a small process needs no page tables for this one alone. The lock
 * that guards it is the caller's.
 */
#ifndef MO_TABLE_H
#define MO_TABLE_H

#include "base/base.h"

struct mo_table {
    char *base;
    size_t size, open, used;
    char *rest;               /* goes on there when the first part is full */
    size_t rest_size, before; /* before: bytes used of the first part, then */
};

/* Maps the first part of a table, 64 KiB, between inaccessible pages. */
bool mo_table_start(struct mo_table *t, const char *name) MO_CHECKED;

/* The next `bytes` of the table, zero; NULL without memory. */
void *mo_table_take(struct mo_table *t, size_t bytes);

#endif
