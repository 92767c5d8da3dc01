/* From a frame to its caller by the tables that the compiler leaves for exceptions (.eh_frame). For stack.c.
 *
 * libgcc's unwinder takes the loader's locks and may allocate. This one reads the tables where glibc's
 * _dl_find_object says they are, without a lock, and only what describes ordinary frames; whatever it does not know is
 * "lost", never a guess. x86-64 with glibc 2.35 or later; 32-bit powerpc, whose frames are a list, needs no tables;
 * elsewhere every frame is lost. The tables are read-only parts of loaded objects; what is on a stack is read through
 * `mo_unwind_load`, which does not fault. */
#ifndef MO_UNWIND_H
#define MO_UNWIND_H

#include "base/base.h"

#if defined(__x86_64__)
#define MO_UNWIND 1
enum { MO_REG_SP = 7, MO_REG_RA = 16, MO_REGS = 17 };
#else
#define MO_UNWIND 0
enum { MO_REG_SP, MO_REGS };
#endif

/* What was read of a stack, so that the kernel is asked once for each page. */
struct mo_unwind_memory {
    uintptr_t low, high; /* readable without asking */
    uintptr_t page;      /* the last one asked for; 1: none */
};
bool mo_unwind_load(struct mo_unwind_memory *m, uintptr_t at, uintptr_t *value) MO_CHECKED;

struct mo_frame {
    uintptr_t pc; /* the address after the call, or after the first byte of the interrupted instruction */
    uintptr_t reg[MO_REGS];
};

enum mo_unwound { MO_UNWOUND_CALLER, MO_UNWOUND_END, MO_UNWOUND_LOST };

/* Makes *f the frame of its caller. Lost: *f is as before. */
enum mo_unwound mo_unwind_step(struct mo_frame *f, struct mo_unwind_memory *m);

#endif
