/* A C program loads no C++ runtime for moat's sake; a C++ plugin that it loads later gets its exceptions all the
 * same. The argument is the plugin. */
#include <stdio.h>

#include "life.h"

static bool is_mapped(const char *name)
{
    char line[4096];
    bool found = false;
    FILE *f = fopen("/proc/self/maps", "r");
    require(f != NULL, "/proc/self/maps");
    while (fgets(line, sizeof line, f) != NULL)
        found = found || strstr(line, name) != NULL;
    fclose(f);
    return found;
}

int main(int argc, char **argv)
{
    require(argc == 2, "no plugin named");
    require_moat();
    require(is_mapped("libmoat"), "moat is not preloaded");
    require(!is_mapped("libstdc++") && !is_mapped("libc++") && !is_mapped("libgcc_s"), "a C++ runtime was loaded");
    void *library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    require(library != NULL, "dlopen");
    int (*plugin_try)(void) = (int (*)(void))dlsym(library, "plugin_try");
    require(plugin_try != NULL, "dlsym");
    int wrong = plugin_try();
    if (wrong != 0)
        fprintf(stderr, "plugin_try: %d\n", wrong);
    return wrong;
}
