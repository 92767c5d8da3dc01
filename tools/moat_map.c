/* moat map: a picture of a running process's heap, as SVG.
 *
 * A cell for each slab in the order of addresses, filled as far as its slots are out, in its class's colour, with its
 * guard as a red edge; where addresses are left out, a new row begins with its own. Below, a bar for each large chunk
 * between its guards, by the logarithm of its size. Shapes of one kind are one path, so that the file stays small.
 */
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "mem/classes.h"
#include "moat.h"
#include "sight.h"

enum {
    CELL = 15,
    GAP = 3,
    STEP = CELL + GAP,
    COLUMNS = 48,
    LEFT = 130,
    TOP = 70,
    WIDTH = LEFT + COLUMNS * STEP + 150,
    BAR = 8,
    SLABS_MOST = 20000, /* drawn */
    LARGES_MOST = 400,
};

struct map {
    const struct sight *s;
    struct mo_slab *slabs;
    size_t count, room, left_out;
    struct mo_large *larges;
    size_t large_count, large_room, large_left_out;
    int y; /* of the row that comes next */
};

static void *more(void *list, size_t *room, size_t size)
{
    *room = *room * 2 + 256;
    list = realloc(list, *room * size);
    if (list == NULL) {
        fputs("moat: out of memory\n", stderr);
        exit(1);
    }
    return list;
}

static void keep_slab(void *context, const struct mo_slab *slab, const struct mo_class *k)
{
    struct map *m = context;
    (void)k;
    if (m->count == SLABS_MOST) {
        m->left_out++;
        return;
    }
    if (m->count == m->room)
        m->slabs = more(m->slabs, &m->room, sizeof *m->slabs);
    m->slabs[m->count++] = *slab;
}

static void keep_large(void *context, const struct mo_large *l)
{
    struct map *m = context;
    if (m->large_count == LARGES_MOST) {
        m->large_left_out++;
        return;
    }
    if (m->large_count == m->large_room)
        m->larges = more(m->larges, &m->large_room, sizeof *m->larges);
    m->larges[m->large_count++] = *l;
}

static int by_base(const void *a, const void *b)
{
    uintptr_t x = ((const struct mo_slab *)a)->base, y = ((const struct mo_slab *)b)->base;
    return (x > y) - (x < y);
}

static int by_size(const void *a, const void *b)
{
    size_t x = ((const struct mo_large *)a)->map_size, y = ((const struct mo_large *)b)->map_size;
    return (x < y) - (x > y);
}

struct cell {
    int x, y;
};

/* Rows of cells, a new one where addresses are left out or the row is full; draws each row's address. */
static struct cell *lay_out(struct map *m, FILE *out)
{
    struct cell *cells = calloc(m->count + 1, sizeof *cells);
    int column = 0;
    uintptr_t end = 0;
    if (cells == NULL)
        return NULL;
    for (size_t i = 0; i < m->count; i++) {
        const struct mo_slab *slab = &m->slabs[i];
        size_t span = (size_t)1 << m->s->sealed.classes[slab->class].span_shift;
        bool apart = slab->base - end > 16 * span;
        if (i == 0 || apart || column == COLUMNS) {
            m->y += (i != 0 ? STEP : 0) + (i != 0 && apart ? GAP * 2 : 0);
            fprintf(out, "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">0x%zx</text>\n", LEFT - 8, m->y + CELL - 3,
                    (size_t)slab->base);
            column = 0;
        }
        cells[i] = (struct cell){LEFT + column++ * STEP, m->y};
        end = slab->base + span;
    }
    m->y += STEP;
    return cells;
}

/* Colours go around the circle by class, so that neighbours in size are neighbours in colour. */
static int hue_of(unsigned class)
{
    return 40 + (int)((class - MO_CLASS_FIRST) * 270 / SIGHT_CLASSES); /* no red */
}

static bool is_open(const struct mo_slab *slab)
{
    return (slab->flags & MO_SLAB_OPEN) != 0 && slab->class != MO_CLASS_ZERO;
}

