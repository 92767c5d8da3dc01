// Containers of the standard library on a heap of their own. Build: c++ -std=c++17 containers.cc -lmoat
#include <cstdio>
#include <map>
#include <moat/moat.hpp>
#include <string>
#include <vector>

int main()
{
    std::size_t sum = 0;
    {
        moat::heap_resource request; // ends with this block, and everything on it
        std::pmr::map<int, std::pmr::string> names(&request);
        for (int i = 0; i < 1000; i++)
            names.emplace(i, std::to_string(i) + " is a name too long for the string itself");
        std::pmr::monotonic_buffer_resource arena(&request); // takes its blocks from the heap
        std::pmr::vector<int> numbers(&arena);
        for (const auto &[number, name] : names)
            numbers.push_back(number + static_cast<int>(name.size()));
        for (int number : numbers)
            sum += static_cast<std::size_t>(number);
    }
    std::printf("%zu\n", sum);
    std::vector<int, moat::allocator<int>> plain{1, 2, 3};
    return plain.size() == 3 && sum == 543390 ? 0 : 1;
}
