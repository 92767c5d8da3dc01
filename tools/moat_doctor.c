/* moat doctor: what this kernel, CPU and process give moat, and what is weaker because of it. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/utsname.h>

#include "diag/option_text.h"
#include "diag/options.h"
#include "moat.h"
#include "moat/moat.h"
#include "os/os.h"

/* One line: "weaker  guards          mprotect: ...". */
static void __attribute__((format(printf, 3, 4))) say(bool ok, const char *what, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    printf("%-7s %-18s ", ok ? "ok" : "weaker", what);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
}

static size_t option(const char *name)
{
    size_t value = 0;
    (void)moat_option(name, &value);
    return value;
}

/* "1T", "48K", "1000": the largest unit that divides it. */
static const char *amount(size_t bytes)
{
    static const struct mo_option_info as_bytes = {.kind = MO_OPTION_BYTES};
    static char texts[4][24]; /* so that one line may show several */
    static unsigned next;
    char *text = texts[next++ % 4];
    struct mo_text t = {text, text + sizeof texts[0] - 1};
    mo_option_text_value(&t, &as_bytes, bytes);
    *t.at = '\0';
    return text;
}

/* The first line of a file of /proc or /sys, or NULL. */
static const char *first_line(const char *path)
{
    static char text[256];
    if (mo_os_read_file(path, text, sizeof text) == 0)
        return NULL;
    text[strcspn(text, "\n")] = '\0';
    return text;
}

static void say_title(void)
{
    struct utsname u;
    printf("%s on ", moat_version());
    if (uname(&u) == 0)
        printf("%s %s %s, ", u.sysname, u.release, u.machine);
    char libc[64];
    size_t n = confstr(_CS_GNU_LIBC_VERSION, libc, sizeof libc); /* a musl gives an empty text */
    printf("%s, profile %s\n\n", n > 1 && n <= sizeof libc ? libc : "musl", mo_profile_names[option("profile")]);
}

static void say_guards(const struct mo_os_features *f)
{
    size_t choice = option("guards"), budget = option("guard_mappings");
    if (choice == MO_GUARDS_OFF)
        say(false, "guards", "none, because of guards=off; lost: overflows and stale accesses no longer fault");
    else if (choice == MO_GUARDS_AUTO && f->guard_install)
        say(true, "guards", "MADV_GUARD_INSTALL: after every slab, and over freed ones, at no cost in mappings");
    else
        say(false, "guards", "mprotect, because %s; lost: time, and beyond %zu mappings slabs have no guard",
            choice == MO_GUARDS_MPROTECT ? "of guards=mprotect" : "MADV_GUARD_INSTALL needs Linux 6.13", budget);
}

static void say_kernel(const struct mo_os_features *f)
{
    say(true, "page size", "%zu bytes", f->page);
    say_guards(f);
    if (f->mseal)
        say(true, "mseal", "options and keys are read-only for good");
    else
        say(false, "mseal",
            "missing, because it needs Linux 6.10 on 64-bit; lost: an attacker who can call mprotect can "
            "make options and keys writable again");
    if (f->wipe_on_fork)
        say(true, "wipe on fork", "random state is wiped in forked children and kept out of core files");
    else
        say(false, "wipe on fork",
            "missing, because MADV_WIPEONFORK needs Linux 4.14; lost: a forked child may draw the "
            "same random numbers as its parent");
    if (f->getrandom)
        say(true, "getrandom", "keys come from the kernel's generator");
    else
        say(false, "getrandom",
            "refused, by a seccomp filter or early in boot; lost: keys come from the 16 bytes of "
            "AT_RANDOM, which the program can read");
}

static void say_cpu(const struct mo_os_features *f, const struct moat_stats *s)
{
    bool siphash = option("mac") == MO_MAC_SIPHASH;
    if (f->aes && !siphash)
        say(true, "AES", "headers are authenticated by AES instructions");
    else
        say(false, "AES", "SipHash instead, because %s; lost: about 30 ns for a malloc and free pair",
            siphash ? "of mac=siphash" : "this CPU has no AES instructions");
    say(true, "CPUs", "%u usable, %zu shard%s", mo_os_count_cpus(), s->shards_count, s->shards_count == 1 ? "" : "s");
}

static void say_tags(const struct mo_os_features *f)
{
    size_t choice = option("mte"), profile = option("profile");
    if (choice == MO_TAGS_AUTO)
        choice = profile == MO_PROFILE_STRICT       ? MO_TAGS_SYNC
                 : profile == MO_PROFILE_PRODUCTION ? MO_TAGS_ASYNC
                                                    : MO_TAGS_OFF;
    if (!f->tags)
        say(true, "memory tags", "not on this CPU and kernel");
    else if (choice == MO_TAGS_OFF || !f->aes || option("mac") == MO_MAC_SIPHASH)
        say(false, "memory tags",
            "off, because of the options; lost: accesses out of a chunk or to a freed one do not fault by themselves");
    else
        say(true, "memory tags", "%s",
            choice == MO_TAGS_SYNC ? "sync: a bad access faults at once"
                                   : "async: a bad access faults at the next system call");
}

static void say_address_space(const struct mo_os_features *f, const struct moat_stats *s)
{
    size_t asked = option("heap_reserve");
    if (f->address_limit == SIZE_MAX)
        say(true, "RLIMIT_AS", "unlimited");
    else if (s->reserved >= asked)
        say(true, "RLIMIT_AS", "%zu bytes: enough", f->address_limit);
    else
        say(false, "RLIMIT_AS", "%zu bytes, because of ulimit -v or a container; lost: see the reservation",
            f->address_limit);
    if (s->reserved >= asked)
        say(true, "reservation", "%s of address space for small chunks", amount(s->reserved));
    else
        say(false, "reservation",
            "%s of the %s asked for, because the address space is limited; lost: chunks are easier "
            "to guess, and small ones end at %s",
            amount(s->reserved), amount(asked), amount(s->reserved));
}

