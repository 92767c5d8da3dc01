//! moat, a hardened malloc for Linux, as Rust's global allocator:
//!
//! ```
//! #[global_allocator]
//! static MOAT: moat_alloc::Moat = moat_alloc::Moat;
//! # fn main() { assert_eq!(vec![0u8; 100].len(), 100); }
//! ```
//!
//! A program that links it has moat for C code as well. Every deallocation says its size and alignment, which moat
//! verifies. Memory is zero when it is handed out, so `alloc_zeroed` costs nothing more.
#![no_std]
#![warn(missing_docs)]

use core::alloc::{GlobalAlloc, Layout};
use core::ffi::c_void;
use core::ptr::{null_mut, NonNull};

mod c {
    use core::ffi::c_void;

    extern "C" {
        pub fn malloc(n: usize) -> *mut c_void;
        pub fn aligned_alloc(align: usize, n: usize) -> *mut c_void;
        pub fn realloc(p: *mut c_void, n: usize) -> *mut c_void;
        pub fn free_sized(p: *mut c_void, n: usize);
        pub fn free_aligned_sized(p: *mut c_void, align: usize, n: usize);
        pub fn moat_heap_create() -> *mut c_void;
        pub fn moat_heap_destroy(heap: *mut c_void);
        pub fn moat_heap_aligned_alloc(heap: *mut c_void, align: usize, n: usize) -> *mut c_void;
        pub fn moat_check_heap() -> usize;
        pub fn moat_purge() -> usize;
        pub fn moat_object_size(p: *const c_void) -> usize;
    }
}

/// What every chunk of moat's is aligned to.
const PLAIN: usize = 16;

/// The global allocator.
#[derive(Clone, Copy, Debug, Default)]
pub struct Moat;

// SAFETY: the C functions give what GlobalAlloc promises: memory of that size and alignment, or null.
unsafe impl GlobalAlloc for Moat {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if layout.align() <= PLAIN {
            c::malloc(layout.size()).cast()
        } else {
            c::aligned_alloc(layout.align(), layout.size()).cast()
        }
    }

    #[inline]
    unsafe fn dealloc(&self, p: *mut u8, layout: Layout) {
        if layout.align() <= PLAIN {
            c::free_sized(p.cast(), layout.size())
        } else {
            c::free_aligned_sized(p.cast(), layout.align(), layout.size())
        }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        self.alloc(layout)
    }

    #[inline]
    unsafe fn realloc(&self, p: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if layout.align() <= PLAIN {
            return c::realloc(p.cast(), size).cast();
        }
        // realloc would move it to a plain address.
        let to = self.alloc(Layout::from_size_align_unchecked(size, layout.align()));
        if !to.is_null() {
            core::ptr::copy_nonoverlapping(p, to, layout.size().min(size));
            self.dealloc(p, layout);
        }
        to
    }
}

/// A heap for one purpose: slabs that serve nobody else, and end as a whole when this is dropped.
#[derive(Debug)]
pub struct Heap(NonNull<c_void>);

// SAFETY: moat's heaps have a lock of their own.
unsafe impl Send for Heap {}
unsafe impl Sync for Heap {}

impl Heap {
    /// A new heap; `None` when there are too many, or no memory.
    pub fn new() -> Option<Heap> {
        // SAFETY: it has no conditions.
        NonNull::new(unsafe { c::moat_heap_create() }).map(Heap)
    }

    /// Zeros of that size and alignment, which live as long as the heap; `None` without memory.
    // Each call gives another chunk.
    #[allow(clippy::mut_from_ref)]
    pub fn alloc(&self, layout: Layout) -> Option<&mut [u8]> {
        // SAFETY: the heap is there, and the alignment is a power of two.
        let p = unsafe {
            c::moat_heap_aligned_alloc(self.0.as_ptr(), layout.align(), layout.size().max(1))
        };
        // SAFETY: it is a chunk of that size, nobody else's, and zero.
        NonNull::new(p.cast::<u8>())
            .map(|p| unsafe { core::slice::from_raw_parts_mut(p.as_ptr(), layout.size()) })
    }
}

impl Drop for Heap {
    fn drop(&mut self) {
        // SAFETY: what it gave out has lived for as long as it was borrowed.
        unsafe { c::moat_heap_destroy(self.0.as_ptr()) }
    }
}

/// Verifies all of moat's memory, or ends the process with a report; how many chunks are live.
pub fn check_heap() -> usize {
    // SAFETY: it has no conditions.
    unsafe { c::moat_check_heap() }
}

/// Gives back to the system what is free; how many bytes.
pub fn purge() -> usize {
    // SAFETY: it has no conditions.
    unsafe { c::moat_purge() }
}

/// Bytes from the address to the end of its chunk; `None` when it is none of moat's.
pub fn object_size<T: ?Sized>(p: *const T) -> Option<usize> {
    let p: *const c_void = if p.cast::<u8>().is_null() {
        null_mut()
    } else {
        p.cast()
    };
    // SAFETY: any address may be asked for.
    match unsafe { c::moat_object_size(p) } {
        usize::MAX => None,
        n => Some(n),
    }
}
