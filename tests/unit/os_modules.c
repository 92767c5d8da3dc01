/* Modules of addresses: as the loader has them, and unharmed by nonsense. */
#include <criterion/criterion.h>
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <link.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "os/modules.h"

static struct mo_stack some;
static const struct mo_stack *const stacks[] = {NULL, &some};

struct wanted {
    const struct mo_module *module;
    int found;
};

/* Whether the loader has an object with this bias, whose notes hold this build id. */
static int compare(struct dl_phdr_info *info, size_t size, void *argument)
{
    struct wanted *w = argument;
    (void)size;
    if (info->dlpi_addr != w->module->bias)
        return 0;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *p = &info->dlpi_phdr[i];
        if (p->p_type == PT_NOTE && w->module->id_size != 0 &&
            memmem((const void *)(info->dlpi_addr + p->p_vaddr), p->p_memsz, w->module->id, w->module->id_size) != NULL)
            w->found++;
    }
    return 1;
}

Test(os_modules, as_the_loader_has_them)
{
    static const char *const names[] = {"unit_os_modules", "libc"};
    char self[PATH_MAX] = "";
    some = (struct mo_stack){.count = 3,
                             .frames = {(uintptr_t)&compare + 1, (uintptr_t)dlsym(RTLD_DEFAULT, "div") + 1, 8}};
    errno = 77;
    mo_modules_find(stacks, MO_ARRAY_LEN(stacks));
    cr_expect_eq(errno, 77);
    for (size_t i = 0; i < MO_ARRAY_LEN(names); i++) {
        struct wanted w = {mo_module_of(some.frames[i] - 1), 0};
        cr_assert_not_null(w.module, "%s", names[i]);
        cr_expect(strstr(w.module->path, names[i]) != NULL, "%s is no %s", w.module->path, names[i]);
        dl_iterate_phdr(compare, &w);
        cr_expect_eq(w.found, 1, "%s: another bias or build id than the loader's", names[i]);
    }
    cr_assert_gt(readlink("/proc/self/exe", self, sizeof self - 1), 0);
    cr_expect_str_eq(mo_module_of((uintptr_t)&compare)->path, self);
    cr_expect_null(mo_module_of(7));
    cr_expect_not_null(mo_module_number(1));
    cr_expect_null(mo_module_number(2));
    cr_expect_null(mo_module_of((uintptr_t)&some), "no frame was there");
}

Test(os_modules, nonsense)
{
    memset(&some, 0xff, sizeof some); /* more frames than there is room for */
    mo_modules_find(stacks, MO_ARRAY_LEN(stacks));
    cr_expect_null(mo_module_number(0));
    mo_modules_find(stacks, 1);
    cr_expect_null(mo_module_number(0));
    /* A frame in every mapping: as many modules as fit. */
    char line[512];
    FILE *maps = fopen("/proc/self/maps", "r");
    cr_assert_not_null(maps);
    some = (struct mo_stack){0};
    while (some.count < MO_STACK_MOST && fgets(line, sizeof line, maps) != NULL) {
        unsigned long start;
        if (strchr(line, '/') != NULL && sscanf(line, "%lx", &start) == 1)
            some.frames[some.count++] = start + 1;
    }
    fclose(maps);
    mo_modules_find(stacks, MO_ARRAY_LEN(stacks));
    for (size_t i = 0; i < some.count; i++)
        cr_expect_not_null(mo_module_of(some.frames[i] - 1), "frame %zu", i);
}
