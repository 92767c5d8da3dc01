/* operator new without memory: new handlers and std::bad_alloc. Built with -fexceptions: exceptions pass through. */
#include "api/new.h"

#include <dlfcn.h>

#include "base/base.h"
#include "diag/report.h"
#include "front/front.h"

typedef void new_handler(void);

/* std::get_new_handler and std::__throw_bad_alloc, the latter as libstdc++ and newer versions of libc++ name it. */
extern new_handler *get_new_handler(void) __asm__("_ZSt15get_new_handlerv") __attribute__((weak));
extern void throw_bad_alloc(void) __asm__("_ZSt17__throw_bad_allocv") __attribute__((weak));
extern void throw_bad_alloc_libcxx(void) __asm__("_ZNSt3__117__throw_bad_allocEv") __attribute__((weak));

/* Weak: a static program that does not use them need not have them. */
#pragma weak dlopen
#pragma weak dlsym

/* A C program that loads a C++ plugin: the weak references above were bound to nothing before the runtime came.
 * Only finds what is loaded already. */
static void *find_in_runtime(const char *name)
{
    static const char runtimes[][sizeof "libc++_shared.so"] = {"libstdc++.so.6", "libc++.so.1", "libc++_shared.so"};
    if (dlopen == NULL || dlsym == NULL)
        return NULL;
    for (size_t i = 0; i < MO_ARRAY_LEN(runtimes); i++) {
        void *runtime = dlopen(runtimes[i], RTLD_LAZY | RTLD_NOLOAD); /* stays referenced: it is needed now */
        void *found = runtime != NULL ? dlsym(runtime, name) : NULL;
        if (found != NULL)
            return found;
    }
    return NULL;
}

static new_handler *current_handler(void)
{
    new_handler *(*get)(void) = get_new_handler;
    if (get == NULL)
        get = (new_handler * (*)(void)) find_in_runtime("_ZSt15get_new_handlerv");
    return get != NULL ? get() : NULL;
}

static MO_NORETURN void fail(void)
{
    void (*throw_it)(void) = throw_bad_alloc != NULL ? throw_bad_alloc : throw_bad_alloc_libcxx;
    if (throw_it == NULL)
        throw_it = (void (*)(void))find_in_runtime("_ZSt17__throw_bad_allocv");
    if (throw_it == NULL)
        throw_it = (void (*)(void))find_in_runtime("_ZNSt3__117__throw_bad_allocEv");
    if (throw_it != NULL)
        throw_it();
    mo_panic("operator new: out of memory, and no C++ runtime to throw std::bad_alloc with");
}

MO_COLD void *mo_new_slow(size_t n, size_t align, enum mo_origin origin)
{
    if (align != 0 && !mo_is_pow2(align))
        fail();
    for (;;) {
        void *p = align == 0 ? mo_allocate(n, origin) : mo_allocate_aligned(n, align, origin);
        if (p != NULL)
            return p;
        new_handler *handler = current_handler();
        if (handler == NULL)
            fail();
        handler();
    }
}
