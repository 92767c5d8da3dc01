/* The three functions that libsodium's ChaCha20 and SipHash call in the rest of libsodium.
 *
 * Defined here, hidden, so that the linker takes from libsodium.a only those two ciphers: 17 KiB of text
 * instead of 199 KiB, and none of the code that opens files, locks or allocates.
 */
#include <sodium.h>
#include <string.h>

#include "diag/report.h"

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

void sodium_memzero(void *const p, const size_t n)
{
    explicit_bzero(p, n);
}
