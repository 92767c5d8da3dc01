/* Features, limits, environment, files and entropy of the process. */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdio.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>

#include "../interrupted.h"
#include "child.h"
#include "os/os.h"

extern char **environ;

Test(os_process, features)
{
    struct mo_os_features f;
    char text[65536];
    cpu_set_t set;
    errno = 77;
    mo_os_start(&f);
    cr_assert_eq(errno, 77);
    cr_assert_eq(f.page, (size_t)sysconf(_SC_PAGESIZE));
    cr_assert_eq(f.secure, getauxval(AT_SECURE) != 0);
    cr_assert(f.getrandom);
    cr_assert_eq(sched_getaffinity(0, sizeof set, &set), 0);
    cr_assert(mo_os_count_cpus() >= 1 && mo_os_count_cpus() <= (unsigned)CPU_COUNT(&set));
    cr_assert_gt(mo_os_read_file("/proc/cpuinfo", text, sizeof text), 0);
#ifndef MOAT_TEST_EMULATOR /* an emulator's are those of the machine that it runs on */
    cr_assert_eq(f.aes, strstr(text, " aes") != NULL);
#endif
}

static void start_on_one_cpu(void *argument)
{
    cpu_set_t all, one;
    (void)argument;
    sched_getaffinity(0, sizeof all, &all);
    CPU_ZERO(&one);
    for (int i = 0; i < CPU_SETSIZE && CPU_COUNT(&one) == 0; i++)
        if (CPU_ISSET(i, &all))
            CPU_SET(i, &one);
    if (sched_setaffinity(0, sizeof one, &one) != 0)
        _exit(1);
    _exit(mo_os_count_cpus() == 1 ? 0 : 2);
}

static void start_limited(void *argument)
{
    const size_t most = (size_t)1 << (sizeof(size_t) > 4 ? 40 : 30);
    const struct rlimit limit = {most, most};
    struct mo_os_features f;
    (void)argument;
    setrlimit(RLIMIT_AS, &limit);
    mo_os_start(&f);
    _exit(f.address_limit == most ? 0 : 1);
}

Test(os_process, features_follow_limits)
{
    cr_assert_eq(run_child(start_on_one_cpu, NULL).code, 0);
    cr_assert_eq(run_child(start_limited, NULL).code, 0);
}

Test(os_process, entropy_is_random)
{
    unsigned char a[256], b[256];
    size_t ones = 0, same = 0;
    enum { ROUNDS = 64 };
    errno = 77;
    for (int round = 0; round < ROUNDS; round++) {
        cr_assert(mo_os_entropy(a, sizeof a));
        cr_assert(mo_os_entropy(b, sizeof b));
        for (size_t i = 0; i < sizeof a; i++) {
            ones += (size_t)__builtin_popcount(a[i]);
            same += a[i] == b[i];
        }
    }
    cr_assert_eq(errno, 77);
    /* 131,072 bits: a standard deviation is 181. 16,384 pairs of bytes: 64 agree, 8 is one deviation. */
    cr_assert(ones > 65536 - 1100 && ones < 65536 + 1100, "%zu ones", ones);
    cr_assert(same > 16 && same < 128, "%zu bytes agree", same);
}

