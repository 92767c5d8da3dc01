/* Call stacks, for reports and for chunks that keep where they were made. */
#ifndef MO_STACK_H
#define MO_STACK_H

#include "base/base.h"

enum { MO_STACK_MOST = 16 };

/* Return addresses, innermost first; the first is in the program or library that called moat. Of code that a signal
 * has interrupted, the first is the interrupted instruction's address + 1, so that each address - 1 lies in what was
 * being executed. */
struct mo_stack {
    uint32_t thread; /* its number in the system */
    uint16_t count;  /* of frames; 0: not known */
    uint8_t most;    /* of frames that are kept */
    uint8_t guessed; /* not followed from frame to frame: some may be left over from earlier calls */
    uintptr_t frames[MO_STACK_MOST];
};

/* Learns where the first thread's stack ends. */
void mo_stack_start(void);

/* At most `most` frames, up to MO_STACK_MOST, of the calling thread's stack, without the innermost ones that lie in
 * libmoat.so itself. Allocates nothing, takes no lock, never faults, leaves errno. */
void mo_stack_take(struct mo_stack *s, size_t most);

/* The stack of the code that a signal has interrupted. */
void mo_stack_of_context(struct mo_stack *s, const void *ucontext);

#endif
