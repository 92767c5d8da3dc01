/* Options: the table that options.def makes. */
#include "diag/options.h"

#define PROFILES "production|strict|fuzz|embedded"

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
    char none, profile_values[sizeof PROFILES];
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
    PROFILES,
};

/* See struct mo_option_number. */
#define MANTISSAS  512u
#define TWOS(v)    ((v) < MANTISSAS ? 0 : __builtin_ctzll((v) | 1ull << 62) / 2)
#define BY_TWOS(v) ((v) >> 2 * TWOS(v) < MANTISSAS)
#define TENS(v)    ((v) % 1000000 == 0 ? 6 : (v) % 100000 == 0 ? 5 : 3)
#define POWER(v)   ((v) % 1000000 == 0 ? 1000000u : (v) % 100000 == 0 ? 100000u : 1000u)
#define BY_TENS(v) ((v) % POWER(v) == 0 && (v) / POWER(v) < MANTISSAS)
#define PACKED(v)  (BY_TWOS(v) ? ((v) >> 2 * TWOS(v)) << 7 | (unsigned)TWOS(v) : ((v) / POWER(v)) << 7 | 32 | TENS(v))
#define FITS(v)    (BY_TWOS(v) || BY_TENS(v))
#define WIDE(v)    ((uint64_t)(v))
#define NUMBER(v)                                                              \
    {                                                                          \
        (uint16_t)(FITS(WIDE(v)) ? PACKED(WIDE(v)) : PACKED(WIDE(v) + 1) | 64) \
    }
#define IS_NUMBER(v) _Static_assert(FITS(WIDE(v)) || FITS(WIDE(v) + 1), "not in two bytes: " #v);

#define OPTION_BOOL(...)
#define OPTION_SIZE(name, production, strict, fuzz, embedded, lowest, highest, ...) \
    IS_NUMBER(production) IS_NUMBER(strict) IS_NUMBER(fuzz) IS_NUMBER(embedded) IS_NUMBER(lowest) IS_NUMBER(highest)
#define OPTION_ENUM(...)
#define OPTION_TEXT(name, size, ...) IS_NUMBER((size)-1)
#include "diag/options.def"
#undef OPTION_BOOL
#undef OPTION_SIZE
#undef OPTION_ENUM
#undef OPTION_TEXT

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

size_t mo_option_number(struct mo_option_number n)
{
    uint64_t v = n.packed >> 7;
    unsigned power = n.packed & 31;
    if ((n.packed & 32) != 0)
        for (; power > 0; power--)
            v *= 10;
    return (size_t)((v << 2 * power) - (n.packed >> 6 & 1));
}

const char *mo_option_name(const struct mo_option_info *option)
{
    return (const char *)&texts + option->name;
}

const char *mo_option_values(const struct mo_option_info *option)
{
    return (const char *)&texts + option->values;
}

const struct mo_option_info mo_option_profile = {.kind = MO_OPTION_ENUM,
                                                 .values = offsetof(struct texts, profile_values),
                                                 .offset = offsetof(struct mo_options, profile)};
const size_t mo_option_count = MO_ARRAY_LEN(mo_option_table);
const char mo_profile_names[MO_PROFILES][sizeof "production"] = {"production", "strict", "fuzz", "embedded"};

/* mo_option_table describes each member once: none is between two others but for those of options.def. */
#define OPTION_BOOL(name, ...)       +sizeof(size_t)
#define OPTION_SIZE(name, ...)       +sizeof(size_t)
#define OPTION_ENUM(name, ...)       +sizeof(size_t)
#define OPTION_TEXT(name, size, ...) +(size)
#define MO_OPTIONS_ALL
_Static_assert(sizeof(struct mo_options) == sizeof(size_t)
#include "diag/options.def"
                   ,
               "struct mo_options has a member that options.def does not list");
#undef MO_OPTIONS_ALL
#undef OPTION_BOOL
#undef OPTION_SIZE
#undef OPTION_ENUM
#undef OPTION_TEXT
