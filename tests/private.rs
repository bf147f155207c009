//! Private heaps: made, used, misused, looked at, and destroyed at once (row B3).
#![cfg_attr(feature = "nightly", feature(allocator_api))]

mod support;

use std::alloc::{GlobalAlloc, Layout};
use std::panic::Location;
use std::ptr::NonNull;

use support::blocks::{fill, is_full, layout, with_heap};
use support::{Hog, scaled};
use terrace::{NoLock, PrivateError, PrivateHeap, PrivateHeapError};

const REGION: usize = 64 << 10;

/// Bytes of a block's header.
const HEADER: usize = if usize::BITS == 64 { 24 } else { 16 };

/// The file that sites are in.
const HERE: &str = file!();

/// Blocks of `bytes` until there is no room.
fn exhaust(heap: &PrivateHeap<'_, NoLock>, bytes: usize) -> Vec<NonNull<u8>> {
    std::iter::from_fn(|| heap.alloc(layout(bytes, 8)).ok()).collect()
}

#[test]
fn b3_blocks_are_apart_aligned_and_inside() {
    with_heap(|heap| {
        let native = layout(500, 8);
        // SAFETY: the layout is not empty.
        let before = NonNull::new(unsafe { heap.alloc(native) }).unwrap();
        fill(before, 500, 0x11);
        let private = heap.private_heap(8192).create_local().unwrap();
        // SAFETY: the layout is not empty.
        let behind = NonNull::new(unsafe { heap.alloc(native) }).unwrap();
        fill(behind, 500, 0x22);
        let taken = heap.load().used;
        let mut blocks = Vec::new();
        for (tag, (size, align)) in [
            (1, 1),
            (0, 1),
            (24, 8),
            (100, 16),
            (32, 32),
            (7, 512),
            (300, 64),
            (0, 128),
        ]
        .into_iter()
        .enumerate()
        {
            let block = private.alloc(layout(size, align)).unwrap();
            assert!(block.addr().get().is_multiple_of(align));
            fill(block, size, tag as u8);
            blocks.push((block, size, tag as u8));
        }
        for (block, size, tag) in &blocks {
            assert!(is_full(*block, *size, *tag), "{size} bytes were written to by others");
        }
        assert!(is_full(before, 500, 0x11) && is_full(behind, 500, 0x22));
        assert_eq!(heap.load().used, taken, "it takes nothing more");
        let stats = private.stats();
        assert_eq!((stats.blocks, stats.asked, stats.allocations), (8, 464, 8));
        assert!(stats.used >= 464 + 8 * HEADER && stats.capacity == 8192);
        assert_eq!(stats.free, stats.capacity - stats.used);
        for (block, ..) in blocks {
            // SAFETY: nobody uses the block any more.
            unsafe { private.free(block) }.unwrap();
        }
        let empty = private.destroy();
        assert_eq!(
            (empty.blocks, empty.asked, empty.used, empty.peak),
            (0, 0, 0, stats.used)
        );
        assert!(is_full(before, 500, 0x11) && is_full(behind, 500, 0x22));
        // SAFETY: the blocks were allocated for this layout.
        unsafe {
            heap.dealloc(before.as_ptr(), native);
            heap.dealloc(behind.as_ptr(), native);
        }
    });
}

#[test]
fn b3_exhaustion_is_an_error_and_what_is_freed_serves_again() {
    with_heap(|heap| {
        let private = heap.private_heap(4096).create_local().unwrap();
        let blocks = exhaust(&private, 40);
        assert_eq!(
            blocks.len(),
            4096 / (HEADER + 40),
            "a block takes its header and its bytes"
        );
        let full = private.stats();
        assert_eq!((full.failures, full.last_failed), (1, 40));
        let error = PrivateError::OutOfMemory {
            requested: 40,
            align: 8,
            free: full.free,
        };
        assert_eq!(private.alloc(layout(40, 8)), Err(error));
        for (at, block) in blocks.iter().enumerate() {
            fill(*block, 40, at as u8);
        }
        // Every second block leaves holes for its like only; then these join.
        for block in blocks.iter().step_by(2) {
            // SAFETY: nobody uses the block any more.
            unsafe { private.free(*block) }.unwrap();
        }
        assert!(private.alloc(layout(200, 8)).is_err());
        let again = exhaust(&private, 40);
        assert_eq!(again.len(), blocks.len().div_ceil(2));
        for (at, block) in blocks.iter().enumerate().skip(1).step_by(2) {
            assert!(is_full(*block, 40, at as u8));
            // SAFETY: nobody uses the block any more.
            unsafe { private.free(*block) }.unwrap();
        }
        for block in again {
            // SAFETY: nobody uses the block any more.
            unsafe { private.free(block) }.unwrap();
        }
        assert_eq!(private.stats().used, 0);
        let whole = private
            .alloc(layout(4096 - HEADER, 8))
            .expect("all holes are one again");
        assert!(private.alloc(layout(0, 1)).is_err());
        // SAFETY: nobody uses the block any more.
        unsafe { private.free(whole) }.unwrap();
    });
}

