/* Finding moat in another process: see sight.h. */
#include "sight.h"

#include <elf.h>
#include <errno.h>
#include <link.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

enum { SEGMENTS_MOST = 64, NOTES_MOST = 4096, MAPPINGS_MOST = 200000 };

/* What was come upon on the way: why there is nothing to be seen. */
struct search {
    bool mapped, denied, other_class, named, other_version, unstarted;
};

bool sight_read(const struct sight *s, const void *from, void *to, size_t n)
{
    char *at = to;
    while (n > 0) {
        struct iovec local = {at, n}, remote = {(void *)(uintptr_t)from, n};
        ssize_t got = process_vm_readv(s->process, &local, 1, &remote, 1, 0);
        if (got <= 0)
            return false;
        at += got;
        from = (const char *)from + got;
        n -= (size_t)got;
    }
    return true;
}

bool sight_gone(const struct sight *s)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%ld/maps", (long)s->process);
    FILE *maps = fopen(path, "re");
    bool gone = maps == NULL || fgetc(maps) == EOF;
    if (maps != NULL)
        fclose(maps);
    return gone;
}

/* The note's value, as an address of the process; 0 when it is not there. */
static uintptr_t find_note(const struct sight *s, uintptr_t at, size_t n)
{
    unsigned char notes[NOTES_MOST];
    if (n > sizeof notes || !sight_read(s, (const void *)at, notes, n))
        return 0;
    for (size_t i = 0; i + sizeof(ElfW(Nhdr)) <= n;) {
        ElfW(Nhdr) note;
        memcpy(&note, notes + i, sizeof note);
        size_t name = i + sizeof note, value = name + ((size_t)note.n_namesz + 3) / 4 * 4;
        int32_t offset;
        if (note.n_namesz > n || note.n_descsz > n || value + note.n_descsz > n)
            return 0;
        if (note.n_type == MO_SIGHT_NOTE_TYPE && note.n_namesz == sizeof MO_SIGHT_NOTE &&
            note.n_descsz == sizeof offset && memcmp(notes + name, MO_SIGHT_NOTE, sizeof MO_SIGHT_NOTE) == 0) {
            memcpy(&offset, notes + value, sizeof offset);
            return at + value + (uintptr_t)(intptr_t)offset;
        }
        i = value + ((size_t)note.n_descsz + 3) / 4 * 4;
    }
    return 0;
}

/* Where mo_sight is in the object whose headers are mapped at base; 0: it has none. */
static uintptr_t find_in_object(const struct sight *s, uintptr_t base, struct search *found)
{
    ElfW(Ehdr) e;
    ElfW(Phdr) segments[SEGMENTS_MOST];
    uintptr_t bias = base, at = 0;
    if (!sight_read(s, (const void *)base, &e, sizeof e)) {
        found->denied = found->denied || errno == EPERM;
        return 0;
    }
    if (memcmp(e.e_ident, ELFMAG, SELFMAG) != 0)
        return 0;
    if (e.e_ident[EI_CLASS] != (sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32)) {
        found->other_class = true;
        return 0;
    }
    size_t count = e.e_phnum < SEGMENTS_MOST ? e.e_phnum : SEGMENTS_MOST;
    if (e.e_phentsize != sizeof segments[0] ||
        !sight_read(s, (const void *)(base + e.e_phoff), segments, count * sizeof segments[0]))
        return 0;
    for (size_t i = 0; i < count; i++)
        if (segments[i].p_type == PT_LOAD && segments[i].p_offset == 0)
            bias = base - segments[i].p_vaddr;
    for (size_t i = 0; i < count && at == 0; i++)
        if (segments[i].p_type == PT_NOTE)
            at = find_note(s, bias + segments[i].p_vaddr, segments[i].p_memsz);
    return at;
}

/* Are the values that everything else is computed with such as moat itself makes? */
static bool is_sane(const struct mo_sealed_data *d)
{
    bool sane = d->shard_count >= 1 && d->shard_count <= SIGHT_SHARDS && d->cache_bytes >= sizeof(struct mo_cache) &&
                d->cache_bytes <= (size_t)256 << 20 && d->options.profile < MO_PROFILES;
    for (unsigned i = MO_CLASS_FIRST; sane && i < MO_CLASSES; i++) {
        const struct mo_class *k = &d->classes[i];
        sane = k->stride >= 16 && k->stride <= 1 << 20 && k->slots >= 1 && k->slots <= MO_SLAB_SLOTS &&
               k->span_shift >= MO_GRANULE_SHIFT && k->span_shift <= 24 && k->ready_at <= k->ready_end &&
               k->ready_end <= d->cache_bytes && k->random_at <= k->fifo_at && k->fifo_at <= k->fifo_end &&
               k->fifo_end <= d->cache_bytes && k->word_shift < 32;
    }
    return sane;
}

