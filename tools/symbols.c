/* Function and line of an address: see symbols.h. */
#include "symbols.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum { ID_MOST = 64 }; /* bytes of a build id */

static const char *chosen;

/* Whether PATH has that program. */
static bool in_path(const char *name)
{
    char candidate[PATH_MAX];
    const char *path = getenv("PATH");
    for (const char *at = path != NULL ? path : "/usr/bin:/bin"; *at != '\0';) {
        size_t n = strcspn(at, ":");
        snprintf(candidate, sizeof candidate, "%.*s/%s", (int)n, at, name);
        if (n > 0 && access(candidate, X_OK) == 0)
            return true;
        at += n + (at[n] == ':');
    }
    return false;
}

void symbols_use(const char *tool)
{
    chosen = tool;
}

bool symbols_ready(void)
{
    static const char *const known[] = {"llvm-symbolizer",    "addr2line",          "llvm-addr2line",
                                        "llvm-symbolizer-19", "llvm-symbolizer-18", "llvm-symbolizer-17",
                                        "llvm-symbolizer-16", "llvm-symbolizer-15", "llvm-symbolizer-14"};
    for (size_t i = 0; i < sizeof known / sizeof known[0] && chosen == NULL; i++)
        if (in_path(known[i]))
            chosen = known[i];
    if (chosen == NULL)
        fputs("moat symbolize: neither addr2line (binutils) nor llvm-symbolizer (llvm) is here: install one.\n",
              stderr);
    return chosen != NULL;
}

/* The start of a file, for its program headers and notes. */
struct head {
    unsigned char bytes[65536];
    size_t size;
};

static bool take_note(const struct head *h, size_t at, size_t n, char *hex)
{
    while (n >= sizeof(Elf64_Nhdr) && at <= h->size && n <= h->size - at) {
        Elf64_Nhdr note; /* the same on 32-bit */
        memcpy(&note, h->bytes + at, sizeof note);
        size_t name = sizeof note, value = name + ((size_t)note.n_namesz + 3) / 4 * 4;
        size_t end = value + ((size_t)note.n_descsz + 3) / 4 * 4;
        if (note.n_namesz > n || note.n_descsz > n || end > n)
            return false;
        if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 && memcmp(h->bytes + at + name, "GNU", 4) == 0 &&
            note.n_descsz <= ID_MOST) {
            for (size_t i = 0; i < note.n_descsz; i++)
                sprintf(hex + 2 * i, "%02x", h->bytes[at + value + i]);
            return true;
        }
        at += end;
        n -= end;
    }
    return false;
}

/* The file's build id as hex digits; false: it has none, or is no ELF file. */
static bool read_build_id(const char *path, char *hex)
{
    static struct head h;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd >= 0 ? read(fd, h.bytes, sizeof h.bytes) : -1;
    if (fd >= 0)
        close(fd);
    h.size = got > 0 ? (size_t)got : 0;
    if (h.size < sizeof(Elf64_Ehdr) || memcmp(h.bytes, ELFMAG, SELFMAG) != 0)
        return false;
    bool wide = h.bytes[EI_CLASS] == ELFCLASS64;
    const Elf64_Ehdr *e = (const Elf64_Ehdr *)(const void *)h.bytes;
    const Elf32_Ehdr *e32 = (const Elf32_Ehdr *)(const void *)h.bytes;
    size_t at = wide ? e->e_phoff : e32->e_phoff, count = wide ? e->e_phnum : e32->e_phnum;
    size_t each = wide ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr);
    for (size_t i = 0; i < count && at <= h.size && each <= h.size - at; i++, at += each) {
        Elf64_Phdr p;
        Elf32_Phdr p32;
        memcpy(wide ? (void *)&p : (void *)&p32, h.bytes + at, each);
        if ((wide ? p.p_type : p32.p_type) == PT_NOTE &&
            take_note(&h, wide ? p.p_offset : p32.p_offset, wide ? p.p_filesz : p32.p_filesz, hex))
            return true;
    }
    return false;
}

/* Said once for each file. */
static void complain(const char *path, const char *what)
{
    static char said[65536];
    size_t used = strlen(said);
    char entry[PATH_MAX + 3];
    snprintf(entry, sizeof entry, "\n%s\n", path);
    if (strstr(said, entry) != NULL)
        return;
    if (used + strlen(entry) < sizeof said)
        strcpy(said + used, entry);
    fprintf(stderr, "moat symbolize: %s %s\n", path, what);
}

/* The file that holds the symbols: the debug file of the build id, or path itself where it is that build. */
static const char *symbol_file(const char *path, const char *build_id)
{
    static char debug[PATH_MAX];
    char id[2 * ID_MOST + 1];
    if (build_id != NULL && strlen(build_id) > 2) {
        snprintf(debug, sizeof debug, "/usr/lib/debug/.build-id/%.2s/%s.debug", build_id, build_id + 2);
        if (access(debug, R_OK) == 0)
            return debug;
    }
    if (access(path, R_OK) != 0) {
        complain(path, "can't be read here: its frames stay as they are.");
        return NULL;
    }
    if (build_id != NULL && (!read_build_id(path, id) || strcmp(id, build_id) != 0)) {
        complain(path, "is another build than the one in the report: its frames stay as they are.");
        return NULL;
    }
    return path;
}

/* Starts the tool with its output in a pipe; the end to read from, or -1. */
static int start(const char *file, const char *offset, pid_t *pid)
{
    /* Both know these names of options, and then give the same output. */
    bool llvm = strstr(chosen, "symbolizer") != NULL;
    char *const arguments[] = {
        (char *)chosen, "-f", "-C", "-i", "-e", (char *)file, (char *)offset, llvm ? "--output-style=GNU" : NULL, NULL};
    posix_spawn_file_actions_t actions;
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return -1;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
    posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    int failed = posix_spawnp(pid, chosen, &actions, NULL, arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    if (failed == 0)
        return ends[0];
    close(ends[0]);
    fprintf(stderr, "moat symbolize: %s: %s\n", chosen, strerror(failed));
    exit(126);
}

/* "function\nfile:line\n" for each; what is not known is "??". */
static bool take_symbol(FILE *in, struct symbol *s)
{
    char *name = NULL, *place = NULL;
    size_t room = 0, place_room = 0;
    ssize_t n = getline(&name, &room, in), m = getline(&place, &place_room, in);
    if (n > 1 && m > 1 && strncmp(name, "??", 2) != 0) {
        name[n - 1] = '\0';
        place[strcspn(place, "\n")] = '\0';
        char *colon = strrchr(place, ':');
        s->function = name;
        s->file = place;
        s->line = colon != NULL ? strtoul(colon + 1, NULL, 10) : 0;
        if (colon != NULL)
            *colon = '\0';
        if (strcmp(place, "??") == 0)
            s->line = 0;
        return true;
    }
    free(name);
    free(place);
    return false;
}

size_t symbols_find(const char *path, const char *build_id, const char *offset, struct symbol *symbols, size_t most)
{
    pid_t pid;
    size_t n = 0;
    const char *file = symbol_file(path, build_id);
    int fd = file != NULL ? start(file, offset, &pid) : -1;
    if (fd < 0)
        return 0;
    FILE *in = fdopen(fd, "r");
    while (in != NULL && n < most && take_symbol(in, &symbols[n]))
        n++;
    if (in != NULL)
        fclose(in);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        continue;
    return n;
}

void symbols_free(struct symbol *symbols, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free(symbols[i].function);
        free(symbols[i].file);
    }
}
