/* One run of a program on one input: see target.h. */
#include "target.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void out_of_memory(void)
{
    fputs("moat: out of memory\n", stderr);
    exit(1);
}

char *target_text(const char *format, ...)
{
    va_list arguments;
    char *text;
    va_start(arguments, format);
    int n = vasprintf(&text, format, arguments);
    va_end(arguments);
    if (n < 0)
        out_of_memory();
    return text;
}

char *target_read(const char *path)
{
    enum { MOST = 1 << 20 }; /* a report has 16 KiB */
    FILE *in = fopen(path, "rb");
    if (in == NULL)
        return NULL;
    char *text = malloc(MOST + 1);
    if (text == NULL)
        out_of_memory();
    text[fread(text, 1, MOST, in)] = '\0';
    fclose(in);
    return text;
}

/* The word with each @@ replaced. */
static char *with_input(const char *word, const char *input)
{
    const char *at = strstr(word, "@@");
    if (at == NULL)
        return target_text("%s", word);
    char *rest = with_input(at + 2, input);
    char *all = target_text("%.*s%s%s", (int)(at - word), word, input, rest);
    free(rest);
    return all;
}

/* In the child: becomes the program. */
static void become(char *const *argv, const char *input, const char *library, const char *options, unsigned seconds)
{
    struct rlimit none = {0, 0};
    size_t n = 0;
    bool named = false;
    while (argv[n] != NULL)
        named = strstr(argv[n++], "@@") != NULL || named;
    char **words = calloc(n + 1, sizeof *words);
    for (size_t i = 0; words != NULL && i < n; i++)
        words[i] = with_input(argv[i], input);
    int nowhere = open("/dev/null", O_RDWR), in = named ? nowhere : open(input, O_RDONLY);
    if (words == NULL || in < 0 || dup2(in, 0) < 0 || dup2(nowhere, 1) < 0)
        _exit(127);
    setenv("LD_PRELOAD", library, 1);
    setenv("MOAT_OPTIONS", options, 1);
    setrlimit(RLIMIT_CORE, &none);
    alarm(seconds);
    int kept = fcntl(2, F_DUPFD_CLOEXEC, 3);
    dup2(nowhere, 2);
    execvp(words[0], words);
    dprintf(kept, "moat: %s: %s\n", words[0], strerror(errno));
    _exit(127);
}

void target_run(char *const *argv, const char *input, const char *library, const char *options, unsigned seconds,
                struct outcome *o)
{
    char folder[] = "/tmp/moat-XXXXXX";
    *o = (struct outcome){-1, NULL};
    if (mkdtemp(folder) == NULL) {
        fprintf(stderr, "moat: %s: %s\n", folder, strerror(errno));
        return;
    }
    char *all = target_text("%s log_path=%s/r", options, folder);
    pid_t child = fork();
    if (child == 0)
        become(argv, input, library, all, seconds);
    if (child < 0 || waitpid(child, &o->status, 0) != child)
        perror("moat");
    char *path = target_text("%s/r.%ld", folder, (long)child);
    o->report = target_read(path);
    unlink(path);
    rmdir(folder);
    free(path);
    free(all);
}

bool target_crashed(const struct outcome *o)
{
    return o->status != -1 && WIFSIGNALED(o->status) && WTERMSIG(o->status) != SIGALRM;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

char **target_files(const char *folder, size_t *n)
{
    DIR *d = opendir(folder);
    char **files = NULL;
    size_t room = 0;
    *n = 0;
    if (d == NULL)
        return NULL;
    for (const struct dirent *e; (e = readdir(d)) != NULL;) {
        struct stat s;
        if (e->d_name[0] == '.' || strcmp(e->d_name, "README.txt") == 0)
            continue;
        char *path = target_text("%s/%s", folder, e->d_name);
        if (stat(path, &s) != 0 || !S_ISREG(s.st_mode)) {
            free(path);
            continue;
        }
        if (*n == room) {
            room = room * 2 + 64;
            files = realloc(files, room * sizeof *files);
            if (files == NULL)
                out_of_memory();
        }
        files[(*n)++] = path;
    }
    closedir(d);
    if (files == NULL && (files = malloc(1)) == NULL)
        out_of_memory();
    qsort(files, *n, sizeof *files, by_name);
    return files;
}
