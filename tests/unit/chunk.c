/* The chunk: every changed bit of a header and byte of a tail shows, marks depend on all that they cover, and a free
 * slot is known to be clean. In both forms where the CPU has AES instructions. */
#include "child.h"
#include "front/hot_names.h"
#include "front/mac.h"
#include "mem/classes.h"

enum { MOST_SLACK = 300, STATE = MO_STATE_LIVE | 0x1200 };

struct form {
    const char *name;
    void (*seal)(uintptr_t, size_t, uintptr_t, unsigned, enum mo_origin, unsigned);
    bool (*good)(uintptr_t, uintptr_t, unsigned);
    struct mo_mark (*mark)(uintptr_t, uint32_t, unsigned);
    bool in_use; /* by this process, so mo_chunk_verify follows it */
};

static struct form forms[2];
static size_t form_count;
static char *area; /* zero, more than the largest slot */

static void set_up(void)
{
    mo_front_start();
    bool can = mo_hot_has_aes() && mo_sealed.features.aes;
    forms[form_count++] =
        (struct form){"SipHash", mo_chunk_seal_siphash, mo_chunk_good_siphash, mo_mark_siphash, !mo_sealed.aes};
    if (can)
        forms[form_count++] = (struct form){"AES", mo_chunk_seal_aes, mo_chunk_good_aes, mo_mark_aes, mo_sealed.aes};
    cr_assert_eq(mo_sealed.aes, can && mo_sealed.options.mac == MO_MAC_AUTO);
    area = mo_os_map_guarded(2 * MO_SMALL_MAX, "unit");
    cr_assert_not_null(area);
}

TestSuite(chunk, .init = set_up);

/* A chunk of a class with a slack, as it lies in a slot; a neighbour's fence behind it. */
struct made {
    uintptr_t p, end;
    size_t n, slack;
    unsigned class;
};

static struct made make(const struct form *f, unsigned class, size_t slack)
{
    struct made m;
    m.class = class;
    m.p = (uintptr_t)area + 64;
    m.end = m.p - MO_HEADER + mo_sealed.classes[class].stride;
    m.slack = slack;
    m.n = m.end - m.p - slack;
    memset((void *)m.p, 0x6b, m.n < 64 ? m.n : 64);
    memset((void *)(m.p + (m.n < 64 ? 0 : m.n - 64)), 0x6b, m.n < 64 ? m.n : 64);
    *(uint8_t *)m.end = mo_sealed.fence;
    f->seal(m.p, m.n, m.end, class, MO_ORIGIN_NEW, STATE);
    return m;
}

static bool verifies(const struct made *m, enum mo_chunk_fault wanted, uintptr_t where)
{
    size_t n = SIZE_MAX;
    uintptr_t at = 0;
    if (mo_chunk_verify(m->p, m->end, STATE, &n, &at) != wanted)
        return false;
    return (wanted == MO_CHUNK_BAD_HEADER || n == m->n) && (wanted != MO_CHUNK_BAD_TAIL || at == where);
}

/* *collisions: other fields whose MAC is the one that is there, as one of 2^32 is. */
static size_t check_header_bits(const struct form *f, const struct made *m, size_t *collisions)
{
    size_t wrong = 0;
    for (unsigned bit = 0; bit < 64; bit++) {
        uint8_t *byte = (uint8_t *)(m->p - MO_HEADER + bit / 8);
        *byte ^= (uint8_t)(1 << bit % 8);
        bool unseen = f->good(m->p, m->end, STATE) || (f->in_use && !verifies(m, MO_CHUNK_BAD_HEADER, 0));
        wrong += unseen && bit >= 32;
        *collisions += unseen && bit < 32;
        *byte ^= (uint8_t)(1 << bit % 8);
    }
    return wrong;
}

static size_t check_tail_bytes(const struct form *f, const struct made *m, uint64_t *seed)
{
    size_t wrong = 0;
    for (uintptr_t at = m->end - m->slack; at <= m->end; at++) { /* and the fence behind it */
        uint8_t *byte = (uint8_t *)at;
        uint8_t was = *byte, change = (uint8_t)(next_number(seed) % 255 + 1);
        *byte = was ^ change;
        wrong += f->good(m->p, m->end, STATE);
        *byte = was ^ (uint8_t)(1 << change % 8);
        wrong += f->good(m->p, m->end, STATE);
        if (f->in_use && at < m->end)
            wrong += !verifies(m, MO_CHUNK_BAD_TAIL, at);
        *byte = was;
    }
    return wrong;
}

