#include "front/sight.h"

#include "arena/bin.h"
#include "diag/report.h"

__attribute__((used)) const struct mo_sight mo_sight = {
    .magic = MO_SIGHT_MAGIC,
    .layout = MO_SIGHT_LAYOUT,
    .sealed = &mo_sealed_page.data,
    .heap = &mo_heap_places,
    .cache = &mo_cache_places,
    .pool = &mo_pool_places,
    .large = &mo_large_table,
    .spare_bytes = &mo_spare_bytes,
    .warnings = &mo_warnings,
};

__asm__(".pushsection .note.moat, \"a\", %note\n"
        "    .balign 4\n"
        "    .4byte 5, 4, 1\n" /* sizes of name and value, MO_SIGHT_NOTE_TYPE */
        "    .asciz \"" MO_SIGHT_NOTE "\"\n"
        "    .balign 4\n"
        "    .4byte mo_sight - .\n"
        ".popsection");
_Static_assert(sizeof MO_SIGHT_NOTE == 5 && MO_SIGHT_NOTE_TYPE == 1, "as the note says");
