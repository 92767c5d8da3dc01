/* The life of a process with libmoat.so preloaded, from before its constructors to after its destructors.
 *
 * Runs the programs beside this file, each with LD_PRELOAD; they check for themselves and end with 0. The
 * build says where they and the library are.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum { SECONDS = 300, TEXT = 65536 };

/* What a program wrote, on both descriptors. */
static char output[TEXT];

struct run {
    const char *program;  /* its name */
    const char *argument; /* or NULL */
    const char *options;  /* MOAT_OPTIONS, or NULL */
    const char *bind_now; /* LD_BIND_NOW, or NULL */
    size_t limit;         /* RLIMIT_AS, or 0 */
};

static void become(const struct run *r, int fd)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/life_%s", LIFE_DIRECTORY, r->program);
    dup2(fd, STDOUT_FILENO);
    dup2(fd, STDERR_FILENO);
    setenv("LD_PRELOAD", LIFE_MOAT, 1);
    if (r->options != NULL)
        setenv("MOAT_OPTIONS", r->options, 1);
    if (r->bind_now != NULL)
        setenv("LD_BIND_NOW", r->bind_now, 1);
    alarm(SECONDS);
    struct rlimit limit = {r->limit, r->limit};
    if (r->limit != 0 && setrlimit(RLIMIT_AS, &limit) != 0)
        _exit(126);
    execl(path, path, r->argument, (char *)NULL);
    _exit(127);
}

static void expect_success(const struct run *r)
{
    int pipes[2], status;
    cr_assert_eq(pipe2(pipes, O_CLOEXEC), 0);
    pid_t child = fork();
    cr_assert_geq(child, 0);
    if (child == 0)
        become(r, pipes[1]);
    close(pipes[1]);
    size_t n = 0;
    for (ssize_t got; n < TEXT - 1 && (got = read(pipes[0], output + n, TEXT - 1 - n)) > 0;)
        n += (size_t)got;
    output[n] = '\0';
    close(pipes[0]);
    while (waitpid(child, &status, 0) < 0)
        cr_assert_eq(errno, EINTR);
    cr_assert(!WIFSIGNALED(status), "%s died by signal %d and said: %s", r->program, WTERMSIG(status), output);
    cr_assert_eq(WEXITSTATUS(status), 0, "%s ended with %d and said: %s", r->program, WEXITSTATUS(status), output);
}

static const char cxx_plugin[] = LIFE_DIRECTORY "/life_cxx_plugin.so";

Test(life, constructors_and_destructors)
{
    expect_success(&(struct run){.program = "stages"});
    cr_assert_str_eq(output, "preinit constructor main atexit destructor\n");
}

Test(life, in_every_profile)
{
    static const char *const profiles[] = {"profile=production", "profile=strict", "profile=fuzz", "profile=embedded"};
    for (size_t i = 0; i < sizeof profiles / sizeof profiles[0]; i++) {
        expect_success(&(struct run){.program = "stages", .options = profiles[i]});
        cr_assert_str_eq(output, "preinit constructor main atexit destructor\n", "%s: %s", profiles[i], output);
    }
}

Test(life, late_libraries)
{
    expect_success(&(struct run){.program = "plugins", .argument = LIFE_DIRECTORY "/life_plugin.so"});
}

Test(life, c_programs_load_no_cxx_runtime)
{
    expect_success(&(struct run){.program = "plain_c", .argument = cxx_plugin});
    expect_success(&(struct run){.program = "plain_c", .argument = cxx_plugin, .bind_now = "1"});
}

Test(life, fork_handlers_that_allocate)
{
    expect_success(&(struct run){.program = "atfork"});
}

Test(life, exit_while_threads_allocate)
{
    for (int i = 0; i < 50; i++)
        expect_success(&(struct run){.program = "exiting"});
}

Test(life, exit_with_statistics_while_threads_allocate)
{
    for (int i = 0; i < 50; i++) {
        expect_success(&(struct run){.program = "exiting", .options = "stats=exit"});
        cr_assert_not_null(strstr(output, "live chunks"), "no statistics in: %s", output);
    }
}

#if LIFE_STEPS
/* By a handler that interrupts malloc or free anywhere: see stepped.c. */
Test(life, looks_at_the_heap_in_the_middle_of_malloc)
{
    expect_success(&(struct run){.program = "stepped", .argument = "check"});
    expect_success(&(struct run){.program = "stepped", .argument = "exit", .options = "check_at_exit=all"});
}

Test(life, forks_in_the_middle_of_malloc)
{
    expect_success(&(struct run){.program = "stepped", .argument = "fork"});
}
#endif

Test(life, address_space_of_64_mib)
{
    static const char *const sizes[] = {"16", "100", "1000", "20000", "100000", "131072", "200000", "3000000"};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        expect_success(&(struct run){.program = "limited", .argument = sizes[i], .limit = 64 << 20});
}

Test(life, statistics_after_the_streams_are_closed)
{
    expect_success(&(struct run){.program = "close_all", .options = "stats=exit"});
    cr_assert_eq(strncmp(output, "main\nmoat ", 10), 0, "%s", output);
    cr_assert_not_null(strstr(output, "live chunks"), "no statistics in: %s", output);
}

/* Descriptor 2 is somebody's file by then: it must not get our text, and stderr as it was at start still does. */
Test(life, statistics_do_not_go_into_another_file)
{
    char path[] = "/tmp/moat-life-XXXXXX";
    int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    close(fd);
    expect_success(&(struct run){.program = "close_all", .argument = path, .options = "stats=exit"});
    struct stat file;
    cr_assert_eq(stat(path, &file), 0);
    unlink(path);
    cr_assert_eq(file.st_size, 0, "statistics went into the program's own file");
    cr_assert_not_null(strstr(output, "live chunks"), "no statistics in: %s", output);
}

Test(life, no_statistics_without_the_option)
{
    expect_success(&(struct run){.program = "close_all"});
    cr_assert_str_eq(output, "main\n");
}
