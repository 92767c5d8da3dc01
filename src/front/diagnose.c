/* Finding out which lie it was, once a check has failed: cold, thorough, and without changing anything. */
#include "diag/report.h"
#include "front/guarded.h"
#include "front/hot_names.h"
#include "front/mac.h"
#include "front/slow.h"
#include "mem/large.h"

static const char *state_name(unsigned state)
{
    if (state & MO_STATE_LIVE)
        return "live";
    if ((state & MO_STATE_OWNER) != MO_OWNER_SHARD)
        return "free, in a thread's quarantine or cache";
    return (state & MO_STATE_GENERATION) != 0 ? "free" : "never allocated";
}

/* The start of the live chunk in the slot whose header verifies, or 0: plain chunks start the slot, aligned
 * ones somewhere in it. */
static uintptr_t chunk_in(const struct mo_place *place, size_t *n)
{
    uintptr_t end = place->slot + place->k->stride, at;
    unsigned state = mo_state_load(place->state);
    if ((state & MO_STATE_LIVE) == 0)
        return 0;
    for (uintptr_t p = place->slot + MO_HEADER; p < end; p += 16)
        if (mo_chunk_verify(p, end, state, n, &at) != MO_CHUNK_BAD_HEADER)
            return p;
    return 0;
}

void mo_describe_slot(const struct mo_place *place, struct mo_report_chunk *chunk)
{
    size_t n = SIZE_MAX;
    *chunk = (struct mo_report_chunk){.slot = place->k->stride};
    uintptr_t p = place->class == MO_CLASS_ZERO ? 0 : chunk_in(place, &n);
    chunk->address = p != 0 ? p : place->slot + MO_HEADER;
    chunk->requested = place->class == MO_CLASS_ZERO ? 0 : p != 0 ? n : SIZE_MAX;
    chunk->state = state_name(mo_state_load(place->state));
    if (p != 0)
        chunk->origin = mo_origin_name(mo_header_origin(mo_load64(p - MO_HEADER)));
}

void mo_report_dirty_slot(uintptr_t slot, const struct mo_class *k, const char *action)
{
    struct mo_report_chunk chunk = {.address = slot + MO_HEADER,
                                    .requested = SIZE_MAX,
                                    .slot = k->stride,
                                    .state = "free"};
    uintptr_t end = slot + k->stride, at = slot;
    if (mo_load8(slot) == mo_sealed.fence)
        at++;
    while (at < end && mo_load8(at) == 0)
        at++;
    mo_report_write_after_free(action, chunk.address, &chunk, (ptrdiff_t)(at - chunk.address),
                               "a freed chunk is kept zero until its reuse, and this byte is not");
}

void mo_report_raced(uintptr_t p, const char *action)
{
    struct mo_place place;
    struct mo_report_chunk chunk = {.address = p, .requested = SIZE_MAX};
    if (mo_heap_find(p, &place))
        mo_describe_slot(&place, &chunk);
    mo_report_double_free(action, p, &chunk, PTRDIFF_MIN, "another thread has freed the chunk at the same time");
}

/* What the changed header of a plain chunk was: an underflow leaves its fields and a part of its MAC, an overflow of
 * the chunk before the MAC. Sets *n to what was requested and gives the place of the first changed byte, from p; when
 * nothing is left that says so, -MO_HEADER. */
static ptrdiff_t header_change(uintptr_t p, const struct mo_place *place, size_t *n)
{
    enum { MAC = 4 };
    uintptr_t room = place->slot + place->k->stride - p;
    uint64_t header = mo_load64(p - MO_HEADER);
    unsigned state = mo_state_load(place->state);
    if ((uint8_t)header == mo_sealed.fence && ((header >> 8) & 63) == place->class && mo_header_slack(header) <= room) {
        uint64_t changed = header ^ mo_mark_of(p, (uint32_t)header, state).header;
        unsigned intact = 0; /* bytes of the MAC: with none these need not be its fields */
        for (unsigned i = MO_HEADER - MAC; i < MO_HEADER; i++)
            intact += (uint8_t)(changed >> (8 * i)) == 0;
        if (intact == 0 || changed == 0)
            return -MO_HEADER;
        *n = room - mo_header_slack(header);
        return (ptrdiff_t)(__builtin_ctzll(changed) / 8) - MO_HEADER;
    }
    for (unsigned origin = 0; origin < 4; origin++) {
        for (size_t slack = 0; slack <= mo_min(room, UINT16_MAX); slack++) {
            uint64_t was = mo_mark_of(p, mo_fields(place->class, (enum mo_origin)origin, slack), state).header;
            if (was >> 32 != header >> 32)
                continue;
            *n = room - slack;
            return (ptrdiff_t)(__builtin_ctzll(was ^ header) / 8) - MO_HEADER;
        }
    }
    return -MO_HEADER;
}

