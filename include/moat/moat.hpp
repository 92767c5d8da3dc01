// moat for C++17: a memory resource and an allocator over the process's heap or one of their own, and a deleter. Header
// only; links with moat as moat.h does. With -fno-exceptions what can't be allocated ends the process.
#ifndef MOAT_HPP
#define MOAT_HPP

#include <cstddef>
#include <cstdlib>
#include <limits>
#include <memory>
#include <memory_resource>
#include <new>
#include <type_traits>
#include <utility>

#include "moat/moat.h"

namespace moat {

namespace detail {

[[noreturn]] inline void no_memory()
{
#if defined(__cpp_exceptions)
    throw std::bad_alloc();
#else
    std::abort();
#endif
}

inline void *allocate(moat_heap *from, std::size_t bytes, std::size_t align)
{
    void *p = align <= alignof(std::max_align_t) ? moat_heap_malloc(from, bytes)
                                                 : moat_heap_aligned_alloc(from, align, bytes);
    if (p == nullptr)
        no_memory();
    return p;
}

// The size is verified: another one than was allocated is reported.
inline void deallocate(void *p, std::size_t bytes, std::size_t align) noexcept
{
    if (align <= alignof(std::max_align_t))
        moat_free_sized(p, bytes);
    else
        moat_free_aligned_sized(p, align, bytes);
}

} // namespace detail

// A heap for one purpose, which ends with this object, and all its chunks with it.
class heap {
  public:
    heap() : handle_(moat_heap_create())
    {
        if (handle_ == nullptr)
            detail::no_memory();
    }
    heap(heap &&other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
    heap &operator=(heap &&other) noexcept
    {
        std::swap(handle_, other.handle_);
        return *this;
    }
    heap(const heap &) = delete;
    heap &operator=(const heap &) = delete;
    ~heap()
    {
        moat_heap_destroy(handle_);
    }

    moat_heap *get() const noexcept
    {
        return handle_;
    }

    // Ends every chunk now; the heap goes on empty.
    void clear()
    {
        heap fresh;
        std::swap(handle_, fresh.handle_);
    }

  private:
    moat_heap *handle_;
};

// Over the process's heap, or over one that outlives it.
class memory_resource : public std::pmr::memory_resource {
  public:
    memory_resource() noexcept = default;
    explicit memory_resource(const heap &from) noexcept : heap_(from.get()) {}

  private:
    void *do_allocate(std::size_t bytes, std::size_t align) override
    {
        return detail::allocate(heap_, bytes, align);
    }
    void do_deallocate(void *p, std::size_t bytes, std::size_t align) override
    {
        detail::deallocate(p, bytes, align);
    }
    // A chunk knows its heap: any resource of moat's gives any of its chunks back.
    bool do_is_equal(const std::pmr::memory_resource &other) const noexcept override
    {
#if defined(__cpp_rtti)
        return this == &other || dynamic_cast<const memory_resource *>(&other) != nullptr;
#else
        return this == &other;
#endif
    }

    moat_heap *heap_ = nullptr;
};

// Over a heap of its own. What is not deallocated ends with it.
class heap_resource : private heap, public memory_resource {
  public:
    heap_resource() : heap(), memory_resource(static_cast<const heap &>(*this)) {}
    heap_resource(const heap_resource &) = delete;
    heap_resource &operator=(const heap_resource &) = delete;
};

// For containers: the process's heap, or one that outlives them.
template <typename T> class allocator {
  public:
    using value_type = T;
    using propagate_on_container_copy_assignment = std::true_type;
    using propagate_on_container_move_assignment = std::true_type;
    using propagate_on_container_swap = std::true_type;
    using is_always_equal = std::true_type; // see memory_resource

    allocator() noexcept = default;
    explicit allocator(const heap &from) noexcept : heap_(from.get()) {}
    template <typename U> allocator(const allocator<U> &other) noexcept : heap_(other.get()) {}

    T *allocate(std::size_t n)
    {
        if (n > std::numeric_limits<std::size_t>::max() / sizeof(T))
            detail::no_memory();
        return static_cast<T *>(detail::allocate(heap_, n * sizeof(T), alignof(T)));
    }
    void deallocate(T *p, std::size_t n) noexcept
    {
        detail::deallocate(p, n * sizeof(T), alignof(T));
    }
    moat_heap *get() const noexcept
    {
        return heap_;
    }

  private:
    moat_heap *heap_ = nullptr;
};

template <typename T, typename U> bool operator==(const allocator<T> &, const allocator<U> &) noexcept
{
    return true;
}

template <typename T, typename U> bool operator!=(const allocator<T> &, const allocator<U> &) noexcept
{
    return false;
}

// For unique_ptr of what malloc or a heap gave. Destroys the object first.
struct deleter {
    template <typename T> void operator()(T *p) const noexcept
    {
        if (p == nullptr)
            return;
        if constexpr (!std::is_void_v<T>)
            std::destroy_at(p);
        std::free(const_cast<std::remove_cv_t<T> *>(p));
    }
};

template <typename T> using unique_ptr = std::unique_ptr<T, deleter>;

// make_unique from a heap.
template <typename T, typename... Arguments> unique_ptr<T> make_unique(const heap &from, Arguments &&...arguments)
{
    struct raw {
        void *p;
        ~raw()
        {
            std::free(p);
        }
    } memory{detail::allocate(from.get(), sizeof(T), alignof(T))};
    T *object = ::new (memory.p) T(std::forward<Arguments>(arguments)...);
    memory.p = nullptr;
    return unique_ptr<T>(object);
}

} // namespace moat

#endif
