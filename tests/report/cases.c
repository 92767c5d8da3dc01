/* Makes the report that its argument names, with much or with nothing known: check.py reads what comes out. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "diag/report.h"

static struct mo_stack allocated, freed;
static struct mo_report_chunk known = {0x7f1200000018, 24, 32, "live", "malloc", &allocated, &freed};
static const struct mo_report_chunk unknown = {0x7f1200000018, SIZE_MAX, 0, NULL, NULL, NULL, NULL};
static const char *kind;

static void on_fault(int signal_number, siginfo_t *info, void *context)
{
    const uintptr_t at = known.address;
    (void)signal_number;
    (void)info;
    if (strcmp(kind, "read-past") == 0)
        mo_report_access(MO_ACCESS_OVERFLOW, MO_ACCESS_READ, at + 30, &known, "a guard", context);
    if (strcmp(kind, "write-before") == 0)
        mo_report_access(MO_ACCESS_OVERFLOW, MO_ACCESS_WRITE, at - 1, &known, "a guard", context);
    if (strcmp(kind, "write-freed") == 0)
        mo_report_access(MO_ACCESS_AFTER_FREE, MO_ACCESS_WRITE, at + 3, &known, "a freed page", context);
    if (strcmp(kind, "access-freed") == 0)
        mo_report_access(MO_ACCESS_AFTER_FREE, MO_ACCESS_UNKNOWN, at + 3, &unknown, NULL, context);
    if (strcmp(kind, "wild") == 0)
        mo_report_access(MO_ACCESS_WILD, MO_ACCESS_WRITE, 0x123, NULL, NULL, context);
    signal(SIGSEGV, SIG_DFL);
}

static void report(void)
{
    static char detail[40000]; /* with everything that JSON must escape */
    if (strcmp(kind, "overflow") == 0)
        mo_report_overflow("free", known.address, &known, 24, "byte 24 is 0x41");
    if (strcmp(kind, "overflow-unsized") == 0)
        mo_report_overflow("free", known.address, &unknown, 40, NULL);
    if (strcmp(kind, "underflow") == 0)
        mo_report_underflow("realloc", known.address, &known, -8, "its code does not fit it");
    if (strcmp(kind, "double-free") == 0)
        mo_report_double_free("free", known.address, &known, PTRDIFF_MIN, "it is marked free");
    if (strcmp(kind, "bad-free") == 0)
        mo_report_bad_free("free", 0x1000, NULL, PTRDIFF_MIN, NULL);
    if (strcmp(kind, "write-after-free") == 0)
        mo_report_write_after_free("malloc", known.address, &known, 5, "it holds 0x41");
    if (strcmp(kind, "mismatch") == 0)
        mo_report_mismatch("delete[]", known.address, &known, PTRDIFF_MIN, "it came from malloc");
    if (strcmp(kind, "metadata") == 0)
        mo_report_metadata("malloc", UINTPTR_MAX, NULL, PTRDIFF_MIN, "a count and its bitmap disagree");
    const struct mo_given writes = {"memcpy", MO_ACCESS_WRITE, known.address + 4, 0x1230, 40, 20};
    const struct mo_given reads = {"wcscpy", MO_ACCESS_READ, known.address, 0, 1, 0};
    if (strcmp(kind, "given") == 0)
        mo_report_given(MO_ACCESS_OVERFLOW, &writes, &known, 24);
    if (strcmp(kind, "given-freed") == 0)
        mo_report_given(MO_ACCESS_AFTER_FREE, &reads, &known, 0);
    if (strcmp(kind, "panic") == 0)
        mo_panic("no memory at start");
    if (strcmp(kind, "memory") == 0)
        mo_out_of_memory();
    if (strcmp(kind, "strange") == 0) {
        for (size_t i = 0; i < sizeof detail - 1; i++)
            detail[i] = (char)(1 + i % 255);
        mo_report_overflow("\"\\", known.address, &known, 24, detail);
    }
}

static void warn(void)
{
    const char *log = getenv("MOAT_OPTIONS");
    mo_report_warning(false, "delete[]", known.address, &known, "it came from malloc");
    mo_report_warning(true, "free", 0x1000, NULL, "it is in none of moat's mappings");
    /* A report finds the way free. */
    if (log != NULL && strstr(log, "exitcode=4") != NULL)
        mo_report_double_free("free", known.address, &known, PTRDIFF_MIN, "it is marked free");
    exit(0);
}

static unsigned depth; /* of calls */

static __attribute__((noinline)) void outer(void (*what)(void))
{
    if (depth-- > 0)
        outer(what);
    else
        what();
    kind = NULL; /* no tail call */
}

static void keep_stacks(void)
{
    mo_stack_take(&allocated, MO_STACK_MOST);
    mo_stack_take(&freed, MO_STACK_MOST);
    freed.thread = allocated.thread + 1;
}

static void fault(void)
{
    static volatile uintptr_t nowhere = 0x123;
    *(volatile char *)nowhere = 1;
}

int main(int argc, char **argv)
{
    static const char *const faults[] = {"read-past", "write-before", "write-freed", "access-freed", "wild"};
    const struct rlimit no_core = {0, 0};
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
    setrlimit(RLIMIT_CORE, &no_core);
    if (argc < 2)
        return 2;
    unsigned deep = argc > 2 ? (unsigned)atoi(argv[2]) : 0;
    depth = deep;
    outer(keep_stacks);
    kind = argv[1];
    depth = deep;
    sigaction(SIGSEGV, &action, NULL);
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++)
        if (strcmp(kind, faults[i]) == 0)
            outer(fault);
    outer(strcmp(kind, "warnings") == 0 ? warn : report);
    return 3;
}
