#ifndef CONFINE_H
#define CONFINE_H

#include <stdbool.h>

/* sshd, chromium, mlockall or chroot: from now on for this process. False: it can't be had. */
bool confine(const char *how);

#endif
