/* The hot path with AES instructions; CMake compiles this file, and no other, for CPUs that have them. */
#include "front/mac.h"
#include "front/hot_names.h"

#ifdef MO_HAVE_AES

#include "front/mark_aes.h"
#include "front/slow.h"
#include "front/tagged.h"

/* The addresses that are not in the heap, and every one in a process that uses SipHash or tags. */
static MO_COLD void *allocate_else(size_t n, enum mo_origin origin)
{
    if (mo_tagged())
        return mo_allocate_tagged(n, origin);
    return mo_sealed.aes ? mo_allocate_slow(n, origin) : mo_allocate_siphash(n, origin);
}

static MO_COLD void release_else(uintptr_t p, bool told, size_t n, enum mo_origin origin)
{
    if (mo_tagged())
        mo_release_tagged(p, told, n, origin);
    else if (mo_sealed.aes)
        mo_release_leave(p, told, n, origin);
    else if (told)
        mo_release_sized_siphash((void *)p, n, origin);
    else
        mo_release_siphash((void *)p, origin);
}

#define release_leave mo_release_leave
#define SPECIALIZED   (!MO_SMALL)
#define TAGGED        false
#define HEAP_SIZE     mo_sealed.aes_heap_size
#define MO_HOT(name)  name##_aes
#include "front/hot.h"

struct mo_mark mo_mark_aes(uintptr_t p, uint32_t fields, unsigned state)
{
    struct mark m = mark(p, fields, state);
    struct mo_mark out;
    out.header = mark_header(m);
    mo_v_store((uintptr_t)out.tail.bytes, first_block(m));
    return out;
}

bool mo_hot_has_aes(void)
{
    return true;
}

void mo_hot_start(void)
{
    for (size_t i = 0; i < LANES; i++) {
        mo_sealed.tail_and[i] = 0xff;
        mo_sealed.tail_or[i] = i != LANE_FENCE;
    }
    mo_sealed.tail_and[LANE_FIRST] = 0x74; /* in the fence's set */
    mo_sealed.tail_or[LANE_FIRST] = 0x83;
    mo_sealed.tail_and[LANE_SECOND] = mo_sealed.tail_or[LANE_SECOND] = 0;
}

#else

bool mo_hot_has_aes(void)
{
    return false;
}

void mo_hot_start(void) {}

/* No AES instructions on this architecture: mo_sealed.aes is never true. */
struct mo_mark mo_mark_aes(uintptr_t p, uint32_t fields, unsigned state)
{
    return mo_mark_siphash(p, fields, state);
}

MO_BY_REGISTERS void *mo_allocate_aes(size_t n, enum mo_origin origin)
{
    return mo_allocate_siphash(n, origin);
}

MO_BY_REGISTERS void *mo_malloc_aes(size_t n)
{
    return mo_malloc_siphash(n);
}

MO_BY_REGISTERS void mo_free_aes(void *p)
{
    mo_free_siphash(p);
}

MO_BY_REGISTERS void mo_release_aes(void *p, enum mo_origin origin)
{
    mo_release_siphash(p, origin);
}

MO_BY_REGISTERS void mo_release_sized_aes(void *p, size_t n, enum mo_origin origin)
{
    mo_release_sized_siphash(p, n, origin);
}

MO_BY_REGISTERS void *mo_resize_aes(void *p, size_t n)
{
    return mo_resize_siphash(p, n);
}

MO_BY_REGISTERS size_t mo_usable_size_aes(const void *p)
{
    return mo_usable_size_siphash(p);
}

void mo_chunk_seal_aes(uintptr_t p, size_t n, uintptr_t end, unsigned class, enum mo_origin origin, unsigned state)
{
    mo_chunk_seal_siphash(p, n, end, class, origin, state);
}

bool mo_chunk_good_aes(uintptr_t p, uintptr_t end, unsigned state)
{
    return mo_chunk_good_siphash(p, end, state);
}

#endif