/* False: this object's moat is not the one, and *found says why. */
static bool take(struct sight *s, uintptr_t at, struct search *found)
{
    if (!sight_read(s, (const void *)at, &s->places, sizeof s->places) ||
        memcmp(s->places.magic, MO_SIGHT_MAGIC, sizeof s->places.magic) != 0)
        return false;
    if (s->places.layout != MO_SIGHT_LAYOUT) {
        found->other_version = true;
        return false;
    }
    if (!sight_read(s, s->places.sealed, &s->sealed, sizeof s->sealed) ||
        !sight_read(s, s->places.heap, &s->heap, sizeof s->heap) ||
        !sight_read(s, s->places.cache, &s->cache, sizeof s->cache) ||
        !sight_read(s, s->places.pool, &s->pool, sizeof s->pool) || !s->sealed.ready || !is_sane(&s->sealed)) {
        found->unstarted = true;
        return false;
    }
    return true;
}

static bool search(struct sight *s, FILE *maps, struct search *found)
{
    char *line = NULL;
    size_t room = 0;
    bool done = false;
    for (size_t i = 0; !done && i < MAPPINGS_MOST && getline(&line, &room, maps) > 0; i++) {
        unsigned long start, offset;
        char read;
        found->mapped = true;
        found->named = found->named || strstr(line, "/libmoat") != NULL;
        if (sscanf(line, "%lx-%*x %c%*s %lx", &start, &read, &offset) != 3 || read != 'r' || offset != 0)
            continue;
        uintptr_t at = strchr(line, '/') != NULL ? find_in_object(s, start, found) : 0;
        done = at != 0 && take(s, at, found);
    }
    free(line);
    return done;
}

static void read_name(struct sight *s)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%ld/comm", (long)s->process);
    FILE *in = fopen(path, "re");
    size_t n = in != NULL ? fread(s->name, 1, sizeof s->name - 1, in) : 0;
    if (in != NULL)
        fclose(in);
    while (n > 0 && s->name[n - 1] == '\n')
        n--;
    s->name[n] = '\0';
    for (size_t i = 0; i < n; i++) /* nothing that a terminal or XML would obey */
        if (s->name[i] < ' ' || s->name[i] > '~' || strchr("<>&\"'\\", s->name[i]) != NULL)
            s->name[i] = '?';
}

static const char *why_not(const struct search *found)
{
    if (found->denied)
        return "this user may not look into it: ptrace permission is needed (the same user and "
               "kernel.yama.ptrace_scope=0, or root)";
    if (!found->mapped)
        return "it has no memory: it is a part of the kernel, or has ended";
    if (found->unstarted)
        return "its moat has not started, or its tables make no sense";
    if (found->other_version)
        return "it runs on another version of moat than this command";
    if (found->other_class)
        return "it is of another word size than this command";
    return found->named ? "it has another version of moat, that can't be looked into" : "moat is not its malloc";
}

bool sight_open(struct sight *s, const char *command, const char *process)
{
    char path[64], *end;
    struct search found = {0};
    long number = strtol(process, &end, 10);
    memset(s, 0, sizeof *s);
    if (*process == '\0' || *end != '\0' || number <= 0 || number != (pid_t)number) {
        fprintf(stderr, "%s: '%s' is not the number of a process\n", command, process);
        return false;
    }
    s->process = (pid_t)number;
    snprintf(path, sizeof path, "/proc/%ld/maps", number);
    FILE *maps = fopen(path, "re");
    if (maps == NULL && errno != EACCES && errno != EPERM) {
        fprintf(stderr, "%s: there is no process %ld\n", command, number);
        return false;
    }
    found.denied = maps == NULL;
    bool done = maps != NULL && search(s, maps, &found);
    if (maps != NULL)
        fclose(maps);
    read_name(s);
    if (!done)
        fprintf(stderr, "%s: process %ld (%s): %s\n", command, number, s->name, why_not(&found));
    return done;
}
