//! A private heap without a lock stays with its thread.

use terrace::*;

fn shared(heap: &'static PrivateHeap<'static, NoLock>) {
    std::thread::spawn(move || heap.stats());
}

fn moved(heap: PrivateHeap<'static, NoLock>) {
    std::thread::spawn(move || heap.stats());
}

fn main() {}
