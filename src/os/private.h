/* What the files of os/ share among themselves. */
#ifndef MO_OS_PRIVATE_H
#define MO_OS_PRIVATE_H

#include "base/base.h"

/* Reads what is none of its objects: the address sanitizer forbids parts of it. */
#define MO_ANY_MEMORY __attribute__((no_sanitize("address")))

size_t mo_os_page_size(void);
bool mo_os_probe_guards(void);
bool mo_os_probe_seal(void);
bool mo_os_probe_wipe(void);
uintptr_t mo_os_read_hex(const char **at); /* a number as in /proc/self/maps; *at moves behind it */

#endif
