/* P4: sizes that overflow when something is added to them, or multiplied: refused, never a chunk that is too small.
 * HOW: `malloc`, `calloc`, `realloc`, `reallocarray`, `aligned`; `fit`, the twin: the largest products that fit. */
#define _GNU_SOURCE
#include "attack.h"

#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>

static void refused(void *p, const char *what, size_t n)
{
    if (p)
        fail("%s of %#zx bytes gave %p", what, n, p);
    if (errno != ENOMEM && errno != EINVAL)
        fail("%s of %#zx bytes: errno %d", what, n, errno);
    errno = 0;
}

/* n lies near the top of the numbers: any header, rounding or guard makes it small. */
static void try_size(const char *how, size_t n)
{
    static char *live;
    void *p = NULL;
    if (strcmp(how, "malloc") == 0) {
        refused(malloc(n), "malloc", n);
    } else if (strcmp(how, "calloc") == 0) {
        refused(calloc(1, n), "calloc", n);
        refused(calloc(n, 1), "calloc", n);
    } else if (strcmp(how, "realloc") == 0) {
        live = live ? live : memset(take(100), 0x55, 100);
        refused(realloc(live, n), "realloc", n);
        if (!all_bytes(live, 0x55, 100))
            fail("a refused realloc changed the chunk");
    } else if (strcmp(how, "aligned") == 0) {
        for (size_t align = 16; align <= (size_t)1 << 20; align *= 4) {
            refused(aligned_alloc(align, n), "aligned_alloc", n);
            refused(memalign(align, n), "memalign", n);
            errno = posix_memalign(&p, align, n);
            refused(p, "posix_memalign", n);
        }
        refused(valloc(n), "valloc", n);
        void *(*pages)(size_t),
            *found = dlsym(RTLD_DEFAULT, "pvalloc"); /* not musl's, which the program is linked with */
        if (!found)
            fail("no pvalloc");
        memcpy(&pages, &found, sizeof pages);
        refused(pages(n), "pvalloc", n);
    }
}

/* Products that are small modulo 2^64 (or 2^32), or just over the top. */
static void try_products(bool array)
{
    static const size_t small[] = {0, 1, 8, 16, 100, 4096};
    for (size_t shift = 1; shift < 8 * sizeof(size_t); shift++)
        for (size_t i = 0; i < sizeof small / sizeof *small; i++) {
            size_t m = (size_t)1 << shift, n = SIZE_MAX / m + 1 + small[i];
            if (n <= SIZE_MAX / m) /* with what is added it wrapped itself */
                continue;
            refused(array ? reallocarray(NULL, m, n) : calloc(m, n), "a product", m * n);
            refused(array ? reallocarray(NULL, n, m) : calloc(n, m), "a product", m * n);
        }
}

int main(int argc, char **argv)
{
    (void)argc;
    const char *how = word(argv, 1);
    step("size");
    if (strcmp(how, "fit") == 0) {
        for (size_t n = 1; n <= 1 << 20; n *= 2) {
            char *p = calloc(n, ((size_t)1 << 20) / n), *q = reallocarray(NULL, ((size_t)1 << 20) / n, n);
            if (!p || !q || !all_bytes(p, 0, (size_t)1 << 20))
                fail("calloc or reallocarray of %zu times what makes a mebibyte", n);
            memset(q, 0x41, (size_t)1 << 20);
            free(p);
            free(q);
        }
        return finish();
    }
    errno = 0;
    for (size_t k = 0; k < 70000; k = k < 5000 ? k + 1 : k + 61) {
        try_size(how, SIZE_MAX - k);
        try_size(how, (size_t)PTRDIFF_MAX + 1 + k);
    }
    if (strcmp(how, "calloc") == 0 || strcmp(how, "reallocarray") == 0)
        try_products(strcmp(how, "reallocarray") == 0);
    return finish();
}