#[test]
fn b3_destroyed_at_once_it_gives_everything_back() {
    with_heap(|heap| {
        let before = heap.load();
        for round in 0..100 {
            let private = heap.private_heap(REGION / 2).create_local().unwrap();
            assert!(heap.load().used >= REGION / 2);
            let blocks = exhaust(&private, 100 + round);
            assert_eq!(private.stats().blocks, blocks.len());
            if round % 2 == 0 {
                assert_eq!(private.destroy().blocks, blocks.len(), "what is in it does not matter");
            } else {
                drop(private);
            }
            assert_eq!(heap.load(), before);
        }
    });
}

#[test]
fn b3_a_private_heap_without_room_is_an_error() {
    with_heap(|heap| {
        for bytes in 0..HEADER + 8 {
            let error = heap.private_heap(bytes).create_local().unwrap_err();
            let required = HEADER + 8;
            assert_eq!(error, PrivateHeapError::TooSmall { bytes, required });
        }
        let least = heap.private_heap(HEADER + 8).create_local().unwrap();
        least.alloc(layout(8, 8)).unwrap();
        drop(least);
        for bytes in [REGION, isize::MAX as usize, usize::MAX] {
            let error = heap.private_heap(bytes).create_local().unwrap_err();
            assert!(matches!(error, PrivateHeapError::OutOfMemory { requested } if requested >= bytes));
        }
        assert_eq!(heap.stats().failures, 1, "the heap was asked for what a layout can say");
        let hog = Hog::new(heap);
        assert!(heap.private_heap(256).create_local().is_err());
        drop(hog);
        heap.private_heap(256).create_local().unwrap();
    });
}

#[test]
fn b3_requests_that_no_memory_could_serve_are_errors() {
    with_heap(|heap| {
        let private = heap.private_heap(1024).create_local().unwrap();
        for log in 0..usize::BITS - 1 {
            for size in [0, 1, 1024, isize::MAX as usize & !((1 << log) - 1)] {
                let Ok(layout) = Layout::from_size_align(size, 1 << log) else {
                    continue;
                };
                if let Ok(block) = private.alloc(layout) {
                    assert!(block.addr().get().is_multiple_of(1 << log) && size <= 1);
                    // SAFETY: nobody uses the block any more.
                    unsafe { private.free(block) }.unwrap();
                }
            }
        }
        assert_eq!(private.stats().used, 0);
        assert_eq!(exhaust(&private, 1024 - HEADER).len(), 1);
    });
}

