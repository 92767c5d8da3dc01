// The only C++ of moat: the nothrow forms of operator new must catch what a new handler throws.
#include "api/new.h"

// All that the compiler refers to here is weak, so that a C program loads libmoat.so without a C++ runtime. Without
// one nothing is thrown, and none of these is reached. Not for link-time optimization, which would part this
// from the references it is about.
__asm__(".weak __cxa_begin_catch\n"
        ".weak __cxa_end_catch\n"
        ".weak _Unwind_Resume\n");
#ifdef __arm__ /* whose assembler takes no weak name as personality routine: see cmake/weaken.sh */
__asm__(".weak __cxa_end_cleanup\n"
        ".weak __cxa_begin_cleanup\n"
        ".weak __cxa_type_match\n");
#else
__asm__(".weak __gxx_personality_v0\n");
#endif

extern "C" __attribute__((cold)) void *mo_new_nothrow_slow(size_t n, size_t align, enum mo_origin origin)
{
    try {
        return mo_new_slow(n, align, origin);
    } catch (...) {
        return nullptr;
    }
}

extern "C" __attribute__((cold)) void *mo_new_nothrow_by(void *(*by)(size_t), size_t n)
{
    try {
        return by(n);
    } catch (...) {
        return nullptr;
    }
}

extern "C" __attribute__((cold)) void *mo_new_nothrow_aligned_by(void *(*by)(size_t, size_t), size_t n, size_t align)
{
    try {
        return by(n, align);
    } catch (...) {
        return nullptr;
    }
}
