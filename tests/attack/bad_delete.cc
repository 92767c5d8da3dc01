/* P3: what is deleted was never allocated, or not at this address.
 * WHAT: stack, global, mmap, interior or `null`, the twin.
 * ROUTINE: delete, delete[], delete-sized, delete-aligned, free-sized or free-aligned-sized (C23). */
#include <new>

#include <sys/mman.h>

#include "attack.h"

extern "C" void free_sized(void *, size_t) __attribute__((weak));
extern "C" void free_aligned_sized(void *, size_t, size_t) __attribute__((weak));

static char global[256] __attribute__((aligned(64)));

int main(int argc, char **argv)
{
    (void)argc;
    char stack[256] __attribute__((aligned(64))) = {1};
    const std::align_val_t align{64};
    const size_t size = 100;
    char *p = nullptr;
    if (word_is(argv, 1, "stack"))
        p = stack + 64;
    else if (word_is(argv, 1, "global"))
        p = global + 64;
    else if (word_is(argv, 1, "mmap"))
        p = static_cast<char *>(mmap(nullptr, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) + 64;
    else if (word_is(argv, 1, "interior"))
        p = static_cast<char *>(take(1000)) + 64;
    step("free");
    void *q = hide(p);
    if (strncmp(word(argv, 2), "free-", 5) == 0 && free_sized == nullptr)
        not_here("no free_sized");
    else if (word_is(argv, 2, "delete"))
        operator delete(q);
    else if (word_is(argv, 2, "delete[]"))
        operator delete[](q);
    else if (word_is(argv, 2, "delete-sized"))
        operator delete(q, size);
    else if (word_is(argv, 2, "delete-aligned"))
        operator delete(q, align);
    else if (word_is(argv, 2, "free-sized"))
        free_sized(q, size);
    else if (word_is(argv, 2, "free-aligned-sized"))
        free_aligned_sized(q, size_t(align), size);
    else
        fail("ROUTINE is no %s", word(argv, 2));
    return finish();
}
