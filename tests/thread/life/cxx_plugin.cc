// A C++ library that a C program loads late: when libmoat.so was loaded there was no C++ runtime.
#include <cstddef>
#include <cstdint>
#include <new>
#include <string>
#include <vector>

static volatile std::size_t huge = PTRDIFF_MAX - 4096;
static void *volatile sink;
static int handled;

static void handler()
{
    if (++handled == 3)
        std::set_new_handler(nullptr);
}

// 0 when all is as the standard says, else a number that says what is not.
extern "C" __attribute__((visibility("default"))) int plugin_try()
{
    std::vector<std::string> texts;
    for (std::size_t i = 0; i < 1000; i++)
        texts.push_back(std::string(i, 'x'));
    try {
        sink = ::operator new(huge);
        return 1;
    } catch (const std::bad_alloc &) {
    }
    handled = 0;
    std::set_new_handler(handler);
    try {
        sink = ::operator new[](huge, std::align_val_t(64));
        return 2;
    } catch (const std::bad_alloc &) {
    }
    if (handled != 3)
        return 3;
    sink = ::operator new(100, std::nothrow);
    if (sink == nullptr)
        return 4;
    ::operator delete(sink, std::nothrow);
    return texts[999].size() == 999 ? 0 : 5;
}
