//! How requests are served: the order of the steps, what is reused, what is cleared, what grows in place (rows C4 to C8,
//! C10, C22).

mod support;

use std::alloc::{GlobalAlloc, Layout};

use support::shadow::{ChosenCore, choose_core};
use support::{Memory, Random, scaled};
use terrace::{Heap, LocalHeap, NoLock, Threshold, Watermarks};

/// A heap in memory of its own.
struct Fixture {
    heap: LocalHeap,
    memory: Memory,
}

impl Fixture {
    fn new(bytes: usize) -> Fixture {
        let (heap, memory) = (LocalHeap::new(), Memory::new(bytes));
        // SAFETY: the memory outlives the heap: both are in the same struct.
        unsafe { heap.claim_raw(memory.start(), bytes) }.unwrap();
        Fixture { heap, memory }
    }

    /// An address, or 0.
    fn alloc(&self, bytes: usize) -> usize {
        // SAFETY: no caller asks for no bytes.
        unsafe { self.heap.alloc(layout(bytes)) as usize }
    }

    fn free(&self, address: usize, bytes: usize) {
        let block = self.memory.start().wrapping_add(address - self.memory.start() as usize);
        // SAFETY: every caller frees what it allocated, once.
        unsafe { self.heap.dealloc(block, layout(bytes)) };
    }

    fn resize(&self, address: usize, old: usize, new: usize) -> usize {
        let block = self.memory.start().wrapping_add(address - self.memory.start() as usize);
        // SAFETY: every caller resizes what it allocated.
        unsafe { self.heap.realloc(block, layout(old), new) as usize }
    }

    /// From here on memory counts as short: nothing is taken in advance, nothing is cached.
    fn be_short(&self) {
        let (high, low) = (Threshold::Percent(1), Threshold::Percent(0));
        self.heap.set_watermarks(Watermarks { high, low }).unwrap();
        self.alloc(self.heap.load().capacity / 50);
    }

    /// Allocates blocks of `bytes` until it fails.
    fn fill(&self, bytes: usize) -> Vec<usize> {
        std::iter::from_fn(|| Some(self.alloc(bytes)).filter(|address| *address != 0)).collect()
    }
}

fn layout(bytes: usize) -> Layout {
    Layout::from_size_align(bytes, 8).unwrap()
}

#[test]
fn c4_small_requests_bump_through_chunks() {
    let f = Fixture::new(1 << 20);
    let blocks: Vec<usize> = (0..1000).map(|_| f.alloc(24)).collect();
    let steps = f.heap.stats().steps;
    assert!(steps.refills >= 1 && steps.refills <= 12, "{steps:?}");
    assert_eq!(steps.refills + steps.bumped, 1000, "{steps:?}");
    let adjacent = blocks.windows(2).filter(|pair| pair[0] + 24 == pair[1]).count();
    assert!(
        adjacent > 980,
        "{adjacent} of 999 blocks lie right behind their predecessor"
    );
}

/// A free that ends at the bump pointer moves it back.
#[test]
fn c4_the_last_block_of_a_chunk_is_taken_back() {
    let f = Fixture::new(64 << 10);
    f.alloc(24);
    let bytes = 200; // larger than what is cached in a region of this size
    let first = f.alloc(bytes);
    for _ in 0..1000 {
        f.free(first, bytes);
        assert_eq!(f.alloc(bytes), first);
    }
    assert_eq!(f.heap.check(), Ok(()));
}

#[test]
fn c5_a_context_refills_from_a_gap_before_it_takes_new_memory() {
    let f = Fixture::new(1 << 20);
    let gap = f.alloc(60_000);
    let behind = f.alloc(60_000);
    f.free(gap, 60_000);
    f.heap.trim();
    let inside = (0..500)
        .map(|_| f.alloc(64))
        .filter(|address| (gap..gap + 60_000).contains(address))
        .count();
    assert_eq!(inside, 500);
    f.free(behind, 60_000);
}

