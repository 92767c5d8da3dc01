#include "os/modules.h"

#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "os/os.h"
#include "os/private.h"

enum {
    MOST = 24,       /* modules: mappings with a frame in them */
    PATHS = 8192,    /* bytes of all their paths */
    LINE_MOST = 640, /* bytes of a line of maps; a file with a longer path counts as unknown */
    NOTES_MOST = 4096
};

/* One line of /proc/self/maps. */
struct mapping {
    uintptr_t start, end, offset;
    const char *path;
};

static struct mo_module modules[MOST];
static size_t module_count;
static char paths[PATHS];
static size_t paths_used;

/* The mapping with the start of the file that the current lines are about. */
static uintptr_t base;
static char base_path[LINE_MOST];

/* An object's headers are read only where they can be: the program may have unmapped them. */
static bool can_read(uintptr_t at, size_t n)
{
    enum { PAGE = 4096 };
    for (uintptr_t p = mo_align_down(at, PAGE); p < at + n; p += PAGE)
        if (!mo_os_readable(p))
            return false;
    return at + n >= at;
}

/* The build id: a note of type 3 by GNU. */
static void read_notes(struct mo_module *m, uintptr_t at, size_t n)
{
    const uintptr_t end = at + n;
    while (at + sizeof(ElfW(Nhdr)) <= end) {
        const ElfW(Nhdr) *note = (const ElfW(Nhdr) *)at;
        uintptr_t name = at + sizeof *note, value = name + mo_align_up(note->n_namesz, 4);
        if (note->n_namesz > n || note->n_descsz > n || value + note->n_descsz > end)
            return;
        if (note->n_type == NT_GNU_BUILD_ID && note->n_namesz == 4 && memcmp((const char *)name, "GNU", 4) == 0 &&
            note->n_descsz <= sizeof m->id) {
            m->id_size = (uint8_t)note->n_descsz;
            memcpy(m->id, (const void *)value, note->n_descsz);
            return;
        }
        at = value + mo_align_up(note->n_descsz, 4);
    }
}

/* What the object's program headers say. False: there is no object at base. */
static bool read_object(struct mo_module *m)
{
    const ElfW(Ehdr) *e = (const ElfW(Ehdr) *)base;
    if (base == 0 || !can_read(base, sizeof *e) || memcmp(e->e_ident, ELFMAG, SELFMAG) != 0 ||
        e->e_phentsize != sizeof(ElfW(Phdr)) || !can_read(base + e->e_phoff, e->e_phnum * sizeof(ElfW(Phdr))))
        return false;
    const ElfW(Phdr) *segment = (const ElfW(Phdr) *)(base + e->e_phoff), *end = segment + e->e_phnum;
    m->bias = base;
    for (const ElfW(Phdr) *s = segment; s < end; s++)
        if (s->p_type == PT_LOAD && s->p_offset == 0 && s->p_filesz != 0) /* one that is all zeros is at no offset */
            m->bias = base - s->p_vaddr;
    for (const ElfW(Phdr) *s = segment; s < end && m->id_size == 0; s++)
        if (s->p_type == PT_NOTE && s->p_memsz <= NOTES_MOST && can_read(m->bias + s->p_vaddr, s->p_memsz))
            read_notes(m, m->bias + s->p_vaddr, s->p_memsz);
    return true;
}

static void add(const struct mapping *map)
{
    size_t size = strlen(map->path) + 1;
    if (module_count == MOST || size > sizeof paths - paths_used)
        return;
    struct mo_module *m = &modules[module_count++];
    *m = (struct mo_module){.path = paths + paths_used, .start = map->start, .end = map->end};
    memcpy(paths + paths_used, map->path, size);
    paths_used += size;
    if (strcmp(base_path, map->path) != 0 || !read_object(m))
        m->bias = map->start - map->offset; /* at least a place in the file */
}

uintptr_t mo_os_read_hex(const char **at)
{
    uintptr_t v = 0;
    for (;; ++*at) {
        char c = **at;
        if (c >= '0' && c <= '9')
            v = v << 4 | (uintptr_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            v = v << 4 | (uintptr_t)(c - 'a' + 10);
        else
            return v;
    }
}

/* "7f12a000-7f12b000 r-xp 00001000 08:01 123    /usr/lib/libc.so.6"; false when the line names no file. */
static bool read_line(const char *line, struct mapping *map)
{
    map->start = mo_os_read_hex(&line);
    line += *line == '-';
    map->end = mo_os_read_hex(&line);
    const char *word = strchr(line, ' ');               /* protection */
    word = word != NULL ? strchr(word + 1, ' ') : NULL; /* offset */
    if (word == NULL)
        return false;
    word++;
    map->offset = mo_os_read_hex(&word);
    for (int i = 0; i < 2 && word != NULL; i++) /* device, inode */
        word = strchr(word + 1, ' ');
    if (word == NULL)
        return false;
    map->path = word + strspn(word, " ");
    return map->path[0] == '/' || strcmp(map->path, "[vdso]") == 0;
}

/* A stack may be kept in a chunk's record, so what it says may be nonsense; a look-up does no harm. */
static bool is_wanted(const struct mapping *map, const struct mo_stack *const *stacks, size_t count)
{
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; stacks[i] != NULL && j < mo_min(stacks[i]->count, MO_STACK_MOST); j++)
            if (stacks[i]->frames[j] - 1 - map->start < map->end - map->start)
                return true;
    return false;
}

static void take_line(const char *line, const struct mo_stack *const *stacks, size_t count)
{
    struct mapping map;
    if (!read_line(line, &map))
        return;
    if (map.offset == 0 && strcmp(base_path, map.path) != 0) {
        base = map.start;
        memcpy(base_path, map.path, strlen(map.path) + 1);
    }
    if (is_wanted(&map, stacks, count))
        add(&map);
}

void mo_modules_find(const struct mo_stack *const *stacks, size_t count)
{
    static char text[4096], line[LINE_MOST];
    size_t n = 0;
    long got;
    int saved = errno;
    module_count = paths_used = 0;
    base = 0;
    base_path[0] = '\0';
    int fd = (int)syscall(SYS_openat, AT_FDCWD, "/proc/self/maps", O_RDONLY | O_CLOEXEC, 0);
    while (fd >= 0 && ((got = syscall(SYS_read, fd, text, sizeof text)) > 0 || (got < 0 && errno == EINTR))) {
        for (long i = 0; i < got; i++) {
            if (text[i] != '\n') {
                if (n < sizeof line)
                    line[n++] = text[i];
                continue;
            }
            if (n < sizeof line) {
                line[n] = '\0';
                take_line(line, stacks, count);
            }
            n = 0;
        }
    }
    if (fd >= 0)
        syscall(SYS_close, fd);
    errno = saved;
}

const struct mo_module *mo_module_of(uintptr_t pc)
{
    for (size_t i = 0; i < module_count; i++)
        if (pc - modules[i].start < modules[i].end - modules[i].start)
            return &modules[i];
    return NULL;
}

const struct mo_module *mo_module_number(size_t index)
{
    return index < module_count ? &modules[index] : NULL;
}