static MO_NORETURN void report_header(uintptr_t p, const struct mo_place *place, struct mo_report_chunk *chunk,
                                      const char *action)
{
    ptrdiff_t at = header_change(p, place, &chunk->requested);
    mo_report_underflow(
        action, p, chunk, at,
        at < -(MO_HEADER / 2) && chunk->requested != SIZE_MAX
            ? "the header before the chunk was changed from its start on: an overflow of the chunk before"
            : "the header before the chunk was changed: an underflow, an overflow of the chunk before, or a forgery");
}

/* The slot is live, but the chunk at p does not verify. */
static MO_NORETURN void report_live(uintptr_t p, const struct mo_place *place, const char *action)
{
    struct mo_report_chunk chunk;
    uintptr_t end = place->slot + place->k->stride, at = 0;
    size_t n = 0;
    mo_describe_slot(place, &chunk);
    switch (p % 8 == 0 && p >= place->slot + MO_HEADER ? mo_chunk_verify(p, end, mo_state_load(place->state), &n, &at)
                                                       : MO_CHUNK_BAD_HEADER) {
    case MO_CHUNK_BAD_TAIL:
        mo_report_overflow(action, p, &chunk, (ptrdiff_t)(at - p), "bytes behind the end of the chunk were changed");
    case MO_CHUNK_GOOD:
        if (mo_load8(end) == mo_sealed.fence)
            mo_report_underflow(action, p, &chunk, (ptrdiff_t)(place->slot - p),
                                "the unused bytes before an aligned chunk were changed");
        mo_report_overflow(action, p, &chunk, (ptrdiff_t)(end - p),
                           "the byte behind the end of the chunk, where the next one's header starts, was changed");
    case MO_CHUNK_BAD_HEADER:
        break;
    }
    if (chunk.origin != NULL) /* another chunk of this slot verifies: p is beside its start */
        mo_report_bad_free(action, p, &chunk, (ptrdiff_t)(p - chunk.address),
                           "the address is beside a live chunk's start");
    if (p % 16 != 0)
        mo_report_bad_free(action, p, &chunk, PTRDIFF_MIN, "the address is not aligned as a chunk's start is");
    if (p != place->slot + MO_HEADER)
        mo_report_bad_free(action, p, &chunk, PTRDIFF_MIN, "the address is not a chunk's start");
    report_header(p, place, &chunk, action);
}

void mo_report_live_slot(const struct mo_place *place, const char *action)
{
    struct mo_report_chunk chunk;
    mo_describe_slot(place, &chunk);
    if (chunk.origin != NULL) /* its header verifies */
        report_live(chunk.address, place, action);
    report_header(chunk.address, place, &chunk, action);
}

static MO_NORETURN void report_large(uintptr_t p, const struct mo_large *l, const char *action)
{
    struct mo_report_chunk chunk = {.address = l->p,
                                    .requested = l->n,
                                    .slot = l->open_size,
                                    .state = l->state != 0 ? "live, large" : "freed, large, inaccessible"};
    if (p != l->p)
        mo_report_bad_free(action, p, &chunk, (ptrdiff_t)(p - l->p), "the address is beside a large chunk's start");
    mo_report_double_free(action, p, &chunk, PTRDIFF_MIN, "the large chunk has been freed before");
}

static void report_foreign(uintptr_t p, const char *action)
{
    if (mo_sealed.options.foreign == MO_FOREIGN_WARN)
        mo_report_warning(true, action, p, NULL, "the address is in none of moat's mappings; it is left alone");
    if (mo_sealed.options.foreign == MO_FOREIGN_ABORT)
        mo_report_bad_free(action, p, NULL, PTRDIFF_MIN,
                           "the address is in none of moat's mappings: a stack, global or foreign address");
}

void mo_report_bad_pointer(uintptr_t p, const char *action)
{
    struct mo_place place;
    struct mo_large large;
    struct mo_report_chunk chunk;

    if (mo_pool_holds(p))
        mo_guarded_report(p, action);
    if (mo_large_around(p, &large))
        report_large(p, &large, action);
    if (mo_heap_find(p, &place)) {
        unsigned state = mo_state_load(place.state);
        if ((state & MO_STATE_LIVE) != 0 && place.class != MO_CLASS_ZERO)
            report_live(p, &place, action);
        mo_describe_slot(&place, &chunk);
        if (p != place.slot + MO_HEADER && (p % 16 != 0 || place.class == MO_CLASS_ZERO))
            mo_report_bad_free(action, p, &chunk, PTRDIFF_MIN, "the address is not a chunk's start");
        if ((state & (MO_STATE_GENERATION | MO_STATE_OWNER)) == 0)
            mo_report_bad_free(action, p, &chunk, PTRDIFF_MIN, "no chunk has ever been at this address");
        mo_report_double_free(action, p, &chunk, PTRDIFF_MIN,
                              "the chunk that was here has been freed before, and its slot waits or is free");
    }
    if (p - mo_sealed.heap_base < mo_sealed.heap_size && sizeof(uintptr_t) == 8)
        mo_report_bad_free(action, p, NULL, PTRDIFF_MIN, "the address is in moat's heap, but in no slot of it");
    report_foreign(p, action);
}
