/* Contracts of src/base/base.h, for Frama-C's WP: `run` proves that the source as it is meets them, and that no
 * operation in it overflows, shifts too far or is undefined otherwise. Frama-C joins these declarations with the
 * definitions that are included below.
 *
 * Assumed, and not proved: the axioms of `bits`, textbook facts on & and ~ with a power of two, which the prover does
 * not know; what the compiler's __builtin_clzll gives. Of mo_align_up WP shows only that nothing in it overflows; that
 * it rounds as it says, and the axioms, exhaustive.c tries with all that is possible for 16 bits, and at the ends of
 * 64. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*@ axiomatic bits {
      logic integer pow2(integer k);
      axiom pow2_zero: pow2(0) == 1;
      axiom pow2_next: \forall integer k; k >= 0 ==> pow2(k + 1) == 2 * pow2(k);
      axiom pow2_last: pow2(63) == 0x8000000000000000;
      axiom pow2_grows: \forall integer j, k; 0 <= j <= k ==> 1 <= pow2(j) <= pow2(k);
      axiom pow2_shift: \forall integer k; 0 <= k < 64 ==> (1 << k) == pow2(k);
      axiom mask: \forall integer x, k; 0 <= k < 64 && 0 <= x <= 0xffffffffffffffff ==>
                  (x & (uint64_t)(~(pow2(k) - 1))) == x - x % pow2(k);
      axiom mask_near: \forall integer x, k; 0 <= k < 64 && 0 <= x <= 0xffffffffffffffff ==>
                  0 <= x - (x & (uint64_t)(~(pow2(k) - 1))) < pow2(k);
    } */

/*@ requires x_nonzero: x != 0;
    assigns \nothing;
    ensures 0 <= \result <= 63;
    ensures pow2(63 - \result) <= x;
    ensures \result > 0 ==> x < pow2(64 - \result); */
int __builtin_clzll(unsigned long long x);

/*@ assigns \nothing; */
void __atomic_thread_fence(int order);

/*@ assigns \nothing;
    ensures \result == (a < b ? a : b); */
static inline size_t mo_min(size_t a, size_t b);

/*@ assigns \nothing;
    ensures \result == (a > b ? a : b); */
static inline size_t mo_max(size_t a, size_t b);

/*@ requires x != 0;
    assigns \nothing;
    ensures \result <= 63;
    ensures pow2(\result) <= x;
    ensures \result < 63 ==> x < pow2(\result + 1); */
static inline unsigned mo_log2(size_t x);

/*@ requires x != 0;
    assigns \nothing;
    ensures \result <= x;
    ensures \exists integer k; 0 <= k <= 63 && \result == pow2(k);
    ensures x < 0x8000000000000000 ==> x < 2 * \result; */
static inline size_t mo_pow2_floor(size_t x);

/*@ requires \exists integer k; 0 <= k <= 63 && a == pow2(k);
    assigns \nothing;
    ensures \result <= x;
    ensures x - \result < a;
    ensures \result == x - x % a; */
static inline uintptr_t mo_align_down(uintptr_t x, uintptr_t a);

/*@ requires \exists integer k; 0 <= k <= 63 && a == pow2(k);
    requires no_overflow: x + (a - 1) <= 0xffffffffffffffff;
    assigns \nothing; */
static inline uintptr_t mo_align_up(uintptr_t x, uintptr_t a);

/*@ assigns \nothing;
    ensures \result <==> (x != 0 && (x & (uintptr_t)(x - 1)) == 0); */
static inline bool mo_is_pow2(uintptr_t x);

#include "base/base.h"
