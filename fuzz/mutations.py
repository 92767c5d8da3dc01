"""What `prove` breaks in moat, one at a time: (harness, what, file, text that is there once, text in its place). An edit
that no longer fits fails, so that this list follows the code."""

SLOW, HOT, OPTIONS, JSON = "src/front/slow.c", "src/front/hot.h", "src/diag/options.c", "src/diag/report_json.c"

MUTATIONS = [
    ("sequence", "realloc copies a byte less", SLOW, "mo_min(made.n, n));\n    if (made.align == 0)",
     "mo_min(made.n, n) - 1);\n    if (made.align == 0)"),
    ("sequence", "what realloc adds is not zero", SLOW, "    memset((void *)(p + kept), 0, end - p - kept);", "    (void)kept;"),
    ("sequence", "an aligned chunk is not", SLOW, "    p = mo_align_up(p, align);\n",
     "    p = mo_align_up(p, mo_min(align, 64));\n"),
    ("sequence", "calloc's product may wrap", "src/api/malloc.c", "if (mo_unlikely(__builtin_mul_overflow(count, n, &bytes)))",
     "bytes = count * n;\n    if (count == 0 && n == 0)"),
    ("sequence", "free_sized of an aligned chunk that realloc left in place", SLOW,
     "return origin == MO_ORIGIN_MALLOC ? MO_NOT_TOLD : 0;", "return origin == MO_ORIGIN_MALLOC && 0 ? MO_NOT_TOLD : 0;"),
    ("sequence", "statistics count what waits as live", "src/front/stats.c",
     "s->live_count = taken > away ? taken - away : 0;", "s->live_count = taken > away ? taken : 0;"),
    ("sequence", "a slot stays free when it is taken", "src/arena/arena.c", "        slab->free[w] = left;\n", ""),
    ("sequence", "errno is changed by a system call", "src/os/memory.c",
     "&& --tries > 0);\n    errno = saved;", "&& --tries > 0);\n    errno = EINTR;"),
    ("options", "a number may wrap", OPTIONS, "__builtin_mul_overflow(v, (uint64_t)base, &v) ||",
     "((v *= (uint64_t)base), false) ||"),
    ("options", "the highest value is refused", OPTIONS, "v > mo_option_number(option->highest))", "v >= mo_option_number(option->highest))"),
    ("options", "complaints hold what a terminal obeys", OPTIONS, "s[i] >= ' ' && s[i] <= '~' ? s[i] : '?'",
     "s[i] != '\\n' ? s[i] : '?'"),
    ("options", "a comment ends at a space", OPTIONS, 'at += strcspn(at, "\\n");', 'at += strcspn(at, " \\n");'),
    ("header", "the MAC leaves out the generation", "src/front/hot_aes.c", "fields, state, mo_sealed.aes_keys",
     "fields, state & 0, mo_sealed.aes_keys"),
    ("header", "the middle of a long tail is not looked at", "src/front/hot_aes.c",
     "    if (at > from) { /*", "    if (at > from + 16) { /*"),
    ("header", "a free slot's header may be the fence and more", "src/front/chunk.h", "return h * (h ^ fence);",
     "return (h & 0xff) * ((h & 0xff) ^ fence);"),
    ("report", "a backslash is not escaped", JSON, "if (c == '\"' || c == '\\\\') {", "if (c == '\"') {"),
    ("report", "a text may be a byte too long", "src/diag/text.c", "while (*s != '\\0' && t->at < t->end)",
     "while (*s != '\\0' && t->at <= t->end)"),
    ("report", "the lowest number", "src/diag/text.c", "mo_text_decimal(t, v < 0 ? 0 - (uint64_t)v : (uint64_t)v);",
     "mo_text_decimal(t, v < 0 ? 0 - (uint64_t)(int32_t)v : (uint64_t)v);"),
]
