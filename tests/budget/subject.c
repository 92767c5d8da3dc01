/* The program whose malloc and free are counted: pairs of one size in steady state, a second thread alive.
 *
 *     budget_subject SIZE WARM PAIRS      sizes in bytes; WARM pairs uncounted, then PAIRS counted
 *
 * Run by `budget` under ptrace only; alone it dies of the first int3.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "budget.h"

static pthread_barrier_t started;

/* Alive and with a heap of its own, and never seen again. */
static void *bystander(void *unused)
{
    (void)unused;
    void *mine = malloc(100);
    pthread_barrier_wait(&started);
    pthread_barrier_wait(&started);
    free(mine);
    return NULL;
}

/* As a word and a register: the counter reads rax, and for BUDGET_BEGIN the routine from rdi. */
static inline void tell(enum budget_word word, enum budget_routine routine)
{
    __asm__ volatile("int3" : : "a"((long)word), "D"((long)routine) : "memory");
}

int main(int argc, char **argv)
{
    if (argc != 4)
        return 2;
    size_t size = strtoul(argv[1], NULL, 10), warm = strtoul(argv[2], NULL, 10), pairs = strtoul(argv[3], NULL, 10);
    pthread_t thread;
    if (pthread_barrier_init(&started, NULL, 2) != 0 || pthread_create(&thread, NULL, bystander, NULL) != 0)
        return 3;
    pthread_barrier_wait(&started);

    for (size_t i = 0; i < warm; i++)
        free(malloc(size));
    for (size_t i = 0; i < pairs; i++) {
        tell(BUDGET_BEGIN, BUDGET_MALLOC);
        void *p = malloc(size);
        tell(BUDGET_END, BUDGET_MALLOC);
        if (p == NULL)
            return 4;
        tell(BUDGET_BEGIN, BUDGET_FREE);
        free(p);
        tell(BUDGET_END, BUDGET_FREE);
    }
    pthread_barrier_wait(&started);
    pthread_join(thread, NULL);
    return 0;
}
