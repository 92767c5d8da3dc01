/* A large heap, half of its bytes in chunks of up to 64 KiB, half in larger ones up to 16 MiB; only a byte at each end
 * of a chunk is written. Prints what it takes: mappings and KiB. usage: heap MIB */
#include "weigh.h"

static void fill(size_t wanted, size_t lowest, size_t highest, struct work_random *r)
{
    size_t got = 0;
    while (got < wanted) {
        size_t size = work_even_size(r, lowest, highest);
        unsigned char *p = work_alloc(size);
        p[0] = p[size - 1] = 1;
        got += size;
    }
}

int main(int argc, char **argv)
{
    size_t half = (argc > 1 ? strtoul(argv[1], NULL, 10) : 1024) << 19;
    struct work_random r = work_seed(22);
    fill(half, 16, 64 << 10, &r);
    fill(half, 128 << 10, 16 << 20, &r);
    printf("Mappings: %zu\nRss: %zu\nVmPTE: %zu\nVmSize: %zu\n", weigh_mappings(), weigh_rss(), weigh_page_tables(),
           weigh_field("/proc/self/status", "VmSize:"));
    return 0;
}