/* P2 and P4. */
Test(chunk, every_changed_byte_shows, .timeout = 100)
{
    uint64_t seed = 123456789;
    for (size_t i = 0; i < form_count; i++) {
        const struct form *f = &forms[i];
        size_t collisions = 0;
        for (unsigned class = MO_CLASS_FIRST; class <= MO_CLASS_LAST; class++) {
            size_t most = mo_min(MOST_SLACK, mo_class_capacity(&mo_sealed.classes[class]));
            size_t wrong = 0, refused = 0, before = 0;
            for (size_t slack = 0; slack <= most; slack++) {
                struct made m = make(f, class, slack);
                refused += !f->good(m.p, m.end, STATE);
                refused += f->in_use && !verifies(&m, MO_CHUNK_GOOD, 0);
                before += m.n >= 64 ? !all_are(m.p + m.n - 64, 64, 0x6b) : !all_are(m.p, m.n, 0x6b);
                /* All bits of the header where it is cheap; every class has a few of each. */
                if (slack < 34 || slack % 16 == 0)
                    wrong += check_header_bits(f, &m, &collisions);
                wrong += check_tail_bytes(f, &m, &seed);
                refused += !f->good(m.p, m.end, STATE);
                memset((void *)m.p, 0xc3, mo_min(m.n, 64)); /* what the program writes is its own affair */
                refused += !f->good(m.p, m.end, STATE);
            }
            cr_assert_eq(refused, 0, "%s, class %u: %zu good chunks are refused", f->name, class, refused);
            cr_assert_eq(wrong, 0, "%s, class %u: %zu changes are not seen", f->name, class, wrong);
            cr_assert_eq(before, 0, "%s, class %u: sealing changes the payload", f->name, class);
        }
        /* Of some 75,000 tries; two have a probability of 2 in 10^10. */
        cr_assert_leq(collisions, 1, "%s: %zu changed fields are not seen", f->name, collisions);
    }
}

/* An overflow by one byte of 0x00, 0xff or text shows, a string that runs on stops, and no byte is easily guessed. */
Test(chunk, tail_has_its_properties)
{
    for (size_t i = 0; i < form_count; i++) {
        size_t wrong = 0, differ = 0;
        uint8_t last = 0;
        for (size_t slack = 1; slack <= MOST_SLACK; slack++) {
            struct made m = make(&forms[i], 20, slack);
            const uint8_t *tail = (const uint8_t *)(m.end - slack);
            wrong += (tail[0] & 0x8b) != 0x83 || tail[0] == 0xff;
            wrong += slack > 1 && tail[1] != 0;
            for (size_t j = 2; j < slack; j++)
                wrong += tail[j] == 0;
            differ += slack > 2 && tail[2] != last;
            last = slack > 2 ? tail[2] : 0;
        }
        cr_assert_eq(wrong, 0, "%s: %zu bytes", forms[i].name, wrong);
        cr_assert_gt(differ, MOST_SLACK * 9 / 10, "%s: the pattern does not depend on the chunk", forms[i].name);
    }
    cr_assert((mo_sealed.fence & 0x8b) == 0x83 && mo_sealed.fence != 0xff);
}

Test(chunk, header_has_its_fields)
{
    static const enum mo_origin origins[] = {MO_ORIGIN_MALLOC, MO_ORIGIN_NEW, MO_ORIGIN_NEW_ARRAY, MO_ORIGIN_MALLOC};
    for (size_t i = 0; i < form_count; i++) {
        for (size_t j = 0; j < MO_ARRAY_LEN(origins); j++) {
            struct made m = make(&forms[i], 30, 40);
            forms[i].seal(m.p, m.n, m.end, 30, origins[j], STATE);
            uint64_t h = mo_load64(m.p - MO_HEADER);
            cr_assert_eq(h & 0xff, mo_sealed.fence);
            cr_assert_eq((h >> 8) & 63, 30);
            cr_assert_eq(mo_header_origin(h), origins[j]);
            cr_assert_eq(mo_header_slack(h), 40);
            cr_assert_eq((uint32_t)h, mo_fields(30, origins[j], 40));
            cr_assert_eq(h, forms[i].mark(m.p, (uint32_t)h, STATE).header);
            if (forms[i].in_use)
                cr_assert_eq(h, mo_mark_of(m.p, (uint32_t)h, STATE).header);
        }
    }
    cr_assert_eq(mo_header_slack(mo_fields(1, MO_ORIGIN_NEW, 0xffff)), 0xffff);
}