#[test]
fn c6_neighbours_join_whatever_the_order() {
    let orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    for bytes in [8, 16, 24, 256, 5000] {
        for order in orders {
            let f = Fixture::new(64 << 10);
            let blocks = [f.alloc(bytes), f.alloc(bytes), f.alloc(bytes)];
            let guard = f.alloc(bytes);
            order.iter().for_each(|at| f.free(blocks[*at], bytes));
            f.free(guard, bytes);
            f.heap.trim();
            let stats = f.heap.stats();
            assert_eq!(
                (stats.largest_free, f.heap.check()),
                (stats.capacity, Ok(())),
                "{bytes}: {order:?}"
            );
        }
    }
}

/// Every free granule can be had again: no gap is too small to be listed.
#[test]
fn c6_single_granules_are_reused() {
    let f = Fixture::new(16 << 10);
    let mut blocks = f.fill(8);
    blocks.sort_unstable();
    assert_eq!(blocks.len() * 8, f.heap.stats().capacity);
    blocks.iter().step_by(2).for_each(|address| f.free(*address, 8));
    assert_eq!(f.alloc(16), 0, "no two granules lie side by side");
    let again = f.fill(8);
    assert_eq!(again.len(), blocks.len().div_ceil(2));
    assert_eq!(f.heap.check(), Ok(()));
}

/// Requests come out of the gap that fits best, so that large ones stay whole.
#[test]
fn c6_a_gap_that_fits_is_preferred_to_a_large_one() {
    let f = Fixture::new(64 << 10);
    f.be_short();
    let sizes = [400, 120, 2000, 800, 64, 4000];
    let gaps: Vec<usize> = sizes
        .iter()
        .map(|bytes| {
            let gap = f.alloc(*bytes);
            f.alloc(8);
            gap
        })
        .collect();
    gaps.iter().zip(sizes).for_each(|(gap, bytes)| f.free(*gap, bytes));
    for (gap, bytes) in gaps.iter().zip(sizes).rev() {
        assert_eq!(f.alloc(bytes), *gap, "{bytes}");
    }
}

#[test]
fn c7_each_step_is_taken_in_order_and_counted() {
    let f = Fixture::new(256 << 10);
    let first = f.alloc(64);
    let steps = f.heap.stats().steps;
    assert_eq!((steps.refills, steps.bumped, steps.direct), (1, 0, 0));
    let second = f.alloc(64);
    assert_eq!(f.heap.stats().steps.bumped, 1);
    f.free(first, 64);
    assert_eq!(f.alloc(64), first, "the cache comes first");
    assert_eq!(f.heap.stats().cache_hits, 1);
    let large = f.alloc(30_000);
    assert_eq!(f.heap.stats().steps.direct, 1);
    f.free(large, 30_000);
    f.free(second, 64);
    f.free(first, 64);

    let blocks: Vec<usize> = (0..400).map(|_| f.alloc(64)).collect();
    blocks.iter().for_each(|address| f.free(*address, 64));
    let idle = f.heap.stats().idle;
    assert!(idle > 64, "something is held back");
    let rest = f.heap.stats().largest_free;
    assert_ne!(f.alloc(rest), 0);
    let before = f.heap.stats();
    for _ in 0..1000 {
        f.alloc(16); // must be served by what is drained
    }
    let stats = f.heap.stats();
    assert!(
        stats.steps.rescued > before.steps.rescued && stats.steps.drained > before.steps.drained,
        "{stats:?}"
    );
    let failures = stats.failures;
    f.fill(8);
    let stats = f.heap.stats();
    assert_eq!(stats.failures, failures + 1);
    let served = stats.cache_hits + stats.steps.bumped + stats.steps.refills + stats.steps.direct + stats.steps.rescued;
    assert_eq!(stats.allocations, served);
}

#[test]
fn c8_zeroed_blocks_are_zero_where_memory_is_dirty() {
    let f = Fixture::new(64 << 10);
    let mut random = Random::new(8);
    for _ in 0..scaled(20_000) {
        let limit = if random.one_in(8) { 20_000 } else { 300 };
        let bytes = 1 + random.below(limit);
        let layout = Layout::from_size_align(bytes, 1 << random.below(8)).unwrap();
        // SAFETY: the layout is not empty; the block has so many bytes and is freed as it was allocated.
        unsafe {
            let block = f.heap.alloc_zeroed(layout);
            if block.is_null() {
                continue;
            }
            assert!(std::slice::from_raw_parts(block, bytes).iter().all(|byte| *byte == 0));
            block.write_bytes(0xFF, bytes);
            f.heap.dealloc(block, layout);
        }
    }
}

