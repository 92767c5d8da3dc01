#include "diag/sealed.h"

union mo_sealed_page mo_sealed_page __attribute__((aligned(MO_SEALED_PAGE)));

bool mo_sealed_close(void)
{
    if (!mo_os_read_only(&mo_sealed_page, sizeof mo_sealed_page))
        return false;
    mo_os_seal(&mo_sealed_page, sizeof mo_sealed_page);
    return true;
}