static void refuse_getrandom(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getrandom, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {MO_ARRAY_LEN(code), code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
        _exit(10);
}

static void entropy_without_getrandom(void *argument)
{
    struct mo_os_features f;
    unsigned char a[32] = {0}, b[32] = {0};
    (void)argument;
    refuse_getrandom();
    mo_os_start(&f);
    if (f.getrandom)
        _exit(1);
    errno = 77;
    if (mo_os_entropy(a, sizeof a) || mo_os_entropy(b, sizeof b) || errno != 77)
        _exit(2);
    if (memcmp(a, b, sizeof a) == 0 || all_are((uintptr_t)a, sizeof a, a[0]))
        _exit(3);
    mo_os_write(1, (const char *)a, sizeof a);
}

/* AT_RANDOM and what else is at hand: different at each call and in each process. */
Test(os_process, entropy_without_getrandom)
{
    struct child one = run_child(entropy_without_getrandom, NULL);
    struct child two = run_child(entropy_without_getrandom, NULL);
    cr_assert_eq(one.code, 0, "code %d", one.code);
    cr_assert_eq(two.code, 0);
    cr_assert_neq(memcmp(one.text, two.text, 32), 0);
}

static void make_file(char *path, const char *text)
{
    strcpy(path, "/tmp/moat-unit-XXXXXX");
    int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

Test(os_process, read_file)
{
    char path[64], text[64];
    make_file(path, "twelve bytes");
    errno = 77;
    memset(text, 'x', sizeof text);
    cr_expect_eq(mo_os_read_file(path, text, sizeof text), 12);
    cr_expect_str_eq(text, "twelve bytes");
    cr_expect_eq(mo_os_read_file(path, text, 13), 12);
    cr_expect_str_eq(text, "twelve bytes");
    memset(text, 'x', sizeof text);
    cr_expect_eq(mo_os_read_file(path, text, 7), 6);
    cr_expect_str_eq(text, "twelve");
    cr_expect_eq(text[7], 'x');
    cr_expect_eq(mo_os_read_file(path, text, 1), 0);
    cr_expect_str_empty(text);
    unlink(path);
    strcpy(text, "old");
    cr_expect_eq(mo_os_read_file(path, text, sizeof text), 0);
    cr_expect_str_eq(text, "old");
    strcpy(text, "old");
    cr_expect_eq(mo_os_read_file("/", text, sizeof text), 0);
    cr_expect_str_empty(text);
    cr_expect_eq(errno, 77);
}

static void write_much(void *argument)
{
    int ends[2];
    pthread_t thread;
    struct sigaction action = {.sa_handler = on_alarm}; /* without SA_RESTART */
    const struct itimerval often = {{0, 500}, {0, 500}}, never = {{0, 0}, {0, 0}};
    void *sum;
    static char text[MUCH];
    (void)argument;
    sigaction(SIGALRM, &action, NULL);
    if (pipe(ends) != 0 || pthread_create(&thread, NULL, read_slowly, &ends[0]) != 0)
        _exit(1);
    setitimer(ITIMER_REAL, &often, NULL);
    bool all = mo_os_write(ends[1], text, MUCH);
    setitimer(ITIMER_REAL, &never, NULL);
    close(ends[1]);
    pthread_join(thread, &sum);
    _exit(all && (uintptr_t)sum == MUCH ? 0 : 2);
}

Test(os_process, write_writes_all_whatever_signals_do)
{
    cr_assert_eq(run_child(write_much, NULL).code, 0);
}

Test(os_process, write_gives_up_quietly)
{
    errno = 77;
    cr_assert_not(mo_os_write(-1, "text", 4));
    cr_assert_eq(errno, 77);
}

static void *thread_id(void *argument)
{
    *(long *)argument = mo_os_thread_id();
    return NULL;
}

Test(os_process, ids)
{
    pthread_t thread;
    long other = 0;
    cr_assert_eq(mo_os_process_id(), getpid());
    cr_assert_eq(mo_os_thread_id(), syscall(SYS_gettid));
    cr_assert_eq(pthread_create(&thread, NULL, thread_id, &other), 0);
    pthread_join(thread, NULL);
    cr_assert(other > 0 && other != mo_os_thread_id());
}

static const char *find_word(char **words, const char *name)
{
    size_t n = strlen(name);
    for (; words != NULL && *words != NULL; words++)
        if (strncmp(*words, name, n) == 0 && (*words)[n] == '=')
            return *words + n + 1;
    return NULL;
}

/* Before libc has set environ, the words come from /proc. */
Test(os_process, environment)
{
    cr_assert_eq(mo_os_environment(), environ);
    setenv("UNIT_WORD", "value", 1);
    cr_assert_str_eq(find_word(mo_os_environment(), "UNIT_WORD"), "value");
    struct child c = run_self("", 0);
    cr_assert_eq(c.code, 0);
    cr_assert_not_null(strstr(c.text, "early value\n"), "%s", c.text);
}

__attribute__((constructor)) static void say(void)
{
    if (getenv("UNIT_SAY") == NULL)
        return;
    environ = NULL;
    const char *value = find_word(mo_os_environment(), "UNIT_WORD");
    printf("early %s\n", value != NULL ? value : "nothing");
    fflush(stdout);
    _exit(0);
}

Test(os_process, resident)
{
    enum { TOUCHED = 32 << 20 };
    size_t before = mo_os_resident();
    cr_assert_gt(before, 0);
    char *p = mo_os_map_guarded(TOUCHED, "unit");
    cr_assert_not_null(p);
    memset(p, 1, TOUCHED);
    size_t with = mo_os_resident();
    cr_assert(mo_os_purge(p, TOUCHED));
    size_t after = mo_os_resident();
    cr_assert(with > before + (30 << 20), "%zu then %zu", before, with);
    cr_assert(after < with - (30 << 20), "%zu then %zu", with, after);
}

Test(os_process, files_for_reports)
{
    char path[] = "/tmp/moat_os_process_XXXXXX", other[sizeof path + 8], text[32];
    int made = mkstemp(path);
    cr_assert_geq(made, 0);
    close(made);
    snprintf(other, sizeof other, "%s.link", path);
    errno = 77;
    int fd = mo_os_create(path, 100);
    cr_assert_geq(fd, 0);
    cr_expect(mo_os_write(fd, "one ", 4));
    mo_os_close_file(fd);
    fd = mo_os_create(path, 100);
    cr_expect(mo_os_write(fd, "two", 3));
    mo_os_close_file(fd);
    cr_expect_eq(mo_os_read_file(path, text, sizeof text), 7);
    cr_expect_str_eq(text, "one two");
    cr_expect_lt(mo_os_create("/nonexistent/folder/file", 100), 0);
    cr_assert_eq(symlink(path, other), 0);
    cr_expect_lt(mo_os_create(other, 100), 0, "a link was followed");
    errno = 77;
    cr_expect_lt(mo_os_create(other, 100), 0);
    cr_expect_eq(errno, 77);
    unlink(other);
    unlink(path);
}

Test(os_process, what_is_readable)
{
    static const char here[16];
    cr_expect(mo_os_readable((uintptr_t)here));
    cr_expect_not(mo_os_readable(0));
    cr_expect_not(mo_os_readable(7));
    cr_expect_not(mo_os_readable(16));
    cr_expect_not(mo_os_readable(UINTPTR_MAX));
}