/// What is known to be zero is not cleared again. The memory is not zero here, against what the claim was told, so that
/// clearing would show; nothing depends on the bytes but what `alloc_zeroed` hands out.
#[test]
fn c8_memory_that_is_known_to_be_zero_is_not_cleared() {
    let (heap, memory) = (LocalHeap::new(), Memory::new(1 << 20));
    // SAFETY: the memory outlives the heap; its bytes are of no consequence, see above.
    unsafe { heap.claim_zeroed(memory.start(), memory.bytes()) }.unwrap();
    let large = layout(100_000);
    // SAFETY: the layout is not empty, and the blocks have so many bytes.
    unsafe {
        let block = heap.alloc_zeroed(large);
        let bytes = std::slice::from_raw_parts(block, large.size());
        let dirty = bytes.iter().filter(|byte| **byte == 0xA5).count();
        assert!(dirty > 99_900, "only {dirty} bytes were left alone");
        heap.dealloc(block, large);
        let again = heap.alloc_zeroed(large);
        assert_eq!(again, block);
        let bytes = std::slice::from_raw_parts(again, large.size());
        assert!(
            bytes.iter().all(|byte| *byte == 0),
            "what was handed out before is cleared"
        );
    }
}

#[test]
fn c10_large_requests_go_past_the_context() {
    let f = Fixture::new(1 << 20);
    f.alloc(16);
    let idle = f.heap.stats().idle;
    let large: Vec<usize> = (0..8).map(|_| f.alloc(50_000)).collect();
    let stats = f.heap.stats();
    assert_eq!((stats.steps.direct, stats.idle), (8, idle), "the chunk is untouched");
    assert!(
        large
            .windows(2)
            .all(|pair| pair[1] == pair[0] + 50_000 || pair[1] < pair[0]),
        "one behind the other"
    );
    large.iter().for_each(|address| f.free(*address, 50_000));
    assert_eq!(f.heap.stats().idle, idle, "nothing large is held back");
}

#[test]
fn c22_blocks_may_be_freed_on_any_core() {
    let memory = Memory::new(1 << 20);
    let heap = Heap::<NoLock, ChosenCore, 4>::new();
    // SAFETY: the memory outlives the heap.
    unsafe { heap.claim_raw(memory.start(), memory.bytes()) }.unwrap();
    let layout = layout(48);
    for round in 0..1000 {
        choose_core(round % 5); // the fifth has no context of its own
        // SAFETY: the layout is not empty; the blocks are freed as they were allocated.
        unsafe {
            let blocks: Vec<*mut u8> = (0..20).map(|_| heap.alloc(layout)).collect();
            choose_core(round / 7 % 4);
            blocks.iter().for_each(|block| heap.dealloc(*block, layout));
        }
    }
    assert_eq!((heap.load().used, heap.check()), (0, Ok(())));
    heap.trim();
    let stats = heap.stats();
    assert_eq!((stats.idle, stats.largest_free), (0, stats.capacity));
    assert!(stats.cache_hits > 15_000, "{stats:?}");
}

#[test]
fn resizing_stays_in_place_where_there_is_room() {
    let f = Fixture::new(256 << 10);
    let block = f.alloc(10_000);
    assert_eq!(f.resize(block, 10_000, 10_001), block, "within the granule");
    assert_eq!(f.resize(block, 10_001, 50_000), block, "into the free block behind");
    assert_eq!(f.resize(block, 50_000, 20_000), block, "shrinking");
    let behind = f.alloc(20_000);
    assert_eq!(f.resize(block, 20_000, 8), block, "shrinking, with a block behind");
    assert_eq!(f.resize(block, 8, 20_000), block, "and back");
    let moved = f.resize(block, 20_000, 20_016);
    assert!(moved != block && moved != 0, "a block is in the way");
    f.free(moved, 20_016);
    f.free(behind, 20_000);

    let small = f.alloc(16);
    assert_eq!(f.resize(small, 16, 200), small, "in the chunk");
}

