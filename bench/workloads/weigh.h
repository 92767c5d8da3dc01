/* What this process holds, from /proc, without an allocation of its own. */
#ifndef WEIGH_H
#define WEIGH_H

#include "work.h"

#include <fcntl.h>
#include <unistd.h>

/* KiB of a field ("Rss:") of a file of the form of /proc/self/smaps_rollup, which unlike VmRSS is exact. */
static inline size_t weigh_field(const char *path, const char *field)
{
    static char text[1 << 14];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    size_t n = 0;
    for (ssize_t got; fd >= 0 && (got = read(fd, text + n, sizeof text - 1 - n)) > 0;)
        n += (size_t)got;
    if (fd >= 0)
        close(fd);
    text[n] = '\0';
    const char *line = strstr(text, field);
    if (!line) {
        fprintf(stderr, "no %s in %s\n", field, path);
        exit(1);
    }
    return strtoul(line + strlen(field), NULL, 10);
}

static inline size_t weigh_rss(void)
{
    return weigh_field("/proc/self/smaps_rollup", "\nRss:");
}

static inline size_t weigh_page_tables(void)
{
    return weigh_field("/proc/self/status", "VmPTE:");
}

static inline size_t weigh_mappings(void)
{
    static char text[1 << 16];
    int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    size_t lines = 0;
    for (ssize_t got; fd >= 0 && (got = read(fd, text, sizeof text)) > 0;)
        for (ssize_t i = 0; i < got; i++)
            lines += text[i] == '\n';
    if (fd >= 0)
        close(fd);
    return lines;
}

#endif
