/* The SIGSEGV handler: a report where the fault is a bug that moat knows something of. */
#ifndef MO_FRONT_FAULT_H
#define MO_FRONT_FAULT_H

/* Part of start-up, before the sealed page is closed: installs the handler, as option handle_segv says. */
void mo_fault_start(void);

/* The first chunk has been sampled: with handle_segv=late the handler goes in front of the program's own. */
void mo_fault_sampled(void);

#endif