/* How much of a slab is out, in pixels of its cell; at least one where there is something. */
static int fill_of(const struct map *m, const struct mo_slab *slab)
{
    unsigned taken = slab->introduced - slab->free_count, slots = m->s->sealed.classes[slab->class].slots;
    return (int)((taken * CELL + slots - 1) / slots);
}

/* One path: what is out of the slabs of a class. */
static void draw_class(struct map *m, FILE *out, const struct cell *cells, unsigned class)
{
    bool begun = false;
    for (size_t i = 0; i < m->count; i++) {
        int h = m->slabs[i].class == class && is_open(&m->slabs[i]) ? fill_of(m, &m->slabs[i]) : 0;
        if (h <= 0)
            continue;
        if (!begun)
            fprintf(out, "<path fill=\"hsl(%d,65%%,48%%)\" d=\"", hue_of(class));
        begun = true;
        fprintf(out, "M%d %dh%dv%dh-%dz", cells[i].x, cells[i].y + CELL - h, CELL, h, CELL);
    }
    if (begun)
        fputs("\"/>\n", out);
}

static void draw_slabs(struct map *m, FILE *out, const struct cell *cells)
{
    static const char *const styles[] = {"fill=\"#eef1f4\" stroke=\"#b8c0c8\"", "fill=\"#3b4048\""};
    for (int closed = 0; closed < 2; closed++) {
        fprintf(out, "<path %s d=\"", styles[closed]);
        for (size_t i = 0; i < m->count; i++)
            if (is_open(&m->slabs[i]) != (closed != 0))
                fprintf(out, "M%d %dh%dv%dh-%dz", cells[i].x, cells[i].y, CELL, CELL, CELL);
        fputs("\"/>\n", out);
    }
    for (unsigned class = MO_CLASS_FIRST; class < MO_CLASSES; class++)
        draw_class(m, out, cells, class);
    fputs("<path stroke=\"#d22\" stroke-width=\"2\" d=\"", out); /* guards behind open slabs that have one */
    for (size_t i = 0; i < m->count; i++)
        if (is_open(&m->slabs[i]) && !(m->slabs[i].flags & MO_SLAB_BARE))
            fprintf(out, "M%d %dv%d", cells[i].x + CELL + 1, cells[i].y, CELL);
    fputs("\"/>\n", out);
}

static void draw_larges(struct map *m, FILE *out)
{
    m->y += STEP;
    fprintf(out, "<text x=\"8\" y=\"%d\" class=\"h\">large chunks and their guards, by size</text>\n", m->y);
    m->y += BAR;
    for (size_t i = 0; i < m->large_count; i++, m->y += BAR + 2) {
        const struct mo_large *l = &m->larges[i];
        double span = log2((double)l->map_size / 4096 + 1) * 24;
        int w = (int)(span < WIDTH - LEFT - 140 ? span : WIDTH - LEFT - 140);
        int shown = l->state != 0 ? (int)((double)w * (double)l->n / (double)mo_max(l->open_size, 1)) : 0;
        fprintf(out, "<path fill=\"#d22\" d=\"M%d %dh3v%dh-3zm%d 0h3v%dh-3z\"/>", LEFT, m->y, BAR, w + 3, BAR);
        fprintf(out, "<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" fill=\"%s\"/>", LEFT + 3, m->y, w, BAR,
                l->state != 0 ? "#eef1f4" : "#3b4048");
        fprintf(out, "<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" fill=\"#4a7ebb\"/>", LEFT + 3 + w - shown,
                m->y, shown, BAR);
        fprintf(out, "<text x=\"%d\" y=\"%d\">%.1f KiB%s</text>\n", LEFT + w + 12, m->y + BAR, (double)l->n / 1024,
                l->state != 0 ? "" : ", freed, waits");
    }
}

static void draw_legend(const struct map *m, FILE *out, const size_t *slabs)
{
    int x = LEFT + COLUMNS * STEP + 16, y = TOP;
    for (unsigned class = MO_CLASS_FIRST; class <= MO_CLASS_LAST; class++) {
        if (slabs[class] == 0)
            continue;
        fprintf(out, "<rect x=\"%d\" y=\"%d\" width=\"10\" height=\"10\" fill=\"hsl(%d,65%%,48%%)\"/>", x, y,
                hue_of(class));
        fprintf(out, "<text x=\"%d\" y=\"%d\">to %zu: %zu</text>\n", x + 14, y + 9,
                mo_class_capacity(&m->s->sealed.classes[class]), slabs[class]);
        y += 13;
    }
}

