/* The functions that libsodium's ChaCha20 and SipHash call in the rest of libsodium.
 *
 * Defined here, hidden, so that the linker takes from libsodium.a only those two ciphers: 12 KiB of text
 * instead of 199 KiB, and none of the code that opens files, locks or allocates.
 */
#include <sodium.h>
#include <string.h>

#include "diag/report.h"
#include "diag/sealed.h"
#include "mem/random.h"

/* A contract of libsodium was broken: moat's own bug. */
void sodium_misuse(void)
{
    mo_panic("libsodium was called against its contract");
}

/* Only reached by key generators that moat does not call. */
void randombytes_buf(void *const buf, const size_t size)
{
    (void)buf;
    (void)size;
    mo_panic("libsodium asked for randomness of its own");
}

/* What libsodium asks when it chooses a form of ChaCha20. Its own answer takes several CPUID instructions, each an exit
 * from a virtual machine; moat knows of SSSE3 and AES together (os/process.c). That form takes a fifth of the
 * instructions of the portable one. */
int sodium_runtime_has_ssse3(void)
{
    return mo_sealed.features.aes;
}

int sodium_runtime_has_avx2(void)
{
    return 0;
}

/* The form of ChaCha20 that is therefore never chosen: five KiB of text that the linker would take for its address. */
extern const void *const crypto_stream_chacha20_dolbeau_avx2_implementation;
const void *const crypto_stream_chacha20_dolbeau_avx2_implementation;

/* Part of sodium_init, which also opens files and takes locks. */
int _crypto_stream_chacha20_pick_best_implementation(void);

void mo_random_start(void)
{
    (void)_crypto_stream_chacha20_pick_best_implementation();
}

/* Not explicit_bzero: in a forked child, which draws a new key, each page of libc's code is a page fault. */
void sodium_memzero(void *const p, const size_t n)
{
    memset(p, 0, n);
    __asm__ volatile("" : : "r"(p) : "memory");
}
