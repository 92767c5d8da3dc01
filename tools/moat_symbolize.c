/* moat symbolize: finds function and line for the frames of a report. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "moat.h"
#include "symbols.h"

enum { INLINED_MOST = 16 };

static void out_of_memory(void)
{
    fputs("moat: out of memory\n", stderr);
    exit(1);
}

/* The n bytes at s as a string. */
static char *copy_of(const char *s, size_t n)
{
    char *copy = strndup(s, n);
    if (copy == NULL)
        out_of_memory();
    return copy;
}

/* All of the file, or of standard input for "-", with a 0 behind it. */
static char *read_all(const char *path, size_t *size)
{
    FILE *in = strcmp(path, "-") == 0 ? stdin : fopen(path, "rb");
    char *text = NULL;
    size_t room = 0, n = 0;
    if (in == NULL) {
        fprintf(stderr, "moat symbolize: %s: %s\n", path, strerror(errno));
        return NULL;
    }
    do {
        if (room - n < 65536) {
            room = room * 2 + 131072;
            text = realloc(text, room);
            if (text == NULL)
                out_of_memory();
        }
        n += fread(text + n, 1, room - n - 1, in);
    } while (!feof(in) && !ferror(in));
    bool bad = ferror(in) != 0;
    if (in != stdin)
        fclose(in);
    if (bad) {
        fprintf(stderr, "moat symbolize: %s can't be read\n", path);
        free(text);
        return NULL;
    }
    text[n] = '\0';
    *size = n;
    return text;
}

static size_t digits(const char *s)
{
    return strspn(s, "0123456789");
}

/* Whether a report begins at s: "==12== moat: ", the sanitizer's first line, or JSON. */
static bool report_starts(const char *s)
{
    static const char json[] = "{\"moat\":\"", process[] = "\"process\":";
    if (strncmp(s, json, sizeof json - 1) == 0) {
        const char *p = strstr(s, process);
        return p != NULL && digits(p + sizeof process - 1) > 0; /* the library holds the text up to there */
    }
    if (s[0] != '=' || s[1] != '=')
        return false;
    size_t n = digits(s + 2);
    return n > 0 && (strncmp(s + 2 + n, "== moat: ", 9) == 0 || strncmp(s + 2 + n, "==ERROR: Addr", 13) == 0);
}

/* The report in a core file: a text in the memory that it holds. */
static char *find_in_core(char *bytes, size_t size)
{
    for (char *at = bytes; at < bytes + size; at++) {
        if ((*at == '=' || *at == '{') && report_starts(at) && strchr(at, '\n') != NULL)
            return at;
    }
    return NULL;
}

/* One frame as it stands in a line: "#3 0x12 (/path+0x34) (BuildId: 56)" */
struct frame {
    const char *number;  /* after the # */
    const char *address; /* 0x12 */
    const char *rest;    /* after the address: " (/path+0x34)..." */
    char *path, *offset;
};

/* Finds the frame in the line [line, end). */
static bool find_frame(const char *line, const char *end, struct frame *f)
{
    const char *at = line;
    if (at[0] == '=' && at[1] == '=') {
        at += 2 + digits(at + 2);
        at += strspn(at, "=");
    }
    at += strspn(at, " ");
    if (*at != '#' || digits(at + 1) == 0)
        return false;
    f->number = at + 1;
    f->address = f->number + digits(f->number) + 1;
    if (strncmp(f->address - 1, " 0x", 3) != 0)
        return false;
    f->rest = f->address + 2 + strspn(f->address + 2, "0123456789abcdef");
    if (f->rest[0] != ' ' || f->rest[1] != '(' || f->rest[2] != '/')
        return false;
    const char *path = f->rest + 2, *plus = NULL;
    for (const char *p = path; p < end; p++)
        if (strncmp(p, "+0x", 3) == 0)
            plus = p;
    size_t n = plus != NULL ? 3 + strspn(plus + 3, "0123456789abcdef") : 0;
    if (plus == NULL || plus[n] != ')')
        return false;
    f->path = copy_of(path, (size_t)(plus - path));
    f->offset = copy_of(plus + 1, n - 1);
    return true;
}

/* The build id that the report has for the file, in a frame's line or in one of its own; NULL: none. */
static char *build_id_of(const char *text, const char *path)
{
    static const char label[] = "(BuildId: ";
    size_t size = strlen(path);
    for (const char *at = text; (at = strstr(at, path)) != NULL; at += size) {
        const char *next = at + size;
        if (strncmp(next, "+0x", 3) == 0)
            next += 3 + strspn(next + 3, "0123456789abcdef") + 1;
        if (next[0] != ' ' || strncmp(next + 1, label, sizeof label - 1) != 0)
            continue;
        next += sizeof label;
        return copy_of(next, strspn(next, "0123456789abcdef"));
    }
    return NULL;
}

