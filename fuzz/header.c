/* The header codec, in both forms: what is sealed verifies, says what it was made of, and any change of it shows. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "front/hot_names.h"
#include "front/mac.h"
#include "fuzz/harness.h"
#include "mem/classes.h"

uint64_t fuzz_operations;
const size_t fuzz_longest = 64;
const int fuzz_takes_noise = 1;

enum { ROOM = 4 * MO_SMALL_MAX };

/* What an input says; what it is too short for is 0. */
struct asked {
    uint8_t class, origin, align, fenced;
    uint16_t slack, state;
    uint32_t offset; /* of the change, in the header and then the tail */
    uint32_t other;  /* of a byte in the payload */
    uint64_t change; /* bits to turn, or a whole header */
};

struct form {
    void (*seal)(uintptr_t, size_t, uintptr_t, unsigned, enum mo_origin, unsigned);
    bool (*good)(uintptr_t, uintptr_t, unsigned);
    struct mo_mark (*mark)(uintptr_t, uint32_t, unsigned);
    bool in_use;
};

static char area[ROOM] __attribute__((aligned(MO_SLOT_ALIGN)));

static void expect(bool holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "header: %s\n", what);
    abort();
}

/* Both ways to verify agree on whether the chunk is as it was. */
static void verify(const struct form *f, uintptr_t p, uintptr_t end, unsigned state, size_t n, bool whole)
{
    size_t found = 0;
    uintptr_t at;
    expect(f->good(p, end, state) == whole, whole ? "a whole chunk is refused" : "a change is not seen");
    if (!f->in_use)
        return;
    enum mo_chunk_fault fault = mo_chunk_verify(p, end, state, &found, &at);
    expect((fault == MO_CHUNK_GOOD) == whole, "the cold path sees it otherwise");
    expect(!whole || found == n, "another size");
    expect(fault != MO_CHUNK_BAD_TAIL || (at >= p + n && at < end), "the fault is not in the tail");
}

static void check_chunk(const struct form *f, const struct asked *a)
{
    unsigned class = MO_CLASS_FIRST + a->class % MO_CLASS_LAST,
             state = MO_STATE_LIVE | (a->state & MO_STATE_GENERATION);
    size_t align = (size_t)1 << a->align % 15; /* up to MO_SLOT_ALIGN */
    uintptr_t slot = (uintptr_t)area + MO_HEADER, end = slot + mo_sealed.classes[class].stride;
    uintptr_t p = mo_align_up(slot + MO_HEADER, mo_max(align, 16));
    if (p > end)
        p = slot + MO_HEADER;
    size_t slack = mo_min(a->slack, end - p), n = end - p - slack;
    enum mo_origin origin = (enum mo_origin)(a->origin % 3);
    unsigned code = align > 16 && p > slot + MO_HEADER ? MO_CODE_ALIGNED + mo_log2(align) : class;

    memset((void *)slot, 0, end - slot);
    memset((void *)p, 0x6b, n);
    *(uint8_t *)end = mo_sealed.fence;
    f->seal(p, n, end, code, origin, state);
    verify(f, p, end, state, n, true);
    uint64_t header = mo_load64(p - MO_HEADER);
    expect(mo_header_slack(header) == slack && mo_header_origin(header) == origin, "the fields do not come back");
    expect(mo_header_align(header) == (code == class ? 0 : align), "the alignment does not come back");
    expect(f->mark(p, (uint32_t)header, state).header == header, "the mark is another one");
    for (size_t i = 0; i < n; i += i < 64 || i + 64 >= n ? 1 : 61)
        expect(*(uint8_t *)(p + i) == 0x6b, "sealing changed the payload");
    uint8_t first = slack > 0 ? *(uint8_t *)(p + n) : mo_sealed.fence;
    expect(first >= 0x83 && first != 0xff, "the first byte past the end could be text");

    /* A change of the header or the tail, of up to 8 bytes. */
    size_t offset = a->offset % (MO_HEADER + slack);
    uintptr_t at = offset < MO_HEADER ? p - MO_HEADER + offset : p + n + offset - MO_HEADER;
    uintptr_t stop = offset < MO_HEADER ? p : end;
    size_t turned = mo_min(sizeof a->change, stop - at);
    uint8_t kept[sizeof a->change], bits[sizeof a->change];
    memcpy(bits, &a->change, sizeof bits);
    bool whole = true;
    for (size_t i = 0; i < turned; i++) {
        kept[i] = *(uint8_t *)(at + i);
        *(uint8_t *)(at + i) ^= bits[i];
        whole = whole && bits[i] == 0;
    }
    verify(f, p, end, state, n, whole);
    memcpy((void *)at, kept, turned);
    verify(f, p, end, state, n, true);

    /* Another header in its place, and the right one at the wrong moment: each passes once in 2^32. */
    memcpy((void *)(p - MO_HEADER), &a->change, sizeof a->change);
    expect(f->good(p, end, state) == (a->change == header), "a forged header passes");
    memcpy((void *)(p - MO_HEADER), &header, sizeof header);
    expect(!f->good(p, end, (state + MO_STATE_STEP) & 0xffff), "a header of another life passes");
    memset((void *)slot, 0, end - slot);
}

static void check_free_slot(const struct asked *a)
{
    const struct mo_class *k = &mo_sealed.classes[MO_CLASS_FIRST + a->class % MO_CLASS_LAST];
    uintptr_t slot = (uintptr_t)area + MO_HEADER, end = slot + k->stride;
    uint8_t fence = mo_sealed.fence;
    expect((mo_free_header_fault(a->change, fence) == 0) == (a->change == 0 || a->change == fence),
           "the test of a free slot's header is wrong");
    memset((void *)slot, 0, end - slot);
    if ((a->fenced & 1) != 0)
        *(uint8_t *)slot = fence;
    expect(mo_slot_dirt_whole(slot, k) == 0 && mo_slot_any_dirt(slot, k) == 0, "a clean slot is refused");
    uintptr_t at = slot + MO_HEADER + a->other % (k->stride - MO_HEADER);
    uint8_t value = (uint8_t)(a->change | 1);
    *(uint8_t *)at = value;
    expect(mo_slot_any_dirt(slot, k) != 0, "a byte in a free slot is not seen");
    expect(mo_slot_dirt_whole(slot, k) == at, "a byte in a free slot is found elsewhere");
    *(uint8_t *)at = 0;
    *(uint8_t *)slot = 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct asked a = {0};
    fuzz_operations++;
    mo_front_start();
    memcpy(&a, data, mo_min(size, sizeof a));
    struct form siphash = {mo_chunk_seal_siphash, mo_chunk_good_siphash, mo_mark_siphash, !mo_sealed.aes};
    check_chunk(&siphash, &a);
    if (mo_hot_has_aes() && mo_sealed.features.aes) {
        struct form aes = {mo_chunk_seal_aes, mo_chunk_good_aes, mo_mark_aes, mo_sealed.aes};
        check_chunk(&aes, &a);
    }
    check_free_slot(&a);
    return 0;
}
