//! Misuse is found by the operation that commits it, is refused, and leaves the heap as it was (feature `check`).

#![cfg(feature = "check")]

mod support;

use std::alloc::{GlobalAlloc, Layout};

use lock_api::RawMutex;
use support::shadow::{ChosenCore, choose_core};
use support::{Memory, Random};
use terrace::{CoreId, Event, FaultKind, Heap, LocalHeap, NoLock, Threshold, Watermarks};

/// Enough that small sizes are cached.
const BYTES: usize = 64 << 10;

/// Little enough to be used up.
const FEW: usize = 16 << 10;

/// A heap in memory of its own.
struct Patient {
    heap: LocalHeap,
    memory: Memory,
}

impl Patient {
    fn new() -> Patient {
        Patient::with(BYTES)
    }

    fn with(bytes: usize) -> Patient {
        let (heap, memory) = (LocalHeap::new(), Memory::new(bytes));
        // SAFETY: the memory outlives the heap: both are in the same struct.
        unsafe { heap.claim_raw(memory.start(), bytes) }.unwrap();
        Patient { heap, memory }
    }

    /// One that caches nothing: each freed block goes to its bucket.
    fn short() -> Patient {
        let patient = Patient::new();
        let (high, low) = (Threshold::Percent(1), Threshold::Percent(0));
        patient.heap.set_watermarks(Watermarks { high, low }).unwrap();
        patient.alloc(BYTES / 50);
        patient.heap.trim();
        patient
    }

    fn alloc(&self, bytes: usize) -> *mut u8 {
        // SAFETY: no caller asks for no bytes.
        let block = unsafe { self.heap.alloc(layout(bytes)) };
        assert!(!block.is_null());
        block
    }

    /// Frees whatever it is told to free: the feature is there for that.
    fn free(&self, block: *mut u8, layout: Layout) {
        // SAFETY: under feature `check`, the heap verifies what it is given.
        unsafe { self.heap.dealloc(block, layout) };
    }

    fn resize(&self, block: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        // SAFETY: as for `free`.
        unsafe { self.heap.realloc(block, layout, bytes) }
    }

    fn fault(&self) -> Option<(FaultKind, usize)> {
        self.heap.fault().map(|fault| (fault.kind, fault.address))
    }

    /// Commits a misuse of the block, by freeing and by resizing it, and looks for the fault and for nothing else.
    #[track_caller]
    fn refuses(&self, kind: FaultKind, block: *mut u8, layout: Layout) {
        let used = self.heap.load().used;
        assert_eq!(self.fault(), None, "all was well before");
        assert!(self.resize(block, layout, 2 * layout.size() + 8).is_null());
        assert_eq!(self.fault(), Some((kind, block as usize)));
        assert!(self.resize(block, layout, 1).is_null());
        assert!(self.resize(block, layout, 0).is_null());
        self.free(block, layout);
        assert_eq!(self.heap.load().used, used, "nothing was done");
        self.is_usable();
        assert_eq!(self.heap.load().used, used);
    }

    #[track_caller]
    fn is_usable(&self) {
        assert_eq!(self.heap.check(), Ok(()));
        let block = self.resize(self.alloc(72), layout(72), 300);
        assert!(!block.is_null());
        // SAFETY: the block has so many bytes.
        unsafe { block.write_bytes(0x5A, 300) };
        self.free(block, layout(300));
        assert_eq!(self.heap.check(), Ok(()));
    }
}

fn layout(bytes: usize) -> Layout {
    Layout::from_size_align(bytes, 8).unwrap()
}

#[test]
fn a_double_free_is_refused() {
    for patient in [Patient::new(), Patient::short()] {
        let blocks = [patient.alloc(40), patient.alloc(40)];
        patient.free(blocks[0], layout(40));
        patient.refuses(FaultKind::DoubleFree, blocks[0], layout(40));
    }
}

