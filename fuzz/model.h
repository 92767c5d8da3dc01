/* What a correct allocator's chunks must be, kept beside moat: where they lie, what is in them, how they were made.
 *
 * Every violation ends in fail(), which aborts: the harnesses' verdict. The model's own memory is static, so that it
 * does not depend on what it watches. Not for several threads at once: the harness runs one at a time.
 */
#ifndef FUZZ_MODEL_H
#define FUZZ_MODEL_H

#include "base/base.h"
#include "front/front.h"

enum { MODEL_MOST = 1024 };

struct model_chunk {
    char *p;
    size_t n;
    size_t align; /* asked for; 0: plain */
    enum mo_origin origin;
    uint64_t key; /* what its contents are made of */
};

extern struct model_chunk model_chunks[MODEL_MOST];
extern size_t model_count; /* chunks 0..count-1 are live */
extern size_t model_bytes; /* that they asked for */
extern uint64_t model_operations;
extern const char *volatile model_doing; /* for the text of a failure */

MO_NORETURN void fail(const char *format, ...) MO_PRINTF(1, 2);

/* A chunk was handed out: it is aligned, overlaps no other, is zero, and moat knows its size. It is then filled. */
void model_made(void *p, size_t n, size_t align, enum mo_origin origin);

/* Its contents are what was written there. */
void model_check(const struct model_chunk *c);
void model_check_all(void);

/* Checks chunk number i and takes it out of the model; the caller then releases the copy it gets. */
struct model_chunk model_take(size_t i);

/* Chunk number i was resized to n bytes at q: what it held is there, what came along is zero. */
void model_resized(size_t i, void *q, size_t n);

/* Fills it anew with other contents. */
void model_rewrite(size_t i);

/* moat's figures agree with the model. exact: no thread's cache has been lost by a fork. */
void model_statistics(bool exact);

/* A random number below n; not 0. */
uint64_t model_random(uint64_t *state, uint64_t n);

#endif
