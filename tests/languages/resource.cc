// moat.hpp: run with exceptions and without, by each compiler.
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <list>
#include <moat/moat.hpp>
#include <string>
#include <unordered_map>
#include <vector>

#define REQUIRE(what)                                              \
    do {                                                           \
        if (!(what)) {                                             \
            std::printf("%s:%d: %s\n", __FILE__, __LINE__, #what); \
            std::exit(1);                                          \
        }                                                          \
    } while (0)

static int add(void *, std::size_t, void *count)
{
    ++*static_cast<std::size_t *>(count);
    return 0;
}

static std::size_t chunks(const moat::heap &heap)
{
    std::size_t n = 0;
    moat_walk(heap.get(), add, &n);
    return n;
}

struct alignas(64) Wide {
    char bytes[64];
};

struct Counted {
    static int live;
    int value;
    explicit Counted(int v) : value(v)
    {
        live++;
    }
    ~Counted()
    {
        live--;
    }
};
int Counted::live;

static void resources()
{
    moat::memory_resource process;
    moat::heap heap;
    moat::memory_resource own(heap);
    REQUIRE(process == process);
    {
        std::pmr::unordered_map<std::pmr::string, std::pmr::vector<int>> map(&own);
        for (int i = 0; i < 500; i++)
            map[std::pmr::string("a key that is longer than a string's own room ") + std::to_string(i).c_str()].assign(
                static_cast<std::size_t>(i), i);
        REQUIRE(chunks(heap) >= 1000);
        std::pmr::vector<Wide> wide(100, &own);
        REQUIRE(reinterpret_cast<std::uintptr_t>(wide.data()) % 64 == 0);
        std::pmr::list<int> list({1, 2, 3}, &process);
        REQUIRE(list.size() == 3);
    }
    REQUIRE(chunks(heap) == 0);
    void *p = own.allocate(100, 8), *q = own.allocate(1 << 20, 4096);
    REQUIRE(moat_object_size(p) == 100 && reinterpret_cast<std::uintptr_t>(q) % 4096 == 0 && chunks(heap) == 2);
    own.deallocate(q, 1 << 20, 4096);
    heap.clear();
    REQUIRE(chunks(heap) == 0 && moat_object_base(p) == nullptr);
}

static void allocators()
{
    moat::heap heap;
    {
        std::vector<int, moat::allocator<int>> own{moat::allocator<int>(heap)}, process;
        for (int i = 0; i < 10000; i++)
            own.push_back(i);
        process = own;
        REQUIRE(process.size() == 10000 && chunks(heap) >= 1);
        moat::allocator<Wide> wide = moat::allocator<int>(heap);
        Wide *w = wide.allocate(3);
        REQUIRE(reinterpret_cast<std::uintptr_t>(w) % alignof(Wide) == 0);
        wide.deallocate(w, 3);
    }
    REQUIRE(chunks(heap) == 0);
#if defined(__cpp_exceptions)
    bool thrown = false;
    try {
        (void)moat::allocator<int>(heap).allocate(SIZE_MAX / 2);
    } catch (const std::bad_alloc &) {
        thrown = true;
    }
    REQUIRE(thrown);
#endif
}

static void pointers()
{
    moat::heap heap;
    {
        moat::unique_ptr<Counted> p = moat::make_unique<Counted>(heap, 7);
        moat::unique_ptr<char> text(static_cast<char *>(std::malloc(10)));
        moat::unique_ptr<Wide> wide = moat::make_unique<Wide>(heap);
        REQUIRE(p->value == 7 && Counted::live == 1 && chunks(heap) == 2 && text);
        moat::heap other = std::move(heap);
        heap = std::move(other);
    }
    REQUIRE(Counted::live == 0 && chunks(heap) == 0);
}

// A wrong size is a bug of the program's: noticed with option mismatch=abort.
static void wrong_size()
{
    moat::memory_resource process;
    void *p = process.allocate(100, 8);
    process.deallocate(p, 99, 8);
}

int main(int argc, char **argv)
{
    if (argc > 1 && std::strcmp(argv[1], "wrong-size") == 0)
        wrong_size();
    resources();
    allocators();
    pointers();
    return 0;
}
