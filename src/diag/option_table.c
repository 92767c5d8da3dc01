/* Options: the table that options.def makes. */
#include "diag/options.h"

/* Names and allowed words, one behind the other. */
static const struct texts {
#define OPTION_BOOL(name, ...)               char name[sizeof #name];
#define OPTION_SIZE(name, ...)               char name[sizeof #name];
#define OPTION_ENUM(name, values, ...)       char name[sizeof #name], name##_values[sizeof(values)];
#define OPTION_TEXT(name, size, values, ...) char name[sizeof #name], name##_values[sizeof(values)];
#include "diag/options.def"
#undef OPTION_BOOL
#undef OPTION_SIZE
#undef OPTION_ENUM
#undef OPTION_TEXT
    char none;
} texts = {
#define OPTION_BOOL(name, ...)               #name,
#define OPTION_SIZE(name, ...)               #name,
#define OPTION_ENUM(name, values, ...)       #name, values,
#define OPTION_TEXT(name, size, values, ...) #name, values,
#include "diag/options.def"
#undef OPTION_BOOL
#undef OPTION_SIZE
#undef OPTION_ENUM
#undef OPTION_TEXT
    '\0',
};

/* See struct mo_option_number. */
#define SHIFT(v)   ((v) < 1u << 26 ? 0 : __builtin_ctzll((v) | 1ull << 31))
#define SHIFTED(v) ((uint32_t)((uint64_t)(v) >> SHIFT((uint64_t)(v)) << 6) | (uint32_t)SHIFT((uint64_t)(v)) << 1)
#define EVEN(v)    ((uint64_t)(v) < 1u << 26 || (uint64_t)(v) % 2 == 0)
#define NUMBER(v)                                               \
    {                                                           \
        EVEN(v) ? SHIFTED(v) : (SHIFTED((uint64_t)(v) + 1) | 1) \
    }

#define ENTRY(name, kind, values, lowest, highest, production, strict, fuzz, embedded) \
    {{NUMBER(production), NUMBER(strict), NUMBER(fuzz), NUMBER(embedded)},             \
     NUMBER(lowest),                                                                   \
     NUMBER(highest),                                                                  \
     offsetof(struct texts, name),                                                     \
     offsetof(struct texts, values),                                                   \
     offsetof(struct mo_options, name),                                                \
     kind},
#define OPTION_BOOL(name, production, strict, fuzz, embedded, help, cost) \
    ENTRY(name, MO_OPTION_BOOL, none, 0, 1, production, strict, fuzz, embedded)
#define OPTION_SIZE(name, production, strict, fuzz, embedded, lowest, highest, unit, help, cost) \
    ENTRY(name, MO_OPTION_##unit, none, lowest, highest, production, strict, fuzz, embedded)
/* The words bound an enum's values, so lowest and highest say nothing. */
#define OPTION_ENUM(name, values, production, strict, fuzz, embedded, help, cost) \
    ENTRY(name, MO_OPTION_ENUM, name##_values, 0, 0, production, strict, fuzz, embedded)
#define OPTION_TEXT(name, size, values, help, cost) ENTRY(name, MO_OPTION_TEXT, name##_values, 0, (size)-1, 0, 0, 0, 0)

const struct mo_option_info mo_option_table[] = {
#include "diag/options.def"
};

#undef OPTION_BOOL
#undef OPTION_SIZE
#undef OPTION_ENUM
#undef OPTION_TEXT
#undef ENTRY

const char *mo_option_name(const struct mo_option_info *option)
{
    return (const char *)&texts + option->name;
}

const char *mo_option_values(const struct mo_option_info *option)
{
    return (const char *)&texts + option->values;
}

const size_t mo_option_count = MO_ARRAY_LEN(mo_option_table);
const char *const mo_profile_names[MO_PROFILES] = {"production", "strict", "fuzz", "embedded"};

/* mo_option_table describes each member once: none is between two others but for those of options.def. */
#define OPTION_BOOL(name, ...)       +sizeof(size_t)
#define OPTION_SIZE(name, ...)       +sizeof(size_t)
#define OPTION_ENUM(name, ...)       +sizeof(size_t)
#define OPTION_TEXT(name, size, ...) +(size)
_Static_assert(sizeof(struct mo_options) == sizeof(size_t)
#include "diag/options.def"
                   ,
               "struct mo_options has a member that options.def does not list");
#undef OPTION_BOOL
#undef OPTION_SIZE
#undef OPTION_ENUM
#undef OPTION_TEXT
