/* The callback for reports: set, replaced, taken back, and not to be set by a write. */
#include <criterion/criterion.h>

#include "diag/report_form.h"
#include "diag/sealed.h"
#include "moat/moat.h"

static int told, attacked;
static const struct mo_case a_case = {.violation = MO_DOUBLE_FREE, .address = 0x1230};

static void tell(const struct moat_report *report)
{
    cr_expect_eq(report->size, sizeof *report);
    cr_expect_str_eq(report->bug, "double-free");
    cr_expect_eq(report->address, (void *)0x1230);
    cr_expect_str_eq(report->text, "text");
    cr_expect_eq(report->text_size, 4);
    told += report->ends ? 100 : 1;
}

static void attack(const struct moat_report *report)
{
    (void)report;
    attacked++;
}

static void tell_all(bool ends)
{
    mo_report_tell(&a_case, "text", 4, ends);
}

Test(report_hook, callback)
{
    tell_all(false);
    cr_expect_eq(told, 0);
    cr_expect_null(moat_set_report_callback(tell));
    tell_all(false);
    cr_expect_eq(told, 1);
    tell_all(true);
    cr_expect_eq(told, 101);
    cr_expect(moat_set_report_callback(attack) == tell);
    cr_expect(moat_set_report_callback(tell) == attack);
    cr_expect(moat_set_report_callback(NULL) == tell);
    tell_all(false);
    cr_expect_eq(told, 101);
    cr_expect_null(moat_set_report_callback(NULL));
}

/* Who can write, but does not know the keys: an address, twice, beside the right one, a part of it. */
Test(report_hook, written_words_are_not_called)
{
    const uintptr_t p = (uintptr_t)attack;
    for (int set = 0; set < 2; set++) {
        moat_set_report_callback(set ? tell : NULL);
        const uintptr_t before[2] = {mo_report_callback_words[0], mo_report_callback_words[1]};
        const uintptr_t tries[][2] = {{p, p},
                                      {p, before[1]},
                                      {before[0], p},
                                      {p, 0},
                                      {0, p},
                                      {before[0] ^ 16, before[1]},
                                      {before[0], before[1] + 16},
                                      {before[0] ^ ((uintptr_t)tell ^ p), before[1]},
                                      {before[0] ^ 0xff, before[1] ^ 0xff}};
        for (size_t i = 0; i < MO_ARRAY_LEN(tries); i++) {
            mo_report_callback_words[0] = tries[i][0];
            mo_report_callback_words[1] = tries[i][1];
            tell_all(false);
        }
    }
    cr_expect_eq(told, 0);
    cr_expect_eq(attacked, 0);
}
