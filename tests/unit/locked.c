/* Pages that a program has locked, or made inaccessible, inside of its chunks: free takes them as they are. The kernel
 * refuses guard markers for a locked page after it has set those before it. */
#include <sys/mman.h>

#include "arena/bin.h"
#include "child.h"
#include "front/front.h"

enum { COUNT = 4000, SIZE = 1000 };

static size_t page;

static void set_up(void)
{
    mo_front_start();
    page = mo_sealed.features.page;
}

TestSuite(locked, .init = set_up);

static void *take(size_t n)
{
    void *p = mo_allocate(n, MO_ORIGIN_MALLOC);
    cr_assert_not_null(p);
    cr_assert(all_are((uintptr_t)p, n, 0), "%zu bytes are not zero", n);
    memset(p, 1, n);
    return p;
}

static void lock_page_of(void *p)
{
    cr_assert_eq(mlock((void *)mo_align_down((uintptr_t)p, page), page), 0);
}

Test(locked, small_chunks)
{
    static void *all[COUNT];
    for (size_t locked = 500; locked < COUNT; locked += 1000) {
        for (size_t i = 0; i < COUNT; i++)
            all[i] = take(SIZE);
        lock_page_of(all[locked]);
        for (size_t round = 0; round < 3; round++) {
            for (size_t i = 0; i < COUNT; i++)
                mo_release(all[i], MO_ORIGIN_MALLOC);
            (void)mo_front_purge();
            for (size_t i = 0; i < COUNT; i++)
                all[i] = take(SIZE);
        }
        for (size_t i = 0; i < COUNT; i++)
            mo_release(all[i], MO_ORIGIN_MALLOC);
    }
}

/* What can't be given back is not tried again at each flush. */
Test(locked, spares_that_stay)
{
    static void *all[COUNT];
    mo_front_purge();
    for (size_t i = 0; i < COUNT; i++)
        all[i] = take(SIZE);
    for (size_t i = 0; i < COUNT; i += 16)
        cr_assert_eq(munlock(all[i], SIZE), 0);
    for (size_t i = 0; i < COUNT; i += 50)
        lock_page_of(all[i]);
    for (size_t i = 0; i < COUNT; i++)
        mo_release(all[i], MO_ORIGIN_MALLOC);
    mo_front_purge();
    cr_assert(mo_spare_bytes > 0, "all was given back");
    cr_assert(!mo_spares_exceed());
}

Test(locked, chunks_of_no_bytes_are_no_spares)
{
    static void *all[COUNT];
    mo_front_purge();
    size_t before = mo_spare_bytes;
    for (size_t i = 0; i < COUNT; i++)
        cr_assert_not_null(all[i] = mo_allocate(0, MO_ORIGIN_MALLOC));
    for (size_t i = 0; i < COUNT; i++)
        mo_release(all[i], MO_ORIGIN_MALLOC);
    mo_front_purge();
    cr_assert(mo_spare_bytes <= before, "%zu bytes of %zu before", mo_spare_bytes, before);
}

Test(locked, large_chunks)
{
    for (size_t at = 0; at < 8; at++) {
        uint8_t *p = take(16 * 65536);
        lock_page_of(p + at * 65536);
        mo_release(p, MO_ORIGIN_MALLOC);
        cr_assert(mo_sealed.options.guards == MO_GUARDS_OFF || !can_read((uintptr_t)p));
    }
    uint8_t *p = take(16 * 65536);
    lock_page_of(p + 12 * 65536);
    p = mo_resize(p, 8 * 65536); /* in place: what is shut holds the locked page */
    cr_assert(all_are((uintptr_t)p, 8 * 65536, 1));
    p = mo_resize(p, 16 * 65536);
    cr_assert(all_are((uintptr_t)p + 8 * 65536, 8 * 65536, 0));
    mo_release(p, MO_ORIGIN_MALLOC);
}

/* Stacks with guard pages, in one chunk. */
Test(locked, inaccessible_pages_of_a_large_chunk)
{
    enum { STACKS = 16, EACH = 65536 };
    for (size_t round = 0; round < 4; round++) {
        uint8_t *p = mo_allocate_aligned(STACKS * EACH, page, MO_ORIGIN_MALLOC);
        cr_assert_not_null(p);
        memset(p, 1, STACKS * EACH);
        for (size_t i = 0; i < STACKS; i++)
            cr_assert_eq(mprotect(p + i * EACH, page, PROT_NONE), 0);
        mo_release_aligned(p, page, MO_ORIGIN_MALLOC);
    }
}
