/* Options: their values, where they come from and how bad ones are answered.
 *
 * Read once at start, in this order, later ones winning: the compiled-in weak symbol `moat_options`,
 * /etc/moat.conf, and the environment's MOAT_OPTIONS, which is ignored under AT_SECURE. A source is a
 * list of name=value separated by spaces, commas, colons or newlines; `#` starts a comment until the end
 * of the line. `profile=P` is applied before the other words of all sources, wherever it stands. An unknown
 * name or a value out of range is named on stderr with what is allowed, and the value before holds.
 *
 * The values live in the sealed page (diag/sealed.h). Nothing here allocates.
 */
#ifndef MO_OPTIONS_H
#define MO_OPTIONS_H

#include "base/base.h"

#if UINTPTR_MAX > 0xffffffffu
#define MO_DEFAULT_RESERVE  ((size_t)1 << 40)
#define MO_EMBEDDED_RESERVE ((size_t)4 << 30)
#define MO_HIGHEST_RESERVE  ((size_t)1 << 44)
#define MO_LARGE_WAIT       ((size_t)256 << 20)
#else
#define MO_DEFAULT_RESERVE  ((size_t)1 << 31)
#define MO_EMBEDDED_RESERVE ((size_t)1 << 30)
#define MO_HIGHEST_RESERVE  ((size_t)1 << 31)
#define MO_LARGE_WAIT       ((size_t)16 << 20)
#endif

enum mo_profile { MO_PROFILE_PRODUCTION, MO_PROFILE_STRICT, MO_PROFILE_FUZZ, MO_PROFILE_EMBEDDED, MO_PROFILES };

enum mo_mismatch { MO_MISMATCH_ABORT, MO_MISMATCH_WARN, MO_MISMATCH_OFF };
enum mo_foreign { MO_FOREIGN_ABORT, MO_FOREIGN_WARN, MO_FOREIGN_IGNORE };
enum mo_guards { MO_GUARDS_AUTO, MO_GUARDS_MPROTECT, MO_GUARDS_OFF };
enum mo_purge { MO_PURGE_EAGER, MO_PURGE_DELAY, MO_PURGE_LAZY };
enum mo_tags_choice { MO_TAGS_AUTO, MO_TAGS_OFF, MO_TAGS_ASYNC, MO_TAGS_SYNC };
enum mo_mac_choice { MO_MAC_AUTO, MO_MAC_SIPHASH };
enum mo_report_form { MO_REPORT_TEXT, MO_REPORT_JSON, MO_REPORT_ASAN };
#ifdef MO_BUILD_SMALL
#define MO_REPORT_FORMS "text"
#else
#define MO_REPORT_FORMS "text|json|asan"
#endif
enum mo_color { MO_COLOR_AUTO, MO_COLOR_ALWAYS, MO_COLOR_NEVER };
enum mo_check_when { MO_CHECK_OFF, MO_CHECK_MAIN, MO_CHECK_ALL };
enum mo_handle_segv { MO_SEGV_OFF, MO_SEGV_ON, MO_SEGV_LATE, MO_SEGV_WORDS };
enum mo_align_choice { MO_ALIGN_STRICT, MO_ALIGN_NATURAL };
enum mo_check_what { MO_CHECK_NOTHING, MO_CHECK_DST, MO_CHECK_BOTH };

/* With MO_SMALL nothing is written to the paths, and the sealed page is one page. */
enum { MO_LOG_PATH_SIZE = 128, MO_PATH_SIZE = MO_SMALL ? 32 : 64, MO_STATS_MOST = 86400 /* seconds */ };

/* One member for each option, in the order of options.def: of type size_t, but for texts. */
struct mo_options {
    size_t profile; /* enum mo_profile */
#define OPTION_BOOL(name, ...)       size_t name;
#define OPTION_SIZE(name, ...)       size_t name;
#define OPTION_ENUM(name, ...)       size_t name;
#define OPTION_TEXT(name, size, ...) char name[size];
#define MO_OPTIONS_ALL
#include "diag/options.def"
#undef MO_OPTIONS_ALL
#undef OPTION_BOOL
#undef OPTION_SIZE
#undef OPTION_ENUM
#undef OPTION_TEXT
};

/* What an option may be; the table is made from options.def, whose help and cost only the command `moat` has. */
enum mo_option_kind { MO_OPTION_BOOL, MO_OPTION_COUNT, MO_OPTION_BYTES, MO_OPTION_ENUM, MO_OPTION_TEXT };
/* A number in two bytes: the first 9 bits, times a power of four that the last 5 bits say, or of ten with the 11th bit;
 * less 1 with the 10th. */
struct mo_option_number {
    uint16_t packed;
};
/* Without pointers: what the loader does not have to write to stays in pages that all processes share. */
struct mo_option_info {
    struct mo_option_number of_profile[MO_PROFILES]; /* default in each profile */
    struct mo_option_number lowest, highest;         /* of a text: bytes */
    uint16_t name, values;                           /* places of its texts: ask mo_option_name and mo_option_values */
    uint16_t offset;                                 /* of the member in struct mo_options */
    uint8_t kind;                                    /* enum mo_option_kind */
};
extern const struct mo_option_info mo_option_table[];
extern const struct mo_option_info mo_option_profile; /* as an option; it has no name and no defaults */

size_t mo_option_number(struct mo_option_number n);

const char *mo_option_name(const struct mo_option_info *option);

/* Enum words separated by |, or an empty text. */
const char *mo_option_values(const struct mo_option_info *option);

extern const size_t mo_option_count;
extern const char mo_profile_names[MO_PROFILES][sizeof "production"];

/* Where a complaint about a bad word goes: one line of text without newline. */
typedef void mo_option_complain(const char *line, size_t n);

/* Sets *o to the values of profile p. */
void mo_options_default(struct mo_options *o, enum mo_profile p);

/* Applies one source's text. Complaints name `source`. With complain NULL bad words pass in silence.
 * Returns the number of bad words. */
unsigned mo_options_parse(struct mo_options *o, const char *text, const char *source, mo_option_complain *complain);

/* Of the n bytes of a text /PATH or /PATH:NUMBER the number, or 0, and in *path the bytes of the path; 0 there: it is
 * neither. */
size_t mo_options_path(const char *text, size_t n, size_t *path);

/* Finds the last valid profile=P in text; `none` when there is none. */
enum mo_profile mo_options_profile(const char *text, enum mo_profile none);

/* Reads all sources as described above. secure: the environment is not read. */
void mo_options_load(struct mo_options *o, bool secure);

#endif
