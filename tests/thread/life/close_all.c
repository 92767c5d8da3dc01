/* Closes its standard streams on the way out, as careful programs do; with an argument it also puts a file of its
 * own in the place of descriptor 2. */
#include <fcntl.h>
#include <stdio.h>

#include "life.h"

static const char *own;

static void at_exit(void)
{
    if (fclose(stdout) != 0 || fclose(stderr) != 0)
        _exit(5);
    if (own != NULL && open(own, O_WRONLY | O_CREAT | O_TRUNC, 0600) < 0)
        _exit(6);
    if (own != NULL && dup2(1, 2) != 2)
        _exit(7);
}

int main(int argc, char **argv)
{
    require_moat();
    own = argc > 1 ? argv[1] : NULL;
    require(atexit(at_exit) == 0, "atexit");
    puts("main");
    return 0;
}
