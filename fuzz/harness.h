/* What each harness gives to its driver: AFL++'s, libFuzzer's, or driver.c. */
#ifndef FUZZ_HARNESS_H
#define FUZZ_HARNESS_H

#include <stddef.h>
#include <stdint.h>

/* One input. Returns 0; what is wrong ends in abort(). */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Operations so far: inputs, or what the harness counts. */
extern uint64_t fuzz_operations;

/* The longest input worth trying, in bytes; and whether random bytes are good inputs, or only mutated seeds. */
extern const size_t fuzz_longest;
extern const int fuzz_takes_noise;

#endif
