/* The environment variables of AFL++'s libdislocator, for the profile fuzz. */
#include <string.h>

#include "diag/extra.h"
#include "diag/option_text.h"
#include "diag/report.h"

/* AFL_LD_NO_CALLOC_OVER is always as if set: a calloc whose product overflows is NULL. */
static const struct {
    const char *variable, *option;
    bool valued; /* the option's value is the variable's */
} aliases[] = {
    {"AFL_LD_LIMIT_MB=", "rss_limit_mb=", true},
    {"AFL_LD_HARD_FAIL=", "allocator_may_return_null=no", false},
    {"AFL_LD_VERBOSE=", "stats=exit", false},
    {"AFL_ALIGNED_ALLOC=", "align=strict", false},
};

void mo_options_take_afl(struct mo_options *o, mo_option_variable *variable, mo_option_complain *complain)
{
    for (size_t i = 0; i < MO_ARRAY_LEN(aliases); i++) {
        char word[64];
        struct mo_text t = {word, word + sizeof word - 1};
        const char *value = variable(aliases[i].variable);
        if (value == NULL)
            continue;
        mo_text_string(&t, aliases[i].option);
        if (aliases[i].valued)
            mo_text_string(&t, value);
        *t.at = '\0';
        (void)mo_options_parse(o, word, aliases[i].variable, complain);
    }
    mo_extra_afl(o, variable);
}