#[test]
fn b3_misuse_is_told_by_its_kind_and_changes_nothing() {
    with_heap(|heap| {
        let private = heap.private_heap(4096).create_local().unwrap();
        let other = heap.private_heap(4096).create_local().unwrap();
        let [first, second, third] = [64, 64, 64].map(|bytes| private.alloc(layout(bytes, 8)).unwrap());
        let foreign = other.alloc(layout(64, 8)).unwrap();
        // What looks like a header and a block lies in a block: a copy of a real one.
        // SAFETY: within the blocks and their headers.
        unsafe { first.sub(HEADER).copy_to_nonoverlapping(second, HEADER + 16) };
        let forged = second.addr().get() + HEADER;
        let mut on_stack = 0u64;
        let stack = NonNull::from(&mut on_stack).cast::<u8>();
        let at = |block: NonNull<u8>| block.addr().get();
        let pointer = |address: usize| second.map_addr(|_| address.try_into().unwrap());
        let (foreign, stack) = (at(foreign), at(stack));
        let cases = [
            (foreign, PrivateError::Foreign { address: foreign }),
            (stack, PrivateError::Foreign { address: stack }),
            (1, PrivateError::Foreign { address: 1 }),
            (usize::MAX, PrivateError::Foreign { address: usize::MAX }),
            (forged, PrivateError::NoBlock { address: forged }),
            (
                at(second) + 1,
                PrivateError::NoBlock {
                    address: at(second) + 1,
                },
            ),
            (
                at(second) - 8,
                PrivateError::NoBlock {
                    address: at(second) - 8,
                },
            ),
            (
                at(third) + 200,
                PrivateError::NoBlock {
                    address: at(third) + 200,
                },
            ),
        ];
        let before = private.stats();
        for (count, (address, error)) in cases.into_iter().enumerate() {
            // SAFETY: no block starts there.
            assert_eq!(unsafe { private.free(pointer(address)) }, Err(error));
            assert_eq!(private.stats().misuses, count + 1);
        }
        assert_eq!(
            (private.stats().used, private.stats().blocks),
            (before.used, before.blocks)
        );

        // SAFETY: nobody uses the block any more.
        unsafe { private.free(second) }.unwrap();
        let twice = PrivateError::FreedTwice { address: at(second) };
        // SAFETY: no block starts there.
        assert_eq!(unsafe { private.free(second) }, Err(twice));
        // As a part of another block it is still one that was freed; as another block it is that one.
        // SAFETY: nobody uses the blocks any more.
        unsafe { private.free(first) }.unwrap();
        let around = private.alloc(layout(64 + HEADER + 64, 8)).unwrap();
        assert_eq!(at(around), at(first));
        // SAFETY: no block starts there.
        assert_eq!(unsafe { private.free(second) }, Err(twice));
        // SAFETY: nobody uses the blocks any more.
        unsafe {
            private.free(around).unwrap();
            private.free(third).unwrap();
        }
        assert_eq!((private.stats().used, private.check()), (0, Ok(())));
    });
}

#[test]
fn b3_an_overwritten_header_is_found_by_free_and_by_check() {
    with_heap(|heap| {
        let private = heap.private_heap(4096).create_local().unwrap();
        let blocks: Vec<_> = (0..3).map(|_| private.debug_alloc(layout(32, 8)).unwrap()).collect();
        let address = blocks[1].addr().get();
        for at in 1..=HEADER {
            // SAFETY: inside of the private heap; what is written there is put right before it matters.
            unsafe {
                let byte = blocks[1].sub(at);
                let was = byte.read();
                byte.write(was ^ 0x40);
                let error = PrivateError::Overwritten { address };
                assert_eq!(private.check(), Err(error), "byte {at}");
                assert_eq!(private.free(blocks[1]), Err(error));
                let leaks: Vec<_> = private
                    .leaks()
                    .map(|leak| (leak.site.is_some(), leak.blocks, leak.bytes))
                    .collect();
                assert_eq!(leaks, [(false, 1, 0), (true, 2, 64)]);
                byte.write(was);
            }
        }
        assert_eq!(private.check(), Ok(()));
        // SAFETY: nobody uses the block any more.
        unsafe { private.free(blocks[1]) }.unwrap();
    });
}

/// A function of its own, so that two callers have one site.
fn one_site(heap: &PrivateHeap<'_, NoLock>, bytes: usize) -> NonNull<u8> {
    heap.debug_alloc(layout(bytes, 8)).unwrap()
}

#[test]
fn b3_leaks_are_listed_by_site() {
    with_heap(|heap| {
        let private = heap.private_heap(8192).create_local().unwrap();
        assert_eq!(private.leaks().to_string(), "no blocks");
        let (seven, eight) = (layout(7, 1), layout(8, 1));
        let line = line!();
        let late: Vec<_> = (0..3).map(|_| private.debug_alloc(layout(100, 8)).unwrap()).collect();
        let same_line = [private.debug_alloc(seven), private.debug_alloc(eight)].map(Result::unwrap);
        private.alloc(layout(11, 1)).unwrap();
        for bytes in [10, 20, 30] {
            one_site(&private, bytes);
        }
        let site: &'static Location<'static> = Location::caller();
        private.debug_alloc_at(layout(5, 1), site).unwrap();
        let listed: Vec<_> = private
            .leaks()
            .map(|leak| (leak.site.map(|site| site.line()), leak.blocks, leak.bytes))
            .collect();
        let one = listed[1].0.unwrap();
        assert!(one < line);
        let expected = [
            (None, 1, 11),
            (Some(one), 3, 60),
            (Some(line + 1), 3, 300),
            (Some(line + 2), 2, 15),
            (Some(site.line()), 1, 5),
        ];
        assert_eq!(listed, expected);
        let text = format!(
            "no site: 1 block, 11 bytes\n{HERE}:{one}: 3 blocks, 60 bytes\n{HERE}:{}: 3 blocks, 300 bytes\n\
             {HERE}:{}: 2 blocks, 15 bytes\n{HERE}:{}: 1 block, 5 bytes",
            line + 1,
            line + 2,
            site.line()
        );
        assert_eq!(private.leaks().to_string(), text);

        // What is freed is no leak, also in the middle of a walk.
        let mut walk = private.leaks();
        walk.next();
        walk.next();
        for block in late.into_iter().chain(same_line) {
            // SAFETY: nobody uses the block any more.
            unsafe { private.free(block) }.unwrap();
        }
        assert_eq!(walk.next().unwrap().site, Some(site));
        assert_eq!((walk.next(), walk.next()), (None, None));
        assert_eq!(private.leaks().count(), 3);
        assert_eq!(private.stats().asked, 11 + 60 + 5);
    });
}

