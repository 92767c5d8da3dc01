/* The smallest stack for signal handlers that the kernel takes. musl's sysconf does not know. */
#ifndef STACK_SIZE_H
#define STACK_SIZE_H

#include <signal.h>
#include <stddef.h>
#include <sys/auxv.h>
#include <unistd.h>

static inline size_t least_signal_stack(void)
{
#ifdef _SC_MINSIGSTKSZ
    return (size_t)sysconf(_SC_MINSIGSTKSZ);
#else
    size_t told = getauxval(AT_MINSIGSTKSZ);
    return told > MINSIGSTKSZ ? told : MINSIGSTKSZ;
#endif
}

#endif
