/* Where code is: what call stacks are made of. Allocates nothing, takes no lock, never faults. */
#ifndef MO_CODE_H
#define MO_CODE_H

#include "base/base.h"

/* Learns where the program starts. */
void mo_code_start(void);

/* Whether a call may return to pc: it lies in a loaded object, right behind a call instruction. */
bool mo_code_is_return(uintptr_t pc);

/* Whether pc lies in libmoat.so; never where moat is part of the program itself. */
bool mo_code_is_own(uintptr_t pc);

/* The .eh_frame_hdr of the object that pc lies in, and the object's start and end; NULL: not known. */
const unsigned char *mo_code_tables(uintptr_t pc, uintptr_t *low, uintptr_t *high);

#endif
