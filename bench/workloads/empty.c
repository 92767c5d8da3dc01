/* A process that does nothing but one allocation: what start-up costs. */
#include <stdlib.h>

int main(void)
{
    void *volatile p = malloc(100);
    free(p);
    return 0;
}
