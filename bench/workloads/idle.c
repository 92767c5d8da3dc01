/* What an idle process weighs, after one allocation: resident memory, page tables and mappings. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Prints the fields of /proc/self/status that count memory, then the number of mappings. */
int main(void)
{
    void *volatile p = malloc(100);
    free(p);
    static char line[512];
    static char buffer[8192];
    FILE *status = fopen("/proc/self/status", "r");
    FILE *maps = fopen("/proc/self/maps", "r");
    if (!status || !maps)
        return 1;
    setvbuf(maps, buffer, _IOFBF, sizeof buffer);
    while (fgets(line, sizeof line, status))
        if (!strncmp(line, "VmRSS:", 6) || !strncmp(line, "RssAnon:", 8) || !strncmp(line, "VmPTE:", 6) ||
            !strncmp(line, "VmSize:", 7))
            fputs(line, stdout);
    unsigned long mappings = 0;
    while (fgets(line, sizeof line, maps))
        mappings++;
    printf("Mappings: %lu\n", mappings);
    return 0;
}
