/* fork, vfork and posix_spawn in programs whose other threads allocate: children that allocate never hang. */
#include <stdatomic.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <sys/wait.h>

#include "../api/check.h"

enum { THREADS = 4, FORKS = 15, SECONDS = 100, KEPT = 500 };

extern char **environ;

static atomic_bool stop;
static pthread_t threads[THREADS];

static void *churn(void *arg)
{
    uint64_t state = (uintptr_t)arg * 0x9e3779b97f4a7c15u;
    void *p[100] = {0};
    while (!stop) {
        size_t i = next_random(&state) % 100;
        free(p[i]);
        size_t n = next_random(&state) % ((size_t)1 << (next_random(&state) % 19));
        p[i] = malloc(n);
        if (p[i] != NULL && n > 0)
            ((char *)p[i])[n - 1] = 1;
    }
    for (size_t i = 0; i < 40; i++)
        free(p[i]);
    return NULL;
}

static void start_threads(void)
{
    for (uintptr_t i = 0; i < THREADS; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, churn, (void *)(i + 1)), 0);
}

static void stop_threads(void)
{
    stop = true;
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

/* Waits for a child and says how it ended; SIGALRM means that it hung. */
static void expect_end(pid_t child, int expected)
{
    int status;
    cr_assert_gt(child, 0, "no child: errno %d", errno);
    while (waitpid(child, &status, 0) < 0)
        cr_assert_eq(errno, EINTR);
    cr_assert(!WIFSIGNALED(status) || WTERMSIG(status) != SIGALRM, "the child hung");
    cr_assert(!WIFSIGNALED(status), "the child died by signal %d", WTERMSIG(status));
    cr_assert_eq(WEXITSTATUS(status), expected);
}

/* Every class and large ones too, then the parent's chunks. Status 0: all as it should be. */
static int use_heap(unsigned char *const *inherited, size_t count)
{
    for (size_t n = 1; n < 300000; n = n * 3 / 2 + 1) {
        unsigned char *p = malloc(n), *q = calloc(1, n);
        if (p == NULL || q == NULL || !all_zero(q, n))
            return 2;
        fill(p, n, 1);
        p = realloc(p, n * 2);
        if (p == NULL || !filled(p, n, 1))
            return 3;
        free(p);
        free(q);
    }
    for (size_t i = 0; i < count; i++) {
        if (!filled(inherited[i], i, (unsigned)i))
            return 4;
        free(inherited[i]);
    }
    return 0;
}

static void make_kept(unsigned char **kept)
{
    for (size_t i = 0; i < KEPT; i++) {
        kept[i] = malloc(i);
        cr_assert_not_null(kept[i]);
        fill(kept[i], i, (unsigned)i);
    }
}

Test(fork, moat_is_under_test)
{
    cr_assert(moat_is_active());
}

Test(fork, children_of_a_single_thread)
{
    unsigned char *kept[KEPT];
    make_kept(kept);
    for (int i = 0; i < 20; i++) {
        pid_t child = fork();
        if (child == 0) {
            alarm(SECONDS);
            _exit(use_heap(kept, KEPT));
        }
        expect_end(child, 0);
    }
    cr_assert_eq(use_heap(kept, KEPT), 0);
}

Test(fork, in_a_loop_while_others_allocate)
{
    unsigned char *kept[KEPT];
    make_kept(kept);
    start_threads();
    for (int i = 0; i < FORKS; i++) {
        pid_t child = fork();
        if (child == 0) {
            alarm(SECONDS);
            _exit(use_heap(kept, KEPT));
        }
        expect_end(child, 0);
    }
    stop_threads();
    cr_assert_eq(use_heap(kept, KEPT), 0);
}

static void *nothing(void *arg)
{
    free(malloc(100));
    return arg;
}

/* POSIX does not promise threads in such a child, but Linux programs start them. */
Test(fork, grandchildren_and_threads_of_children)
{
    start_threads();
    for (int i = 0; i < 8; i++) {
        pid_t child = fork();
        if (child == 0) {
            alarm(SECONDS);
            pthread_t thread;
            if (pthread_create(&thread, NULL, nothing, NULL) != 0)
                _exit(5);
            pthread_join(thread, NULL);
            pid_t grandchild = fork();
            if (grandchild == 0)
                _exit(use_heap(NULL, 0));
            int status;
            if (waitpid(grandchild, &status, 0) != grandchild || status != 0)
                _exit(6);
            _exit(use_heap(NULL, 0));
        }
        expect_end(child, 0);
    }
    stop_threads();
}

static void *fork_too(void *arg)
{
    for (int i = 0; i < 10; i++) {
        pid_t child = fork();
        int status = -1;
        if (child == 0) {
            alarm(SECONDS);
            _exit(use_heap(NULL, 0));
        }
        if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
            return "a child ended badly";
    }
    return arg;
}

Test(fork, from_many_threads_at_once)
{
    pthread_t forkers[THREADS];
    start_threads();
    for (size_t i = 0; i < THREADS; i++)
        cr_assert_eq(pthread_create(&forkers[i], NULL, fork_too, NULL), 0);
    for (size_t i = 0; i < THREADS; i++) {
        void *wrong;
        pthread_join(forkers[i], &wrong);
        cr_assert_null(wrong, "%s", (char *)wrong);
    }
    stop_threads();
}

Test(fork, vfork_and_exec)
{
    start_threads();
    for (int i = 0; i < 40; i++) {
        pid_t child = vfork();
        if (child == 0) {
            execl("/bin/sh", "sh", "-c", "exit 7", (char *)NULL);
            _exit(127);
        }
        expect_end(child, 7);
    }
    stop_threads();
    cr_assert_eq(use_heap(NULL, 0), 0);
}

Test(fork, posix_spawn)
{
    char *argv[] = {"sh", "-c", "exit 9", NULL};
    start_threads();
    for (int i = 0; i < 100; i++) {
        pid_t child;
        posix_spawn_file_actions_t actions;
        cr_assert_eq(posix_spawn_file_actions_init(&actions), 0);
        cr_assert_eq(posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0), 0);
        cr_assert_eq(posix_spawn(&child, "/bin/sh", &actions, NULL, argv, environ), 0);
        posix_spawn_file_actions_destroy(&actions);
        expect_end(child, 9);
    }
    FILE *f = popen("echo spawned", "r");
    char line[32] = "";
    cr_assert_not_null(f);
    cr_assert_not_null(fgets(line, sizeof line, f));
    cr_assert_str_eq(line, "spawned\n");
    cr_assert_eq(pclose(f), 0);
    stop_threads();
}
