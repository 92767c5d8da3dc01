/* MOAT_SMALL: options of what it leaves out are unknown; of other builds they are options. */
#include <criterion/criterion.h>
#include <string.h>

#include "diag/option_text.h"

static char complaint[MO_OPTION_LINE_MAX + 1];

static void keep(const char *line, size_t n)
{
    memcpy(complaint, line, n);
    complaint[n] = '\0';
}

Test(options_small, nothing_is_taken_in_silence)
{
    static const char *const words[] = {"mte=sync",
                                        "sample_rate=1000",
                                        "sample_slots=1",
                                        "sample_bytes=4096",
                                        "sample_left=1",
                                        "sample_hot=1",
                                        "sample_forked=1",
                                        "align=natural",
                                        "malloc_context_size=0",
                                        "check=dst",
                                        "stats=exit",
                                        "heap_profile=/tmp/heap",
                                        "detect_leaks=yes",
                                        "leak_exitcode=1",
                                        "malloc_fill_byte=1",
                                        "max_malloc_fill_size=1",
                                        "free_fill_byte=1",
                                        "max_free_fill_size=1"};
    struct mo_options o;
    mo_options_default(&o, MO_PROFILE_PRODUCTION);
    for (size_t i = 0; i < MO_ARRAY_LEN(words); i++) {
        cr_expect_eq(mo_options_parse(&o, words[i], "test", keep), MO_SMALL, "%s", words[i]);
        cr_expect(!MO_SMALL || strstr(complaint, "unknown option") != NULL, "%s: %s", words[i], complaint);
    }
}
