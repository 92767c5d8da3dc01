/* What the children of one process, as of a fuzzer's fork server, have in turn. By 64 children:
 *
 * - each chunk of theirs lies against the guard before it in one of four times 64 (option sample_left),
 *   whatever the seed. Else a run's tenth chunk would lie on one and the same side in all runs.
 * - with option sample_forked, in seven of eight times 64: places in the program that many of the 64 children before
 *   allocated from take pages that stay open (fuzzing/reuse.h). What is rare or new is closed always.
 *
 * So 64 children in succession are alike for the same input, and mostly so are AFL++'s eight looks at a new one.
 *
 * Counted in a page that parent and children share: a private one would be copied at each fork. Children of children
 * are not counted, and go on as the child does. */
#ifndef MO_FORKS_H
#define MO_FORKS_H

#include "base/base.h"

/* Does this process, a child, take part with option sample_forked? */
bool mo_forks_counts(void);

/* Counts an allocation of the place and size that key stands for; may it lie on a page that stays open? */
bool mo_forks_is_hot(uint64_t key);

#endif
