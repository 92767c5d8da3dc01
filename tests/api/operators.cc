// operator new and delete in all their forms, new handlers, and std::bad_alloc.
#include <criterion/criterion.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "check.h"

// Through volatiles: the compiler may leave out a new and delete pair that it can see through.
static void *volatile sink;
static volatile std::size_t huge = PTRDIFF_MAX - 4096, largest = SIZE_MAX;
static volatile std::size_t crooked = 48; /* no power of two; the compiler must not know */

static void *seen(void *p)
{
    sink = p;
    return sink;
}

static bool aligned_to(const void *p, std::size_t align)
{
    return reinterpret_cast<std::uintptr_t>(p) % align == 0;
}

static void use(void *p, std::size_t n, std::size_t align)
{
    cr_assert_not_null(p);
    cr_assert(aligned_to(p, align));
    cr_assert_eq(malloc_usable_size(p), n);
    fill(p, n, 1);
    cr_assert(filled(p, n, 1));
}

Test(operators, moat_is_under_test)
{
    cr_assert(moat_is_active());
}

Test(operators, plain_and_nothrow)
{
    for (std::size_t n = 0; n < 300000; n = n * 3 / 2 + 1) {
        void *p = seen(::operator new(n));
        use(p, n, __STDCPP_DEFAULT_NEW_ALIGNMENT__);
        ::operator delete(p);
        p = seen(::operator new(n));
        use(p, n, __STDCPP_DEFAULT_NEW_ALIGNMENT__);
        ::operator delete(p, n);
        p = seen(::operator new(n, std::nothrow));
        use(p, n, __STDCPP_DEFAULT_NEW_ALIGNMENT__);
        ::operator delete(p, std::nothrow);

        p = seen(::operator new[](n));
        use(p, n, __STDCPP_DEFAULT_NEW_ALIGNMENT__);
        ::operator delete[](p);
        p = seen(::operator new[](n));
        use(p, n, __STDCPP_DEFAULT_NEW_ALIGNMENT__);
        ::operator delete[](p, n);
        p = seen(::operator new[](n, std::nothrow));
        use(p, n, __STDCPP_DEFAULT_NEW_ALIGNMENT__);
        ::operator delete[](p, std::nothrow);
    }
}

Test(operators, aligned)
{
    for (std::size_t align = 1; align <= 65536; align *= 2) {
        auto a = static_cast<std::align_val_t>(align);
        for (std::size_t n : {std::size_t(0), std::size_t(1), align, align * 3 + 5, std::size_t(200000)}) {
            void *p = seen(::operator new(n, a));
            use(p, n, align);
            ::operator delete(p, a);
            p = seen(::operator new(n, a));
            use(p, n, align);
            ::operator delete(p, n, a);
            p = seen(::operator new(n, a, std::nothrow));
            use(p, n, align);
            ::operator delete(p, a, std::nothrow);

            p = seen(::operator new[](n, a));
            use(p, n, align);
            ::operator delete[](p, a);
            p = seen(::operator new[](n, a));
            use(p, n, align);
            ::operator delete[](p, n, a);
            p = seen(::operator new[](n, a, std::nothrow));
            use(p, n, align);
            ::operator delete[](p, a, std::nothrow);
        }
    }
}

Test(operators, delete_of_null)
{
    ::operator delete(seen(nullptr));
    ::operator delete(seen(nullptr), 5);
    ::operator delete(seen(nullptr), std::nothrow);
    ::operator delete(seen(nullptr), std::align_val_t(64));
    ::operator delete(seen(nullptr), 5, std::align_val_t(64));
    ::operator delete[](seen(nullptr));
    ::operator delete[](seen(nullptr), 5);
    ::operator delete[](seen(nullptr), std::align_val_t(64));
    cr_assert(moat_is_active());
}

namespace {
// What the compiler puts before an array: on ARM 8 bytes, however the array is to be aligned.
#ifdef __ARM_EABI__
constexpr std::ptrdiff_t cookie = 8;
#else
constexpr std::ptrdiff_t cookie = 0;
#endif

struct alignas(256) wide {
    char bytes[700];
    virtual ~wide() {}
};

struct counted {
    static int live;
    std::string text = "long enough not to be inside the string object itself";
    counted()
    {
        live++;
    }
    ~counted()
    {
        live--;
    }
};
int counted::live;

struct base {
    virtual ~base() {}
};
struct derived : base {
    char more[500];
};

struct thrown {
    int calls;
};

int calls;
} // namespace

Test(operators, new_expressions)
{
    for (int i = 0; i < 200; i++) {
        auto *one = new wide;
        cr_assert(aligned_to(seen(one), 256));
        auto *many = new wide[5];
        cr_assert(aligned_to(static_cast<char *>(seen(many)) - cookie, 256));
        delete one;
        delete[] many;
        auto *array = new counted[17];
        seen(array);
        cr_assert_eq(counted::live, 17);
        delete[] array;
        cr_assert_eq(counted::live, 0);
        base *object = new derived; // deleted with the size of derived
        seen(object);
        delete object;
    }
}

