/* A library that is loaded late: allocates in its constructor, frees in its destructor. */
#include "life.h"

static struct kept kept;
static __thread char *local;

__attribute__((constructor)) static void construct(void)
{
    keep(&kept);
}

__attribute__((destructor)) static void destruct(void)
{
    let_go(&kept);
}

/* The caller frees it. */
__attribute__((visibility("default"))) void *plugin_make(size_t n);
void *plugin_make(size_t n)
{
    if (local == NULL)
        local = malloc(10);
    char *old = local;
    local = malloc(20);
    free(old);
    void *p = malloc(n);
    if (p != NULL)
        fill(p, n, 3);
    return p;
}

__attribute__((visibility("default"))) void plugin_end(void);
void plugin_end(void)
{
    free(local);
    local = NULL;
}
