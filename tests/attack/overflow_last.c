/* P4: writes past the end of the last chunk of its slab, behind which there is no other chunk's header.
 * SIZE COUNT: bytes changed; 0 is the twin. */
#include "attack.h"

enum { MOST = 4096 };

int main(int argc, char **argv)
{
    (void)argc;
    size_t size = number(argv, 1), count = number(argv, 2), slot = slot_bytes(size);
    static char *chunks[MOST];
    size_t n = size < 5000 ? MOST : MOST / 64, page = (size_t)sysconf(_SC_PAGESIZE), nearest = page + slot;
    char *last = NULL;
    for (size_t i = 0; i < n; i++)
        chunks[i] = take(size);
    for (size_t i = 0; i < n && slot; i++) {
        size_t room = distance_to_fault(chunks[i] - 8 + slot, 8, nearest, false);
        if (room < nearest) {
            nearest = room;
            last = chunks[i];
        }
    }
    if (!last)
        not_here("no chunk of %zu bytes is the last before a guard", size);
    step("write");
    for (size_t i = 0; i < count; i++)
        ((volatile char *)last)[size + i] ^= 0x20;
    step("free");
    free(last);
    step("neighbours");
    for (size_t i = 0; i < n; i++)
        if (chunks[i] != last)
            free(chunks[i]);
    return finish();
}
