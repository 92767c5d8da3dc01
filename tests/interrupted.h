/* A reader at the other end of a pipe, whose writer's system calls signals interrupt. */
#ifndef INTERRUPTED_H
#define INTERRUPTED_H

#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/types.h>
#include <unistd.h>

enum { MUCH = 1 << 20 }; /* bytes, more than a pipe holds */

static void on_alarm(int signal)
{
    (void)signal;
}

/* A thread that reads *argument, a descriptor, to its end, and returns how many bytes came. */
static void *read_slowly(void *argument)
{
    char buf[4096];
    size_t sum = 0;
    ssize_t n;
    int fd = *(int *)argument;
    sigset_t alarms;
    sigemptyset(&alarms);
    sigaddset(&alarms, SIGALRM);
    pthread_sigmask(SIG_BLOCK, &alarms, NULL); /* the writer shall be interrupted */
    while ((n = read(fd, buf, sizeof buf)) > 0) {
        sum += (size_t)n;
        if (sum % 65536 < sizeof buf)
            usleep(1000);
    }
    return (void *)(uintptr_t)sum;
}

#endif
