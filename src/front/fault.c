/* What a faulting address belongs to: a sampled chunk, a large one, a slab. Runs in a signal handler, perhaps in the
 * middle of moat itself, so it waits for no lock and changes nothing. What is not moat's goes on to the program. */
#include "front/fault.h"

#include <errno.h>

#include "diag/report.h"
#include "front/guarded.h"
#include "front/slow.h"
#include "front/tagged.h"
#include "mem/large.h"
#include "os/fault.h"

_Static_assert((int)MO_OS_READ == (int)MO_ACCESS_READ && (int)MO_OS_WRITE == (int)MO_ACCESS_WRITE, "the same words");

/* What is found out of a fault. */
struct finding {
    enum mo_access_bug bug;
    const char *detail;
    bool has_chunk;
    struct mo_report_chunk chunk;
    char text[MO_TAGS ? 96 : 1]; /* of the detail */
};

/* Pages of a live chunk are accessible, unless the program has closed them itself: write barriers, guards of stacks in
 * heap memory. Such a fault is its own business. */
static bool is_programs_own(bool live, uintptr_t open, size_t size, uintptr_t a)
{
    return live && a - open < size;
}

static bool in_pool(uintptr_t a, struct finding *f)
{
    if (!mo_pool_holds(a))
        return false;
    const struct mo_pool_slot *g = mo_pool_around(a);
    if (g != NULL && is_programs_own(g->state == MO_POOL_LIVE, g->open, g->open_size, a))
        return false;
    mo_pool_freeze(); /* the page stays closed, so that the access faults again */
    f->bug = MO_ACCESS_WILD;
    f->detail = "the address is in moat's guard pool, but at no sampled chunk";
    if (g == NULL)
        return true;
    f->has_chunk = true;
    mo_guarded_describe(g, &f->chunk);
    f->bug = g->state == MO_POOL_LIVE ? MO_ACCESS_OVERFLOW : MO_ACCESS_AFTER_FREE;
    f->detail = g->state == MO_POOL_LIVE ? "the access ran into the guard of a sampled chunk"
                                         : "the sampled chunk was freed, and its pages are closed";
    return true;
}

static bool in_large(uintptr_t a, struct finding *f)
{
    struct mo_large l;
    if (!mo_large_around_fault(a, &l) || is_programs_own(l.state != 0, l.open, l.open_size, a))
        return false;
    f->has_chunk = true;
    f->chunk = (struct mo_report_chunk){.address = l.p,
                                        .requested = l.n,
                                        .slot = l.open_size,
                                        .state = l.state != 0 ? "live, large" : "freed, large, inaccessible"};
    f->bug = l.state != 0 ? MO_ACCESS_OVERFLOW : MO_ACCESS_AFTER_FREE;
    f->detail = l.state != 0 ? "the access ran into the guard of a large chunk"
                             : "the large chunk was freed, and its pages are closed";
    return true;
}

/* A closed slab, or the class of malloc(0), whose slots are never open. */
static void in_slot(const struct mo_place *place, struct finding *f)
{
    bool live = (place->seen & MO_STATE_LIVE) != 0;
    bool used = live || (place->seen & (MO_STATE_GENERATION | MO_STATE_OWNER)) != 0;
    f->has_chunk = true;
    f->chunk = (struct mo_report_chunk){.address = place->slot + MO_HEADER,
                                        .requested = place->class == MO_CLASS_ZERO ? 0 : SIZE_MAX,
                                        .slot = place->k->stride,
                                        .state = live   ? "live"
                                                 : used ? "free"
                                                        : "never allocated"};
    f->bug = live ? MO_ACCESS_OVERFLOW : used ? MO_ACCESS_AFTER_FREE : MO_ACCESS_WILD;
    f->detail = place->class == MO_CLASS_ZERO ? "malloc(0) gives an address whose bytes must not be touched"
                                              : "the chunk's slab holds no live chunk, and its pages are closed";
}

static bool in_heap(uintptr_t a, struct finding *f)
{
    struct mo_place place;
    size_t page = mo_sealed.features.page;
    if (a - mo_sealed.heap_base >= mo_sealed.heap_size || (sizeof(uintptr_t) == 4 && mo_granule_of(a)->class == 0))
        return false;
    f->bug = MO_ACCESS_WILD;
    f->detail = "the address is in moat's heap, but in no slab of it";
    if (mo_heap_find(a, &place)) {
        if ((place.seen & MO_STATE_LIVE) != 0 && place.class != MO_CLASS_ZERO)
            return false; /* see is_programs_own */
        in_slot(&place, f);
    } else if (mo_granule_of(a)->class != 0) {
        const struct mo_class *k = &mo_sealed.classes[mo_granule_of(a)->class];
        uintptr_t slab = mo_align_down(a, (uintptr_t)1 << k->span_shift);
        bool near = a - slab < k->slab_bytes + page; /* else it may be before the next slab as well */
        f->bug = MO_ACCESS_OVERFLOW;
        f->detail = "the access ran into the guard behind a slab of small chunks";
        if (near && mo_heap_find(slab + MO_HEADER + (size_t)(k->slots - 1) * k->stride, &place)) {
            /* An overflow of any of the slab's chunks may have come this far; most likely it is the last one. */
            f->has_chunk = (place.seen & MO_STATE_LIVE) != 0;
            mo_describe_slot(&place, &f->chunk);
        }
    }
    return true;
}

