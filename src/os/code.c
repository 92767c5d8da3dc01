/* Which addresses are code, and which of them a call returns to. See code.h. */
#include "os/code.h"

#include <dlfcn.h>
#include <string.h>
#include <sys/auxv.h>

#include "os/os.h"
#include "os/private.h"

/* The loaded object that moat is in, from the linker. */
extern const char __ehdr_start[] __attribute__((visibility("hidden")));
extern const char _end[] __attribute__((visibility("hidden")));

static uintptr_t entry; /* the program's first instruction */

void mo_code_start(void)
{
    entry = (uintptr_t)getauxval(AT_ENTRY);
}

bool mo_code_is_own(uintptr_t pc)
{
    uintptr_t start = (uintptr_t)__ehdr_start, size = (uintptr_t)_end - start;
    return pc - start < size && entry - start >= size;
}

#ifdef DLFO_STRUCT_HAS_EH_DBASE
/* glibc 2.35: finds the object of an address without locks, also in signal handlers; missing in older ones. */
extern __typeof__(_dl_find_object) _dl_find_object __attribute__((weak));

static bool in_object(uintptr_t pc)
{
    struct dl_find_object found;
    return &_dl_find_object == NULL || _dl_find_object((void *)pc, &found) == 0;
}

const unsigned char *mo_code_tables(uintptr_t pc, uintptr_t *low, uintptr_t *high)
{
    struct dl_find_object found;
    if (&_dl_find_object == NULL || _dl_find_object((void *)pc, &found) != 0)
        return NULL;
    *low = (uintptr_t)found.dlfo_map_start;
    *high = (uintptr_t)found.dlfo_map_end;
    return found.dlfo_eh_frame;
}
#else
static bool in_object(uintptr_t pc)
{
    (void)pc;
    return true;
}

const unsigned char *mo_code_tables(uintptr_t pc, uintptr_t *low, uintptr_t *high)
{
    (void)pc;
    (void)low;
    (void)high;
    return NULL;
}
#endif

enum { CALL_MOST = 7 }; /* bytes of the longest call instruction */

#if defined(__x86_64__) || defined(__i386__)
/* Bytes of the operand that the ModRM byte at p starts, itself included, and the SIB byte and displacement after it. */
MO_ANY_MEMORY static size_t operand_size(const unsigned char *p)
{
    unsigned mode = p[0] >> 6, rm = p[0] & 7;
    size_t n = 1;
    if (mode == 3)
        return n;
    if (rm == 4)
        n++;
    if (mode == 1)
        return n + 1;
    return mode == 2 || (mode == 0 && (rm == 5 || (rm == 4 && (p[1] & 7) == 5))) ? n + 4 : n;
}

/* Position-independent code of 32 bits asks in each function where it is, by a call of mov (%esp), REGISTER; ret. The
 * address that this leaves on the stack is nobody's return. */
MO_ANY_MEMORY static bool asks_where_it_is(const unsigned char *pc)
{
    int32_t distance;
    memcpy(&distance, pc - 4, sizeof distance);
    const unsigned char *to = pc + distance;
    return sizeof pc == 4 && mo_os_readable((uintptr_t)to) && mo_os_readable((uintptr_t)to + 3) && to[0] == 0x8b &&
           (to[1] & 0xc7) == 0x04 && to[2] == 0x24 && to[3] == 0xc3;
}

/* call rel32, or call through a register or memory: FF /2 with an operand that ends at pc. */
MO_ANY_MEMORY static bool follows_call(uintptr_t pc)
{
    const unsigned char *p = (const unsigned char *)pc;
    if (p[-5] == 0xe8)
        return !asks_where_it_is(p);
    for (size_t n = 2; n <= CALL_MOST; n++)
        if (p[-n] == 0xff && (p[1 - n] >> 3 & 7) == 2 && operand_size(p + 1 - n) == n - 1)
            return true;
    return false;
}
#elif defined(__aarch64__)
MO_ANY_MEMORY static bool follows_call(uintptr_t pc)
{
    uint32_t word;
    if (pc % 4 != 0)
        return false;
    memcpy(&word, (const void *)(pc - 4), sizeof word);
    return (word & 0xfc000000) == 0x94000000 || (word & 0xfffffc1f) == 0xd63f0000; /* bl, blr */
}
#elif defined(__arm__)
MO_ANY_MEMORY static bool follows_call(uintptr_t pc)
{
    uint16_t half[2];
    uint32_t word;
    memcpy(half, (const void *)((pc & ~(uintptr_t)1) - 4), sizeof half);
    if ((pc & 1) != 0) /* Thumb: bl, blx; blx of a register */
        return ((half[0] & 0xf800) == 0xf000 && (half[1] & 0xc000) == 0xc000) || (half[1] & 0xff87) == 0x4780;
    memcpy(&word, half, sizeof word);
    return pc % 4 == 0 && ((word & 0x0f000000) == 0x0b000000 || (word & 0x0ffffff0) == 0x012fff30);
}
#elif defined(__riscv)
MO_ANY_MEMORY static bool follows_call(uintptr_t pc)
{
    uint16_t half[2];
    uint32_t word;
    if (pc % 2 != 0)
        return false;
    memcpy(half, (const void *)(pc - 4), sizeof half);
    memcpy(&word, half, sizeof word);
    /* jal or jalr that keep the address in ra, or the short jalr */
    return (word & 0xfff) == 0x0ef || (word & 0x7fff) == 0x00e7 ||
           ((half[1] & 0xf07f) == 0x9002 && (half[1] & 0xf80) != 0);
}
#elif defined(__powerpc__)
MO_ANY_MEMORY static bool follows_call(uintptr_t pc)
{
    uint32_t word;
    if (pc % 4 != 0)
        return false;
    memcpy(&word, (const void *)(pc - 4), sizeof word);
    return (word & 0xfc000003) == 0x48000001 || (word & 0xfc0007ff) == 0x4c000421 || /* bl, bctrl */
           (word & 0xfc0007ff) == 0x4c000021;                                        /* blrl */
}
#else
MO_ANY_MEMORY static bool follows_call(uintptr_t pc)
{
    (void)pc;
    return false;
}
#endif

bool mo_code_is_return(uintptr_t pc)
{
    enum { LEAST = 65536 }; /* below vm.mmap_min_addr there is nothing */
    /* An object may have holes between its segments. */
    return pc >= LEAST && in_object(pc) && mo_os_readable(pc - CALL_MOST) && mo_os_readable(pc - 1) && follows_call(pc);
}