/* A generation later the same header is worth nothing. */
Test(chunk, a_replayed_header_fails)
{
    for (size_t i = 0; i < form_count; i++) {
        struct made m = make(&forms[i], 5, 3);
        size_t accepted = 0;
        for (unsigned generation = 0; generation < 128; generation++) {
            unsigned state = MO_STATE_LIVE | generation * MO_STATE_STEP;
            accepted += state != STATE && forms[i].good(m.p, m.end, state);
        }
        cr_assert_eq(accepted, 0, "%s", forms[i].name);
        cr_assert(forms[i].good(m.p, m.end, STATE));
        /* The same bytes elsewhere. */
        memcpy((void *)(m.p + 1024 - MO_HEADER), (void *)(m.p - MO_HEADER), m.end - m.p + MO_HEADER + 1);
        cr_assert_not(forms[i].good(m.p + 1024, m.end + 1024, STATE), "%s", forms[i].name);
    }
}

struct flips {
    size_t trials, same, bits, tail_same;
    size_t of_bit[32];
};

static void flip(const struct form *f, struct flips *s, uintptr_t p, uint32_t fields, unsigned state, uint64_t old,
                 uint64_t old_tail)
{
    struct mo_mark m = f->mark(p, fields, state);
    uint32_t change = (uint32_t)(m.header >> 32) ^ (uint32_t)(old >> 32);
    s->trials++;
    s->same += change == 0;
    s->tail_same += m.tail.words[1] == old_tail;
    for (unsigned bit = 0; bit < 32; bit++)
        s->of_bit[bit] += (change >> bit) & 1;
}

/* Each bit of address, fields and state changes each bit of the MAC in half of the cases. */
Test(chunk, mac_depends_on_every_bit)
{
    for (size_t i = 0; i < form_count; i++) {
        const struct form *f = &forms[i];
        struct flips s = {0};
        uint64_t seed = 521288629;
        for (int round = 0; round < 500; round++) {
            uintptr_t p = (uintptr_t)(next_number(&seed) & 0x7fffffffffff0);
            uint32_t fields = (uint32_t)next_number(&seed);
            unsigned state = (unsigned)next_number(&seed) & 0xffff;
            struct mo_mark m = f->mark(p, fields, state);
            for (unsigned bit = 4; bit < sizeof p * 8; bit++)
                flip(f, &s, p ^ (uintptr_t)1 << bit, fields, state, m.header, m.tail.words[1]);
            for (unsigned bit = 0; bit < 32; bit++)
                flip(f, &s, p, fields ^ (uint32_t)1 << bit, state, m.header, m.tail.words[1]);
            for (unsigned bit = 0; bit < 16; bit++)
                flip(f, &s, p, fields, state ^ 1u << bit, m.header, m.tail.words[1]);
        }
        cr_assert_leq(s.same, 1, "%s: %zu of %zu changes leave the MAC as it is", f->name, s.same, s.trials);
        cr_assert_leq(s.tail_same, 1, "%s", f->name);
        for (unsigned bit = 0; bit < 32; bit++) {
            double share = (double)s.of_bit[bit] / (double)s.trials;
            cr_assert(share > 0.485 && share < 0.515, "%s: bit %u changes in %f", f->name, bit, share);
        }
    }
}

/* Not linear: the MACs of a, b, c and a ^ b ^ c do not cancel, as a CRC's would. */
Test(chunk, mac_is_not_linear)
{
    for (size_t i = 0; i < form_count; i++) {
        uint64_t seed = 362436069;
        size_t cancels = 0;
        for (int round = 0; round < 5000; round++) {
            uintptr_t a = (uintptr_t)(next_number(&seed) << 4), b = (uintptr_t)(next_number(&seed) << 4),
                      c = (uintptr_t)(next_number(&seed) << 4);
            uint64_t sum = forms[i].mark(a, 1, STATE).header ^ forms[i].mark(b, 1, STATE).header ^
                           forms[i].mark(c, 1, STATE).header ^ forms[i].mark(a ^ b ^ c, 1, STATE).header;
            cancels += sum >> 32 == 0;
        }
        cr_assert_leq(cancels, 1, "%s: %zu", forms[i].name, cancels);
    }
}

