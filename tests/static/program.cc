/* A static C++ program: operator new and delete are moat's, and running out of memory throws. */
#include <cstdint>
#include <cstdio>
#include <map>
#include <moat/moat.h>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

static int fail(const char *what)
{
    std::fprintf(stderr, "static/program: %s\n", what);
    return 1;
}

struct alignas(128) wide {
    char bytes[300];
};

/* The compiler may leave out a new whose result it can see through. */
static void *volatile sink;
static volatile std::size_t huge = SIZE_MAX / 4;

int main()
{
    struct moat_stats before, after;
    if (moat_stats(&before, sizeof before) != 0)
        return fail("moat_stats");
    std::vector<std::string *> strings;
    for (int i = 0; i < 1000; i++)
        strings.push_back(new std::string(100, 'x'));
    if (moat_stats(&after, sizeof after) != 0 || after.live_count < before.live_count + 2000)
        return fail("operator new is not moat's");
    for (std::string *s : strings)
        delete s;
    std::map<int, std::vector<int>> numbers;
    for (int i = 0; i < 100; i++)
        numbers[i].resize(i);
    wide *w = new wide[3];
    if (reinterpret_cast<std::uintptr_t>(w) % 128 != 0)
        return fail("aligned new");
    delete[] w;
    sink = new (std::nothrow) char[huge];
    if (sink != nullptr)
        return fail("nothrow new of half the address space");
    try {
        sink = ::operator new(huge);
        return fail("new of half the address space");
    } catch (const std::bad_alloc &) {
    }
    std::printf("%s\n", moat_version());
    return 0;
}
