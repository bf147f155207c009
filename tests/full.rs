//! A full heap: nothing that must succeed fails, and whatever fails leaves everything usable (rows C6, E2, E5).

mod support;

use std::alloc::{GlobalAlloc, Layout};

use lock_api::RawMutex;
use support::shadow::{ChosenCore, LocalShadow, choose_core};
use support::{Memory, Operation, Random, scaled};
use terrace::{CoreId, Heap, LocalHeap, NoLock, SingleCore};

/// Live blocks and their layouts.
type Blocks = Vec<(*mut u8, Layout)>;

fn any_layout(random: &mut Random, most: usize) -> Layout {
    let align = if random.one_in(3) { random.below(7) } else { 3 };
    let most = match random.below(10) {
        0 => most,
        1..4 => most.min(1024),
        _ => most.min(100),
    };
    Layout::from_size_align(1 + random.below(most), 1 << align).unwrap()
}

/// Fills the heap with a mix, having freed many blocks on the way, until not even 8 bytes can be had.
fn fill<L: RawMutex, C: CoreId, const N: usize>(heap: &Heap<L, C, N>, random: &mut Random) -> Blocks {
    let mut blocks = Blocks::new();
    let most = (heap.load().capacity / 10).max(64);
    let mut failures = 0;
    while failures < 100 {
        choose_core(random.below(4));
        // SAFETY: the layouts are not empty; each block is freed as it was allocated.
        unsafe {
            let layout = any_layout(random, most);
            let block = heap.alloc(layout);
            if block.is_null() {
                failures += 1;
            } else {
                blocks.push((block, layout));
            }
            if random.one_in(3) && !blocks.is_empty() {
                let (block, layout) = blocks.swap_remove(random.below(blocks.len()));
                heap.dealloc(block, layout);
            }
        }
    }
    for size in [256, 64, 24, 16, 8] {
        for core in (0..4).chain(0..4) {
            choose_core(core);
            let layout = Layout::from_size_align(size, 8).unwrap();
            loop {
                // SAFETY: the layout is not empty.
                let block = unsafe { heap.alloc(layout) };
                if block.is_null() {
                    break;
                }
                blocks.push((block, layout));
            }
        }
    }
    blocks
}

/// Frees every live block in turn and asks for the same layout again.
fn every_freed_block_can_be_had_again<C: CoreId, const N: usize>(seed: u64, bytes: usize, spans: usize) {
    let mut random = Random::new(seed);
    let memory: Vec<Memory> = (0..spans).map(|_| Memory::new(bytes)).collect();
    let heap = Heap::<NoLock, C, N>::new();
    // SAFETY: the memory outlives the heap.
    unsafe {
        heap.claim_raw(memory[0].start(), bytes).unwrap();
        for span in &memory[1..] {
            heap.extend_raw(span.start(), bytes, 0).unwrap();
        }
    }
    let mut blocks = fill(&heap, &mut random);
    for entry in &mut blocks {
        let (block, layout) = *entry;
        choose_core(random.below(4));
        // SAFETY: the block was allocated with this layout; the layout is not empty.
        unsafe {
            heap.dealloc(block, layout);
            let again = heap.alloc(layout);
            assert!(
                !again.is_null(),
                "seed {seed}, {bytes} bytes: {layout:?} was just freed\n{}",
                heap.stats()
            );
            entry.0 = again;
        }
    }
    heap.check().unwrap();
    for (block, layout) in blocks {
        // SAFETY: the block was allocated with this layout.
        unsafe { heap.dealloc(block, layout) };
    }
    heap.trim();
    assert_eq!((heap.load().used, heap.check()), (0, Ok(())));
}

/// As above, but full only for the layout in question: other blocks, too small or badly aligned for it, are free, and
/// caches still hold some.
fn what_fails_succeeds_after_the_same_is_freed(seed: u64, bytes: usize) {
    let mut random = Random::new(seed);
    let (heap, memory) = (LocalHeap::new(), Memory::new(bytes));
    // SAFETY: the memory outlives the heap.
    unsafe { heap.claim_raw(memory.start(), bytes) }.unwrap();
    let most = heap.load().capacity / 12;
    let mut blocks = Blocks::new();
    for _ in 0..(2_000_000 / bytes).clamp(20, 200) {
        let layout = any_layout(&mut random, most);
        // SAFETY: the layouts are not empty; each block is freed as it was allocated.
        unsafe {
            loop {
                let block = heap.alloc(layout);
                if block.is_null() {
                    break;
                }
                blocks.push((block, layout));
            }
            if let Some(at) = blocks.iter().position(|(_, other)| *other == layout) {
                let (block, layout) = blocks.swap_remove(at);
                heap.dealloc(block, layout);
                let again = heap.alloc(layout);
                assert!(
                    !again.is_null(),
                    "seed {seed}, {bytes} bytes: {layout:?} was just freed\n{}",
                    heap.stats()
                );
                blocks.push((again, layout));
            }
            for _ in 0..blocks.len() / (1 + random.below(8)) {
                let (block, layout) = blocks.swap_remove(random.below(blocks.len()));
                heap.dealloc(block, layout);
            }
        }
    }
    heap.check().unwrap();
}

