//! A heap as an `Allocator`: of the crate allocator-api2, and of the standard library where the compiler has it.
#![cfg_attr(feature = "nightly", feature(allocator_api))]
#![cfg(any(feature = "allocator-api2", feature = "nightly"))]

mod support;

use std::alloc::Layout;

use support::Memory;
use terrace::LocalHeap;

const REGION: usize = 64 << 10;

fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).expect("a layout")
}

/// An alignment that hardly any address has, and none near those that programs get their memory at.
const RARE_ALIGNMENT: usize = if usize::BITS == 64 { 1 << 46 } else { 1 << 30 };

/// The same tests for both traits, which have the same methods.
macro_rules! suite {
    ($name:ident, $($trait:ident)::+) => {
        mod $name {
            use std::ptr::NonNull;

            use super::*;
            use $($trait)::+ as Allocator;

            fn with_heap(work: impl FnOnce(&LocalHeap)) {
                let memory = Memory::new(REGION);
                let heap = LocalHeap::new();
                // SAFETY: the memory outlives the heap and is used by nothing else.
                unsafe { heap.claim_raw(memory.start(), REGION).unwrap() };
                work(&heap);
                assert_eq!((heap.load().used, heap.check()), (0, Ok(())), "nothing leaks");
            }

            /// Writes a pattern over the block.
            fn fill(block: NonNull<[u8]>) {
                for at in 0..block.len() {
                    // SAFETY: within the block, which is the test's.
                    unsafe { block.cast::<u8>().add(at).write(at as u8) };
                }
            }

            /// Whether the first `len` bytes hold the pattern.
            fn is_filled(block: NonNull<[u8]>, len: usize) -> bool {
                // SAFETY: within the block, which is the test's, and written.
                (0..len).all(|at| unsafe { block.cast::<u8>().add(at).read() } == at as u8)
            }

            #[test]
            fn growing_and_shrinking_keep_the_contents() {
                with_heap(|heap| {
                    let sizes = [1, 8, 24, 100, 1000, 5000, 4999, 600, 40, 7];
                    let mut block = heap.allocate(layout(sizes[0], 8)).unwrap();
                    fill(block);
                    for pair in sizes.windows(2) {
                        let (old, new) = (layout(pair[0], 8), layout(pair[1], 8));
                        // SAFETY: the block has the old layout.
                        block = unsafe {
                            if pair[1] >= pair[0] {
                                heap.grow(block.cast(), old, new).unwrap()
                            } else {
                                heap.shrink(block.cast(), old, new).unwrap()
                            }
                        };
                        assert_eq!(block.len(), pair[1]);
                        assert!(is_filled(block, pair[0].min(pair[1])), "{pair:?}");
                        fill(block);
                    }
                    // SAFETY: the block has that layout.
                    unsafe { heap.deallocate(block.cast(), layout(7, 8)) };
                });
            }

            #[test]
            fn what_is_grown_zeroed_is_zero_behind_the_old_size() {
                with_heap(|heap| {
                    let mut block = heap.allocate_zeroed(layout(64, 8)).unwrap();
                    // SAFETY: within the block, which is the test's, and zeroed.
                    assert!((0..64).all(|at| unsafe { block.cast::<u8>().add(at).read() } == 0));
                    fill(block);
                    // SAFETY: the block has the old layout.
                    block = unsafe { heap.grow_zeroed(block.cast(), layout(64, 8), layout(777, 8)).unwrap() };
                    assert!(is_filled(block, 64));
                    // SAFETY: as above.
                    assert!((64..777).all(|at| unsafe { block.cast::<u8>().add(at).read() } == 0));
                    // SAFETY: the block has that layout.
                    unsafe { heap.deallocate(block.cast(), layout(777, 8)) };
                });
            }

            #[test]
            fn the_alignment_may_change() {
                with_heap(|heap| {
                    let mut block = heap.allocate(layout(100, 1)).unwrap();
                    fill(block);
                    let mut old = layout(100, 1);
                    for align in [64, 8, 1024, 1] {
                        let new = layout(100, align);
                        // SAFETY: the block has the old layout.
                        block = unsafe { heap.grow(block.cast(), old, new).unwrap() };
                        assert!(block.cast::<u8>().addr().get().is_multiple_of(align) && is_filled(block, 100));
                        old = new;
                    }
                    // SAFETY: the block has that layout.
                    unsafe { heap.deallocate(block.cast(), old) };
                });
            }

            #[test]
            fn no_bytes_are_a_block_as_well() {
                with_heap(|heap| {
                    let empty = layout(0, 32);
                    let block = heap.allocate(empty).unwrap();
                    assert!(block.len() == 0 && block.cast::<u8>().addr().get().is_multiple_of(32));
                    assert_eq!(heap.allocate_zeroed(empty).unwrap().len(), 0);
                    let full = layout(50, 32);
                    // SAFETY: the blocks have these layouts.
                    unsafe {
                        let block = heap.grow(block.cast(), empty, full).unwrap();
                        fill(block);
                        let block = heap.shrink(block.cast(), full, empty).unwrap();
                        heap.deallocate(block.cast(), empty);
                    }
                });
            }

            #[test]
            fn a_failure_is_an_error_and_leaves_the_block() {
                with_heap(|heap| {
                    let block = heap.allocate(layout(1000, 8)).unwrap();
                    fill(block);
                    let huge = layout(1 << 20, 8);
                    assert!(heap.allocate(huge).is_err() && heap.allocate_zeroed(huge).is_err());
                    // SAFETY: the block has that layout, and keeps it.
                    unsafe {
                        assert!(heap.grow(block.cast(), layout(1000, 8), huge).is_err());
                        let aligned = layout(1000, RARE_ALIGNMENT);
                        assert!(heap.grow(block.cast(), layout(1000, 8), aligned).is_err());
                        assert!(is_filled(block, 1000));
                        heap.deallocate(block.cast(), layout(1000, 8));
                    }
                });
            }
        }
    };
}

#[cfg(feature = "allocator-api2")]
suite!(api2, allocator_api2::alloc::Allocator);

#[cfg(feature = "nightly")]
suite!(standard, std::alloc::Allocator);
