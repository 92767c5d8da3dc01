#include "front/chunk.h"

#include <sodium.h>
#include <string.h>

#include "front/mac.h"

enum {
    ENDS = 64,   /* bytes checked at each end of a large free slot */
    SAMPLES = 4, /* places checked between them */
    SAMPLE = 64, /* bytes of each */
};

struct mo_mark mo_mark_siphash(uintptr_t p, uint32_t fields, unsigned state)
{
    uint64_t in[2] = {p, fields | (uint64_t)state << 32};
    uint64_t out;
    _Static_assert(sizeof out == crypto_shorthash_BYTES, "SipHash-2-4");
    crypto_shorthash((unsigned char *)&out, (const unsigned char *)in, sizeof in, mo_sealed.sip_key);
    struct mo_mark m;
    m.header = (out & MO_MAC_MASK) | fields;
    uint64_t pattern = (out << 32) | (uint32_t)out;
    m.tail.words[0] = (pattern & mo_tail_and[0]) | mo_tail_or[0];
    m.tail.words[1] = (pattern & mo_tail_and[1]) | mo_tail_or[1];
    return m;
}

struct mo_mark mo_mark_of(uintptr_t p, uint32_t fields, unsigned state)
{
    return mo_sealed.aes ? mo_mark_aes(p, fields, state) : mo_mark_siphash(p, fields, state);
}

/* The tail of s bytes that ends at `end`: byte i of the pattern's first block at its start, further blocks
 * counted back from the end. This is what the hot path writes and checks 16 bytes at a time. */
static uint8_t tail_byte(const struct mo_mark *m, size_t i, size_t s)
{
    if (i < MO_TAIL_BLOCK)
        return m->tail.bytes[i];
    return mo_tail_far(m->tail.bytes[(MO_TAIL_BLOCK - (s - i) % MO_TAIL_BLOCK) % MO_TAIL_BLOCK]);
}

/* Where the good part of a long tail starts, looked at from its end in words: a large chunk's may be a page long. */
static uintptr_t far_good_from(const struct mo_mark *m, uintptr_t from, uintptr_t end)
{
    uint64_t far[2];
    for (size_t i = 0; i < 2; i++)
        far[i] = mo_load64((uintptr_t)&m->tail.words[i]) | 0x0101010101010101ull; /* mo_tail_far of each byte */
    uintptr_t at = end;
    for (size_t i = 1; at >= from + MO_TAIL_BLOCK + sizeof far[0]; i ^= 1) {
        if (mo_load64(at - sizeof far[0]) != far[i])
            break;
        at -= sizeof far[0];
    }
    return at;
}

enum mo_chunk_fault mo_chunk_verify(uintptr_t p, uintptr_t end, unsigned state, size_t *n, uintptr_t *at)
{
    uint64_t h = mo_load64(p - MO_HEADER);
    size_t s = mo_header_slack(h);
    struct mo_mark m = mo_mark_of(p, (uint32_t)h, state);
    if (h != m.header || s > end - p)
        return MO_CHUNK_BAD_HEADER;
    *n = end - p - s;
    uintptr_t from = p + *n, stop = far_good_from(&m, from, end);
    for (*at = from; *at < stop; ++*at)
        if (mo_load8(*at) != tail_byte(&m, *at - from, s))
            return MO_CHUNK_BAD_TAIL;
    return MO_CHUNK_GOOD;
}

/* The first byte that is not 0 of [at, end), both multiples of 8; or 0. */
static uintptr_t dirty_byte(uintptr_t at, uintptr_t end)
{
    while (at < end && mo_load64(at) == 0)
        at += sizeof(uint64_t);
    if (at >= end)
        return 0;
    while (mo_load8(at) == 0)
        at++;
    return at;
}

uintptr_t mo_slot_dirt_whole(uintptr_t slot, const struct mo_class *k)
{
    if (mo_free_header_fault(mo_load64(slot), mo_sealed.fence) != 0)
        return slot + (mo_load8(slot) == mo_sealed.fence ? 1 : 0);
    if (mo_likely(mo_slot_any_dirt(slot, k) == 0))
        return 0;
    return dirty_byte(slot + MO_HEADER, slot + k->stride);
}

uintptr_t mo_slot_dirt(uintptr_t slot, const struct mo_class *k, unsigned state, struct mo_random *r)
{
    uintptr_t payload = slot + MO_HEADER, end = slot + k->stride;
    uintptr_t at;
    if (!k->sampled || mo_free_header_fault(mo_load64(slot), mo_sealed.fence) != 0)
        return mo_slot_dirt_whole(slot, k);
    at = dirty_byte(payload, payload + ENDS);
    if (at == 0)
        at = dirty_byte(end - ENDS, end);
    /* A slot that never lived has untouched pages, which a look would map. */
    for (int i = 0; at == 0 && i < SAMPLES && (state & MO_STATE_GENERATION) != 0; i++) {
        size_t places = (k->stride - MO_HEADER) / SAMPLE - 1;
        uintptr_t sample = payload + (size_t)mo_random_below(r, (uint32_t)places) * SAMPLE;
        at = dirty_byte(sample, sample + SAMPLE);
    }
    return at;
}
