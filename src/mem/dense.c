#include "mem/dense.h"

#include "diag/sealed.h"

enum {
    LEAST = 65536, /* smaller ones, which are here for their alignment, do not matter */
    SAMPLES = 16,  /* places looked at; an untouched one costs a page fault */
    SAMPLE = 64,   /* bytes of each */
    MAY_LACK = 1,  /* of them may be zero */
    CERTAIN = 2,   /* chunks in turn that were dense */
    HALVES = 2,    /* sizes told apart for each doubling */
};

/* By size: how many chunks in turn were dense, up to CERTAIN. Atomic; a heuristic, so whoever writes to it changes how
 * soon pages come and nothing else. */
static uint8_t dense[64 * HALVES];

static uint8_t *of_size(size_t n)
{
    unsigned log2 = mo_log2(n);
    return &dense[log2 * HALVES + ((n >> (log2 - 1)) & 1)];
}

/* Asked of the kernel first: the program may have made pages of its chunk inaccessible, as for stacks in the heap. */
static bool is_touched(uintptr_t at)
{
    if (!mo_os_readable(at))
        return false;
    const uint64_t *words = (const uint64_t *)at;
    uint64_t any = 0;
    for (unsigned i = 0; i < SAMPLE / sizeof *words; i++)
        any |= words[i];
    return any != 0;
}

void mo_dense_note(uintptr_t p, size_t n)
{
    if (n < LEAST)
        return;
    uint8_t *known = of_size(n), now = __atomic_load_n(known, __ATOMIC_RELAXED);
    unsigned lacking = 0;
    for (size_t i = 1; i <= SAMPLES && lacking <= MAY_LACK; i++)
        lacking += !is_touched(mo_align_down(p + n / (SAMPLES + 1) * i, SAMPLE));
    if (lacking > MAY_LACK)
        now = 0;
    else if (now < CERTAIN)
        now++;
    __atomic_store_n(known, now, __ATOMIC_RELAXED);
}

bool mo_dense_expected(size_t n)
{
    return n >= LEAST && __atomic_load_n(of_size(n), __ATOMIC_RELAXED) == CERTAIN;
}
