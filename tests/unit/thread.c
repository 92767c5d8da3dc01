/* Threads and forks: what a forked child does with the cache it finds. */
#include <sys/wait.h>

#include "child.h"
#include "front/check.h"
#include "front/front.h"
#include "front/thread.h"

enum { SIZES = 8, EACH = 40 };
static const size_t sizes[SIZES] = {1, 40, 100, 250, 600, 1500, 4000, 10000};

static void churn(void)
{
    for (size_t i = 0; i < SIZES; i++) {
        void *p[EACH];
        for (size_t j = 0; j < EACH; j++) {
            p[j] = mo_allocate(sizes[i], MO_ORIGIN_MALLOC);
            cr_assert_not_null(p[j]);
            memset(p[j], 0x5a, sizes[i]);
        }
        for (size_t j = 0; j < EACH; j++)
            mo_release(p[j], MO_ORIGIN_MALLOC);
    }
}

static unsigned set_aside(const struct mo_cache *c)
{
    unsigned n = 0;
    for (unsigned class = 0; class < MO_CLASSES; class++)
        n += c->aside[class] != 0;
    return n;
}

static void expect_good_end(pid_t child)
{
    int status;
    cr_assert_gt(child, 0);
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "0x%x", (unsigned)status);
}

/* What a child must find: counts as they were, a sound heap, and classes that come into use one by one. */
static int child_is_right(struct mo_cache *mine, const size_t *ready, bool fuzz)
{
    void *first = mo_allocate(sizes[2], MO_ORIGIN_MALLOC);
    struct mo_cache *c = mo_thread_cache();
    if (first == NULL || c != mine || (set_aside(c) == 0) != fuzz)
        return 1;
    for (unsigned class = MO_CLASS_FIRST; class <= MO_CLASS_LAST; class++)
        if (mo_cache_ready(c, class) != ready[class] && (fuzz || c->aside[class] != 0))
            return 2;
    (void)mo_check_heap("unit");
    churn();
    for (unsigned class = MO_CLASS_FIRST; class <= MO_CLASS_LAST; class++)
        if (c->aside[class] == 0 && c->stock[class].top > mo_sealed.classes[class].ready_end)
            return 3;
    mo_release(first, MO_ORIGIN_MALLOC);
    (void)mo_check_heap("unit");
    mo_thread_drain(c);
    return set_aside(c) != 0 ? 4 : 0;
}

Test(thread, a_childs_classes_come_into_use_at_their_first_need)
{
    bool fuzz = mo_sealed.options.profile == MO_PROFILE_FUZZ;
    size_t ready[MO_CLASSES];
    churn();
    struct mo_cache *mine = mo_thread_cache();
    cr_assert_eq(set_aside(mine), 0);
    for (unsigned class = MO_CLASS_FIRST; class <= MO_CLASS_LAST; class++)
        ready[class] = mo_cache_ready(mine, class);
    pid_t child = fork();
    if (child == 0) {
        /* A child of it finds some of the classes still set aside. */
        mo_release(mo_allocate(sizes[0], MO_ORIGIN_MALLOC), MO_ORIGIN_MALLOC);
        for (unsigned class = MO_CLASS_FIRST; class <= MO_CLASS_LAST; class++)
            ready[class] = mo_cache_ready(mine, class);
        pid_t grandchild = fork();
        if (grandchild == 0)
            _exit(child_is_right(mine, ready, fuzz));
        int status;
        _exit(waitpid(grandchild, &status, 0) != grandchild ? 10
              : status != 0                                 ? 11
                                                            : child_is_right(mine, ready, fuzz));
    }
    expect_good_end(child);
    cr_assert_eq(set_aside(mine), 0);
}

/* The same order and headers in each child would let the death of one tell of the next. */
Test(thread, children_part_from_each_other)
{
    enum { CHILDREN = 4, CHUNKS = 6 };
    uint64_t seen[CHILDREN][CHUNKS];
    churn();
    for (size_t i = 0; i < CHILDREN; i++) {
        int ends[2];
        cr_assert_eq(pipe(ends), 0);
        pid_t child = fork();
        if (child == 0) {
            for (size_t j = 0; j < CHUNKS; j++) {
                char *p = mo_allocate(sizes[2], MO_ORIGIN_MALLOC);
                uint64_t header;
                memcpy(&header, p - sizeof header, sizeof header);
                seen[0][j] = header ^ (uintptr_t)p;
            }
            _exit(write(ends[1], seen[0], sizeof seen[0]) != (ssize_t)sizeof seen[0]);
        }
        close(ends[1]);
        cr_assert_eq(read(ends[0], seen[i], sizeof seen[i]), (ssize_t)sizeof seen[i]);
        close(ends[0]);
        expect_good_end(child);
    }
    if (mo_sealed.options.profile == MO_PROFILE_FUZZ)
        return; /* a fuzzer's children are alike */
    for (size_t i = 1; i < CHILDREN; i++)
        cr_assert_neq(memcmp(seen[0], seen[i], sizeof seen[i]), 0);
}
