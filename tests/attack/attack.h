/* What the attack programs share: arguments, steps, faults that are caught, and children that die.
 *
 * A program says on standard output which step comes next, so that the runner knows where it died. It
 * returns finish() when it survived, and fail() ends it with status 1 when it saw what must not happen.
 */
#ifndef ATTACK_H
#define ATTACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Argument number i as a number (decimal, 0x or 0 before it), or as a word; both end the program when it is missing. */
size_t number(char **argv, int i);
const char *word(char **argv, int i);
bool word_is(char **argv, int i, const char *expected);

void step(const char *name); /* the next thing done may be the last */
int finish(void);            /* all went well: main's return value */
void fail(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));
/* Ends it with status 77: what the attack needs is not there, as under an allocator without slabs or without reuse. */
void not_here(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

/* The same pointer, but the compiler no longer knows which: it can neither warn nor optimise. */
void *hide(const void *p);

/* malloc that ends the program when there is no memory; aligned_alloc when ATTACK_ALIGN is in the environment. */
void *take(size_t n);

/* Whether n bytes at p are all `value`. */
bool all_bytes(const void *p, int value, size_t n);

/* Allocates and frees `pairs` chunks of n bytes, one after the other. */
void churn(size_t n, size_t pairs);

/* How often churn must turn to empty any quarantine of this size, with a bound on the bytes touched. */
size_t enough_pairs(size_t n);

/* Touches every `stride`th byte (may be negative) from p on until one faults. Returns how many bytes from p
 * that was, or `limit` when none did before. With write, it writes 0x41; else it reads. */
size_t distance_to_fault(volatile char *p, ptrdiff_t stride, size_t limit, bool write);

/* Runs body(arg) in a child: true when it died by SIGABRT with `report` in its words. With ATTACK_ANY_DEATH in the
 * environment, for allocators that have other words, any death by signal will do. */
bool child_reports(void (*body)(void *), void *arg, const char *report);

/* A set of addresses: put is false when it was there already, drop when it was not. At most a million. */
bool set_put(const void *p);
bool set_drop(const void *p);

/* Bytes of the slot that holds n requested bytes, header included; 0 where there is none (a large chunk,
 * or the allocator is not moat). */
size_t slot_bytes(size_t n);

#ifdef __cplusplus
}
#endif

#endif
