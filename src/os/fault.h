/* Faults: the signal that the kernel sends for a bad access, and what the program had for it. */
#ifndef MO_FAULT_H
#define MO_FAULT_H

#include <signal.h>

#include "os/os.h"

/* Makes `handler` the process's handler of SIGSEGV, on a thread's alternate stack if it has one; what was there before
 * is kept for mo_os_fault_pass. *chained: that was not the default. False: refused. */
bool mo_os_fault_catch(void (*handler)(int, siginfo_t *, void *), bool *chained);

/* Was it a bad access at info->si_addr, not a signal from elsewhere? */
bool mo_os_fault_is_access(const siginfo_t *info);

/* Was it an access by a pointer of another tag than the memory's? One that is told late has no address, but 0. */
bool mo_os_fault_is_tag(const siginfo_t *info);
bool mo_os_fault_is_late(const siginfo_t *info);

/* The pointer of such an access, by its instruction, as si_addr has no tag. 0: it can't be told. */
uintptr_t mo_os_fault_pointer(const void *ucontext);

/* What the access was, from the CPU's error code. */
enum mo_os_access { MO_OS_UNKNOWN, MO_OS_READ, MO_OS_WRITE };
enum mo_os_access mo_os_fault_access(const void *ucontext);

/* The end of a handler: what would have come without it. Chained: the handler of before is called as the kernel would.
 * Else the default is set again, so that a bad access faults once more when the handler returns, with everything as it
 * was for a core file, and ends the process; a signal that was sent is sent again. */
void mo_os_fault_pass(int number, siginfo_t *info, void *ucontext, bool chained);

#endif
