/* What a program wants to be told of a report: its callback, and the weak function it may define. */
#include "diag/report_form.h"
#include "diag/sealed.h"
#include "moat/moat.h"

/* The callback, under two keys of the sealed page: a pointer to code in writable memory, that a report calls, would
 * be what a write of the heap's corruption looks for. Without the keys a written pair decodes to two different
 * addresses, and is not called. */
uintptr_t mo_report_callback_words[2];

static uintptr_t key(size_t i)
{
    uintptr_t k;
    __builtin_memcpy(&k, mo_sealed.sip_key + i * sizeof k, sizeof k);
    return k;
}

static moat_report_callback *callback(void)
{
    uintptr_t f = __atomic_load_n(&mo_report_callback_words[0], __ATOMIC_ACQUIRE);
    uintptr_t s = __atomic_load_n(&mo_report_callback_words[1], __ATOMIC_ACQUIRE);
    if (f == 0 || (f ^ key(0)) != s - key(1))
        return NULL;
    return (moat_report_callback *)(f ^ key(0));
}

void *mo_report_set_callback(void *now)
{
    moat_report_callback *before = callback();
    uintptr_t p = (uintptr_t)now;
    /* Between the two stores there is none. */
    __atomic_store_n(&mo_report_callback_words[1], 0, __ATOMIC_RELEASE);
    __atomic_store_n(&mo_report_callback_words[0], p != 0 ? p ^ key(0) : 0, __ATOMIC_RELEASE);
    __atomic_store_n(&mo_report_callback_words[1], p != 0 ? p + key(1) : 0, __ATOMIC_RELEASE);
    return (void *)(uintptr_t)before;
}

void mo_report_tell(const struct mo_case *c, const char *text, size_t n, bool ends)
{
    moat_report_callback *f = callback();
    const struct moat_report report = {.size = sizeof report,
                                       .bug = mo_case_text(c, MO_CASE_NAME),
                                       .address = (void *)c->address,
                                       .text = text,
                                       .text_size = n,
                                       .ends = ends};
    if (f != NULL)
        f(&report);
    if (&moat_report_hook != NULL)
        moat_report_hook(&report);
}
