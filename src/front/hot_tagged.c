/* The hot path of processes with memory tags (tagged.h): one form for all sizes, by addresses without a tag, between
 * two functions that take and give the program's pointers. */
#include "front/hot_names.h"
#include "front/tagged.h"

#if MO_TAGS && defined(MO_HAVE_AES)

#include "front/mark_aes.h"
#include "front/slow.h"

/* The chunk has been looked at, and its tag was right. */
MO_INLINE void release_leave(uintptr_t p, bool told, size_t n, enum mo_origin origin)
{
    mo_release_leave(mo_tag_pointer(p, mo_tag_load(p)), told, n, origin);
}

MO_HOT_FORM(inner)
#define allocate_else mo_allocate_slow
#define release_else  mo_release_leave
#define SPECIALIZED   false
#define TAGGED        true
#define HEAP_SIZE     mo_sealed.heap_size
#define MO_HOT(name)  name##_inner
#include "front/hot.h"

void *mo_allocate_tagged(size_t n, enum mo_origin origin)
{
    MO_TAGGED_DOOR();
    uintptr_t p = (uintptr_t)mo_allocate_inner(n, origin);
    /* What the slow half gives has its tag, or is none of the heap's chunks. */
    if (mo_unlikely(p - mo_sealed.heap_base >= mo_sealed.heap_size))
        return (void *)p;
    unsigned class = mo_granule_of(p)->class;
    if (mo_unlikely(class == MO_CLASS_ZERO))
        return (void *)p;
    return (void *)mo_tagged_make(p - MO_HEADER, &mo_sealed.classes[class], p, n, mo_cache_mine->random);
}

void mo_release_tagged(uintptr_t given, bool told, size_t n, enum mo_origin origin)
{
    MO_TAGGED_DOOR();
    uintptr_t p = mo_tag_strip(given);
    if (mo_unlikely(p - mo_sealed.heap_base >= mo_sealed.heap_size)) {
        mo_release_leave(given, told, n, origin);
        return;
    }
    const struct mo_granule *g = mo_granule_of(p);
    const struct mo_class *k = &mo_sealed.classes[g->class];
    /* Live before the memory's tag is asked for: a closed slab would fault. */
    if (mo_unlikely(g->class == MO_CLASS_ZERO || p % MO_TAG_GRANULE != 0 ||
                    (mo_state_load(mo_state_of(g, k, p - MO_HEADER)) & MO_STATE_LIVE) == 0 ||
                    mo_tag_load(p) != mo_tag_of(given)))
        mo_release_leave(given, told, n, origin);
    else
        release(p, g, told, n, origin, ANY_KIND);
}

#endif
