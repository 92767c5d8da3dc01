/* P14: options, keys and base pointers can't be changed, nor made changeable.
 * OFFSET SIZE HOW: where the sealed page lies in the library; `write PAGE` writes to that page of it, `mprotect`,
 * `munmap` and `remap` try to get round it; `read`, the twin, only reads. */
#define _GNU_SOURCE
#include "attack.h"

#include <dlfcn.h>
#include <errno.h>
#include <sys/mman.h>
#include <sys/syscall.h>

static bool kernel_seals(size_t page)
{
    void *p = mmap(NULL, page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return syscall(462, p, page, 0UL) == 0;
}

int main(int argc, char **argv)
{
    (void)argc;
    Dl_info library;
    size_t page = (size_t)sysconf(_SC_PAGESIZE), size = number(argv, 2);
    churn(100, 10);
    if (!dladdr(dlsym(RTLD_DEFAULT, "malloc"), &library))
        fail("no library holds malloc");
    char *sealed = (char *)library.dli_fbase + number(argv, 1);
    if ((uintptr_t)sealed % page || size % page || all_bytes(sealed, 0, size))
        fail("%s: no sealed page at %p", library.dli_fname, (void *)sealed);
    step(word(argv, 3));
    if (word_is(argv, 3, "write"))
        sealed[number(argv, 4) * page + 8] ^= 1;
    errno = 0;
    if (word_is(argv, 3, "mprotect") && kernel_seals(page)) {
        if (mprotect(sealed, size, PROT_READ | PROT_WRITE) == 0 || errno != EPERM)
            fail("mprotect: %s", strerror(errno));
    } else if (word_is(argv, 3, "munmap") && kernel_seals(page)) {
        if (munmap(sealed, size) == 0 || errno != EPERM)
            fail("munmap: %s", strerror(errno));
    } else if (word_is(argv, 3, "remap") && kernel_seals(page)) {
        if (mmap(sealed, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED ||
            errno != EPERM)
            fail("mmap: %s", strerror(errno));
    }
    return finish();
}
