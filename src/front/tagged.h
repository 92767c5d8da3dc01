/* What small chunks make of memory tags (base/tag.h), where the CPU has them and option mte says so.
 *
 *   memory    ... last 8 bytes | header| payload: granules of its own ......... | last 8 bytes | next header|
 *   tag       the slot before, or 0    |   t            t           0 (slack)   |    t if used, else 0      |
 *
 * A slot's payload starts a granule, and its last 8 bytes share one with the next slot's header. That granule belongs
 * to the slot before the header: it has the chunk's tag when the chunk uses those 8 bytes, else 0. So an underflow
 * always faults, and an overflow does from the next multiple of 16 on; what lies before that is looked at by free, as
 * without tags, and so are the 8 bytes of a header behind a chunk that fills its slot.
 *
 * A chunk's tag is never 0, nor the one that the slot had in the life before, nor that of a slot beside it. It is drawn
 * from the thread's random stream (not by the CPU, irg, whose next numbers may be the same in each forked child) when
 * the slot is freed, and given to the memory by the stores that zero it: from then on every pointer to the dead chunk
 * faults. The next chunk takes the tag that it finds. Memory that comes from the kernel has tag 0, and is given one by
 * its first chunk. The first granule of a slot has its tag at all times, also where an aligned chunk starts behind it:
 * the rest of what lies before such a chunk has 0.
 *
 * moat's own accesses go by addresses without a tag, with checks off (TCO) from its doors to its returns.
 */
#ifndef MO_TAGGED_H
#define MO_TAGGED_H

#include "base/tag.h"
#include "mem/heap.h"

/* A door: from here to the function's end this thread's accesses are not checked. Behind mo_front_start, before which
 * there is nothing tagged. */
#define MO_TAGGED_DOOR() __attribute__((cleanup(mo_tagged_leave), unused)) uint64_t door = mo_tagged_enter()

MO_INLINE uint64_t mo_tagged_enter(void)
{
    return mo_tagged() ? mo_tag_unchecked() : 0;
}

MO_INLINE void mo_tagged_leave(const uint64_t *door)
{
    if (mo_tagged())
        mo_tag_checked(*door);
}

/* The address that a pointer of the program's has in the heap; what is not of the heap stays as it is. */
MO_INLINE uintptr_t mo_tagged_address(uintptr_t p)
{
    if (!mo_tagged())
        return p;
    uintptr_t at = mo_tag_strip(p);
    return at - mo_sealed.heap_base < mo_sealed.heap_size ? at : p;
}

/* The pointer by which the program may use the chunk at an address, which may be none of the heap's. */
uintptr_t mo_tagged_find(uintptr_t p);
MO_INLINE uintptr_t mo_tagged_pointer(uintptr_t p)
{
    return mo_tagged() ? mo_tagged_find(p) : p;
}

/* Has the pointer `given` the tag of the slot's chunk, which is live? */
MO_INLINE bool mo_tagged_right(uintptr_t given, const struct mo_place *place)
{
    if (!mo_tagged())
        return true;
    unsigned tag = place->class != MO_CLASS_ZERO ? mo_tag_load(place->slot + MO_HEADER) : MO_TAG_OURS;
    return mo_tag_of(given) == tag;
}

/* "the pointer's tag is 3, the memory's 5", and what else: of the memory at an address. */
void mo_tagged_say(char *text, size_t size, unsigned tag, uintptr_t at, const char *more);

/* A random byte, by which a tag is chosen. r: a cache's stream, of whose bytes none has been drawn and not yet read;
 * NULL: the stream of threads without a cache. */
enum { MO_TAGGED_CHANCES = 256 };
unsigned mo_tagged_chance(struct mo_random *r);

/* A tag for the slot whose payload starts at p, unlike its neighbours' and unlike those in the set `without`; its first
 * granule has it. */
unsigned mo_tagged_choose(uintptr_t p, const struct mo_class *k, unsigned without, unsigned chance);

/* Granules that a chunk of n bytes at p has to itself end here: it has one at least, as an aligned one may be of 0. */
MO_INLINE uintptr_t mo_tagged_end(uintptr_t p, size_t n)
{
    return mo_align_up(p + n + (n == 0), MO_TAG_GRANULE);
}

/* The slot gets a chunk of n bytes at p, which is not its first byte where it is aligned; the pointer to it. */
MO_INLINE uintptr_t mo_tagged_make(uintptr_t slot, const struct mo_class *k, uintptr_t p, size_t n, struct mo_random *r)
{
    uintptr_t first = slot + MO_HEADER, shared = slot + k->stride - MO_HEADER, end = mo_tagged_end(p, n);
    unsigned tag = mo_tag_load(first);
    if (mo_unlikely(tag == MO_TAG_OURS)) {
        tag = mo_tagged_choose(first, k, 0, mo_tagged_chance(r));
        mo_tag_store(p, mo_min(end, shared), tag);
    } else if (end < shared) {
        mo_tag_store(end, shared, MO_TAG_OURS);
    }
    if (end > shared)
        mo_tag_store(shared, end, tag);
    if (mo_unlikely(p > first + MO_TAG_GRANULE))
        mo_tag_store(first + MO_TAG_GRANULE, p, MO_TAG_OURS);
    return mo_tag_pointer(p, tag);
}

/* Its chunk has ended: zeroes the payload and gives it a new tag. */
MO_INLINE void mo_tagged_retire(uintptr_t slot, const struct mo_class *k, unsigned chance)
{
    uintptr_t p = slot + MO_HEADER, shared = slot + k->stride - MO_HEADER;
    unsigned tag = mo_tagged_choose(p, k, 1u << mo_tag_load(p), chance);
    mo_tag_clear(p, shared, tag);
    *(uint64_t *)shared = 0;
    mo_tag_store(shared, shared + MO_TAG_GRANULE, MO_TAG_OURS);
}

/* The chunk at p, of `had` bytes, gets n in its slot. */
MO_INLINE void mo_tagged_resize(uintptr_t slot, uintptr_t p, size_t had, size_t n)
{
    uintptr_t before = mo_tagged_end(p, had), now = mo_tagged_end(p, n);
    if (now > before)
        mo_tag_store(before, now, mo_tag_load(slot + MO_HEADER));
    else if (now < before)
        mo_tag_store(now, before, MO_TAG_OURS);
}

#endif