static int legend_height(const size_t *slabs)
{
    int rows = 0;
    for (unsigned class = MO_CLASS_FIRST; class <= MO_CLASS_LAST; class++)
        rows += slabs[class] != 0;
    return TOP + rows * 13;
}

static bool draw(struct map *m, FILE *out)
{
    size_t open = 0, slabs[MO_CLASSES] = {0};
    char *body = NULL;
    size_t size = 0;
    FILE *text = open_memstream(&body, &size);
    for (size_t i = 0; i < m->count; i++)
        if (is_open(&m->slabs[i])) {
            open++;
            slabs[m->slabs[i].class]++;
        }
    m->y = TOP;
    struct cell *cells = text != NULL ? lay_out(m, text) : NULL;
    if (cells == NULL)
        return false;
    draw_slabs(m, text, cells);
    if (m->large_count != 0)
        draw_larges(m, text);
    draw_legend(m, text, slabs);
    free(cells);
    if (fclose(text) != 0)
        return false;
    int height = legend_height(slabs) > m->y ? legend_height(slabs) : m->y;
    fprintf(out, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\">\n", WIDTH,
            height + 12, WIDTH, height + 12);
    fputs("<style>text{font:10px monospace;fill:#333}.h{font-size:13px}</style>\n"
          "<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n",
          out);
    fprintf(out, "<text x=\"8\" y=\"20\" class=\"h\">%s: %s (process %ld), profile %s</text>\n", moat_version(),
            m->s->name, (long)m->s->process, mo_profile_names[m->s->sealed.options.profile]);
    fprintf(out,
            "<text x=\"8\" y=\"38\">%zu slabs in the order of addresses, %zu open (filled: slots that are out), the "
            "others closed (dark); red: guards</text>\n",
            m->count, open);
    if (m->left_out + m->large_left_out != 0)
        fprintf(out, "<text x=\"8\" y=\"52\">not drawn: %zu slabs, %zu large chunks</text>\n", m->left_out,
                m->large_left_out);
    fwrite(body, 1, size, out);
    fputs("</svg>\n", out);
    free(body);
    return true;
}

static int write_map(struct map *m, const char *path)
{
    FILE *out = path != NULL ? fopen(path, "w") : stdout;
    if (out == NULL || !draw(m, out) || fflush(out) != 0 || ferror(out)) {
        fprintf(stderr, "moat map: %s: %s\n", path != NULL ? path : "standard output", strerror(errno));
        return 1;
    }
    if (path != NULL)
        fclose(out);
    return 0;
}

int moat_map_main(int argc, char **argv)
{
    static const struct option options[] = {{"output", required_argument, NULL, 'o'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    static struct sight s;
    struct map m = {.s = &s};
    const char *path = NULL;
    for (int c; (c = getopt_long(argc, argv, "+o:h", options, NULL)) != -1;) {
        if (c == 'h')
            return moat_help("map") ? 0 : 1;
        if (c != 'o')
            return EXIT_USAGE;
        path = optarg;
    }
    if (argc - optind != 1) {
        fputs("moat map: which process? See 'moat help map'.\n", stderr);
        return EXIT_USAGE;
    }
    if (!sight_open(&s, "moat map", argv[optind]))
        return 1;
    sight_slabs(&s, keep_slab, &m);
    sight_larges(&s, keep_large, &m);
    if (m.count == 0 && m.large_count == 0 && sight_gone(&s)) {
        fprintf(stderr, "moat map: process %ld has ended\n", (long)s.process);
        return 1;
    }
    qsort(m.slabs, m.count, sizeof *m.slabs, by_base);
    qsort(m.larges, m.large_count, sizeof *m.larges, by_size);
    int status = write_map(&m, path);
    free(m.slabs);
    free(m.larges);
    return status;
}
