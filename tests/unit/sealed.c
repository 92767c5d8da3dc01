/* The sealed page: readable, and nothing writes to it or changes its mapping after start. */
#include <sys/mman.h>

#include "child.h"
#include "diag/sealed.h"
#include "front/front.h"

static void set_up(void)
{
    mo_front_start();
}

TestSuite(sealed, .init = set_up);

Test(sealed, is_whole_pages)
{
    uintptr_t at = (uintptr_t)&mo_sealed_page;
    cr_assert_eq(at % mo_sealed.features.page, 0);
    cr_assert_eq(sizeof mo_sealed_page % mo_sealed.features.page, 0, "a neighbour would be read-only too");
    cr_assert_geq(sizeof mo_sealed_page, sizeof(struct mo_sealed_data));
    cr_assert_eq((uintptr_t)mo_sealed.classes % MO_CACHE_LINE, 0);
    cr_assert_eq((uintptr_t)mo_sealed.aes_keys % 16, 0);
}

/* P14. */
Test(sealed, cannot_be_written)
{
    const uintptr_t places[] = {(uintptr_t)&mo_sealed,          (uintptr_t)mo_sealed.aes_keys,
                                (uintptr_t)mo_sealed.sip_key,   (uintptr_t)&mo_sealed.options,
                                (uintptr_t)mo_sealed.classes,   (uintptr_t)&mo_sealed.shards,
                                (uintptr_t)&mo_sealed.features, (uintptr_t)(&mo_sealed_page + 1) - 1};
    for (size_t i = 0; i < MO_ARRAY_LEN(places); i++)
        cr_assert(faults(touch_write, places[i]));
    for (size_t at = 0; at < sizeof mo_sealed_page; at += 4096)
        cr_assert(!can_write((uintptr_t)&mo_sealed_page + at) && can_read((uintptr_t)&mo_sealed_page + at));
}

Test(sealed, its_mapping_cannot_be_changed)
{
    if (!mo_sealed.features.mseal) {
        /* Weaker, as the header says: read-only, but the kernel would let itself be asked. */
        cr_assert(mo_os_read_only(&mo_sealed_page, sizeof mo_sealed_page));
        return;
    }
    void *at = &mo_sealed_page;
    size_t size = sizeof mo_sealed_page;
    cr_assert_eq(mprotect(at, size, PROT_READ | PROT_WRITE), -1);
    cr_assert_eq(munmap(at, size), -1);
    cr_assert_eq(madvise(at, size, MADV_DONTNEED), -1);
    cr_assert_eq(mmap(at, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0), MAP_FAILED);
    void *elsewhere = mo_os_reserve(0, size, mo_sealed.features.page);
    cr_assert_eq(mremap(at, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, elsewhere), MAP_FAILED);
    cr_assert(mo_sealed.ready && mo_sealed.heap_size != 0);
}

static void write_in_child(void *argument)
{
    (void)argument;
    *(volatile uint8_t *)&mo_sealed.fence = 0x83;
}

Test(sealed, holds_in_a_forked_child)
{
    cr_assert_eq(run_child(write_in_child, NULL).signal, SIGSEGV);
}
