/* What libmoat-fuzz.so does beyond libmoat.so: the places where the rest of moat asks for it.
 *
 * Each is weak here and does nothing; src/fuzzing has the others, and the linker takes those where it has both. So
 * nothing is asked at run time, and there is no pointer that could be overwritten. All are on slow paths. */
#ifndef MO_EXTRA_H
#define MO_EXTRA_H

#include "diag/option_text.h"
#include "diag/options.h"

/* The profile that holds where none is named: MO_PROFILE_FUZZ in libmoat-fuzz.so. */
extern const size_t mo_extra_profile;

/* Does an allocation of n bytes go without guards, because its caller has had many? caller: its return address; frame:
 * where on the stack that lies. */
bool mo_extra_passes(size_t n, uintptr_t caller, uintptr_t frame);

/* Sets the options that are others under AFL++; variable: the environment. */
void mo_extra_afl(struct mo_options *o, mo_option_variable *variable);

/* A new chunk of n bytes, all zero, or NULL: writes what options malloc_fill_byte and max_malloc_fill_size say. */
void mo_extra_fill(void *p, size_t n);

#endif