/// The block is in the middle of a larger free one by then.
#[test]
fn a_double_free_of_a_joined_block_is_refused() {
    let patient = Patient::short();
    let blocks = [(); 5].map(|()| patient.alloc(40));
    for block in [1, 3, 2] {
        patient.free(blocks[block], layout(40));
    }
    patient.refuses(FaultKind::DoubleFree, blocks[2], layout(40));
}

#[test]
fn a_double_free_in_a_further_span_is_refused() {
    let patient = Patient::new();
    let further = Memory::new(BYTES);
    // SAFETY: the heap is not used any more when this test ends.
    unsafe { patient.heap.extend_raw(further.start(), BYTES, 1) }.unwrap();
    let block = std::iter::repeat_with(|| patient.alloc(200))
        .find(|block| further.contains(*block as usize, 200))
        .unwrap();
    patient.free(block, layout(200));
    patient.refuses(FaultKind::DoubleFree, block, layout(200));
}

#[test]
fn a_foreign_pointer_is_refused() {
    let mut elsewhere = [0u64; 8];
    let elsewhere = elsewhere.as_mut_ptr().cast::<u8>();
    let pointers: [fn(&Patient, *mut u8) -> *mut u8; 6] = [
        |_, block| block.wrapping_add(8),
        |_, block| block.wrapping_add(32),
        |_, block| block.wrapping_add(1),
        |patient, _| patient.memory.start(),
        |patient, _| patient.memory.start().wrapping_add(BYTES),
        |_, _| std::ptr::null_mut(),
    ];
    for patient in [Patient::new, Patient::short] {
        let foreign = patient();
        foreign.refuses(FaultKind::ForeignPointer, elsewhere, layout(40));
        for pointer in pointers {
            let foreign = patient();
            let pointer = pointer(&foreign, foreign.alloc(40));
            foreign.refuses(FaultKind::ForeignPointer, pointer, layout(8));
        }
    }
}

#[test]
fn a_heap_without_memory_refuses_every_block() {
    let heap = LocalHeap::new();
    let mut elsewhere = [0u64; 8];
    let block = elsewhere.as_mut_ptr().cast();
    // SAFETY: under feature `check`, the heap verifies what it is given.
    unsafe {
        assert!(heap.alloc(layout(8)).is_null());
        heap.dealloc(block, layout(8));
    }
    let fault = heap.fault().unwrap();
    assert_eq!((fault.kind, fault.address), (FaultKind::ForeignPointer, block as usize));
}

#[test]
fn a_wrong_size_is_refused() {
    for bytes in [1, 8, 32, 41, 48, 80, 800, BYTES, 1 << 40, isize::MAX as usize - 7] {
        for patient in [Patient::new(), Patient::short()] {
            let blocks = [patient.alloc(40), patient.alloc(40)];
            let wrong = layout(bytes);
            let used = patient.heap.load().used;
            patient.free(blocks[0], wrong);
            assert_eq!(patient.fault(), Some((FaultKind::WrongLayout, blocks[0] as usize)));
            assert_eq!(patient.heap.load().used, used);
            assert!(patient.resize(blocks[0], wrong, 400).is_null());
            patient.is_usable();
            patient.free(blocks[0], layout(40));
            patient.free(blocks[1], layout(40));
            assert_eq!(patient.heap.load().used, used - 80, "the right ones are taken");
        }
    }
}

#[test]
fn a_wrong_alignment_is_refused() {
    let patient = Patient::new();
    let block = std::iter::repeat_with(|| patient.alloc(40))
        .find(|block| !(*block as usize).is_multiple_of(64))
        .unwrap();
    let wrong = Layout::from_size_align(40, 64).unwrap();
    patient.refuses(FaultKind::WrongLayout, block, wrong);
    patient.free(block, layout(40));
}

#[test]
fn sizes_of_the_same_granules_are_one_layout() {
    let patient = Patient::new();
    let block = patient.alloc(33);
    assert_eq!(patient.resize(block, layout(40), 36), block);
    patient.free(block, layout(39));
    assert_eq!((patient.fault(), patient.heap.load().used), (None, 0));
}

