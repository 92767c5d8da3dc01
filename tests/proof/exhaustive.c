/* The pure core where all inputs can be tried: every size, every offset in a slab of every class, the fields of every
 * header, every state word. What is tried whole is proved; of 64-bit numbers it is the ends and all of 16 bits. */
#include <stdio.h>
#include <stdlib.h>

#include "front/chunk.h"
#include "front/slow.h"
#include "mem/classes.h"

static uint64_t tried;

static void holds(bool yes, const char *what, uint64_t a, uint64_t b)
{
    tried++;
    if (yes)
        return;
    printf("%s: not for %llu, %llu\n", what, (unsigned long long)a, (unsigned long long)b);
    exit(1);
}

/* What tests/proof/base.c assumes of bits, and mo_align_up. */
static void numbers(uint64_t x)
{
    for (unsigned k = 0; k < 64; k++) {
        uint64_t a = (uint64_t)1 << k;
        holds(mo_align_down(x, a) == x - x % a, "mo_align_down", x, a);
        holds(mo_is_pow2(a) && (x == a || !mo_is_pow2(x) || mo_log2(x) != k), "mo_is_pow2", x, a);
        if (x <= UINT64_MAX - (a - 1)) {
            uint64_t up = mo_align_up(x, a);
            holds(up >= x && up - x < a && up % a == 0, "mo_align_up", x, a);
        }
    }
    if (x != 0) {
        unsigned k = mo_log2(x);
        holds(x >> k == 1 && mo_pow2_floor(x) == (uint64_t)1 << k, "mo_log2, mo_pow2_floor", x, k);
    }
}

/* The class of every request is the smallest that serves it. */
static void sizes(void)
{
    for (size_t n = 1; n <= MO_SMALL_MAX; n++) {
        unsigned class = mo_class_of(n);
        holds(class >= MO_CLASS_FIRST && class <= MO_CLASS_LAST && n <= mo_class_capacity(&mo_sealed.classes[class]) &&
                  (class == MO_CLASS_FIRST || n > mo_class_capacity(&mo_sealed.classes[class - 1])),
              "mo_class_of", n, class);
    }
    holds(mo_class_of(0) == 0, "mo_class_of", 0, 0);
}

/* In a slab: which slot an offset is in, without a division; that slots fit, and state words differ. */
static void offsets(void)
{
    for (unsigned class = MO_CLASS_FIRST; class < MO_CLASSES; class++) {
        const struct mo_class *k = &mo_sealed.classes[class];
        size_t span = (size_t)1 << k->span_shift, last = 0;
        for (size_t at = MO_HEADER; at < span; at++)
            holds(mo_slot_index(k, at) == (at - MO_HEADER) / k->stride, "mo_slot_index", class, at);
        holds(k->slots <= MO_SLAB_SLOTS && k->slots * (size_t)k->stride + MO_HEADER < k->slab_bytes &&
                  k->slab_bytes + mo_sealed.features.page <= span && k->stride % 16 == 0,
              "a slab's slots and its guard fit", class, k->slots);
        for (size_t slot = MO_HEADER; slot < span; slot += k->stride) {
            holds(slot == MO_HEADER || slot >> k->word_shift > last, "slots have words of their own", class, slot);
            last = slot >> k->word_shift;
        }
    }
}

static void headers(void)
{
    for (unsigned class = 0; class < 64; class++)
        for (unsigned origin = 0; origin < 3; origin++)
            for (size_t slack = 0; slack <= 0xffff; slack++) {
                uint64_t h = (uint64_t)0x9e3779b9 << 32 | mo_fields(class, (enum mo_origin)origin, slack);
                holds(mo_header_slack(h) == slack && mo_header_origin(h) == (enum mo_origin)origin &&
                          (h & 0xff) == mo_sealed.fence && ((h >> 8) & 63) == class,
                      "a header's fields", class, slack);
            }
    for (unsigned bit = 5; bit <= 14; bit++)
        holds(mo_header_align(mo_fields(MO_CODE_ALIGNED + bit, MO_ORIGIN_NEW, 7)) == (size_t)1 << bit, "an alignment",
              bit, 0);
    for (unsigned class = 0; class < MO_CLASSES; class++)
        holds(mo_header_align(mo_fields(class, MO_ORIGIN_NEW, 7)) == 0, "a plain chunk", class, 0);
}

static void states(void)
{
    for (unsigned state = 0; state <= 0xffff; state++) {
        unsigned next = mo_state_next_life(state), life = state;
        holds(next <= 0xffff && (next & MO_STATE_LIVE) != 0 && (next & MO_STATE_OWNER) == 0 &&
                  (next >> 9) == ((state >> 9) + 1) % 128,
              "mo_state_next_life", state, next);
        for (unsigned lives = 1; lives < 128; lives++) {
            life = mo_state_next_life(life);
            holds(lives == 1 || life != next, "a generation comes back after 128 lives", state, lives);
        }
    }
    /* A free slot's first word. h * (h ^ fence) is 0 modulo 2^64 for no other h: one of the two factors is odd, so the
     * other one would be a multiple of 2^64. */
    for (unsigned fence = 0x83; fence <= 0xff; fence += 2)
        for (uint64_t h = 0; h <= 0xffff; h++)
            for (unsigned shift = 0; shift <= 48; shift += 16)
                holds((mo_free_header_fault(h << shift, (uint8_t)fence) == 0) == (h == 0 || (shift == 0 && h == fence)),
                      "mo_free_header_fault", h << shift, fence);
}

/* A chunk that stays in its place fits, and its slack fits a header. */
static void resizes(void)
{
    for (size_t room = 1; room <= 200000; room += room < 3000 ? 1 : 97)
        for (size_t n = 1; n <= room + 2; n += room < 3000 ? 1 : 89)
            holds(!mo_resizes_in_place(room, n) || (n <= room && room - n <= 0xffff), "mo_resizes_in_place", room, n);
}

int main(void)
{
    mo_front_start();
    for (uint64_t x = 0; x <= 0xffff; x++) {
        numbers(x);
        numbers(0 - x);
        numbers(x << 48);
        numbers(((uint64_t)1 << 63) + x - 0x8000);
    }
    sizes();
    offsets();
    headers();
    states();
    resizes();
    printf("%llu statements hold\n", (unsigned long long)tried);
    return 0;
}
