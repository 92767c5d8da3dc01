/* P15: a process that runs with more rights than its caller ignores the caller's MOAT_OPTIONS.
 * WANT: what AT_SECURE must be (0 or 1), and how long option `stats` must be then. Linked with moat, since the loader
 * drops LD_PRELOAD for such a process; the runner starts it with different real and effective groups. */
#include "attack.h"

#include <sys/auxv.h>

#include "moat/moat.h"

int main(int argc, char **argv)
{
    (void)argc;
    size_t secure = getauxval(AT_SECURE), value;
    churn(100, 10);
    if (secure != number(argv, 1))
        fail("AT_SECURE is %zu", secure);
    if (!getenv("MOAT_OPTIONS"))
        fail("MOAT_OPTIONS is not there to be ignored");
    if (moat_option("stats", &value) != 0 || value != number(argv, 2))
        fail("option stats has %zu bytes", value);
    return finish();
}
