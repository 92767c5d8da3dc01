/* Handlers on small alternate stacks, threads with small stacks: moat needs little stack and finds the thread's
 * own cache whatever stack it runs on. */
#include <criterion/criterion.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <ucontext.h>
#include <unistd.h>

#include <sys/mman.h>

#include "../api/check.h"
#include "../stack_size.h"

enum { SPARE = 8192 }; /* bytes of stack for the handler, beside what the kernel's frame takes */

static volatile sig_atomic_t handled, failed;

/* Slow paths too: refills, large mappings, reallocation. */
static bool use_heap(unsigned seed)
{
    enum { N = 20 };
    void *p[N];
    for (size_t i = 0; i < N; i++) {
        p[i] = malloc(i * i * 450);
        if (p[i] == NULL)
            return false;
        fill(p[i], i * i * 450, seed);
    }
    for (size_t i = 0; i < N; i++) {
        p[i] = realloc(p[i], i * i * 540 + 1);
        if (p[i] == NULL || !filled(p[i], i * i * 450, seed))
            return false;
        free(p[i]);
    }
    return true;
}

static void on_signal(int signal)
{
    (void)signal;
    if (!use_heap((unsigned)handled))
        failed++;
    handled++;
}

static void *with_alternate_stack(void *arg)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t size = (least_signal_stack() + SPARE + page - 1) / page * page;
    char *memory = mmap(NULL, size + page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED || mprotect(memory + page, size, PROT_READ | PROT_WRITE) != 0)
        return "no stack";
    stack_t stack = {.ss_sp = memory + page, .ss_size = size};
    if (sigaltstack(&stack, NULL) != 0)
        return "sigaltstack refuses";
    for (int i = 0; i < 20; i++)
        raise(SIGUSR1);
    stack.ss_flags = SS_DISABLE;
    sigaltstack(&stack, NULL);
    munmap(memory, size + page);
    return arg;
}

static void install(void)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_ONSTACK};
    sigemptyset(&action.sa_mask);
    cr_assert_eq(sigaction(SIGUSR1, &action, NULL), 0);
}

Test(signal_stack, moat_is_under_test)
{
    cr_assert(moat_is_active());
}

Test(signal_stack, handler_on_an_alternate_stack)
{
    install();
    cr_assert_null(with_alternate_stack(NULL));
    cr_assert_eq(handled, 20);
    cr_assert_eq(failed, 0);
}

/* The first allocation of a thread happens in a handler. */
Test(signal_stack, first_allocation_of_a_thread)
{
    install();
    for (int i = 0; i < 10; i++) {
        pthread_t thread;
        void *wrong;
        cr_assert_eq(pthread_create(&thread, NULL, with_alternate_stack, NULL), 0);
        pthread_join(thread, &wrong);
        cr_assert_null(wrong, "%s", (char *)wrong);
    }
    cr_assert_eq(handled, 10 * 20);
    cr_assert_eq(failed, 0);
}

static void *small_stack(void *arg)
{
    (void)arg;
    return use_heap(9) ? NULL : "contents were changed";
}

Test(signal_stack, threads_with_the_smallest_stack)
{
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    cr_assert_eq(pthread_attr_setstacksize(&attributes, (size_t)PTHREAD_STACK_MIN + SPARE), 0);
    for (int i = 0; i < 50; i++) {
        pthread_t thread;
        void *wrong;
        cr_assert_eq(pthread_create(&thread, &attributes, small_stack, NULL), 0);
        pthread_join(thread, &wrong);
        cr_assert_null(wrong, "%s", (char *)wrong);
    }
    pthread_attr_destroy(&attributes);
}

#ifdef __GLIBC__ /* musl has no makecontext */
/* Coroutines: their stacks come from malloc, and they allocate on them in turns. */
enum { COROUTINES = 8, TURNS = 20, STACK = 32768 };
static ucontext_t home, coroutine[COROUTINES];
static unsigned good_turns;

static void turns(int number)
{
    for (int i = 0; i < TURNS; i++) {
        good_turns += use_heap((unsigned)number);
        swapcontext(&coroutine[number], &home);
    }
}

static void start_coroutine(int i, char *stack)
{
    getcontext(&coroutine[i]);
    coroutine[i].uc_stack.ss_sp = stack;
    coroutine[i].uc_stack.ss_size = STACK;
    coroutine[i].uc_link = &home;
    makecontext(&coroutine[i], (void (*)(void))turns, 1, i);
}

static void take_turns(void)
{
    for (volatile int turn = 0; turn < TURNS; turn++)
        for (volatile int i = 0; i < COROUTINES; i++)
            swapcontext(&home, &coroutine[i]);
}

Test(signal_stack, coroutines_on_malloced_stacks)
{
    char *stacks[COROUTINES];
    for (int i = 0; i < COROUTINES; i++) {
        stacks[i] = malloc(STACK);
        cr_assert_not_null(stacks[i]);
        start_coroutine(i, stacks[i]);
    }
    take_turns();
    cr_assert_eq(good_turns, COROUTINES * TURNS);
    for (int i = 0; i < COROUTINES; i++)
        free(stacks[i]);
}
#endif
