// A program that replaces operator new(size_t) and operator delete(void *) only, or their aligned forms: all other
// forms of moat's are defined by these and must end up there.
#include <criterion/criterion.h>

#include <cstddef>
#include <cstdlib>
#include <new>
#include <vector>

#include "check.h"

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wsized-deallocation" // which is the point
#endif

// What is made here is no chunk's start, so that moat's own delete would notice it.
static const std::size_t before = 64;
static std::size_t made, ended, made_aligned, ended_aligned;
static volatile bool refuse;

void *operator new(std::size_t n)
{
    if (refuse)
        throw std::bad_alloc();
    made++;
    auto *p = static_cast<char *>(std::malloc(n + before));
    return p == nullptr ? throw std::bad_alloc() : p + before;
}

void operator delete(void *p) noexcept
{
    ended++;
    std::free(p == nullptr ? nullptr : static_cast<char *>(p) - before);
}

void *operator new(std::size_t n, std::align_val_t align)
{
    if (refuse)
        throw std::bad_alloc();
    made_aligned++;
    auto a = static_cast<std::size_t>(align);
    auto *p = static_cast<char *>(aligned_alloc(a, n + a));
    return p == nullptr ? throw std::bad_alloc() : p + a;
}

void operator delete(void *p, std::align_val_t align) noexcept
{
    ended_aligned++;
    std::free(p == nullptr ? nullptr : static_cast<char *>(p) - static_cast<std::size_t>(align));
}

static void *volatile sink;

static void *seen(void *p)
{
    sink = p;
    return sink;
}

Test(replaced, every_form_ends_up_there)
{
    cr_assert(moat_is_active());
    const auto &no = std::nothrow;
    std::size_t had = made, had_ended = ended;
    void *p[] = {seen(::operator new(10)),       seen(::operator new(10, no)), seen(::operator new[](10)),
                 seen(::operator new[](10, no)), seen(::operator new(10)),     seen(::operator new[](10))};
    cr_assert_eq(made - had, 6);
    ::operator delete(p[0], std::size_t(10));
    ::operator delete(p[1], no);
    ::operator delete[](p[2]);
    ::operator delete[](p[3], no);
    ::operator delete(p[4]);
    ::operator delete[](p[5], std::size_t(10));
    cr_assert_eq(ended - had_ended, 6);
}

Test(replaced, every_aligned_form_too)
{
    const auto &no = std::nothrow;
    const auto a = std::align_val_t(64);
    std::size_t had = made_aligned, had_ended = ended_aligned;
    void *p[] = {seen(::operator new(10, a)),       seen(::operator new(10, a, no)), seen(::operator new[](10, a)),
                 seen(::operator new[](10, a, no)), seen(::operator new(10, a)),     seen(::operator new[](10, a))};
    cr_assert_eq(made_aligned - had, 6);
    ::operator delete(p[0], std::size_t(10), a);
    ::operator delete(p[1], a, no);
    ::operator delete[](p[2], a);
    ::operator delete[](p[3], a, no);
    ::operator delete(p[4], a);
    ::operator delete[](p[5], std::size_t(10), a);
    cr_assert_eq(ended_aligned - had_ended, 6);
}

Test(replaced, nothrow_forms_catch_what_it_throws)
{
    const auto a = std::align_val_t(64);
    refuse = true;
    cr_assert_null(seen(::operator new(10, std::nothrow)));
    cr_assert_null(seen(::operator new[](10, std::nothrow)));
    cr_assert_null(seen(::operator new(10, a, std::nothrow)));
    cr_assert_null(seen(::operator new[](10, a, std::nothrow)));
    refuse = false;
}

Test(replaced, the_library_uses_it)
{
    std::size_t had = made, had_ended = ended;
    {
        std::vector<int> v;
        for (int i = 0; i < 1000; i++)
            v.push_back(i);
        seen(v.data());
    }
    cr_assert_gt(made, had);
    cr_assert_eq(made - had, ended - had_ended);
}
