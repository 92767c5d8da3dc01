/* The hot path for CPUs without AES instructions: SipHash marks, tails by words. */
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

/* Bytes of the tail as numbers, the first one lowest: by words, as bytes took most of an allocation's instructions. */
struct words {
    uint64_t low, high;
};

/* The last two words before `end` of a tail of s bytes, fewer than NEAR, that starts with these; 0 before it. */
MO_INLINE struct words near_words(struct words w, size_t s)
{
    unsigned bits = (unsigned)s % 8 * 8;
    uint64_t first = (w.low << 8) << (56 - bits);
    if (s < 8)
        return (struct words){0, first};
    return (struct words){first, (w.high << 8) << (56 - bits) | w.low >> bits};
}

MO_INLINE struct words first_words(const struct mark *m)
{
    return (struct words){mo_load_word((uintptr_t)&m->m.tail.words[0]), mo_load_word((uintptr_t)&m->m.tail.words[1])};
}

MO_INLINE void near_store(struct mark m, size_t s, uintptr_t end)
{
    struct words w = near_words(first_words(&m), s);
    mo_store_header(end - 16, w.low);
    mo_store_header(end - 8, w.high);
}

MO_INLINE bool near_good(struct mark m, size_t s, uintptr_t end)
{
    struct words w = near_words(first_words(&m), s), in_tail = near_words((struct words){UINT64_MAX, UINT64_MAX}, s);
    return (((mo_load_word(end - 16) & in_tail.low) ^ w.low) | ((mo_load_word(end - 8) & in_tail.high) ^ w.high) |
            (mo_load8(end) ^ mo_sealed.fence)) == 0;
}

/* A byte of the blocks behind the first is never 0. */
MO_INLINE struct words far_words(struct words first)
{
    return (struct words){first.low | 0x0101010101010101ull, first.high | 0x0101010101010101ull};
}

MO_RACY void store_loose(uintptr_t at, uint64_t v)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    v = __builtin_bswap64(v);
#endif
    __builtin_memcpy((void *)at, &v, sizeof v);
}

/* Its first block at `from`, further ones counted back from its end, which for a large chunk may be anywhere. */
static void far_store(struct mark m, uintptr_t from, uintptr_t end)
{
    struct words first = first_words(&m), far = far_words(first);
    for (uintptr_t at = end - 8; at >= from + 8; at -= 8) {
        store_loose(at, (end - at) % 16 == 0 ? far.low : far.high);
    }
    store_loose(from, first.low);
    store_loose(from + 8, first.high);
}

static bool far_good(struct mark m, uintptr_t from, uintptr_t end)
{
    struct words first = first_words(&m), far = far_words(first);
    uint64_t fault = (mo_load64(from) ^ first.low) | (mo_load64(from + 8) ^ first.high);
    uintptr_t at = end - 8;
    for (; at >= from + 16; at -= 8)
        fault |= mo_load_word(at) ^ ((end - at) % 16 == 0 ? far.low : far.high);
    if (at > from + 8) /* the word that the first block overlaps: its last bytes */
        fault |= (mo_load_word(at) ^ ((end - at) % 16 == 0 ? far.low : far.high)) >> (from + 16 - at) * 8;
    return (fault | (mo_load8(end) ^ mo_sealed.fence)) == 0;
}

static void tail_blend(struct mark m, uintptr_t from, uintptr_t end)
{
    if (end - from >= NEAR) {
        far_store(m, from, end);
        return;
    }
    for (uintptr_t at = from; at < end; at++)
        mo_store8(at, m.m.tail.bytes[at - from]);
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