/// The end of a chunk is no obstacle.
#[test]
fn resizing_stays_in_place_beyond_the_end_of_a_chunk() {
    let f = Fixture::new(64 << 10);
    let first = f.alloc(8);
    let mut last = first;
    while f.heap.stats().steps.refills == 1 && f.heap.stats().idle != 0 {
        last = f.alloc(8);
    }
    assert_eq!(f.heap.stats().idle, 0, "the chunk is used up");
    assert_eq!(f.resize(last, 8, 4000), last);
    assert_eq!(f.heap.check(), Ok(()));
}

/// Where no block is large enough, free memory on both sides of the old one is joined to it.
#[test]
fn resizing_moves_down_rather_than_fail() {
    let f = Fixture::new(16 << 10);
    let blocks = f.fill(1000);
    let (before, block, behind) = (blocks[5], blocks[6], blocks[7]);
    assert!(before + 1000 == block && block + 1000 == behind);
    f.fill(8);
    f.free(before, 1000);
    f.free(behind, 1000);
    for at in 0..125 {
        let word = f
            .memory
            .start()
            .wrapping_add(block - f.memory.start() as usize + at * 8);
        // SAFETY: the block has 125 words.
        unsafe { word.cast::<usize>().write(at) };
    }
    assert_eq!(f.resize(block, 1000, 3008), 0, "more than there is");
    assert_eq!(f.resize(block, 1000, 2900), before);
    for at in 0..125 {
        let word = f
            .memory
            .start()
            .wrapping_add(before - f.memory.start() as usize + at * 8);
        // SAFETY: the block has 362 words, of which the first 125 were moved.
        assert_eq!(unsafe { word.cast::<usize>().read() }, at);
    }
    assert_eq!((f.heap.check(), f.heap.load().free()), (Ok(()), 96));
}

/// What is drained by a resize may lie right behind the block: then it grows where it is.
#[test]
fn resizing_drains_what_is_cached_behind_the_block() {
    for bytes in [8, 16, 24, 32] {
        let f = Fixture::new(64 << 10);
        let (block, behind) = (f.alloc(bytes), f.alloc(bytes));
        assert_eq!(block + bytes, behind);
        while f.heap.stats().idle != 0 {
            f.alloc(8); // until the chunk is used up
        }
        f.free(behind, bytes);
        assert_eq!(f.heap.stats().idle, bytes, "it is cached");
        while f.heap.stats().largest_free >= 2 * bytes {
            assert_ne!(f.alloc(f.heap.stats().largest_free), 0, "no failure, which would drain");
        }
        let grown = (0..4)
            .map(|_| f.resize(block, bytes, 2 * bytes))
            .find(|address| *address != 0);
        assert!(grown.is_some(), "{bytes}: {}", f.heap.stats());
        assert_eq!(f.heap.check(), Ok(()));
    }
}

#[test]
fn the_map_shows_what_is_in_use() {
    let f = Fixture::new(64 << 10);
    let map = f.heap.map::<16>().to_string();
    assert!(map.contains("|................|"), "{map}");
    let block = f.alloc(f.heap.stats().capacity / 2);
    let map = f.heap.map::<16>().to_string();
    assert!(map.contains("|#######") && map.contains("........|"), "{map}");
    f.free(block, f.heap.stats().capacity / 2);
    let mut blocks = f.fill(8);
    blocks.sort_unstable();
    blocks.iter().skip(1).step_by(2).for_each(|address| f.free(*address, 8));
    f.heap.trim();
    let map = f.heap.map::<16>().to_string();
    // A cell may have an odd number of granules.
    let cells = map.split('|').nth(1).expect("the cells are between bars");
    assert!(
        cells.len() == 16 && cells.chars().all(|cell| "45".contains(cell)),
        "{map}"
    );
}

/// A size that no block can have is refused, though it is nobody's right to ask for it; the block stays as it is.
#[test]
fn resizing_beyond_all_bounds_is_refused() {
    let f = Fixture::new(64 << 10);
    let block = f.alloc(40);
    for size in [
        isize::MAX as usize + 1,
        usize::MAX - 8,
        usize::MAX - 7,
        usize::MAX - 6,
        usize::MAX,
    ] {
        assert_eq!(f.resize(block, 40, size), 0, "{size:#x}");
    }
    assert_eq!((f.heap.load().used, f.heap.check()), (40, Ok(())));
}