/// Whatever is written behind the end of a block shows at the free block there, also zeros.
#[test]
fn an_overrun_into_a_free_block_is_found() {
    for (bytes, word, value) in [
        (40, 0, 0u32),
        (40, 0, 77),
        (40, 1, 0),
        (40, 1, 9),
        (40, 2, 0),
        (40, 2, 6),
        (8, 1, 0),
    ] {
        let patient = Patient::short();
        let blocks = [
            patient.alloc(24),
            patient.alloc(bytes),
            patient.alloc(24),
            patient.alloc(bytes),
            patient.alloc(24),
        ];
        patient.free(blocks[1], layout(bytes));
        patient.free(blocks[3], layout(bytes));
        let used = patient.heap.load().used;
        let end = blocks[1].cast::<u32>().wrapping_add(word);
        // SAFETY: the word is in the memory, which the heap does not use right now.
        let old = unsafe { end.replace(value) };
        if old == value {
            continue;
        }
        // SAFETY: the layout is not empty.
        let refused = unsafe { patient.heap.alloc(layout(16)) };
        assert!(
            refused.is_null(),
            "{value} in word {word} of {bytes} bytes instead of {old}"
        );
        assert_eq!(
            patient.fault(),
            Some((FaultKind::Overrun, blocks[1] as usize)),
            "{value} in word {word} of {bytes} bytes"
        );
        patient.free(blocks[0], layout(24));
        assert!(patient.resize(blocks[0], layout(24), 8).is_null());
        assert_eq!(patient.heap.load().used, used, "nothing is done until it is repaired");
        // SAFETY: as above.
        unsafe { end.write(old) };
        patient.is_usable();
    }
}

#[test]
fn a_write_to_a_cached_block_is_found() {
    let patient = Patient::new();
    let blocks = [(); 4].map(|()| patient.alloc(40));
    blocks[..3].iter().for_each(|block| patient.free(*block, layout(40)));
    assert!(patient.heap.stats().idle >= 120);
    // SAFETY: the word is in the memory, which the heap does not use right now.
    let old = unsafe { blocks[2].cast::<usize>().replace(0x1234) };
    patient.free(blocks[3], layout(40));
    assert_eq!(patient.fault(), Some((FaultKind::Overrun, blocks[2] as usize)));
    // SAFETY: as above.
    unsafe { blocks[2].cast::<usize>().write(old) };
    patient.is_usable();
}

/// A cached block must not be one that the user has.
#[test]
fn a_cache_that_leads_to_a_block_in_use_is_found() {
    let patient = Patient::new();
    let blocks = [(); 4].map(|()| patient.alloc(40));
    blocks[..3].iter().for_each(|block| patient.free(*block, layout(40)));
    // SAFETY: the word is in the memory, which the heap does not use right now.
    unsafe { blocks[1].cast::<*mut u8>().write(blocks[3]) };
    patient.free(blocks[3], layout(40));
    assert_eq!(patient.fault(), Some((FaultKind::Overrun, blocks[1] as usize)));
}

#[test]
fn the_first_fault_stays_and_is_told_once() {
    let patient = Patient::new();
    support::watch::events();
    patient.heap.set_sink(Some(support::watch::record_event));
    let block = patient.alloc(40);
    patient.free(block, layout(48));
    patient.free(block.wrapping_add(1), layout(40));
    let fault = patient.heap.fault().unwrap();
    assert_eq!((fault.kind, fault.address), (FaultKind::WrongLayout, block as usize));
    let _ = patient.heap.poll();
    let told: Vec<Event> = support::watch::events();
    assert_eq!(told.iter().filter(|event| matches!(event, Event::Fault(_))).count(), 1);
    let _ = patient.heap.poll();
    assert_eq!(support::watch::events().len(), 0);
}

#[test]
fn requests_of_no_bytes_are_no_blocks() {
    let patient = Patient::new();
    let none = Layout::from_size_align(0, 8).unwrap();
    let dangling = std::ptr::without_provenance_mut(8);
    patient.free(dangling, none);
    let block = patient.resize(dangling, none, 40);
    assert!(!block.is_null());
    assert_eq!(patient.resize(block, layout(40), 0), dangling);
    assert_eq!((patient.fault(), patient.heap.load().used), (None, 0));
}

