// C++ thread_local objects: their destructors run late in a thread's life, and allocate and free.
#include <criterion/criterion.h>

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "../api/check.h"

namespace {
std::atomic<int> ended, wrong;

struct late {
    std::map<int, std::string> texts;
    std::unique_ptr<char[]> bytes;
    late() : bytes(new char[5000])
    {
        fill(bytes.get(), 5000, 7);
    }
    ~late()
    {
        std::vector<std::string> more;
        for (auto &entry : texts)
            more.push_back(entry.second + std::to_string(entry.first));
        for (std::size_t i = 0; i < more.size(); i++)
            if (more[i].size() != 100 + std::to_string(i).size())
                wrong++;
        if (!filled(bytes.get(), 5000, 7))
            wrong++;
        ended++;
    }
};

thread_local late local;

void live()
{
    for (int i = 0; i < 50; i++)
        local.texts[i] = std::string(100, 'x');
}
} // namespace

Test(births_tls, moat_is_under_test)
{
    cr_assert(moat_is_active());
}

Test(births_tls, destructors_that_allocate)
{
    enum { ROUNDS = 60, AT_ONCE = 20 };
    for (int round = 0; round < ROUNDS; round++) {
        std::vector<std::thread> threads;
        for (int i = 0; i < AT_ONCE; i++)
            threads.emplace_back(live);
        for (auto &t : threads)
            t.join();
    }
    cr_assert_eq(wrong.load(), 0);
    cr_assert_eq(ended.load(), ROUNDS * AT_ONCE);
}

// An exception on its way through a thread that runs out of memory.
Test(births_tls, bad_alloc_in_threads)
{
    static volatile std::size_t huge = PTRDIFF_MAX / 2;
    std::atomic<int> caught{0};
    for (int round = 0; round < 20; round++) {
        std::vector<std::thread> threads;
        for (int i = 0; i < 10; i++)
            threads.emplace_back([&caught] {
                try {
                    std::string text(100, 'y');
                    text.append(huge, 'z');
                } catch (const std::exception &) {
                    caught++;
                }
            });
        for (auto &t : threads)
            t.join();
    }
    cr_assert_eq(caught.load(), 200);
}
