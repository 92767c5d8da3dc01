#include "diag/extra.h"

#define WEAK __attribute__((weak))

extern const size_t mo_extra_profile WEAK;
const size_t mo_extra_profile = MO_PROFILE_PRODUCTION;

WEAK bool mo_extra_passes(size_t n, uintptr_t caller, uintptr_t frame)
{
    (void)n;
    (void)caller;
    (void)frame;
    return false;
}

WEAK void mo_extra_afl(struct mo_options *o, mo_option_variable *variable)
{
    (void)o;
    (void)variable;
}

WEAK void mo_extra_fill(void *p, size_t n)
{
    (void)p;
    (void)n;
}
