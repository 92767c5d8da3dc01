/* A signal's handler that interrupts malloc or free anywhere: after each instruction, or every so many.
 * check: it verifies the heap, which is half-way between two states then, and must find nothing wrong.
 * exit: it calls exit, whose look at the heap must neither hang nor report. A process for each stop.
 * fork: it forks, with all locks held that malloc holds there, while another thread uses the heap. Parent and child go
 * on where they were, then use the heap, and neither may hang. */
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <x86intrin.h>

#include "life.h"

enum { TRAP_FLAG = 0x100, HELD = 300 };

typedef size_t check_heap(void);
static check_heap *check;
static void *held[HELD];
static long stops, stride, exit_at; /* exit_at 0: check, do not exit */
static bool forks;
static volatile sig_atomic_t in_child;

/* The work goes on in the child, unstepped. */
static void fork_here(ucontext_t *at)
{
    int status;
    pid_t child = fork();
    require(child >= 0, "fork");
    if (child == 0) {
        alarm(60);
        in_child = 1;
        at->uc_mcontext.gregs[REG_EFL] &= ~TRAP_FLAG;
        return;
    }
    require(waitpid(child, &status, 0) == child, "waitpid");
    if (status != 0) {
        fprintf(stderr, "stop %ld: status %#x\n", stops, (unsigned)status);
        _exit(1);
    }
}

static void on_step(int number, siginfo_t *info, void *context)
{
    (void)number, (void)info;
    stops++;
    if (forks && stops % stride == 0)
        fork_here(context);
    else if (exit_at == 0 && !forks && stops % stride == 0)
        (void)check();
    else if (stops == exit_at)
        exit(0);
}

static void pair(size_t n)
{
    void *volatile p = malloc(n);
    free(p);
}

/* More than a cache has ready, and more than its quarantine holds. */
static void many(size_t n)
{
    for (size_t i = 0; i < HELD; i++)
        held[i] = malloc(n);
    for (size_t i = 0; i < HELD; i++)
        free(held[i]);
}

static void resized(size_t n)
{
    void *volatile p = malloc(n);
    p = realloc(p, n - 8);
    p = realloc(p, 2 * n);
    free(p);
}

static void shrunk(size_t n)
{
    void *volatile p = malloc(n);
    p = realloc(p, n - 8);
    free(p);
}

static void aligned(size_t n)
{
    void *volatile p = aligned_alloc(64, n);
    free(p);
}

static void zeroed(size_t n)
{
    void *volatile p = calloc(1, n);
    free(p);
}

static const struct {
    void (*what)(size_t n);
    size_t n;
    long times; /* as long is the stride: it takes thousands of instructions */
} works[] = {{pair, 24, 1},      {pair, 100, 1},      {pair, 1000, 1},     {pair, 5000, 23},     {pair, 0, 1},
             {pair, 200000, 97}, {resized, 24, 13},   {resized, 1000, 13}, {shrunk, 3000, 13},   {shrunk, 200000, 97},
             {aligned, 128, 13}, {aligned, 8192, 97}, {zeroed, 40, 3},     {zeroed, 200000, 97}, {many, 40, 997}};
enum { WORKS = sizeof works / sizeof works[0] };

static void step(size_t i)
{
    stops = 0;
    __writeeflags(__readeflags() | TRAP_FLAG);
    works[i].what(works[i].n);
    __writeeflags(__readeflags() & ~(unsigned long long)TRAP_FLAG);
    if (!in_child)
        return;
    for (size_t n = 16; n < 300000; n *= forks ? 27 : 3)
        many(n);
    (void)check();
    _exit(0);
}

static void *use_heap(void *nothing)
{
    uint32_t state = 1;
    for (void *p[64] = {0};;) {
        state = state * 1664525 + 1013904223;
        void **at = &p[state >> 26];
        free(*at);
        *at = malloc(state >> 8 & 0xfff);
    }
    return nothing;
}

/* False: the work was through before. */
static bool exits_at(size_t i, long at)
{
    int status;
    pid_t child = fork();
    require(child >= 0, "fork");
    if (child == 0) {
        alarm(60);
        pair(24); /* a child's first allocation takes a long time to part its cache from its siblings' */
        exit_at = at;
        step(i);
        _exit(50);
    }
    require(waitpid(child, &status, 0) == child, "waitpid");
    if (!WIFEXITED(status) || (WEXITSTATUS(status) != 0 && WEXITSTATUS(status) != 50)) {
        fprintf(stderr, "work %zu, stop %ld: status %#x\n", i, at, (unsigned)status);
        exit(1);
    }
    return WEXITSTATUS(status) == 0;
}

int main(int argc, char **argv)
{
    void *symbol = dlsym(RTLD_DEFAULT, "moat_check_heap");
    require_moat();
    require(argc == 2 && symbol != NULL, "arguments, or no moat_check_heap");
    memcpy(&check, &symbol, sizeof check);
    const bool exits = strcmp(argv[1], "exit") == 0;
    long all = 0;
    struct sigaction action = {.sa_sigaction = on_step, .sa_flags = SA_SIGINFO};
    sigaction(SIGTRAP, &action, NULL);
    forks = strcmp(argv[1], "fork") == 0;
    pthread_t other;
    require(!forks || pthread_create(&other, NULL, use_heap, NULL) == 0, "no thread");
    for (size_t i = 0; i < WORKS; i++) {
        works[i].what(works[i].n); /* once before, for what is made at the first use */
        stride = (exits || forks ? 67 : 1) * works[i].times;
        if (!exits)
            step(i);
        else
            for (long at = 1; exits_at(i, at); at += stride)
                all++;
        all += stops / stride;
    }
    require(all > (forks ? 30 : 100), "hardly a stop");
    return 0;
}