Test(operators, containers)
{
    std::map<int, std::vector<std::string>> all;
    for (int i = 0; i < 2000; i++)
        all[i % 100].push_back(std::string(static_cast<std::size_t>(i), static_cast<char>('a' + i % 26)));
    auto shared = std::make_shared<std::vector<int>>(10000, 7);
    for (auto &entry : all)
        for (auto &text : entry.second)
            cr_assert(text.empty() || text.find_first_not_of(text[0]) == std::string::npos);
    cr_assert_eq((*shared)[9999], 7);
}

template <typename Call> static bool throws_bad_alloc(Call call)
{
    try {
        seen(call());
    } catch (const std::bad_alloc &e) {
        return e.what() != nullptr;
    }
    return false;
}

Test(operators, bad_alloc_for_huge_sizes)
{
    auto a = std::align_val_t(64);
    cr_assert(throws_bad_alloc([] { return ::operator new(huge); }));
    cr_assert(throws_bad_alloc([] { return ::operator new[](huge); }));
    cr_assert(throws_bad_alloc([a] { return ::operator new(huge, a); }));
    cr_assert(throws_bad_alloc([a] { return ::operator new[](huge, a); }));
    cr_assert(throws_bad_alloc([] { return ::operator new(largest); }));
    cr_assert(throws_bad_alloc([] { return new char[huge]; }));
    cr_assert(throws_bad_alloc([] { return ::operator new(100, std::align_val_t(crooked)); }));
}

Test(operators, nothrow_gives_null)
{
    auto a = std::align_val_t(64);
    cr_assert_null(seen(::operator new(huge, std::nothrow)));
    cr_assert_null(seen(::operator new[](huge, std::nothrow)));
    cr_assert_null(seen(::operator new(huge, a, std::nothrow)));
    cr_assert_null(seen(::operator new[](huge, a, std::nothrow)));
    cr_assert_null(seen(new (std::nothrow) char[huge]));
    cr_assert_null(seen(::operator new(100, std::align_val_t(crooked), std::nothrow)));
}

// [new.delete.single]: the handler is called again and again until there is memory, or it throws, or is none.
static void throw_at_third()
{
    if (++calls == 3)
        throw thrown{calls};
}

template <typename Call> static int throws_own(Call call)
{
    calls = 0;
    try {
        seen(call());
    } catch (const thrown &t) {
        return t.calls;
    }
    return -1;
}

Test(operators, handler_is_called_until_it_throws)
{
    std::set_new_handler(throw_at_third);
    cr_assert_eq(throws_own([] { return ::operator new(huge); }), 3);
    cr_assert_eq(throws_own([] { return ::operator new[](huge); }), 3);
    cr_assert_eq(throws_own([] { return ::operator new(huge, std::align_val_t(4096)); }), 3);
    cr_assert_eq(throws_own([] { return ::operator new[](huge, std::align_val_t(4096)); }), 3);
}

Test(operators, nothrow_calls_the_handler_and_catches)
{
    std::set_new_handler(throw_at_third);
    calls = 0;
    cr_assert_null(seen(::operator new(huge, std::nothrow)));
    cr_assert_eq(calls, 3);
    calls = 0;
    cr_assert_null(seen(::operator new[](huge, std::nothrow)));
    cr_assert_eq(calls, 3);
    calls = 0;
    cr_assert_null(seen(::operator new(huge, std::align_val_t(64), std::nothrow)));
    cr_assert_eq(calls, 3);
    calls = 0;
    cr_assert_null(seen(::operator new[](huge, std::align_val_t(64), std::nothrow)));
    cr_assert_eq(calls, 3);
}

static void remove_at_fifth()
{
    if (++calls == 5)
        std::set_new_handler(nullptr);
}

Test(operators, handler_that_removes_itself)
{
    std::set_new_handler(remove_at_fifth);
    calls = 0;
    cr_assert(throws_bad_alloc([] { return ::operator new(huge); }));
    cr_assert_eq(calls, 5);
    std::set_new_handler(remove_at_fifth);
    calls = 0;
    cr_assert_null(seen(::operator new(huge, std::nothrow)));
    cr_assert_eq(calls, 5);
}

// An exception passes through moat's frames and the destructors of those above it run.
Test(operators, unwinding_runs_destructors)
{
    std::set_new_handler(nullptr);
    for (int i = 0; i < 100; i++) {
        try {
            counted one;
            std::vector<counted> many(10);
            cr_assert_eq(counted::live, 11);
            std::vector<char> too_many(huge);
            cr_assert(false, "a vector of half the address space");
        } catch (const std::bad_alloc &) {
            cr_assert_eq(counted::live, 0);
        }
    }
}
