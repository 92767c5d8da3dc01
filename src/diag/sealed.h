/* The sealed page: everything that steers the allocator and never changes after start.
 *
 * Options, keys, the size class table and the base addresses of all tables. Written once by start-up
 * (front/start.c), then made read-only and sealed, so that a write primitive can't change a key, a base
 * pointer or an option. Readers need no lock; before start all is zero, which every fast path takes for
 * "nothing here is mine" and leaves to its slow half.
 */
#ifndef MO_SEALED_H
#define MO_SEALED_H

#include "base/base.h"
#include "base/tag.h"
#include "diag/options.h"
#include "os/os.h"

/* Size classes: 0 is never used (requests of 0 bytes look there and find nothing ready), then the real
 * ones by growing stride, then the class of malloc(0), whose slots are never accessible. */
enum {
    MO_CLASS_FIRST = 1,
    MO_CLASS_LAST = 48,
    MO_CLASS_ZERO = 49,
    MO_CLASSES = 50,
    MO_CLASS_LARGE = 63, /* in headers only: a mapping of its own */
};

enum {
    MO_AES_ROUNDS = 6,         /* of the header's MAC: see front/chunk.h */
    MO_HEADER = 8,             /* bytes before every payload */
    MO_SMALL_MAX = 131072 + 8, /* largest request that a slab serves */
    MO_TABLE_MAX = 128,   /* largest request whose class is looked up in a table; a smallest step of the hot path */
    MO_MEDIUM_MAX = 1024, /* larger ones may have slots that malloc samples */
    MO_TABLE_SIZE = MO_TABLE_MAX / 8 + 1,
    MO_SLAB_SLOTS = 2048, /* bits for slots in a slab's descriptor */
};

/* Everything about one class that the hot paths read: one cache line. Places in a thread cache are bytes from
 * its start. */
struct mo_class {
    uint32_t stride;    /* bytes of a slot */
    uint32_t fields;    /* of a header: fence and class */
    uint32_t ready_at;  /* the stack of ready slots: its bottom */
    uint32_t ready_end; /* and its top when full */
    uint32_t random_at; /* the random half of the quarantine */
    uint32_t fifo_at;   /* the queue behind it: a ring */
    uint32_t fifo_end;
    uint32_t random_mask; /* entries of the random half, less one */
    uint8_t word_shift;   /* slot >> word_shift tells the state words of a region's slots apart: log2 of the stride */
    uint8_t draw;         /* random bytes that a draw under random_mask takes */
    uint8_t span_shift;   /* log2 of the bytes from one slab to the next, guard included */
    bool sampled;         /* malloc checks samples of a reused slot, not all of it */
    uint16_t slots;       /* slots of a slab */
    uint32_t slab_bytes;  /* bytes of a slab that are opened: whole pages */
    uint32_t gate_end;    /* the hot path of free is for less ready slots than up to here: ready_end, or 0 for none */
    uint64_t inverse;     /* of the stride: a slot's number without a division, see mo_heap_locate */
} __attribute__((aligned(MO_CACHE_LINE)));
_Static_assert(sizeof(struct mo_class) == MO_CACHE_LINE, "a class is one cache line");

struct mo_granule;
struct mo_slab;
struct mo_shard;

struct mo_sealed_data {
    struct mo_class classes[MO_CLASSES]; /* first: an instruction less to find one */
    /* Where small chunks live. heap_size is 0 before start, so that nothing is taken for one. */
    uintptr_t heap_base;
    size_t heap_size;
    size_t aes_heap_size;        /* heap_size where aes and not tagged, else 0 */
    struct mo_granule *granules; /* one for each granule of the heap */
    uint16_t *states;            /* one for each slot */
    struct mo_slab *slabs;       /* one for each slab */
    struct mo_shard *shards;
    size_t shard_count;
    size_t heaps_most;  /* shards of heaps that there is room for before the others */
    size_t cache_bytes; /* bytes of a thread cache with its arrays */
    bool aes;           /* which MAC: AES rounds, else SipHash */
    bool ready;
    bool fault_chained;              /* the SIGSEGV handler goes on to one of the program's, or is not moat's yet */
    uint8_t fence;                   /* first byte of every header */
    uint8_t small_last;              /* last class that free clears without a call */
    uint8_t class_of[MO_TABLE_SIZE]; /* (request + 7) / 8 -> class */
    uint8_t aes_keys[MO_AES_ROUNDS + 1][16] __attribute__((aligned(16)));
    uint8_t sip_key[16];
    /* What makes tail pattern of an AES block, and the fence: see hot_aes.c. */
    uint8_t tail_and[16] __attribute__((aligned(16)));
    uint8_t tail_or[16] __attribute__((aligned(16)));
    struct mo_options options;
    bool tagged; /* small chunks have memory tags, and the hot path is hot_tagged.c's */
    struct mo_os_features features;
};

#if defined(__x86_64__) || defined(__i386__)
enum { MO_SEALED_PAGE = 4096 };
#else
enum { MO_SEALED_PAGE = 65536 }; /* the largest page of the architectures that have a choice */
#endif

union mo_sealed_page {
    struct mo_sealed_data data;
    char bytes[(sizeof(struct mo_sealed_data) + MO_SEALED_PAGE - 1) / MO_SEALED_PAGE * MO_SEALED_PAGE];
};

_Static_assert(!MO_SMALL || sizeof(struct mo_sealed_data) <= 4096, "each process writes a page of it, not two");

extern union mo_sealed_page mo_sealed_page MO_HIDDEN;
#define mo_sealed (mo_sealed_page.data)

/* Makes the page read-only and seals it. False: the kernel refused, it stays writable. */
bool mo_sealed_close(void) MO_CHECKED;

/* Are small chunks tagged in this process? */
MO_INLINE bool mo_tagged(void)
{
    return MO_TAGS && mo_sealed.tagged;
}

#endif
