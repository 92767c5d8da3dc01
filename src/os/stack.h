/* Call stacks, for reports and for chunks that keep where they were made. */
#ifndef MO_STACK_H
#define MO_STACK_H

#include "base/base.h"

enum { MO_STACK_MOST = 16 };

/* Return addresses, innermost first; the first is in the program or library that called moat. */
struct mo_stack {
    uint32_t thread; /* its number in the system */
    uint32_t count;  /* of frames; 0: not known */
    uintptr_t frames[MO_STACK_MOST];
};

/* The calling thread's stack, without the innermost `skip` frames that lie in moat itself. Allocates nothing and takes
 * no lock of moat's. */
void mo_stack_take(struct mo_stack *s);

/* The stack of the code that a signal has interrupted. */
void mo_stack_of_context(struct mo_stack *s, const void *ucontext);

#endif