Test(chunk, free_header)
{
    uint8_t fence = mo_sealed.fence;
    uint64_t seed = 88675123;
    size_t accepted = 0;
    cr_assert_eq(mo_free_header_fault(0, fence), 0);
    cr_assert_eq(mo_free_header_fault(fence, fence), 0);
    for (uint64_t h = 1; h < 65536; h++)
        accepted += h != fence && mo_free_header_fault(h, fence) == 0;
    for (unsigned bit = 0; bit < 64; bit++) {
        accepted += mo_free_header_fault((uint64_t)1 << bit, fence) == 0;
        accepted += mo_free_header_fault(fence ^ (uint64_t)1 << bit, fence) == 0 && (fence ^ (uint64_t)1 << bit) != 0;
        for (unsigned low = 0; low < 64; low++) /* words with many zeros at their end: the product might vanish */
            accepted += mo_free_header_fault(((uint64_t)1 << bit | (uint64_t)1 << low) & ~(uint64_t)1, fence) == 0 &&
                        (bit != 0 || low != 0);
    }
    for (int i = 0; i < 1000000; i++)
        accepted += mo_free_header_fault(next_number(&seed), fence) == 0;
    cr_assert_eq(accepted, 0);
}

static struct mo_random stream;

/* P6, of classes whose slots are looked at as a whole. */
Test(chunk, a_changed_byte_of_a_free_slot_is_found)
{
    for (unsigned class = MO_CLASS_FIRST; class <= MO_CLASS_LAST; class++) {
        const struct mo_class *k = &mo_sealed.classes[class];
        uintptr_t slot = (uintptr_t)area + 56;
        size_t wrong = 0, step = k->stride > 4096 ? 61 : 1;
        cr_assert_eq(mo_slot_dirt(slot, k, 0, &stream), 0);
        *(uint8_t *)slot = mo_sealed.fence;
        cr_assert_eq(mo_slot_dirt(slot, k, MO_STATE_STEP, &stream), 0);
        *(uint8_t *)slot = 0;
        for (size_t i = 0; i < k->stride; i += step) {
            bool sampled = k->sampled && i >= MO_HEADER + 64 && i < k->stride - 64;
            *(uint8_t *)(slot + i) = 1;
            uintptr_t at = mo_slot_dirt(slot, k, MO_STATE_STEP, &stream);
            wrong += sampled ? at != 0 && at != slot + i : i < MO_HEADER ? at == 0 : at != slot + i;
            *(uint8_t *)(slot + i) = 0;
        }
        cr_assert_eq(wrong, 0, "class %u: %zu", class, wrong);
    }
}

/* Larger ones: four places of 64 bytes between the ends, at random, of slots that have lived. */
Test(chunk, a_changed_byte_of_a_large_slot_is_found_by_samples)
{
    enum { FINDS = 400 }; /* expected; six standard deviations of it are 30% */
    uintptr_t slot = (uintptr_t)area + 56;
    for (unsigned class = MO_CLASS_FIRST; class <= MO_CLASS_LAST; class++) {
        const struct mo_class *k = &mo_sealed.classes[class];
        if (!k->sampled)
            continue;
        size_t found = 0, untouched = 0;
        double places = (double)(mo_class_capacity(k) / 64 - 1), p = 1;
        uint64_t seed = 2463534242;
        for (int i = 0; i < 4; i++)
            p *= 1 - 1 / places;
        size_t trials = (size_t)(FINDS / (1 - p));
        for (size_t i = 0; i < trials; i++) {
            uintptr_t at = slot + MO_HEADER + 64 + next_number(&seed) % (k->stride - MO_HEADER - 2 * 64 - 64);
            *(uint8_t *)at = 1;
            found += mo_slot_dirt(slot, k, MO_STATE_STEP, &stream) == at;
            untouched += mo_slot_dirt(slot, k, 0, &stream) != 0;
            *(uint8_t *)at = 0;
        }
        cr_assert(found > FINDS * 0.65 && found < FINDS * 1.35, "class %u: %zu of %zu, not %d", class, found, trials,
                  FINDS);
        cr_assert_eq(untouched, 0, "a slot that never lived has pages that must stay untouched");
    }
}
