/* A heap for one purpose, and what is done with it or its chunks after its end. SIZE HOW.
 * `free`, `realloc`, `read`, `write`: a chunk of it; `allocate`, `destroy`: the heap itself; `past`: a byte behind a
 * chunk was changed before the end, which looks at all of them. `live`, the twin: the heap has not ended. */
#include <dlfcn.h>

#include "attack.h"
#include "moat/moat.h"

enum { AROUND = 20, KEPT = 7 };

static moat_heap *(*create)(void);
static void *(*allocate)(moat_heap *, size_t);
static void (*destroy)(moat_heap *);

static void find(void *place, const char *name)
{
    void *symbol = dlsym(RTLD_DEFAULT, name);
    memcpy(place, &symbol, sizeof symbol);
}

static void *get(moat_heap *heap, size_t n)
{
    void *p = allocate != NULL ? allocate(heap, n) : malloc(n);
    if (p == NULL)
        fail("no memory");
    return p;
}

static int live(moat_heap *heap, char *p, size_t size)
{
    step("use");
    memset(p, 0x41, size);
    p = realloc(p, size + 1);
    if (p == NULL || p[size - 1] != 0x41)
        fail("not the chunk's bytes");
    free(p);
    free(get(heap, size));
    if (destroy != NULL)
        destroy(heap);
    return finish();
}

static void after(moat_heap *heap, char *p, const char *how, size_t size)
{
    step(how);
    if (strcmp(how, "free") == 0)
        free(p);
    else if (strcmp(how, "realloc") == 0)
        (void)hide(realloc(p, size + 1));
    else if (strcmp(how, "read") == 0)
        (void)*(volatile char *)(p + size / 2);
    else if (strcmp(how, "write") == 0)
        *(volatile char *)(p + size / 2) = 1;
    else if (strcmp(how, "allocate") == 0)
        (void)get(heap, size);
    else if (strcmp(how, "destroy") == 0)
        destroy(heap);
}

int main(int argc, char **argv)
{
    (void)argc;
    size_t size = number(argv, 1);
    char *chunks[AROUND];
    find(&create, "moat_heap_create");
    find(&allocate, "moat_heap_malloc");
    find(&destroy, "moat_heap_destroy");
    moat_heap *heap = create != NULL ? create() : NULL;
    for (int i = 0; i < AROUND; i++)
        chunks[i] = get(heap, size);
    char *p = hide(chunks[KEPT]);
    if (word_is(argv, 2, "live"))
        return live(heap, p, size);
    if (heap == NULL)
        not_here("heaps");
    step("change");
    if (word_is(argv, 2, "past"))
        p[size] ^= 1;
    step("ending");
    destroy(heap);
    after(heap, p, word(argv, 2), size);
    return finish();
}
