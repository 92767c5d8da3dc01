/* P12: a chunk is released by a routine that does not belong to the one that made it.
 * SIZE MADE RELEASED: MADE is malloc, memalign, new, new[] or new-aligned; RELEASED is free, realloc, delete, delete[],
 * delete-aligned, or one of the last three with a size: sized, or with a wrong one: missized, or misaligned; C23's
 * free-sized and free-aligned-sized, and their missized and misaligned. */
#include <new>

#include "attack.h"

static const std::align_val_t ALIGN{64}, OTHER_ALIGN{128};

extern "C" void free_sized(void *, size_t) __attribute__((weak));
extern "C" void free_aligned_sized(void *, size_t, size_t) __attribute__((weak));

static void *make(char **argv, size_t size)
{
    if (word_is(argv, 2, "malloc"))
        return malloc(size);
    if (word_is(argv, 2, "memalign"))
        return aligned_alloc(size_t(ALIGN), size);
    if (word_is(argv, 2, "new"))
        return operator new(size);
    if (word_is(argv, 2, "new[]"))
        return operator new[](size);
    if (word_is(argv, 2, "new-aligned"))
        return operator new(size, ALIGN);
    fail("MADE is no %s", word(argv, 2));
}

static void release(char **argv, void *p, size_t size)
{
    if (word_is(argv, 3, "free"))
        free(p);
    else if (strncmp(word(argv, 3), "free-", 5) == 0 && free_sized == nullptr)
        not_here("no free_sized");
    else if (word_is(argv, 3, "free-sized"))
        free_sized(p, size);
    else if (word_is(argv, 3, "free-missized"))
        free_sized(p, size + 1);
    else if (word_is(argv, 3, "free-aligned-sized"))
        free_aligned_sized(p, size_t(ALIGN), size);
    else if (word_is(argv, 3, "free-aligned-missized"))
        free_aligned_sized(p, size_t(ALIGN), size + 1);
    else if (word_is(argv, 3, "free-aligned-misaligned"))
        free_aligned_sized(p, size_t(OTHER_ALIGN), size);
    else if (word_is(argv, 3, "realloc"))
        free(realloc(p, size + 1000));
    else if (word_is(argv, 3, "delete"))
        operator delete(p);
    else if (word_is(argv, 3, "delete[]"))
        operator delete[](p);
    else if (word_is(argv, 3, "delete-aligned"))
        operator delete(p, ALIGN);
    else if (word_is(argv, 3, "delete-misaligned"))
        operator delete(p, OTHER_ALIGN);
    else if (word_is(argv, 3, "delete-sized"))
        operator delete(p, size);
    else if (word_is(argv, 3, "delete-missized"))
        operator delete(p, size + 1);
    else if (word_is(argv, 3, "delete[]-sized"))
        operator delete[](p, size);
    else if (word_is(argv, 3, "delete[]-missized"))
        operator delete[](p, size + 1);
    else if (word_is(argv, 3, "delete-aligned-sized"))
        operator delete(p, size, ALIGN);
    else if (word_is(argv, 3, "delete-aligned-missized"))
        operator delete(p, size + 1, ALIGN);
    else
        fail("RELEASED is no %s", word(argv, 3));
}

int main(int argc, char **argv)
{
    (void)argc;
    size_t size = number(argv, 1);
    void *p = hide(make(argv, size));
    if (p == nullptr)
        fail("no memory for %zu bytes", size);
    step("release");
    release(argv, p, size);
    return finish();
}
