/* The hot path for CPUs without AES instructions: SipHash marks, bytewise tails. */
#include "front/hot_names.h"
#include "front/mac.h"
#include "front/slow.h"

struct mark {
    struct mo_mark m;
};

MO_INLINE struct mark mark(uintptr_t p, uint32_t fields, unsigned state)
{
    return (struct mark){mo_mark_siphash(p, fields, state)};
}

MO_INLINE uint64_t mark_header(struct mark m)
{
    return m.m.header;
}

/* The byte of the pattern that lies at `at` of a tail [from, end); see tail_byte in chunk.c. */
MO_INLINE uint8_t pattern(const struct mark *m, uintptr_t at, uintptr_t from, uintptr_t end)
{
    return at - from < MO_TAIL_BLOCK ? m->m.tail.bytes[at - from]
                                     : mo_tail_far(m->m.tail.bytes[(0 - (end - at)) % MO_TAIL_BLOCK]);
}

static void tail_blend(struct mark m, uintptr_t from, uintptr_t end)
{
    for (uintptr_t at = from; at < end; at++)
        mo_store8(at, pattern(&m, at, from, end));
}

MO_INLINE void far_store(struct mark m, uintptr_t from, uintptr_t end)
{
    tail_blend(m, from, end);
}

MO_INLINE void near_store(struct mark m, size_t s, uintptr_t end)
{
    tail_blend(m, end - s, end);
}

static bool far_good(struct mark m, uintptr_t from, uintptr_t end)
{
    int fault = mo_load8(end) ^ mo_sealed.fence;
    for (uintptr_t at = from; at < end; at++)
        fault |= mo_load8(at) ^ pattern(&m, at, from, end);
    return fault == 0;
}

MO_INLINE bool near_good(struct mark m, size_t s, uintptr_t end)
{
    return far_good(m, end - s, end);
}

MO_INLINE bool any_bit(mo_pair v)
{
    return (v[0] | v[1]) != 0;
}

#define allocate_else mo_allocate_slow
#define release_else  mo_release_leave
#define release_leave mo_release_leave
#define SPECIALIZED   false
#define TAGGED        false
#define HEAP_SIZE     mo_sealed.heap_size
#define MO_HOT(name)  name##_siphash
#include "front/hot.h"
