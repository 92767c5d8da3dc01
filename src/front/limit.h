/* Limits that a fuzzer sets: the largest single allocation, resident memory. What is beyond fails with ENOMEM, or with
 * allocator_may_return_null=no is reported. */
#ifndef MO_LIMIT_H
#define MO_LIMIT_H

#include "base/base.h"

/* May n bytes more not be given out? None before start-up has its memory. Called on slow paths alone; resident memory
 * is asked for at times. */
bool mo_limit_refuses(size_t n);

/* An allocation has failed: comes back only if that may be told by NULL. */
void mo_limit_failed(void);

#endif