#[test]
fn b3_errors_and_figures_say_what_is_wrong() {
    let full = PrivateError::OutOfMemory {
        requested: 100,
        align: 8,
        free: 64,
    };
    let text = "no room for 100 bytes, aligned to 8, in the private heap: 64 bytes are free";
    assert_eq!(full.to_string(), text);
    let twice = PrivateError::FreedTwice { address: 0x2000 };
    assert_eq!(
        twice.to_string(),
        "0x2000: a block of the private heap that was freed before"
    );
    let error = PrivateHeapError::TooSmall { bytes: 8, required: 32 };
    assert_eq!(error.to_string(), "a private heap of 8 bytes, 32 are needed at least");
    with_heap(|heap| {
        let private = heap.private_heap(1024).create_local().unwrap();
        private.alloc(layout(40, 8)).unwrap();
        let used = HEADER + 40;
        assert_eq!(
            private.stats().to_string(),
            format!("{used} of 1024 bytes in 1 block, peak {used}")
        );
    });
}

/// Whether a private heap is for all threads is the lock's to say.
#[cfg(feature = "critical-section")]
#[test]
fn b3_what_has_a_lock_is_for_all_threads() {
    fn for_all<T: Send + Sync>() {}
    for_all::<PrivateHeap<'static, terrace::CriticalSection>>();
}

/// The form for all threads, whose lock is its own: threads use one private heap, and make and destroy others.
#[cfg(feature = "spin")]
#[test]
fn b3_threads_share_a_private_heap() {
    use support::{Memory, Random};
    use terrace::SpinHeap;

    let (heap, memory) = (SpinHeap::new(), Memory::new(256 << 10));
    // SAFETY: the memory outlives the heap's use, and nobody else uses it.
    unsafe { heap.claim_raw(memory.start(), 256 << 10) }.unwrap();
    let shared = heap.private_heap(32 << 10).create().unwrap();
    let rounds = scaled(3000);
    std::thread::scope(|scope| {
        for thread in 1..=4u8 {
            let (heap, shared) = (&heap, &shared);
            scope.spawn(move || {
                let mut random = Random::new(thread.into());
                let mut mine = Vec::new();
                for _ in 0..rounds {
                    let bytes = random.size(200);
                    if let Ok(block) = shared.debug_alloc(layout(bytes, 8)) {
                        fill(block, bytes, thread);
                        mine.push((block.expose_provenance(), block, bytes));
                    }
                    if mine.len() > 8 || random.one_in(2) && !mine.is_empty() {
                        let (_, block, bytes) = mine.swap_remove(random.below(mine.len()));
                        assert!(is_full(block, bytes, thread));
                        // SAFETY: nobody uses the block any more.
                        unsafe { shared.free(block) }.unwrap();
                    }
                    if random.one_in(16) {
                        let own = heap.private_heap(512).create().unwrap();
                        own.alloc(layout(64, 8)).unwrap();
                    }
                }
                for (_, block, bytes) in mine {
                    assert!(is_full(block, bytes, thread));
                    // SAFETY: nobody uses the block any more.
                    unsafe { shared.free(block) }.unwrap();
                }
            });
        }
    });
    assert_eq!(
        (shared.stats().blocks, shared.stats().used, shared.check()),
        (0, 0, Ok(()))
    );
    // It may be dropped by another thread than the one that made it.
    std::thread::scope(|scope| scope.spawn(move || shared.destroy()).join()).unwrap();
    assert_eq!((heap.load().used, heap.check()), (0, Ok(())));
}

