// A program that replaces operator new and delete alone, as groff does: the array forms, which are the preloaded
// library's, must end up there, so that what malloc gave may go to delete[].
#include <cstdlib>
#include <cstring>
#include <new>

static int made, ended;

void *operator new(std::size_t n)
{
    made++;
    void *p = std::malloc(n);
    return p != nullptr ? p : throw std::bad_alloc();
}

void operator delete(void *p) noexcept
{
    ended++;
    std::free(p);
}

void operator delete(void *p, std::size_t) noexcept
{
    operator delete(p);
}

int main()
{
    char *volatile p = new char[100];
    std::free(p);
    p = static_cast<char *>(std::malloc(100));
    std::memset(p, 1, 100);
    delete[] p;
    return made == 1 && ended == 1 ? 0 : 1;
}
