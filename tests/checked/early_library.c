/* Code that runs before the loader is done with libmoat-checked.so: the resolver of an IFUNC; then a constructor. */
#include <stdio.h>
#include <string.h>

char early_text[64], early_made[20];
int early_constructed;

static int answer(void)
{
    return 42;
}

static void *resolve(void)
{
    memset(early_text, 'x', sizeof early_text - 1);
    memcpy(early_text, "resolved", 9);
    memmove(early_text + 1, early_text, 9);
    return (void *)answer;
}

int early(void) __attribute__((ifunc("resolve")));
int (*early_pointer)(void) = early; /* relocated with this library, by a call of the resolver */

__attribute__((constructor)) static void start(void)
{
    early_constructed = snprintf(early_made, sizeof early_made, "constructed");
}
