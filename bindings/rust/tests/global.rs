//! moat as the global allocator of a test program.
use moat_alloc::{check_heap, object_size, purge, Heap, Moat};
use std::alloc::{alloc, alloc_zeroed, dealloc, realloc, Layout};
use std::collections::HashMap;
use std::thread;

#[global_allocator]
static MOAT: Moat = Moat;

#[test]
fn boxes_are_chunks_of_moats() {
    let b = Box::new([1u8; 77]);
    assert_eq!(object_size(&*b as *const [u8; 77]), Some(77));
    let here = 0u8;
    assert_eq!(object_size(&here), None);
    assert!(check_heap() > 0);
}

#[test]
fn alignments_and_zeros() {
    for shift in 0..17 {
        for size in [1usize, 7, 100, 5000, 200_000] {
            let layout = Layout::from_size_align(size, 1 << shift).unwrap();
            unsafe {
                let p = alloc_zeroed(layout);
                assert!(!p.is_null() && p as usize % layout.align() == 0);
                assert!(std::slice::from_raw_parts(p, size).iter().all(|&b| b == 0));
                p.write_bytes(9, size);
                let q = realloc(p, layout, size * 2);
                assert!(!q.is_null() && q as usize % layout.align() == 0);
                assert!(std::slice::from_raw_parts(q, size).iter().all(|&b| b == 9));
                dealloc(q, Layout::from_size_align(size * 2, 1 << shift).unwrap());
            }
        }
    }
}

#[test]
fn realloc_stays_in_place_where_it_can() {
    unsafe {
        let p = alloc(Layout::from_size_align(100, 8).unwrap());
        let q = realloc(p, Layout::from_size_align(100, 8).unwrap(), 104);
        assert_eq!(p, q);
        assert_eq!(object_size(q), Some(104));
        dealloc(q, Layout::from_size_align(104, 8).unwrap());
    }
}

#[test]
fn collections_and_threads() {
    let workers: Vec<_> = (0..4)
        .map(|n| {
            thread::spawn(move || {
                let map: HashMap<usize, String> =
                    (0..2000).map(|i| (i, format!("{n} {i}"))).collect();
                map.values().map(|s| s.len()).sum::<usize>()
            })
        })
        .collect();
    for worker in workers {
        assert!(worker.join().unwrap() > 8000);
    }
    purge();
}

#[test]
fn heaps_end_as_a_whole() {
    let heap = Heap::new().unwrap();
    let a = heap.alloc(Layout::new::<[u64; 10]>()).unwrap();
    let b = heap
        .alloc(Layout::from_size_align(300_000, 64).unwrap())
        .unwrap();
    assert!(a.iter().chain(b.iter()).all(|&x| x == 0));
    a[79] = 1;
    b[299_999] = 1;
    let address = b.as_ptr();
    assert_eq!(object_size(address), Some(300_000));
    drop(heap);
    assert_eq!(object_size(address).unwrap_or(0), 0);
}
