/* What these programs run in a child, and what it must say. */
#ifndef TEST_CHECKED_CHILD_H
#define TEST_CHECKED_CHILD_H

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/wait.h>

static unsigned failures;

/* Runs f in a child; is the report there? NULL: it must pass. */
static void child(const char *what, void (*f)(void), const char *report)
{
    char text[8192];
    int fd[2], status = 0;
    size_t got = 0;
    if (pipe(fd) != 0)
        abort();
    pid_t pid = fork();
    if (pid == 0) {
        dup2(fd[1], STDERR_FILENO);
        f();
        _exit(0);
    }
    close(fd[1]);
    for (ssize_t n; got < sizeof text - 1 && (n = read(fd[0], text + got, sizeof text - 1 - got)) > 0;)
        got += (size_t)n;
    text[got] = 0;
    close(fd[0]);
    waitpid(pid, &status, 0);
    bool good = report == NULL ? status == 0 && got == 0
                               : WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT && strstr(text, report) != NULL;
    if (!good) {
        printf("%s: status %d, wanted %s\n%s\n", what, status, report != NULL ? report : "nothing", text);
        failures++;
    }
}

#endif
