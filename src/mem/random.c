#include "mem/random.h"

#include <sodium.h>
#include <string.h>

#include "diag/sealed.h"

const uint32_t mo_random_none[2]; /* no more of a stream is looked at: `left` and `seeded` */

/* A key from the kernel, or from option `seed` and a count of the streams for repeatable runs. */
static void reseed(struct mo_random *r)
{
    static uint32_t streams;
    if (mo_sealed.options.seed == 0) {
        (void)mo_os_entropy(r->key, sizeof r->key);
    } else {
        uint64_t words[4] = {mo_sealed.options.seed, __atomic_add_fetch(&streams, 1, __ATOMIC_RELAXED), 0, 0};
        memcpy(r->key, words, sizeof words);
    }
    r->seeded = 1;
}

void mo_random_refill(struct mo_random *r)
{
    static const uint8_t nonce[crypto_stream_chacha20_NONCEBYTES];
    _Static_assert(sizeof r->key == crypto_stream_chacha20_KEYBYTES, "ChaCha20's key");
    _Static_assert(offsetof(struct mo_random, bytes) == offsetof(struct mo_random, key) + sizeof r->key,
                   "one stream fills key and bytes");
    if (!r->seeded)
        reseed(r);
    uint8_t key[sizeof r->key];
    memcpy(key, r->key, sizeof key);
    crypto_stream_chacha20(r->key, sizeof r->key + sizeof r->bytes, nonce, key);
    sodium_memzero(key, sizeof key);
    /* A draw of one byte reads two, so the last one is in nobody's draw. */
    r->left = MO_RANDOM_BYTES - 1 - r->bytes[MO_RANDOM_BYTES - 1] % MO_RANDOM_LEFT_OUT;
}