/// Random operations, right ones only, while memory is plentiful, short and used up.
fn run<L: RawMutex, C: CoreId, const CONTEXTS: usize>(heap: &Heap<L, C, CONTEXTS>, seed: u64) {
    let mut random = Random::new(seed);
    let mut blocks: Vec<(*mut u8, Layout)> = Vec::new();
    for step in 0..4000 {
        choose_core(random.below(2));
        let many = if step % 1000 < 600 { 5 } else { 2 };
        let size = 1 + random.size(1500);
        // SAFETY: every block is freed and resized as it was allocated, none twice.
        unsafe {
            if blocks.is_empty() || random.below(many) > 1 {
                let layout = Layout::from_size_align(size, 1 << random.below(8)).unwrap();
                let zeroed = random.one_in(3);
                let block = if zeroed {
                    heap.alloc_zeroed(layout)
                } else {
                    heap.alloc(layout)
                };
                blocks.extend((!block.is_null()).then_some((block, layout)));
                continue;
            }
            let at = random.below(blocks.len());
            if random.one_in(2) {
                let (block, layout) = blocks.swap_remove(at);
                heap.dealloc(block, layout);
                continue;
            }
            let (block, layout) = blocks[at];
            let resized = heap.realloc(block, layout, size);
            if !resized.is_null() {
                blocks[at] = (resized, Layout::from_size_align(size, layout.align()).unwrap());
            }
        }
        if random.one_in(100) {
            let _ = heap.poll();
        }
    }
    assert!(heap.stats().failures > 0, "memory was used up");
    let used: usize = blocks.iter().map(|(_, layout)| layout.size().next_multiple_of(8)).sum();
    assert_eq!(heap.load().used, used);
    for (block, layout) in blocks {
        // SAFETY: as above.
        unsafe { heap.dealloc(block, layout) };
    }
    assert_eq!((heap.check(), heap.fault(), heap.load().used), (Ok(()), None, 0));
}

#[test]
fn a_long_run_has_no_fault() {
    for seed in 1..=5 {
        let (memory, further) = (Memory::new(FEW), Memory::new(FEW / 2));
        let heap: Heap<NoLock, ChosenCore, 2> = Heap::new();
        // SAFETY: the memory outlives the heap's use.
        unsafe {
            heap.claim_raw(memory.start(), FEW).unwrap();
            heap.extend_raw(further.start(), FEW / 2, 1).unwrap();
        }
        run(&heap, seed);
        let patient = Patient::with(FEW);
        run(&patient.heap, seed + 100);
    }
}

/// The forms of the `Allocator` trait that change the alignment as well.
#[cfg(feature = "allocator-api2")]
#[test]
fn an_allocator_refuses_as_well() {
    use std::ptr::NonNull;

    use allocator_api2::alloc::Allocator;

    let patient = Patient::new();
    let heap = &patient.heap;
    let (small, large) = (layout(40), Layout::from_size_align(200, 64).unwrap());
    let block = heap.allocate(small).unwrap().cast::<u8>();
    // SAFETY: under feature `check`, the heap verifies what it is given.
    unsafe {
        let block = heap.grow(block, small, large).unwrap().cast::<u8>();
        assert!(block.as_ptr().addr().is_multiple_of(64));
        let block = heap.shrink(block, large, small).unwrap().cast::<u8>();
        assert_eq!((patient.fault(), heap.load().used), (None, 40));
        assert!(
            heap.grow(block, large, Layout::from_size_align(400, 128).unwrap())
                .is_err()
        );
        assert_eq!(patient.fault(), Some((FaultKind::WrongLayout, block.as_ptr() as usize)));
        assert!(heap.shrink(NonNull::<u64>::dangling().cast(), large, small).is_err());
        heap.deallocate(block, small);
    }
    assert_eq!((heap.check(), heap.load().used), (Ok(()), 0));
}
