// Claimed memory is given away for good.

use std::mem::MaybeUninit;

fn main() {
    let mut memory = [MaybeUninit::<u8>::uninit(); 4096];
    let heap = terrace::LocalHeap::new();
    heap.claim(&mut memory).unwrap();
}
