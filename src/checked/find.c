/* libc's functions by the loader: libmoat-checked.so. */
#include "checked/real.h"

#include <dlfcn.h>

/* Its address is 0 until the loader has relocated this library, and a call of it would go nowhere. */
#pragma weak dlsym

bool mo_real_ready(void)
{
    return &dlsym != NULL;
}

static void find(void **place, const char *name)
{
    __atomic_store_n(place, dlsym(RTLD_NEXT, name), __ATOMIC_RELEASE);
}

void mo_real_find(void)
{
#define REAL(result, name, parameters) find((void **)(void *)&mo_checked.name, #name);
#include "checked/real.def"
#undef REAL
}
