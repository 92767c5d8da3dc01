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

/* The name of a thread that is not there: its mark would lie in the first page, which is nobody's. */
static uint32_t no_name = MO_LOCK_NAMED;

static void wait_for_word(void *word)
{
    struct mo_lock l = {0};
    l.word = *(const uint32_t *)word;
    mo_lock(&l);
}

/* A write to the word of a lock ends in a report, not in a wait for ever: at once where it names nobody. (Whatever it
 * names is there in the shadow memory of a sanitizer.) */
Test(os_lock, damage_is_reported)
{
    static const char *const words[] = {"heap-metadata-corruption", "a lock names no thread"};
    uint32_t nobody[] = {8, 1u << 31, 0x12345678u & ~7u, MO_LOCK_KEPT, MO_LOCK_KEPT | MO_LOCK_WAITED};
    for (size_t i = 0; i < MO_ARRAY_LEN(nobody) + !SANITIZED; i++) {
        struct child c = run_child(wait_for_word, i < MO_ARRAY_LEN(nobody) ? &nobody[i] : &no_name);
        for (size_t j = 0; j < MO_ARRAY_LEN(words); j++)
            expect_report(&c, words[j]);
    }
}

/* Waited for alone is none: its holder has just given it back. */
Test(os_lock, the_flag_alone_is_no_damage)
{
    struct mo_lock l = {0};
    l.word = MO_LOCK_WAITED;
    mo_lock(&l);
    cr_assert_eq(l.word & ~(uint32_t)MO_LOCK_FLAGS, mo_lock_name());
    mo_unlock(&l);
    cr_assert_eq(l.word, 0);
}

/* A holder that is there may take as long as it wants. And who sleeps wakes although the flag that says so was lost. */
Test(os_lock, a_living_holder_is_waited_for)
{
    pthread_t thread;
    const struct timespec while_it_sleeps = {0, 100 * 1000 * 1000}, longer_than_a_look = {1, 200 * 1000 * 1000};
    woken = 0;
    mo_lock(&lock);
    cr_assert_eq(pthread_create(&thread, NULL, wait_for_it, NULL), 0);
    while ((__atomic_load_n(&lock.word, __ATOMIC_RELAXED) & MO_LOCK_WAITED) == 0)
        sched_yield();
    nanosleep(&longer_than_a_look, NULL);
    __atomic_fetch_and(&lock.word, ~(uint32_t)MO_LOCK_WAITED, __ATOMIC_RELAXED);
    nanosleep(&while_it_sleeps, NULL);
    mo_unlock(&lock);
    pthread_join(thread, NULL);
    cr_assert_eq(woken, 1);
    cr_assert_eq(lock.word, 0);
}

static void *hold_until_it_is_given_up(void *l)
{
    mo_lock(l);
    __atomic_store_n(&question, ASKED, __ATOMIC_RELEASE);
    while (__atomic_load_n(&mo_lock_forking, __ATOMIC_ACQUIRE) == 0)
        sched_yield();
    mo_unlock(l);
    return NULL;
}

/* The fork of a thread that holds a lock gives others up after a time; its handlers wait for these anew. */
Test(os_lock, what_a_fork_gave_up_is_waited_for_again)
{
    pthread_t thread;
    struct mo_lock held = {0}, other = {0};
    question = WAITING;
    cr_assert_eq(pthread_create(&thread, NULL, hold_until_it_is_given_up, &other), 0);
    while (__atomic_load_n(&question, __ATOMIC_ACQUIRE) != ASKED)
        sched_yield();
    mo_lock(&held);
    mo_lock_fork_look(&held);
    mo_lock_fork_look(&other);
    mo_lock_fork_take(&other);
    cr_assert_neq(__atomic_load_n(&other.word, __ATOMIC_RELAXED) & ~(uint32_t)MO_LOCK_FLAGS, mo_lock_name());
    mo_lock_fork_begin();
    mo_lock(&other);
    cr_expect_eq(other.word & ~(uint32_t)MO_LOCK_FLAGS, mo_lock_name());
    mo_unlock(&other);
    mo_lock_fork_end();
    mo_lock_fork_give(&held);
    mo_lock_fork_give(&other);
    cr_assert_eq(other.word, 0);
    mo_unlock(&held);
    pthread_join(thread, NULL);
}

#ifdef MO_DEBUG
static void lock_both(void *ranks)
{
    const uint32_t *rank = ranks;
    struct mo_lock first = {0}, second = {0};
    mo_lock_set_rank(&first, rank[0]);
    mo_lock_set_rank(&second, rank[1]);
    mo_lock(&first);
    mo_lock(&second);
    mo_unlock(&second);
    mo_unlock(&first);
}

static void unlock_anothers(void *word)
{
    struct mo_lock l = MO_LOCK(MO_RANK_POOL);
    l.word = *(const uint32_t *)word;
    mo_unlock(&l);
}

/* A wrong order is noticed, without any wait for each other, and so is the one who gives back what is another's. */
Test(os_lock, the_order_is_checked)
{
    static uint32_t right[][2] = {{MO_RANK_CACHES, MO_RANK_POOL},
                                  {MO_RANK_BIN(3, 1), MO_RANK_BIN(3, 2)},
                                  {MO_RANK_BIN(3, 5), MO_RANK_HEAP},
                                  {MO_RANK_NONE, MO_RANK_NONE}};
    static uint32_t wrong[][2] = {{MO_RANK_POOL, MO_RANK_CACHES},
                                  {MO_RANK_BIN(3, 2), MO_RANK_BIN(3, 1)},
                                  {MO_RANK_HEAP, MO_RANK_BIN(3, 5)},
                                  {MO_RANK_LARGE, MO_RANK_LARGE}};
    for (size_t i = 0; i < MO_ARRAY_LEN(right); i++)
        cr_expect_eq(run_child(lock_both, right[i]).signal, 0, "right order %zu", i);
    for (size_t i = 0; i < MO_ARRAY_LEN(wrong); i++) {
        struct child c = run_child(lock_both, wrong[i]);
        cr_expect(c.code != 0 && strstr(c.text, "one of its rank or a later") != NULL, "wrong order %zu: signal %d: %s",
                  i, c.signal, c.text);
    }
    struct child c = run_child(unlock_anothers, &no_name);
    cr_expect(c.code != 0 && strstr(c.text, "does not hold it") != NULL, "signal %d: %s", c.signal, c.text);
}
#endif