static void say_vm(const struct mo_os_features *f)
{
    const char *line = first_line("/proc/sys/vm/max_map_count");
    size_t mappings = line != NULL ? strtoul(line, NULL, 10) : 0;
    bool by_mapping = option("guards") == MO_GUARDS_MPROTECT || !f->guard_install;
    if (mappings == 0)
        say(true, "max_map_count", "not shown by this system");
    else if (mappings < 65530 || (by_mapping && option("guard_mappings") > mappings / 2))
        say(false, "max_map_count",
            "%zu mappings for guards and large chunks; lost: a program with many of them runs out "
            "of memory early (sysctl vm.max_map_count)",
            mappings);
    else
        say(true, "max_map_count", "%zu mappings", mappings);

    line = first_line("/proc/sys/vm/overcommit_memory");
    if (line != NULL && line[0] == '2')
        say(false, "overcommit",
            "strict (vm.overcommit_memory=2); lost: memory that moat holds open counts towards the "
            "limit, used or not, so that malloc gives NULL earlier");
    else
        say(true, "overcommit", "%s",
            line == NULL     ? "not shown by this system"
            : line[0] == '1' ? "always"
                             : "heuristic");

    line = first_line("/sys/kernel/mm/transparent_hugepage/enabled");
    if (line != NULL && strstr(line, "[always]") != NULL)
        say(false, "huge pages",
            "transparent, always; lost: a large chunk may take up to 2 MiB more memory than it needs");
    else
        say(true, "huge pages", "%s", line != NULL ? line : "not shown by this system");

    line = first_line("/proc/sys/kernel/randomize_va_space");
    if (line != NULL && line[0] != '2')
        say(false, "ASLR",
            "weakened (kernel.randomize_va_space=%s); lost: code, stacks and libraries are where an attacker "
            "expects them, whatever the heap does",
            line);
    else
        say(true, "ASLR", "%s", line != NULL ? "full" : "not shown by this system");
}

static void say_options(void)
{
    static char text[MO_OPTION_FILE_MAX + 2];
    struct mo_options scratch;
    mo_options_default(&scratch, MO_PROFILE_PRODUCTION);
    const char *environment = getenv("MOAT_OPTIONS");
    unsigned bad = environment != NULL ? mo_options_parse(&scratch, environment, "MOAT_OPTIONS", NULL) : 0;
    if (bad != 0)
        say(false, "MOAT_OPTIONS", "%u of its words wrong, named above; lost: what they were meant to do", bad);
    else
        say(true, "MOAT_OPTIONS", "%s", environment != NULL && environment[0] != '\0' ? environment : "empty");

    size_t n = mo_os_read_file("/etc/moat.conf", text, sizeof text);
    bad = n != 0 ? mo_options_parse(&scratch, text, "/etc/moat.conf", NULL) : 0;
    if (bad != 0 || n > MO_OPTION_FILE_MAX)
        say(false, "/etc/moat.conf", "wrong or too long, as named above; lost: what it was meant to do");
    else
        say(true, "/etc/moat.conf", "%s", n != 0 ? "read" : "none");
    if (option("seed") != 0)
        say(false, "seed", "%zu, because an option says so; lost: every random choice can be predicted",
            option("seed"));
}

/* The word of `list`, separated by spaces, colons or newlines, that names moat's library; list is cut up. */
static const char *find_moat(char *list)
{
    for (char *word = strtok(list, " \t\n:"); word != NULL; word = strtok(NULL, " \t\n:")) {
        const char *slash = strrchr(word, '/');
        const char *name = slash != NULL ? slash + 1 : word;
        if (strncmp(name, "libmoat.so", 10) == 0 || strncmp(name, "libmoat-checked.so", 18) == 0 ||
            strncmp(name, "libmoat-fuzz.so", 15) == 0)
            return word;
    }
    return NULL;
}

static void say_preload(void)
{
    static char text[4096];
    const char *library = moat_library_path(MOAT_PLAIN);
    if (library != NULL)
        say(true, "library", "%s", library);
    else
        say(false, "library", "libmoat.so is not where this command looks; lost: 'moat run' needs --library");

    if (mo_os_read_file("/etc/ld.so.preload", text, sizeof text) == 0)
        text[0] = '\0';
    const char *word = find_moat(text);
    if (word == NULL)
        say(true, "ld.so.preload", "does not name moat: only programs that ask for it run under it");
    else if (access(word, R_OK) != 0)
        say(false, "ld.so.preload", "names %s, which can't be read; lost: no program runs under it", word);
    else
        say(true, "ld.so.preload", "%s: every dynamic program runs under it", word);

    const char *environment = getenv("LD_PRELOAD");
    snprintf(text, sizeof text, "%s", environment != NULL ? environment : "");
    word = find_moat(text);
    say(true, "LD_PRELOAD", "%s", word != NULL ? word : "does not name moat");
}

int moat_doctor_main(int argc, char **argv)
{
    struct mo_os_features f;
    struct moat_stats s;
    if (argc > 1) {
        bool help = strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0;
        if (help && moat_help("doctor"))
            return 0;
        fputs("moat doctor: takes no arguments. See 'moat help doctor'.\n", stderr);
        return EXIT_USAGE;
    }
    mo_os_start(&f);
    if (moat_stats(&s, sizeof s) != 0) {
        perror("moat doctor");
        return 1;
    }
    say_title();
    say_kernel(&f);
    say_cpu(&f, &s);
    say_tags(&f);
    say_address_space(&f, &s);
    say_vm(&f);
    say_options();
    say_preload();
    return 0;
}
