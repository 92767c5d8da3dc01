/* Sixteen-byte vectors with AES rounds and byte shuffles: x86 with AES-NI and SSSE3, aarch64 with its crypto
 * extension. Included only by hot_aes.c, which is compiled for CPUs that have them. */
#ifndef MO_AES_H
#define MO_AES_H

#include "diag/sealed.h"

typedef uint8_t mo_v16 __attribute__((vector_size(16), may_alias));
typedef int8_t mo_v16s __attribute__((vector_size(16), may_alias));
typedef uint64_t mo_v2 __attribute__((vector_size(16), may_alias));

MO_RACY mo_v16 mo_v_load(uintptr_t p)
{
    mo_v16 v;
    __builtin_memcpy(&v, (const void *)p, sizeof v);
    return v;
}

MO_INLINE void mo_v_store(uintptr_t p, mo_v16 v)
{
    __builtin_memcpy((void *)p, &v, sizeof v);
}

#if defined(__x86_64__) || defined(__i386__)

#include <immintrin.h>

/* The rounds of p, fields and state, which has 16 bits. */
MO_INLINE mo_v16 mo_aes_rounds(uint64_t p, uint32_t fields, unsigned state, const uint8_t (*keys)[16])
{
    const __m128i *k = (const __m128i *)keys;
    __m128i x = _mm_insert_epi16(_mm_insert_epi32(_mm_set_epi64x(0, (long long)p), (int)fields, 2), (int)state, 6);
    x = _mm_xor_si128(x, k[0]);
    x = _mm_aesenc_si128(x, k[1]);
    x = _mm_aesenc_si128(x, k[2]);
    x = _mm_aesenc_si128(x, k[3]);
    x = _mm_aesenc_si128(x, k[4]);
    x = _mm_aesenc_si128(x, k[5]);
    x = _mm_aesenc_si128(x, k[6]);
    return (mo_v16)x;
}

MO_INLINE mo_v16 mo_v_shuffle(mo_v16 v, mo_v16 index)
{
    return (mo_v16)_mm_shuffle_epi8((__m128i)v, (__m128i)index);
}

/* Is any bit of v set? */
MO_INLINE bool mo_v_any(mo_v16 v)
{
    return !_mm_testz_si128((__m128i)v, (__m128i)v);
}

/* Is a bit set in both? */
MO_INLINE bool mo_v_common(mo_v16 a, mo_v16 b)
{
    return !_mm_testz_si128((__m128i)a, (__m128i)b);
}

/* v with `low` in place of its first four bytes. */
MO_INLINE mo_v16 mo_v_with_low(mo_v16 v, uint32_t low)
{
    return (mo_v16)_mm_insert_epi32((__m128i)v, (int)low, 0);
}

#elif defined(__aarch64__)

#include <arm_neon.h>

MO_INLINE mo_v16 mo_aes_rounds(uint64_t p, uint32_t fields, unsigned state, const uint8_t (*keys)[16])
{
    uint8x16_t x = (uint8x16_t)(mo_v2){p, fields | (uint64_t)state << 32};
    for (int i = 0; i < MO_AES_ROUNDS; i++)
        x = vaesmcq_u8(vaeseq_u8(x, vld1q_u8(keys[i])));
    return (mo_v16)veorq_u8(x, vld1q_u8(keys[MO_AES_ROUNDS]));
}

MO_INLINE mo_v16 mo_v_shuffle(mo_v16 v, mo_v16 index)
{
    return (mo_v16)vqtbl1q_u8((uint8x16_t)v, (uint8x16_t)index);
}

MO_INLINE bool mo_v_any(mo_v16 v)
{
    mo_v2 w = (mo_v2)v;
    return (w[0] | w[1]) != 0;
}

MO_INLINE bool mo_v_common(mo_v16 a, mo_v16 b)
{
    return mo_v_any(a & b);
}

MO_INLINE mo_v16 mo_v_with_low(mo_v16 v, uint32_t low)
{
    return (mo_v16)vsetq_lane_u32(low, (uint32x4_t)v, 0);
}

#endif

#endif
