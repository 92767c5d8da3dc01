/* A program with a bug of the kind that its first argument names, in a state that the others name. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "moat/moat.h"

static char *volatile chunk;
static int told;
static bool hooked;

/* The functions whose names and lines the reports' stacks must hold. */
static __attribute__((noinline)) void innermost(const char *kind)
{
    chunk = malloc(24);
    if (strcmp(kind, "overflow") == 0)
        memset(chunk, 'A', 25);
    if (strcmp(kind, "double-free") == 0)
        free(chunk);
    if (strcmp(kind, "foreign") == 0)
        free((void *)((uintptr_t)&told + (size_t)(chunk - chunk)));
    free(strcmp(kind, "bad-free") == 0 ? chunk + 8 : chunk); /* line: innermost */
    chunk = NULL;
}

static __attribute__((noinline)) void middle(const char *kind)
{
    volatile char room[200];
    room[0] = kind[0];
    innermost(kind);                     /* line: middle */
    chunk = room[0] != 0 ? chunk : NULL; /* no tail call */
}

static int compare(const void *a, const void *b)
{
    (void)b;
    middle(*(const char *const *)a); /* line: compare */
    return 0;
}

/* Through a function of libc, which is built without frame pointers. */
static __attribute__((noinline)) void outermost(const char *kind)
{
    const char *both[2] = {kind, kind};
    qsort(both, 2, sizeof both[0], compare); /* line: outermost */
    chunk = NULL;
}

static void say(const char *text)
{
    if (write(1, text, strlen(text)) < 0)
        _exit(9);
}

static void on_report(const struct moat_report *report)
{
    told++;
    say(report->size == sizeof *report && strlen(report->text) == report->text_size ? "callback " : "wrong ");
    say(report->bug);
    say(report->ends ? " ends\n" : " goes on\n");
}

void moat_report_hook(const struct moat_report *report)
{
    if (hooked)
        say(strcmp(report->bug, "double-free") == 0 ? "hook double-free\n" : "hook\n");
}

static const char *kind_of_all;

static void in_handler(int signal_number)
{
    (void)signal_number;
    outermost(kind_of_all);
}

static pthread_barrier_t barrier;

static void *in_thread(void *kind)
{
    pthread_barrier_wait(&barrier);
    outermost(kind);
    return NULL;
}

static void in_threads(const char *kind)
{
    enum { THREADS = 4 };
    pthread_t threads[THREADS];
    pthread_barrier_init(&barrier, NULL, THREADS);
    for (int i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, in_thread, (void *)(uintptr_t)kind) != 0)
            _exit(8);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

static void on_tiny_stack(const char *kind)
{
    static char stack[65536];
    size_t size = (size_t)sysconf(_SC_MINSIGSTKSZ) + 6144;
    struct sigaction action = {.sa_handler = in_handler, .sa_flags = SA_ONSTACK};
    const stack_t own = {.ss_sp = stack + sizeof stack - size, .ss_size = size};
    kind_of_all = kind;
    memset(stack, 'x', sizeof stack);
    if (sigaltstack(&own, NULL) != 0 || sigaction(SIGUSR1, &action, NULL) != 0)
        _exit(7);
    raise(SIGUSR1);
}

static void damaged_environment(void)
{
    extern char **environ;
    static char *wild[] = {(char *)(uintptr_t)0x10, NULL};
    environ = wild;
}

int main(int argc, char **argv)
{
    const struct rlimit no_core = {0, 0};
    if (argc < 3)
        return 2;
    setrlimit(RLIMIT_CORE, &no_core);
    hooked = getenv("HOOK") != NULL;
    if (strcmp(argv[2], "callback") == 0) {
        if (moat_set_report_callback(on_report) != NULL || moat_set_report_callback(on_report) != on_report)
            return 6;
    } else if (strcmp(argv[2], "no-callback") == 0) {
        moat_set_report_callback(on_report);
        if (moat_set_report_callback(NULL) != on_report || moat_set_report_callback(NULL) != NULL)
            return 6;
    } else if (strcmp(argv[2], "closed") == 0) {
        for (int fd = 0; fd < 3; fd++)
            close(fd);
    } else if (strcmp(argv[2], "environment") == 0) {
        damaged_environment();
    }
    if (strcmp(argv[2], "handler") == 0) {
        kind_of_all = argv[1];
        signal(SIGUSR1, in_handler);
        raise(SIGUSR1);
    } else if (strcmp(argv[2], "threads") == 0) {
        in_threads(argv[1]);
    } else if (strcmp(argv[2], "tiny") == 0) {
        on_tiny_stack(argv[1]);
    } else {
        outermost(argv[1]);
    }
    return told;
}
