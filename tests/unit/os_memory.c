/* Memory from the kernel: what each function promises, seen from outside, and that none of them changes errno. */
#include <sys/mman.h>
#include <sys/syscall.h>

#include "child.h"
#include "os/os.h"

static size_t page;
static struct mo_os_features features;

static void set_up(void)
{
    mo_os_start(&features);
    page = features.page;
    errno = 77;
}

static void tear_down(void)
{
    cr_assert_eq(errno, 77, "errno was changed to %d", errno);
}

TestSuite(os_memory, .init = set_up, .fini = tear_down);

static char *pages(size_t n)
{
    char *p = mo_os_map_guarded(n * page, "unit");
    cr_assert_not_null(p);
    return p;
}

/* More than any machine has addresses for; half of all is there on 32 bits. */
#define MUCH (SIZE_MAX - ((size_t)32 << 20))

Test(os_memory, reserve_is_aligned_and_inaccessible)
{
    for (size_t align = page; align <= (size_t)64 << 20; align *= 4) {
        char *p = mo_os_reserve(0, 3 * page, align);
        cr_assert_not_null(p);
        cr_assert_eq((uintptr_t)p % align, 0);
        for (size_t i = 0; i < 3; i++)
            cr_assert_not(can_read((uintptr_t)p + i * page));
        cr_assert(mo_os_open(p, 3 * page));
        cr_assert(all_are((uintptr_t)p, 3 * page, 0));
        mo_os_unmap(p, 3 * page);
    }
}

Test(os_memory, reserve_takes_a_hint_that_is_free)
{
    char *p = mo_os_reserve(0, 16 * page, page);
    cr_assert_not_null(p);
    mo_os_unmap(p, 16 * page);
    char *q = mo_os_reserve((uintptr_t)p, 16 * page, page);
    cr_assert_eq(p, q);
    /* Taken now: a hint is no order. */
    char *other = mo_os_reserve((uintptr_t)p, 16 * page, page);
    cr_assert_not_null(other);
    cr_assert_neq(other, p);
}

Test(os_memory, reserve_refuses_what_does_not_fit)
{
    cr_assert_null(mo_os_reserve(0, MUCH, page));
    cr_assert_null(mo_os_reserve(0, SIZE_MAX - page + 1, page));
    cr_assert_null(mo_os_reserve(0, MUCH, (size_t)1 << 30));
}

Test(os_memory, map_guarded_is_zero_between_guards)
{
    static const size_t sizes[] = {1, 100, 4096, 4097, 65536, 300000};
    for (size_t i = 0; i < MO_ARRAY_LEN(sizes); i++) {
        size_t whole = mo_align_up(sizes[i], page);
        char *p = mo_os_map_guarded(sizes[i], "unit");
        cr_assert_not_null(p);
        cr_assert_eq((uintptr_t)p % page, 0);
        cr_assert(all_are((uintptr_t)p, whole, 0));
        memset(p, 0xa5, whole);
        cr_assert_not(can_read((uintptr_t)p - 1));
        cr_assert_not(can_read((uintptr_t)p + whole));
    }
    char *p = pages(1);
    cr_assert(faults(touch_write, (uintptr_t)p - 1));
    cr_assert(faults(touch_write, (uintptr_t)p + page));
    cr_assert(faults(touch_read, (uintptr_t)p + page));
    cr_assert_null(mo_os_map_guarded(MUCH, "unit"));
}