/// Under feature `check` each operation takes time in proportion to the region: the large ones would take hours.
const REGIONS: &[usize] = if cfg!(feature = "check") {
    &[512, 1000, 2048, 4096, 16 << 10]
} else {
    &[512, 1000, 2048, 4096, 16 << 10, 64 << 10, 256 << 10, 1 << 20]
};

#[test]
fn c6_what_was_just_freed_can_be_had_again() {
    for seed in 0..scaled(400) as u64 {
        every_freed_block_can_be_had_again::<SingleCore, 1>(seed, REGIONS[seed as usize % REGIONS.len()], 1);
    }
}

#[test]
fn c6_what_fails_succeeds_after_the_same_is_freed() {
    for seed in 0..scaled(400) as u64 {
        what_fails_succeeds_after_the_same_is_freed(seed, REGIONS[seed as usize % REGIONS.len()]);
    }
}

#[test]
fn c6_what_was_just_freed_can_be_had_again_from_several_spans() {
    for seed in 0..scaled(100) as u64 {
        every_freed_block_can_be_had_again::<SingleCore, 1>(seed, REGIONS[3 + seed as usize % (REGIONS.len() - 3)], 3);
    }
}

#[test]
fn c22_what_was_just_freed_can_be_had_again_on_each_core() {
    for seed in 0..scaled(200) as u64 {
        every_freed_block_can_be_had_again::<ChosenCore, 4>(seed, REGIONS[seed as usize % REGIONS.len()], 1);
    }
}

#[test]
fn e2_every_operation_may_fail_and_leaves_everything_usable() {
    for seed in 0..scaled(300) as u64 {
        let mut random = Random::new(seed);
        let region = 512 + 8 * random.below(100);
        let mut shadow = LocalShadow::new(region, false);
        for _ in 0..500 {
            let operation = match Operation::random(&mut random, region, true) {
                Operation::Free { .. } if !random.one_in(8) => Operation::Resize {
                    block: random.below(100),
                    size: 1 + random.below(region),
                },
                operation => operation,
            };
            shadow.apply(operation);
            shadow.check();
        }
        assert!(shadow.failures() > 100, "only {} failures", shadow.failures());
        shadow.finish();
    }
}

/// What a failing request costs others: nothing. What it is told: null. Old contents stay.
#[test]
fn e2_a_full_heap_answers_everything() {
    let (heap, memory) = (LocalHeap::new(), Memory::new(4096));
    // SAFETY: the memory outlives the heap.
    unsafe { heap.claim_raw(memory.start(), 4096) }.unwrap();
    let mut blocks = fill(&heap, &mut Random::new(1));
    let used = heap.load().used;
    // SAFETY: the layouts are not empty, the blocks are live and as long as their layouts say.
    unsafe {
        blocks
            .iter()
            .for_each(|(block, layout)| block.write_bytes(layout.size() as u8, layout.size()));
        for align in (0..40).filter(|align| *align < usize::BITS - 1) {
            for size in [1, 8, 9, 4096, isize::MAX as usize / 2] {
                let Ok(layout) = Layout::from_size_align(size, 1 << align) else {
                    continue;
                };
                assert!(heap.alloc(layout).is_null() && heap.alloc_zeroed(layout).is_null());
            }
        }
        for (block, layout) in &blocks {
            assert!(
                heap.realloc(*block, *layout, layout.size().next_multiple_of(8) + 1)
                    .is_null()
            );
            assert!(heap.realloc(*block, *layout, isize::MAX as usize - 64).is_null());
            assert_eq!(heap.realloc(*block, *layout, layout.size()), *block);
        }
        assert_eq!((heap.load().used, heap.check()), (used, Ok(())));
        for (block, layout) in &blocks {
            let bytes = std::slice::from_raw_parts(*block, layout.size());
            assert!(bytes.iter().all(|byte| *byte == layout.size() as u8));
        }
        let (block, layout) = blocks.pop().unwrap();
        heap.dealloc(block, layout);
        assert!(!heap.alloc(layout).is_null());
    }
}
