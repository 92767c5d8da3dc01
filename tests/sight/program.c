/* What the heap shows of itself: a process to be looked at. program MODE [ARGUMENT], see main. */
#include <fcntl.h>
#include <sys/time.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/prctl.h>
#include <sys/wait.h>

#include "moat/moat.h"

enum { CHUNKS = 20000, LARGES = 7, LARGE = 300000 };

static void *kept[CHUNKS], *larges[LARGES];

/* So many of all sizes, every third of them freed again; some large ones. */
__attribute__((noinline)) static void fill(void)
{
    for (size_t i = 0; i < CHUNKS; i++)
        kept[i] = malloc(i * 37 % 1500);
    for (size_t i = 0; i < CHUNKS; i += 3) {
        free(kept[i]);
        kept[i] = NULL;
    }
    for (size_t i = 0; i < LARGES; i++)
        larges[i] = malloc(LARGE);
}

/* What a profile should name: chunks of one size that nobody frees. */
__attribute__((noinline)) static void hold_many(void)
{
    for (size_t i = 0; i < CHUNKS; i++)
        kept[i] = malloc(1000);
    __asm__ volatile("" : : : "memory"); /* no jump to malloc */
}

static void say(const char *text)
{
    if (write(1, text, strlen(text)) < 0)
        _exit(3);
}

/* Until standard input ends. */
static void wait_for_end(void)
{
    char c;
    while (read(0, &c, 1) > 0)
        continue;
}

/* A daemon: the parent leaves, the child goes on. */
static int daemonize(void)
{
    int done[2];
    char c;
    if (pipe(done) != 0)
        return 1;
    pid_t child = fork();
    if (child != 0) {
        dprintf(1, "%ld\n", (long)child);
        _exit(0);
    }
    close(done[1]);
    alarm(30);
    fill();
    while (getppid() != 1 && read(done[0], &c, 1) > 0)
        continue;
    pause();
    return 0;
}

/* A child that ends at once leaves its parent's file alone. */
static int fork_and_exit(void)
{
    pid_t child = fork();
    int status = 0;
    if (child == 0) {
        for (size_t i = 0; i < CHUNKS; i++)
            kept[i] = malloc(500);
        exit(0);
    }
    waitpid(child, &status, 0);
    return status;
}

static void leave(int number)
{
    (void)number;
    exit(0);
}

/* A handler that exits interrupts malloc and free, locks held or not. */
static void exit_in_handler(int microseconds)
{
    struct itimerval timer = {{0, 0}, {0, microseconds}};
    signal(SIGALRM, leave);
    setitimer(ITIMER_REAL, &timer, NULL);
    for (;;) {
        for (size_t i = 0; i < CHUNKS; i++)
            kept[i] = malloc(i % 30 != 0 ? 200 : 100000);
        for (size_t i = 0; i < CHUNKS; i++)
            free(kept[i]);
    }
}

int main(int argc, char **argv)
{
    const char *mode = argc > 1 ? argv[1] : "";
    (void)prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0);
    if (strcmp(mode, "look") == 0) { /* shows its own figures, and waits */
        fill();
        moat_stats_write(1, MOAT_STATS_JSON);
        wait_for_end();
    } else if (strcmp(mode, "busy") == 0) {                     /* allocates and frees until it is killed */
        for (size_t i = 0, n = 0;; i = (i + 7) % CHUNKS, n++) { /* comes by all of them */
            free(kept[i]);
            kept[i] = malloc(i % 5000 == 0 ? 200000 : i % 3000);
            if (n == CHUNKS)
                say("busy\n");
        }
    } else if (strcmp(mode, "hold") == 0) {
        hold_many();
        say("held\n");
        wait_for_end();
    } else if (strcmp(mode, "form") == 0) {
        fill();
        moat_stats_write(1, (enum moat_stats_form)atoi(argv[2]));
    } else if (strcmp(mode, "dump") == 0) {
        hold_many();
        return moat_profile_dump(1) == 0 && moat_profile_dump(-1) == -1 ? 0 : 1;
    } else if (strcmp(mode, "left") == 0) {
        pthread_exit(NULL);
    } else if (strcmp(mode, "handler") == 0) {
        exit_in_handler(atoi(argv[2]));
    } else if (strcmp(mode, "small") == 0) { /* under a limit of address space: no heap rather than a fault */
        return malloc(10) == NULL && moat_heap_create() == NULL ? 0 : 1;
    } else if (strcmp(mode, "daemon") == 0) {
        return daemonize();
    } else if (strcmp(mode, "children") == 0) {
        return fork_and_exit();
    }
    return 0;
}