static void check_nest(bool markers)
{
    enum { TABLES = 3, PAGES = 32 };
    char *table[TABLES], *outside;
    mo_os_nest_open(PAGES * page, markers);
    for (size_t i = 0; i < TABLES; i++) {
        table[i] = mo_os_map_guarded((i + 1) * page - 1, "unit");
        cr_assert(table[i] != NULL && all_are((uintptr_t)table[i], (i + 1) * page, 0));
        memset(table[i], 0xa5, (i + 1) * page);
    }
    outside = mo_os_map_guarded(PAGES * page, "unit");
    cr_assert_not_null(outside, "what does not fit goes elsewhere");
    for (size_t i = 0; i < TABLES; i++) {
        cr_assert_lt(mo_max((uintptr_t)table[i], (uintptr_t)table[0]) -
                         mo_min((uintptr_t)table[i], (uintptr_t)table[0]),
                     PAGES * page);
        cr_assert(faults(touch_write, (uintptr_t)table[i] - 1));
        cr_assert(faults(touch_write, (uintptr_t)table[i] + (i + 1) * page));
    }
    mo_os_unmap_guarded(table[1], 2 * page);
    cr_assert(faults(touch_read, (uintptr_t)table[1]) && faults(touch_read, (uintptr_t)table[1] + 2 * page - 1));
    cr_assert(all_are((uintptr_t)table[0], page, 0xa5) && all_are((uintptr_t)table[2], 3 * page, 0xa5));
    mo_os_unmap_guarded(outside, PAGES * page);
    cr_assert(faults(touch_read, (uintptr_t)outside));
    mo_os_nest_close();
    char *after = mo_os_map_guarded(page, "unit");
    char *nest_end = table[0] + 2 * page;
    cr_assert(after != NULL && (after < nest_end - PAGES * page || after >= nest_end));
}

Test(os_memory, a_nest_holds_tables_between_guards)
{
    if (features.guard_install)
        check_nest(true);
    check_nest(false);
}

Test(os_memory, close_keeps_the_contents)
{
    char *p = pages(3);
    memset(p, 0x5a, 3 * page);
    cr_assert(mo_os_close(p + page, page));
    cr_assert(faults(touch_read, (uintptr_t)p + page));
    cr_assert(can_write((uintptr_t)p + page - 1));
    cr_assert(can_write((uintptr_t)p + 2 * page));
    cr_assert(mo_os_open(p + page, page));
    cr_assert(all_are((uintptr_t)p, 3 * page, 0x5a));
}

Test(os_memory, purge_gives_zeros)
{
    char *p = pages(3);
    memset(p, 0x5a, 3 * page);
    cr_assert(mo_os_purge(p + page, page));
    cr_assert(all_are((uintptr_t)p, page, 0x5a));
    cr_assert(all_are((uintptr_t)p + page, page, 0));
    cr_assert(all_are((uintptr_t)p + 2 * page, page, 0x5a));
}

Test(os_memory, read_only_can_be_read)
{
    char *p = pages(1);
    memset(p, 0x5a, page);
    cr_assert(mo_os_read_only(p, page));
    cr_assert(all_are((uintptr_t)p, page, 0x5a));
    cr_assert(faults(touch_write, (uintptr_t)p));
    cr_assert_not(faults(touch_read, (uintptr_t)p));
}

Test(os_memory, unmap_leaves_nothing)
{
    char *p = pages(2);
    mo_os_unmap(p + page, page);
    cr_assert_not(can_read((uintptr_t)p + page));
    cr_assert(can_write((uintptr_t)p + page - 1));
    cr_assert_not(mo_os_open(p + page, page));
    cr_assert_not(mo_os_close(p + page, page));
    cr_assert_not(mo_os_read_only(p + page, page));
}

Test(os_memory, guard_faults_and_gives_back)
{
    char *p = pages(3);
    memset(p, 0x5a, 3 * page);
    cr_assert_eq(mo_os_guard(p + page, page), features.guard_install);
    if (!features.guard_install) {
        cr_assert_not(mo_os_unguard(p + page, page));
        cr_assert(all_are((uintptr_t)p, 3 * page, 0x5a), "a refused guard has changed the pages");
        return;
    }
    cr_assert(faults(touch_read, (uintptr_t)p + page));
    cr_assert(faults(touch_write, (uintptr_t)p + 2 * page - 1));
    cr_assert(can_write((uintptr_t)p + page - 1));
    cr_assert(can_write((uintptr_t)p + 2 * page));
    cr_assert(mo_os_guard(p + page, page), "a guard on a guard");
    cr_assert(mo_os_purge(p, 3 * page));
    cr_assert(faults(touch_read, (uintptr_t)p + page), "a guard outlives a purge");
    cr_assert(mo_os_unguard(p + page, page));
    cr_assert(all_are((uintptr_t)p, 3 * page, 0));
}

