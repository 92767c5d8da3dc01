/* What a program can ask moat about itself: figures, options, live chunks, and a callback for reports.
 * Build: cc watch.c -lmoat */
#include <moat/moat.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Runs with the heap damaged: write and _exit only. */
static void reported(const struct moat_report *report)
{
    static const char told[] = "told of a report\n";
    if (report->ends && write(STDOUT_FILENO, told, sizeof told - 1) > 0)
        _exit(0);
}

static int add(void *chunk, size_t size, void *sum)
{
    (void)chunk;
    *(size_t *)sum += size;
    return 0;
}

int main(void)
{
    struct moat_stats stats;
    size_t patrol = 0, live = 0;
    char *p = malloc(100);
    if (p == NULL || moat_stats(&stats, sizeof stats) != 0 || moat_option("patrol", &patrol) != 0)
        return 1;
    moat_walk(NULL, add, &live);
    printf("%s, patrol %zu, %zu chunks\n", moat_version(), patrol, stats.live_count);
    if (live < 100 || moat_check_heap() == 0)
        return 1;
    fflush(stdout);
    moat_set_report_callback(reported);
    *(volatile char *)(p + 100) = 1; /* one byte too far */
    free(p);
    return 1;
}
