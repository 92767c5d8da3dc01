/* Memory tags (aarch64's memory tagging extension, MTE): each 16 bytes of memory have a tag of 4 bits, a pointer has
 * one in its bits 56 to 59, and an access by a pointer of another tag than the memory's is a fault.
 *
 * Elsewhere all of this is nothing, and MO_TAGS says so at compile time. What executes here needs a CPU that has the
 * extension: callers ask mo_tagged() first. See front/tagged.h for what moat makes of it.
 */
#ifndef MO_TAG_H
#define MO_TAG_H

#include "base/base.h"

enum { MO_TAG_GRANULE = 16, MO_TAG_SHIFT = 56, MO_TAG_OURS = 0 /* the tag of no chunk */ };

#if defined(__aarch64__) && !defined(MO_BUILD_SMALL)

#define MO_TAGS 1

/* For assemblers that are told of an older CPU. */
#if defined(__ARM_FEATURE_MEMORY_TAGGING) || __ARM_ARCH >= 9
#define MO_TAG_ASM ".arch_extension memtag\n\t"
#else
#define MO_TAG_ASM ".arch armv8.5-a+memtag+crypto\n\t"
#endif

MO_INLINE uintptr_t mo_tag_bits(uintptr_t p)
{
    return p & (uintptr_t)15 << MO_TAG_SHIFT;
}

/* The memory's tag at `at`, an accessible address without one; as a number. */
MO_INLINE unsigned mo_tag_load(uintptr_t at)
{
    uintptr_t p = at;
    __asm__ volatile(MO_TAG_ASM "ldg %0, [%1]" : "+r"(p) : "r"(at) : "memory");
    return (unsigned)(p >> MO_TAG_SHIFT) & 15;
}

MO_INLINE uintptr_t mo_tag_pointer(uintptr_t at, unsigned tag)
{
    return at | (uintptr_t)tag << MO_TAG_SHIFT;
}

/* By an instruction for two granules at a time, and one for the last. */
#define MO_TAG_EACH(two, one)                                                                \
    uintptr_t at = mo_tag_pointer(from, tag), left = to - from;                              \
    for (; left >= 2 * MO_TAG_GRANULE; left -= 2 * MO_TAG_GRANULE, at += 2 * MO_TAG_GRANULE) \
        __asm__ volatile(MO_TAG_ASM two " %0, [%0]" : : "r"(at) : "memory");                 \
    if (left != 0)                                                                           \
    __asm__ volatile(MO_TAG_ASM one " %0, [%0]" : : "r"(at) : "memory")

/* Gives [from, to), whole granules, the tag. */
MO_INLINE void mo_tag_store(uintptr_t from, uintptr_t to, unsigned tag)
{
    MO_TAG_EACH("st2g", "stg");
}

/* The same, and zeroes it by the same stores. */
MO_INLINE void mo_tag_clear(uintptr_t from, uintptr_t to, unsigned tag)
{
    MO_TAG_EACH("stz2g", "stzg");
}

/* Accesses of this thread are not checked (PSTATE.TCO) until the state before is set again. A signal's handler is
 * checked all the same: the kernel sees to that. */
MO_INLINE uint64_t mo_tag_unchecked(void)
{
    uint64_t before;
    __asm__ volatile(MO_TAG_ASM "mrs %0, tco\n\tmsr tco, #1" : "=r"(before) : : "memory");
    return before;
}

MO_INLINE void mo_tag_checked(uint64_t before)
{
    __asm__ volatile(MO_TAG_ASM "msr tco, %0" : : "r"(before) : "memory");
}

/* Tags stored before are seen by other threads before tags are loaded behind it. */
MO_INLINE void mo_tag_fence(void)
{
    __asm__ volatile("dmb ish" : : : "memory");
}

#else

#define MO_TAGS 0

MO_INLINE void mo_tag_fence(void) {}

MO_INLINE uintptr_t mo_tag_bits(uintptr_t p)
{
    (void)p;
    return 0;
}

MO_INLINE unsigned mo_tag_load(uintptr_t at)
{
    (void)at;
    return 0;
}

MO_INLINE uintptr_t mo_tag_pointer(uintptr_t at, unsigned tag)
{
    (void)tag;
    return at;
}

MO_INLINE void mo_tag_store(uintptr_t from, uintptr_t to, unsigned tag)
{
    (void)from, (void)to, (void)tag;
}

MO_INLINE void mo_tag_clear(uintptr_t from, uintptr_t to, unsigned tag)
{
    (void)from, (void)to, (void)tag;
}

MO_INLINE uint64_t mo_tag_unchecked(void)
{
    return 0;
}

MO_INLINE void mo_tag_checked(uint64_t before)
{
    (void)before;
}

#endif

/* The address alone: what tables and header know. */
MO_INLINE uintptr_t mo_tag_strip(uintptr_t p)
{
    return p - mo_tag_bits(p);
}

MO_INLINE unsigned mo_tag_of(uintptr_t p)
{
    return MO_TAGS ? (unsigned)(mo_tag_bits(p) >> (MO_TAGS * MO_TAG_SHIFT)) : 0;
}

#endif
