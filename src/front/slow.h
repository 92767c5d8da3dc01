/* The slow half of the hot path: start-up, refills, what is large or odd, and finding out which lie it was. */
#ifndef MO_SLOW_H
#define MO_SLOW_H

#include "cache/cache.h"
#include "front/chunk.h"
#include "front/routine.h"

/* Whatever the hot path of malloc could not do. */
MO_COLD void *mo_allocate_slow(size_t n, enum mo_origin origin);

/* The same, after it has popped a slot that does not verify. */
MO_COLD void *mo_allocate_refused(size_t n, enum mo_origin origin);

/* A chunk of the class from the cache; NULL without memory. */
void *mo_allocate_in(struct mo_cache *c, unsigned class, size_t n, size_t align, enum mo_origin origin);

/* Ends the life of a verified chunk: what the hot path does at its end. Without a cache the slot goes back to its
 * shard at once, past the quarantine. */
void mo_release_place(const struct mo_place *place, struct mo_cache *c);

/* Zeroes a payload: whole pages in it by giving them back. */
void mo_clear_pages(uintptr_t p, uintptr_t end);

/* Zeroes a payload that is not small. With MO_SMALL not by writing pages that may never have been touched. */
MO_INLINE void mo_clear_medium(uintptr_t p, uintptr_t end)
{
    if (MO_SMALL && end - p >= 8192)
        mo_clear_pages(p, end);
    else
        __builtin_memset((void *)p, 0, end - p);
}

/* For an allocation that may have failed. */
void *mo_or_no_memory(void *p);

/* Whatever the hot path of free could not do; nothing has been changed. */
MO_COLD void mo_release_slow(void *p, enum mo_origin origin);
MO_COLD void mo_release_sized_slow(void *p, size_t n, enum mo_origin origin);

/* One or the other. told: n is what the caller says that it asked for. */
MO_INLINE void mo_release_leave(uintptr_t p, bool told, size_t n, enum mo_origin origin)
{
    if (told)
        mo_release_sized_slow((void *)p, n, origin);
    else
        mo_release_slow((void *)p, origin);
}

/* A free slot's contents were changed while it waited. action: who found it. */
MO_COLD MO_NORETURN void mo_report_dirty_slot(uintptr_t slot, const struct mo_class *k, const char *action);

/* The chunk in a live slot does not verify, and nobody has given its address. */
MO_COLD MO_NORETURN void mo_report_live_slot(const struct mo_place *place, const char *action);

/* The chunk's state word has changed since this thread verified it: another thread freed it meanwhile. */
MO_COLD MO_NORETURN void mo_report_raced(uintptr_t p, const char *action);

/* The same, of the hot path. It does not return, which is not said: a call that may be the last takes no frame. */
MO_COLD void mo_release_raced(uintptr_t p);

/* A chunk with room for `room` bytes stays where it is when it gets n: unless more than half of that would be kept for
 * nothing. */
MO_INLINE bool mo_resizes_in_place(size_t room, size_t n)
{
    return n <= room && (n >= room / 2 || room <= 64) && room - n <= 0xffff;
}

/* What is known of the slot and of the chunk in it. Reads the slot's header when its state is live. */
MO_COLD void mo_describe_slot(const struct mo_place *place, struct mo_report_chunk *chunk);

/* p is not what `action` needs: a live chunk's start. Says why and ends the process. Returns only for a foreign
 * pointer that option `foreign` lets pass. */
MO_COLD void mo_report_bad_pointer(uintptr_t p, const char *action);

#endif
