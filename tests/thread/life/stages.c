/* Allocations before main and after it: in the first constructors, in atexit, in the last destructors. Each
 * stage frees what an earlier one made. */
#include <stdio.h>

#include "life.h"

static struct kept early, middle, late;

static void say(const char *word)
{
    require(write(STDOUT_FILENO, word, strlen(word)) > 0, "write");
}

static void before_all(void)
{
    keep(&early);
    say("preinit ");
}
__attribute__((section(".preinit_array"), used)) static void (*const preinit)(void) = before_all;

__attribute__((constructor(101))) static void construct(void)
{
    keep(&middle);
    let_go(&early);
    say("constructor ");
}

static void at_exit(void)
{
    let_go(&late);
    keep(&early);
    say("atexit ");
}

__attribute__((destructor(101))) static void destruct(void)
{
    let_go(&middle);
    let_go(&early);
    keep(&late);
    let_go(&late);
    say("destructor\n");
}

int main(void)
{
    require_moat();
    keep(&late);
    require(atexit(at_exit) == 0, "atexit");
    say("main ");
    return 0;
}