Test(os_memory, guard_is_refused_on_locked_memory)
{
    char *p = pages(1);
    cr_assert_eq(syscall(SYS_mlock, p, page), 0); /* sanitizers make mlock do nothing */
    p[0] = 1;
    cr_assert_not(mo_os_guard(p, page));
    cr_assert_eq(p[0], 1);
}

struct shared {
    char *private;
    char seen[2];
};

static void look(void *argument)
{
    struct shared *s = argument;
    s->seen[0] = s->private[0];
    s->seen[1] = s->private[page];
}

Test(os_memory, wipe_on_fork_shows_the_child_zeros)
{
    struct shared *s = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    s->private = pages(2);
    memset(s->private, 7, 2 * page);
    cr_assert_eq(mo_os_wipe_on_fork(s->private, page), features.wipe_on_fork);
    cr_assert_eq(run_child(look, s).code, 0);
    cr_assert_eq(s->seen[0], features.wipe_on_fork ? 0 : 7);
    cr_assert_eq(s->seen[1], 7);
    cr_assert_eq(s->private[0], 7, "the parent keeps its contents");
}

Test(os_memory, sealed_memory_stays_as_it_is)
{
    char *p = pages(2);
    memset(p, 0x5a, 2 * page);
    cr_assert(mo_os_read_only(p, page));
    mo_os_seal(p, page);
    cr_assert_eq(mo_os_open(p, page), !features.mseal);
    if (features.mseal) {
        cr_assert_not(mo_os_close(p, page));
        cr_assert_not(mo_os_purge(p, page), "a purge would make keys zero");
        mo_os_unmap(p, page);
        cr_assert(faults(touch_write, (uintptr_t)p));
    }
    cr_assert(all_are((uintptr_t)p, 2 * page, 0x5a));
    cr_assert(mo_os_close(p + page, page), "the page beside it is not sealed");
}

Test(os_memory, move_takes_the_pages_along)
{
    char *old = pages(3);
    char *now = mo_os_reserve(0, 8 * page, page);
    bool hole_kept = false;
    cr_assert_not_null(now);
    for (size_t i = 0; i < 3 * page; i++)
        old[i] = (char)(i * 31);
    cr_assert(mo_os_move(old, 3 * page, now + page, 5 * page, &hole_kept));
    size_t wrong = 0;
    for (size_t i = 0; i < 3 * page; i++)
        wrong += now[page + i] != (char)(i * 31);
    cr_assert_eq(wrong, 0);
    cr_assert(all_are((uintptr_t)now + 4 * page, 2 * page, 0), "what is new is zero");
    cr_assert(can_write((uintptr_t)now + page) && can_write((uintptr_t)now + 6 * page - 1));
    cr_assert_not(can_read((uintptr_t)now + page - 1));
    cr_assert_not(can_read((uintptr_t)now + 6 * page));
    cr_assert(faults(touch_read, (uintptr_t)old));
    cr_assert(faults(touch_write, (uintptr_t)old + 3 * page - 1));
    cr_assert(hole_kept);
    cr_assert(mo_os_open(old, 3 * page), "the hole is still ours");
    cr_assert(all_are((uintptr_t)old, 3 * page, 0));
}

Test(os_memory, move_of_nothing_fails)
{
    bool hole_kept;
    char *gone = pages(1);
    char *now = mo_os_reserve(0, 2 * page, page);
    mo_os_unmap(gone, page);
    cr_assert_not(mo_os_move(gone, page, now, 2 * page, &hole_kept));
    cr_assert_not(can_read((uintptr_t)now));
}

Test(os_memory, naming_changes_nothing)
{
    char *p = pages(1);
    p[0] = 9;
    mo_os_name(p, page, "unit name");
    mo_os_name(NULL, page, "nothing there");
    cr_assert_eq(p[0], 9);
    cr_assert(can_write((uintptr_t)p));
}
