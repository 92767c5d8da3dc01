/* Criterion's macros without Criterion, for builds with the thread sanitizer.
 *
 * Criterion shares memory with its workers at addresses that the thread sanitizer keeps for itself, so no test would
 * start. Here each test runs in a forked child, one after the other. Only what moat's tests use is
 * there; a macro that is missing does not compile.
 */
#ifndef PLAIN_CRITERION_H
#define PLAIN_CRITERION_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* In Criterion's order, which matters to C++. */
struct plain_options {
    void (*init)(void);
    void (*fini)(void);
    int signal;
    int exit_code;
    bool disabled;
    const char *description;
    double timeout;
};
struct plain_test {
    const char *suite;
    const char *name; /* NULL: the options are the suite's */
    void (*run)(void);
    struct plain_options options;
    struct plain_test *next;
};

#ifdef __cplusplus
extern "C" {
#endif
void plain_register(struct plain_test *t);
/* Prints where and what; with fatal it ends the test. */
void plain_failed(const char *file, int line, bool fatal, const char *what, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
#ifdef __cplusplus
}
#endif

#define PLAIN_REGISTER(id, suite, name, run, ...)                                  \
    static struct plain_test id##_entry = {suite, name, run, {__VA_ARGS__}, NULL}; \
    __attribute__((constructor)) static void id##_register(void)                   \
    {                                                                              \
        plain_register(&id##_entry);                                               \
    }
#define Test(suite, name, ...)                                                        \
    static void suite##_##name##_test(void);                                          \
    PLAIN_REGISTER(suite##_##name, #suite, #name, suite##_##name##_test, __VA_ARGS__) \
    static void suite##_##name##_test(void)
#define TestSuite(suite, ...) PLAIN_REGISTER(suite##_options, #suite, NULL, NULL, __VA_ARGS__)

#define PLAIN_CHECK(fatal, condition, what, ...)                            \
    do {                                                                    \
        if (!(condition))                                                   \
            plain_failed(__FILE__, __LINE__, fatal, what, " " __VA_ARGS__); \
    } while (0)
#define PLAIN_COMPARE(fatal, a, op, b, ...) PLAIN_CHECK(fatal, (a)op(b), #a " " #op " " #b, __VA_ARGS__)

#define cr_assert(c, ...)              PLAIN_CHECK(true, c, #c, __VA_ARGS__)
#define cr_assert_not(c, ...)          PLAIN_CHECK(true, !(c), "not " #c, __VA_ARGS__)
#define cr_assert_eq(a, b, ...)        PLAIN_COMPARE(true, a, ==, b, __VA_ARGS__)
#define cr_assert_neq(a, b, ...)       PLAIN_COMPARE(true, a, !=, b, __VA_ARGS__)
#define cr_assert_lt(a, b, ...)        PLAIN_COMPARE(true, a, <, b, __VA_ARGS__)
#define cr_assert_leq(a, b, ...)       PLAIN_COMPARE(true, a, <=, b, __VA_ARGS__)
#define cr_assert_gt(a, b, ...)        PLAIN_COMPARE(true, a, >, b, __VA_ARGS__)
#define cr_assert_geq(a, b, ...)       PLAIN_COMPARE(true, a, >=, b, __VA_ARGS__)
#define cr_assert_null(p, ...)         PLAIN_CHECK(true, (p) == NULL, #p " is NULL", __VA_ARGS__)
#define cr_assert_not_null(p, ...)     PLAIN_CHECK(true, (p) != NULL, #p " is not NULL", __VA_ARGS__)
#define cr_assert_str_eq(a, b, ...)    PLAIN_CHECK(true, strcmp(a, b) == 0, #a " is " #b, __VA_ARGS__)
#define cr_assert_str_empty(a, ...)    PLAIN_CHECK(true, *(a) == '\0', #a " is empty", __VA_ARGS__)
#define cr_assert_arr_eq(a, b, n, ...) PLAIN_CHECK(true, memcmp(a, b, n) == 0, #a " is " #b, __VA_ARGS__)
#define cr_assert_float_eq(a, b, e, ...) \
    PLAIN_CHECK(true, (a) - (b) <= (e) && (b) - (a) <= (e), #a " is about " #b, __VA_ARGS__)
#define cr_assert_fail(...)            PLAIN_CHECK(true, false, "failed", __VA_ARGS__)
#define cr_fail(...)                   PLAIN_CHECK(false, false, "failed", __VA_ARGS__)
#define cr_expect(c, ...)              PLAIN_CHECK(false, c, #c, __VA_ARGS__)
#define cr_expect_not(c, ...)          PLAIN_CHECK(false, !(c), "not " #c, __VA_ARGS__)
#define cr_expect_eq(a, b, ...)        PLAIN_COMPARE(false, a, ==, b, __VA_ARGS__)
#define cr_expect_neq(a, b, ...)       PLAIN_COMPARE(false, a, !=, b, __VA_ARGS__)
#define cr_expect_lt(a, b, ...)        PLAIN_COMPARE(false, a, <, b, __VA_ARGS__)
#define cr_expect_leq(a, b, ...)       PLAIN_COMPARE(false, a, <=, b, __VA_ARGS__)
#define cr_expect_gt(a, b, ...)        PLAIN_COMPARE(false, a, >, b, __VA_ARGS__)
#define cr_expect_geq(a, b, ...)       PLAIN_COMPARE(false, a, >=, b, __VA_ARGS__)
#define cr_expect_null(p, ...)         PLAIN_CHECK(false, (p) == NULL, #p " is NULL", __VA_ARGS__)
#define cr_expect_not_null(p, ...)     PLAIN_CHECK(false, (p) != NULL, #p " is not NULL", __VA_ARGS__)
#define cr_expect_str_eq(a, b, ...)    PLAIN_CHECK(false, strcmp(a, b) == 0, #a " is " #b, __VA_ARGS__)
#define cr_expect_str_empty(a, ...)    PLAIN_CHECK(false, *(a) == '\0', #a " is empty", __VA_ARGS__)
#define cr_expect_arr_eq(a, b, n, ...) PLAIN_CHECK(false, memcmp(a, b, n) == 0, #a " is " #b, __VA_ARGS__)

#endif
