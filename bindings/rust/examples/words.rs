//! Counts words with moat as the allocator; with the argument `overflow`, writes one byte too far, which moat reports.
use std::collections::BTreeMap;

#[global_allocator]
static MOAT: moat_alloc::Moat = moat_alloc::Moat;

fn main() {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for word in "the moat around the keep and the keep in the moat".split(' ') {
        *counts.entry(word.to_string()).or_default() += 1;
    }
    println!("{counts:?}");
    if std::env::args().nth(1).as_deref() == Some("overflow") {
        let mut bytes = vec![0u8; 24].into_boxed_slice();
        // A bug that `unsafe` allows.
        unsafe { *bytes.as_mut_ptr().add(24) = 1 };
    }
}
