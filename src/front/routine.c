#include "front/routine.h"

#include "diag/sealed.h"

const char *mo_origin_name(enum mo_origin origin)
{
    static const char names[][sizeof "moat_heap_malloc"] = {"malloc", "new", "new[]", "moat_heap_malloc"};
    return (size_t)origin < MO_ARRAY_LEN(names) ? names[origin] : "nobody";
}

const char *mo_origin_release_name(enum mo_origin origin)
{
    static const char names[][sizeof "delete[]"] = {"free", "delete", "delete[]", "free"};
    return (size_t)origin < MO_ARRAY_LEN(names) ? names[origin] : "nobody";
}

static bool plain(size_t align)
{
    return align <= MO_ALIGN_PLAIN;
}

/* Says in text what does not match; false when all does. */
static bool differ(struct mo_text *t, struct mo_routine made, struct mo_routine used)
{
    if (made.origin != used.origin && !(made.origin == MO_ORIGIN_HEAP && used.origin == MO_ORIGIN_MALLOC)) {
        mo_text_string(t, "the chunk is from ");
        mo_text_string(t, mo_origin_name(made.origin));
        mo_text_string(t, ", whose counterpart is ");
        mo_text_string(t, mo_origin_release_name(made.origin));
        return true;
    }
    bool size = used.n != MO_NOT_TOLD && used.n != made.n;
    if (!size && (used.align == MO_NOT_TOLD || used.align == made.align || (plain(used.align) && plain(made.align))))
        return false;
    mo_text_string(t, size ? "the size given is " : "the alignment given is ");
    mo_text_decimal(t, size ? used.n : used.align);
    mo_text_string(t, ", the chunk was made with ");
    mo_text_decimal(t, size ? made.n : made.align);
    return true;
}

void mo_check_routine(const struct mo_report_chunk *chunk, struct mo_routine made, struct mo_routine used)
{
    char detail[128];
    struct mo_text t = {detail, detail + sizeof detail - 1};
    if (mo_sealed.options.mismatch == MO_MISMATCH_OFF || !differ(&t, made, used))
        return;
    *t.at = '\0';
    if (mo_sealed.options.mismatch == MO_MISMATCH_ABORT)
        mo_report_mismatch(used.action, chunk->address, chunk, PTRDIFF_MIN, detail);
    mo_report_warning(false, used.action, chunk->address, chunk, detail);
}