/* Is the slot around `at` a live chunk's with that tag? Then the access was by a pointer to it. */
static bool is_pointers(uintptr_t at, unsigned tag, struct finding *f)
{
    struct mo_place place;
    if (!mo_heap_find(at, &place) || (place.seen & MO_STATE_LIVE) == 0 || place.class == MO_CLASS_ZERO ||
        mo_tag_load(place.slot + MO_HEADER) != tag)
        return false;
    mo_describe_slot(&place, &f->chunk);
    f->bug = MO_ACCESS_OVERFLOW;
    return f->has_chunk = true;
}

/* The slot at a, or the next one: a slab has 8 bytes before its first slot, and some behind its last one. */
static bool find_near(uintptr_t a, struct mo_place *place)
{
    if (mo_heap_find(a, place) || mo_heap_find(a + MO_HEADER, place))
        return true;
    if (a - mo_sealed.heap_base >= mo_sealed.heap_size || mo_granule_of(a)->class == 0)
        return false;
    const struct mo_class *k = &mo_sealed.classes[mo_granule_of(a)->class];
    uintptr_t slab = mo_align_down(a, (uintptr_t)1 << k->span_shift);
    return mo_heap_find(slab + MO_HEADER + (size_t)(k->slots - 1) * k->stride, place);
}

/* An access at a, by a pointer of another tag than the memory's. The chunk that the pointer is to: the one that the
 * instruction's register points to, the one at a, those beside it. No live one: it has been freed. */
static bool in_tagged(const siginfo_t *info, const void *ucontext, uintptr_t a, struct finding *f)
{
    struct mo_place place;
    uintptr_t base = mo_os_fault_pointer(ucontext), told = (uintptr_t)info->si_addr;
    unsigned tag = mo_tag_of(mo_tag_bits(told) != 0 ? told : base);
    if (!find_near(a, &place) || place.class == MO_CLASS_ZERO)
        return false;
    const char *more;
    if (mo_tag_bits(told) == 0 && base == 0) { /* an instruction of another form: by which pointer is not known */
        f->bug = (place.seen & MO_STATE_LIVE) != 0 ? MO_ACCESS_OVERFLOW : MO_ACCESS_AFTER_FREE;
        f->has_chunk = true;
        f->detail = "a tag check failed, of a pointer that is not known: this is the chunk that is there";
        mo_describe_slot(&place, &f->chunk);
        return true;
    }
    f->detail = f->text;
    if (tag != MO_TAG_OURS &&
        (is_pointers(mo_tag_strip(base), tag, f) || is_pointers(place.slot, tag, f) ||
         is_pointers(place.slot - 1, tag, f) || is_pointers(place.slot + place.k->stride, tag, f))) {
        more = f->chunk.address > a ? ": the access was before its chunk" : ": the access was past its chunk";
    } else {
        more = (place.seen & MO_STATE_LIVE) != 0 ? ": its chunk was freed, and another one is there"
                                                 : ": its chunk was freed";
        f->bug = MO_ACCESS_AFTER_FREE;
        f->has_chunk = true;
        mo_describe_slot(&place, &f->chunk);
    }
    mo_tagged_say(f->text, sizeof f->text, tag, a, more);
    return true;
}

static bool in_late(struct finding *f)
{
    f->bug = MO_ACCESS_WILD;
    f->detail = "a tag check failed: an access out of a chunk, or to a freed one, since the thread's last system call "
                "(mte=sync says where)";
    return true;
}

static bool by_tag(const siginfo_t *info, const void *ucontext, uintptr_t a, struct finding *f)
{
    if (!MO_TAGS || !mo_os_fault_is_tag(info))
        return false;
    return mo_os_fault_is_late(info) ? in_late(f) : in_tagged(info, ucontext, a, f);
}

static void look(const siginfo_t *info, void *ucontext)
{
    MO_TAGGED_DOOR();
    struct finding f = {0};
    uintptr_t a = mo_tagged_address((uintptr_t)info->si_addr);
    if (by_tag(info, ucontext, a, &f))
        mo_report_access(f.bug, (enum mo_access)mo_os_fault_access(ucontext), a, f.has_chunk ? &f.chunk : NULL,
                         f.detail, ucontext);
    else if (mo_os_fault_is_access(info) && (in_pool(a, &f) || in_heap(a, &f) || in_large(a, &f)))
        mo_report_access(f.bug, (enum mo_access)mo_os_fault_access(ucontext), a, f.has_chunk ? &f.chunk : NULL,
                         f.detail, ucontext);
}

/* The program's handler, which may jump, is called with tags checked. */
static void handle(int number, siginfo_t *info, void *ucontext)
{
    int saved = errno;
    look(info, ucontext);
    mo_os_fault_pass(number, info, ucontext, mo_sealed.fault_chained);
    errno = saved;
}

void mo_fault_start(void)
{
    bool chained = false;
    bool on = mo_sealed.options.handle_segv == MO_SEGV_ON && mo_os_fault_catch(handle, &chained);
    mo_sealed.fault_chained = chained || !on;
}

void mo_fault_sampled(void)
{
    static uint32_t done; /* riscv64's gcc has no exchange of a byte */
    bool chained;
    if (mo_likely(mo_sealed.options.handle_segv != MO_SEGV_LATE) ||
        __atomic_exchange_n(&done, 1, __ATOMIC_RELAXED) != 0)
        return;
    (void)mo_os_fault_catch(handle, &chained);
}