/// The same tests for both traits, and for the collections that know them.
#[cfg(any(feature = "allocator-api2", feature = "nightly"))]
macro_rules! collections {
    ($name:ident, $library:ident) => {
        mod $name {
            use super::*;
            use $library::alloc::Allocator;
            use $library::boxed::Box;
            use $library::vec::Vec;

            #[test]
            fn b3_a_vector_lives_in_a_private_heap() {
                with_heap(|heap| {
                    let private = heap.private_heap(16 << 10).create_local().unwrap();
                    let mut numbers: Vec<u32, _> = Vec::new_in(&private);
                    numbers.extend(0..1000);
                    let boxed = Box::new_in([7u64; 16], &private);
                    assert!(numbers.iter().copied().eq(0..1000) && *boxed == [7; 16]);
                    assert_eq!(private.stats().blocks, 2);
                    numbers.truncate(10);
                    numbers.shrink_to_fit();
                    assert!(numbers.iter().copied().eq(0..10) && numbers.capacity() == 10);
                    let mut more: Vec<u8, _> = Vec::new_in(&private);
                    assert!(more.try_reserve(100_000).is_err());
                    drop((numbers, boxed, more));
                    assert_eq!((private.stats().used, private.stats().misuses), (0, 0));
                });
            }

            #[test]
            fn b3_blocks_change_their_layout_where_they_are_if_they_have_room() {
                with_heap(|heap| {
                    let private = heap.private_heap(4096).create_local().unwrap();
                    let allocator = &private;
                    let block = allocator.allocate(layout(61, 8)).unwrap().cast();
                    fill(block, 61, 0x33);
                    // SAFETY: the block has the layouts that are told.
                    unsafe {
                        let same = allocator.grow(block, layout(61, 8), layout(64, 8)).unwrap();
                        assert_eq!((same.cast(), same.len()), (block, 64));
                        let same = allocator.shrink(block, layout(64, 8), layout(9, 8)).unwrap();
                        assert_eq!(same.cast(), block);
                        let same = allocator.grow(block, layout(9, 8), layout(64, 8)).unwrap();
                        assert_eq!(same.cast(), block, "nothing was cut off");
                        let moved = allocator
                            .grow_zeroed(block, layout(9, 8), layout(200, 64))
                            .unwrap()
                            .cast::<u8>();
                        assert!(moved.addr().get().is_multiple_of(64));
                        assert!(is_full(moved, 9, 0x33) && (9..200).all(|at| moved.add(at).read() == 0));
                        assert!(allocator.grow(moved, layout(200, 64), layout(8000, 64)).is_err());
                        assert!(is_full(moved, 9, 0x33));
                        let none = allocator.shrink(moved, layout(200, 64), layout(0, 32)).unwrap();
                        assert_eq!((none.len(), private.stats().blocks), (0, 0));
                        let some = allocator.grow(none.cast(), layout(0, 32), layout(1, 1)).unwrap();
                        allocator.deallocate(some.cast(), layout(1, 1));
                    }
                    assert_eq!((private.stats().used, private.stats().misuses), (0, 0));
                });
            }
        }
    };
}

#[cfg(feature = "allocator-api2")]
collections!(api2, allocator_api2);

#[cfg(feature = "nightly")]
collections!(standard, std);

/// Arenas and private heaps take from the same memory, and leave each other alone.
#[test]
fn b3_an_arena_beside_private_heaps_is_undisturbed() {
    use terrace::{Arena, Generation, Root};

    let heap = support::heap_for_good(REGION * 4);
    let mut arena = Arena::new(heap).unwrap();
    arena.enter(|cx| {
        let mut texts: Vec<Root<str>> = Vec::new();
        for round in 0..scaled(100).max(10) {
            let private = heap.private_heap(1024 + 64 * round).create_local().unwrap();
            let block = private.alloc(layout(512, 8)).unwrap();
            fill(block, 512, round as u8);
            for at in 0..20 {
                let text = cx.new_str(&format!("{round} {at}")).unwrap();
                if at == 0 {
                    texts.push(text);
                }
            }
            cx.collect(Generation::Old);
            assert!(is_full(block, 512, round as u8));
            drop(private);
            for (round, text) in texts.iter().enumerate() {
                assert_eq!(&*text.get(cx), format!("{round} 0"));
            }
        }
        cx.verify().unwrap();
    });
    drop(arena);
    assert_eq!((heap.load().used, heap.check()), (0, Ok(())));
}
