/* Whether LD_PRELOAD will reach a program: what its file is, before it is started. */
#include <elf.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/stat.h>
#include <sys/xattr.h>

#include "moat.h"

enum {
    HEAD_SIZE = 4096,     /* what is read of a file: an ELF header with its program headers, or a script's first line */
    INTERPRETER_MAX = 256 /* as the kernel has it for scripts */
};

/* The part of a file that says how it is loaded. */
struct head {
    int fd;
    size_t size;
    char bytes[HEAD_SIZE];
};

static bool open_head(struct head *h, const char *path)
{
    h->fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = h->fd >= 0 ? read(h->fd, h->bytes, sizeof h->bytes) : -1;
    h->size = n > 0 ? (size_t)n : 0;
    return h->fd >= 0;
}

static void close_head(struct head *h)
{
    if (h->fd >= 0)
        close(h->fd);
}

static bool is_elf(const struct head *h)
{
    return h->size >= sizeof(ElfW(Ehdr)) && memcmp(h->bytes, ELFMAG, SELFMAG) == 0;
}

static ElfW(Ehdr) elf_header(const struct head *h)
{
    ElfW(Ehdr) e;
    memcpy(&e, h->bytes, sizeof e);
    return e;
}

/* Copies the loader's path that an ELF file asks for; false: it asks for none, so it is static. */
static bool loader_of(const struct head *h, char *loader, size_t size)
{
    ElfW(Ehdr) e = elf_header(h);
    for (size_t i = 0; i < e.e_phnum; i++) {
        ElfW(Phdr) p;
        off_t at = (off_t)(e.e_phoff + i * sizeof p);
        if (pread(h->fd, &p, sizeof p, at) != (ssize_t)sizeof p)
            return false;
        if (p.p_type == PT_INTERP) {
            size_t n = p.p_filesz < size ? p.p_filesz : size - 1;
            ssize_t got = pread(h->fd, loader, n, (off_t)p.p_offset);
            loader[got > 0 ? got : 0] = '\0';
            return true;
        }
    }
    return false;
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

/* The kernel starts it with AT_SECURE: the loader takes no LD_PRELOAD path from the user. */
static bool is_privileged(const char *path)
{
    struct stat s;
    if (stat(path, &s) != 0)
        return false;
    if (((s.st_mode & S_ISUID) != 0 && s.st_uid != getuid()) ||
        ((s.st_mode & S_ISGID) != 0 && (s.st_mode & S_IXGRP) != 0 && s.st_gid != getgid()))
        return true;
    return getuid() != 0 && getxattr(path, "security.capability", NULL, 0) > 0;
}

static enum moat_obstacle check_elf(const struct head *h, const char *path)
{
    struct head self;
    char loader[PATH_MAX], own[PATH_MAX];
    enum moat_obstacle result = MOAT_REACHABLE;
    bool have_self = open_head(&self, "/proc/self/exe") && is_elf(&self);
    ElfW(Ehdr) e = elf_header(h), mine = have_self ? elf_header(&self) : e;
    if (e.e_ident[EI_CLASS] != mine.e_ident[EI_CLASS] || e.e_ident[EI_DATA] != mine.e_ident[EI_DATA] ||
        e.e_machine != mine.e_machine)
        result = MOAT_FOREIGN;
    else if (!loader_of(h, loader, sizeof loader))
        result = MOAT_STATIC;
    else if (is_privileged(path))
        result = MOAT_PRIVILEGED;
    else if (have_self && loader_of(&self, own, sizeof own) && strcmp(base_name(loader), base_name(own)) != 0)
        result = MOAT_OTHER_LOADER;
    close_head(&self);
    return result;
}

/* The interpreter that a script's first line names; false: it names none. */
static bool interpreter_of(const struct head *h, char *interpreter, size_t size)
{
    if (h->size < 3 || h->bytes[0] != '#' || h->bytes[1] != '!')
        return false;
    size_t at = 2, n = 0;
    while (at < h->size && (h->bytes[at] == ' ' || h->bytes[at] == '\t'))
        at++;
    while (at + n < h->size && n < size - 1 && strchr(" \t\n", h->bytes[at + n]) == NULL)
        n++;
    memcpy(interpreter, h->bytes + at, n);
    interpreter[n] = '\0';
    return n > 0;
}

/* The file that execvp starts for name, in `path`. */
static bool find_program(const char *name, char *path, size_t size)
{
    struct stat s;
    if (strchr(name, '/') != NULL)
        return snprintf(path, size, "%s", name) < (int)size && stat(path, &s) == 0;
    const char *dirs = getenv("PATH");
    if (dirs == NULL)
        dirs = "/bin:/usr/bin";
    while (*name != '\0') {
        size_t n = strcspn(dirs, ":");
        int used = snprintf(path, size, "%.*s%s%s", (int)n, dirs, n > 0 ? "/" : "", name);
        if (used < (int)size && access(path, X_OK) == 0 && stat(path, &s) == 0 && S_ISREG(s.st_mode))
            return true;
        if (dirs[n] == '\0')
            return false;
        dirs += n + 1;
    }
    return false;
}

enum moat_obstacle moat_program_check(const char *name, const char **path)
{
    static char found[PATH_MAX];
    char interpreter[INTERPRETER_MAX];
    enum moat_obstacle result = MOAT_UNREADABLE;
    struct head h;
    *path = NULL;
    if (!find_program(name, found, sizeof found))
        return result;
    *path = found;
    bool opened = open_head(&h, found);
    if (opened && interpreter_of(&h, interpreter, sizeof interpreter)) {
        close_head(&h);
        snprintf(found, sizeof found, "%s", interpreter);
        opened = open_head(&h, found);
    }
    if (opened && is_elf(&h))
        result = check_elf(&h, found);
    else if (!opened && is_privileged(found))
        result = MOAT_PRIVILEGED; /* sudo may be run by all, but read by root only */
    close_head(&h);
    return result;
}