/* Writes the frame with its names, as the sanitizers do, and counts those that were inlined as frames. */
static void write_frame(const char *text, const char *line, const char *end, struct frame *f, unsigned *number)
{
    struct symbol symbols[INLINED_MOST];
    char *id = build_id_of(text, f->path);
    size_t n = symbols_find(f->path, id, f->offset, symbols, INLINED_MOST);
    if (f->number[0] == '0' && digits(f->number) == 1)
        *number = 0;
    for (size_t i = 0; i < n || i == 0; i++) {
        printf("%.*s%u %.*s", (int)(f->number - line), line, (*number)++, (int)(f->rest - f->address), f->address);
        if (n != 0)
            printf(" in %s %s", symbols[i].function, symbols[i].file);
        if (n != 0 && symbols[i].line != 0)
            printf(":%lu", symbols[i].line);
        printf("%.*s\n", (int)(end - f->rest), f->rest);
    }
    symbols_free(symbols, n);
    free(id);
    free(f->path);
    free(f->offset);
}

static void write_text(const char *text)
{
    unsigned number = 0;
    for (const char *line = text; *line != '\0';) {
        const char *end = line + strcspn(line, "\n");
        struct frame f;
        if (find_frame(line, end, &f))
            write_frame(text, line, end, &f, &number);
        else
            printf("%.*s%s", (int)(end - line), line, *end != '\0' ? "\n" : "");
        line = end + (*end != '\0');
    }
}

/* The text of JSON that starts behind the quote at s; *after: behind the closing one. */
static char *read_string(const char *s, const char **after)
{
    char *text = copy_of(s, strlen(s)), *to = text;
    while (*s != '"' && *s != '\0') {
        unsigned code;
        if (s[0] == '\\' && s[1] == 'u' && sscanf(s + 2, "%4x", &code) == 1) {
            *to++ = (char)code;
            s += 6;
            continue;
        }
        s += s[0] == '\\' && s[1] != '\0';
        *to++ = *s++;
    }
    *to = '\0';
    *after = s + (*s == '"');
    return text;
}

static void write_string(const char *s)
{
    putchar('"');
    for (; *s != '\0'; s++) {
        if (*s == '"' || *s == '\\')
            printf("\\%c", *s);
        else if ((unsigned char)*s < ' ')
            printf("\\u%04x", (unsigned)*s);
        else
            putchar(*s);
    }
    putchar('"');
}

/* A frame's keys from "module" on: ,"module":"/path","offset":"0x12","build_id":"34"} */
static const char *write_json_frame(const char *at)
{
    static const char offset_key[] = ",\"offset\":\"", id_key[] = ",\"build_id\":";
    struct symbol symbols[INLINED_MOST];
    const char *start = at, *after = at;
    char *path = read_string(at, &after), *offset = NULL, *id = NULL;
    if (strncmp(after, offset_key, sizeof offset_key - 1) == 0)
        offset = read_string(after + sizeof offset_key - 1, &after);
    if (offset != NULL && strncmp(after, id_key, sizeof id_key - 1) == 0) {
        after += sizeof id_key - 1;
        if (*after == '"')
            id = read_string(after + 1, &after);
        else
            after += strspn(after, "nul");
    }
    printf("%.*s", (int)(after - start), start);
    size_t n = offset != NULL && path[0] == '/' ? symbols_find(path, id, offset, symbols, INLINED_MOST) : 0;
    if (n != 0) {
        fputs(",\"function\":", stdout);
        write_string(symbols[0].function);
        fputs(",\"file\":", stdout);
        write_string(symbols[0].file);
        printf(",\"line\":%lu", symbols[0].line);
    }
    symbols_free(symbols, n);
    free(path);
    free(offset);
    free(id);
    return after;
}

static void write_json(const char *text)
{
    static const char module[] = "\"module\":\"";
    const char *next;
    while ((next = strstr(text, module)) != NULL) {
        next += sizeof module - 1;
        printf("%.*s", (int)(next - text), text);
        text = write_json_frame(next);
    }
    fputs(text, stdout);
}

static int symbolize(const char *path)
{
    size_t size;
    char *bytes = read_all(path, &size), *text = bytes;
    if (bytes == NULL)
        return 1;
    if (size > 4 && memcmp(bytes, "\177ELF", 4) == 0) {
        text = find_in_core(bytes, size);
        if (text == NULL)
            fprintf(stderr, "moat symbolize: %s holds no report\n", path);
    }
    if (text != NULL && text[0] == '{')
        write_json(text);
    else if (text != NULL)
        write_text(text);
    free(bytes);
    return text != NULL ? 0 : 1;
}

int moat_symbolize_main(int argc, char **argv)
{
    static const struct option known[] = {{"tool", required_argument, NULL, 't'},
                                          {"help", no_argument, NULL, 'h'},
                                          {NULL, 0, NULL, 0}};
    static char name[] = "moat symbolize";
    argv[0] = name;
    for (int c; (c = getopt_long(argc, argv, "h", known, NULL)) != -1;) {
        if (c == 'h')
            return moat_help("symbolize") ? 0 : EXIT_USAGE;
        if (c != 't') {
            fputs("See 'moat help symbolize'.\n", stderr);
            return EXIT_USAGE;
        }
        symbols_use(optarg);
    }
    if (argc - optind != 1) {
        fputs("moat symbolize: which report? A file, or - for standard input. See 'moat help symbolize'.\n", stderr);
        return EXIT_USAGE;
    }
    return symbols_ready() ? symbolize(argv[optind]) : 1;
}
