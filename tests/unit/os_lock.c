/* The lock: one holder at a time, sleepers are woken, the word tells its state. */
#include <pthread.h>
#include <sched.h>
#include <time.h>

#include "child.h"
#include "os/os.h"

enum { THREADS = 4, ROUNDS = 200000 };

static struct mo_lock lock;
static size_t counter, inside, intruders;

Test(os_lock, word_tells_the_state)
{
    struct mo_lock l = {0};
    cr_assert(mo_trylock(&l));
    cr_assert_neq(l.word, 0);
    cr_assert_not(mo_trylock(&l));
    mo_unlock(&l);
    cr_assert_eq(l.word, 0);
    mo_lock(&l);
    cr_assert_not(mo_trylock(&l));
    mo_unlock(&l);
    cr_assert(mo_trylock(&l));
#ifndef MO_DEBUG /* there it has its rank too */
    cr_assert_eq(sizeof l, 4);
#endif
}

static void *count(void *argument)
{
    (void)argument;
    for (size_t i = 0; i < ROUNDS; i++) {
        mo_lock(&lock);
        intruders += inside++ != 0;
        counter++;
        inside--;
        mo_unlock(&lock);
    }
    return NULL;
}

static void *count_trying(void *argument)
{
    for (size_t i = 0; i < ROUNDS;) {
        if (!mo_trylock(&lock)) {
            sched_yield();
            continue;
        }
        intruders += inside++ != 0;
        counter++;
        inside--;
        mo_unlock(&lock);
        i++;
    }
    return argument;
}

static void run_threads(void *(*a)(void *), void *(*b)(void *))
{
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, i % 2 ? a : b, NULL), 0);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

Test(os_lock, excludes)
{
    run_threads(count, count);
    cr_assert_eq(counter, (size_t)THREADS * ROUNDS);
    cr_assert_eq(intruders, 0);
    cr_assert_eq(lock.word, 0);
}

Test(os_lock, excludes_those_who_try)
{
    run_threads(count, count_trying);
    cr_assert_eq(counter, (size_t)THREADS * ROUNDS);
    cr_assert_eq(intruders, 0);
    cr_assert_eq(lock.word, 0);
}

static size_t woken;

static void *wait_for_it(void *argument)
{
    errno = 77;
    mo_lock(&lock);
    woken += errno == 77;
    mo_unlock(&lock);
    return argument;
}

/* Held for far longer than the spin lasts: the others sleep in the kernel and every one must be woken. */
Test(os_lock, wakes_all_sleepers)
{
    pthread_t threads[THREADS];
    const struct timespec while_they_sleep = {0, 50 * 1000 * 1000};
    mo_lock(&lock);
    for (size_t i = 0; i < THREADS; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, wait_for_it, NULL), 0);
    nanosleep(&while_they_sleep, NULL);
    errno = 77;
    mo_unlock(&lock);
    int after = errno;
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    cr_assert_eq(after, 77);
    cr_assert_eq(woken, THREADS);
    cr_assert_eq(lock.word, 0);
}

enum { WAITING, ASKED, ANSWERED_YES, ANSWERED_NO };
static int question;

static void *answer(void *argument)
{
    while (__atomic_load_n(&question, __ATOMIC_ACQUIRE) != ASKED)
        sched_yield();
    __atomic_store_n(&question, mo_lock_is_forking() ? ANSWERED_YES : ANSWERED_NO, __ATOMIC_RELEASE);
    return argument;
}

/* The thread that forks passes locks that it holds itself, and no other thread does. */
Test(os_lock, the_forking_thread_passes)
{
    pthread_t thread;
    struct mo_lock l = {0};
    bool before = mo_lock_is_forking(), during;
    cr_assert_eq(pthread_create(&thread, NULL, answer, NULL), 0);
    mo_lock(&l);
    mo_lock_fork_begin();
    during = mo_lock_is_forking();
    mo_lock(&l); /* would wait for itself */
    mo_unlock(&l);
    __atomic_store_n(&question, ASKED, __ATOMIC_RELEASE);
    while (__atomic_load_n(&question, __ATOMIC_ACQUIRE) == ASKED)
        sched_yield();
    mo_lock_fork_end();
    pthread_join(thread, NULL);
    cr_assert(!before && during && !mo_lock_is_forking());
    cr_assert_eq(question, ANSWERED_NO);
    cr_assert_not(mo_trylock(&l), "it is still held");
    mo_unlock(&l);
    cr_assert(mo_trylock(&l));
}

/* What a fork has taken before begin, or between begin and end, it gives back; what it held before it leaves. A fork
 * in a handler of a signal that came within another's does not end that one. */
Test(os_lock, a_fork_gives_back_what_it_took)
{
    struct mo_lock held = {0}, taken = {0}, late = {0};
    mo_lock(&held);
    mo_lock_fork_look(&held);
    mo_lock_fork_look(&taken);
    mo_lock_fork_take(&held);
    mo_lock_fork_take(&taken);
    mo_lock_fork_begin();
    mo_lock_fork_begin();
    mo_lock_fork_end();
    cr_assert(mo_lock_is_forking());
    mo_lock(&late);
    mo_unlock(&late);
    mo_lock_fork_end();
    cr_assert_not(mo_lock_is_forking());
    mo_lock_fork_give(&held);
    mo_lock_fork_give(&taken);
    mo_lock_fork_give(&late);
    cr_assert(held.word != 0 && taken.word == 0 && late.word == 0);
    mo_unlock(&held);
    cr_assert_eq(held.word, 0);
}
