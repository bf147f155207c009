//! Memory in use outside of the heap, and the load of all memory.

mod support;

use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use support::watch::{record, told};
use support::{Memory, Random, empty_heap_for_good, heap_for_good, scaled};
use terrace::{
    Cause, EXTERNALS, ExternalError, HostLoad, LocalHeap, LowMemory, MemoryLoad, Pressure, Threshold, Watermarks,
};

const UNIT: Layout = Layout::new::<[u64; 4]>();

/// A heap for good, with a callback that records, and watermarks at 80 and 60 percent.
fn heap() -> &'static LocalHeap {
    let heap = heap_for_good(32 << 10);
    heap.on_low_memory(record, &()).unwrap();
    heap.set_watermarks(Watermarks {
        high: Threshold::Percent(80),
        low: Threshold::Percent(60),
    })
    .unwrap();
    heap
}

/// Allocates until `used` bytes are in use, and polls at each step; returns the use at which the callback ran.
fn rise(heap: &LocalHeap, used: usize, blocks: &mut Vec<*mut u8>) -> Option<usize> {
    while heap.load().used < used {
        // SAFETY: the layout is not empty.
        let block = unsafe { heap.alloc(UNIT) };
        assert!(!block.is_null());
        blocks.push(block);
        if heap.poll().callbacks != 0 {
            return Some(heap.load().used);
        }
    }
    None
}

fn fall(heap: &LocalHeap, used: usize, blocks: &mut Vec<*mut u8>) {
    while heap.load().used > used
        && let Some(block) = blocks.pop()
    {
        // SAFETY: the block is the heap's, of this layout.
        unsafe { heap.dealloc(block, UNIT) };
    }
}

#[test]
fn b4_external_memory_moves_the_rising_edge() {
    let heap = heap();
    let capacity = heap.load().capacity;
    let high = (capacity * 80).div_ceil(100);
    let mut blocks = vec![];
    let at = rise(heap, capacity, &mut blocks).unwrap();
    assert!(at >= high && at < high + UNIT.size(), "{at} of {high} without");
    assert_eq!(told().pop().unwrap().load.used, at);
    fall(heap, 0, &mut blocks);
    assert_eq!(heap.poll().callbacks, 0);

    heap.acquired(0x1000_0000, 8000).unwrap();
    let at = rise(heap, capacity, &mut blocks).unwrap();
    assert!(
        at >= high - 8000 && at < high - 8000 + UNIT.size(),
        "{at} of {high} with 8000 elsewhere"
    );
    let event = told().pop().unwrap();
    assert_eq!((event.load.used, event.load.capacity), (at + 8000, capacity));

    // Memory elsewhere that is given back is a fall of the load, an allowance is more capacity.
    fall(heap, capacity / 2, &mut blocks);
    heap.set_external_allowance(4000).unwrap();
    assert_eq!(heap.poll().callbacks, 0);
    assert_eq!(heap.released(0x1000_0000), Ok(8000));
    let high = ((capacity + 4000) * 80).div_ceil(100);
    let at = rise(heap, capacity, &mut blocks).unwrap();
    assert!(at >= high && at < high + UNIT.size());
    fall(heap, 0, &mut blocks);
    heap.check().unwrap();
}

#[test]
fn b4_acquiring_alone_can_be_the_rising_edge() {
    let heap = heap();
    let capacity = heap.load().capacity;
    heap.acquired(0x1000_0000, capacity / 2).unwrap();
    assert_eq!(heap.poll().callbacks, 0);
    heap.acquired(0x2000_0000, 10 * capacity).unwrap();
    assert_eq!(heap.poll().callbacks, 1);
    let event = told().pop().unwrap();
    assert_eq!((event.level, event.cause), (Pressure::Moderate, Cause::Watermark));
    assert_eq!(
        (event.load.percent(), event.load.free()),
        (100, 0),
        "more than there is"
    );
    heap.acquired(0x1, 1).unwrap();
    assert_eq!(heap.poll().callbacks, 0, "once per edge");
    heap.released(0x2000_0000).unwrap();
    heap.acquired(0x2000_0000, capacity).unwrap();
    assert_eq!(heap.poll().callbacks, 1, "it has been low meanwhile");
}

#[test]
fn b4_what_is_wrong_is_a_typed_error_and_changes_nothing() {
    let heap = heap();
    assert_eq!(heap.released(5), Err(ExternalError::Unknown { address: 5 }));
    heap.acquired(1000, 100).unwrap();
    let duplicate = ExternalError::Duplicate {
        address: 1000,
        bytes: 100,
    };
    let overlap = ExternalError::Overlap {
        address: 1000,
        bytes: 100,
    };
    assert_eq!(heap.acquired(1000, 5), Err(duplicate));
    for (address, bytes) in [(1099, 1), (1001, 4), (900, 101), (0, usize::MAX)] {
        assert!(matches!(heap.acquired(address, bytes), Err(error) if error == overlap || address == 0));
    }
    for (address, bytes) in [(7, 0), (usize::MAX, 2), (2, usize::MAX)] {
        assert_eq!(
            heap.acquired(address, bytes),
            Err(ExternalError::Impossible { address, bytes })
        );
    }
    let inside = Box::new(0u8);
    // SAFETY: the layout is not empty.
    let block = unsafe { heap.alloc(UNIT) };
    assert!(matches!(heap.acquired(block as usize, 8), Err(ExternalError::Overlap { bytes, .. }) if bytes > 32_000));
    heap.acquired(&raw const *inside as usize, 1).unwrap();
    (0..EXTERNALS - 2).for_each(|index| heap.acquired(2000 + index, 1).unwrap());
    assert_eq!(
        heap.acquired(900, 100),
        Err(ExternalError::Full { capacity: EXTERNALS })
    );
    assert_eq!(heap.memory_load().external, 100 + EXTERNALS - 1);
    assert_eq!(heap.released(1000), Ok(100));
    assert_eq!(heap.released(1000), Err(ExternalError::Unknown { address: 1000 }));
    assert_eq!(heap.memory_load().external, EXTERNALS - 1);
    let without = empty_heap_for_good();
    assert!(matches!(without.acquired(1000, 100), Err(ExternalError::OutOfMemory { requested }) if requested > 0));
}

#[test]
fn b4_external_memory_at_random_is_seen_exactly() {
    for seed in 0..scaled(100) as u64 {
        let mut random = Random::new(seed);
        let memory = Memory::new(16 << 10);
        let heap = LocalHeap::new();
        // SAFETY: the memory outlives the heap.
        unsafe { heap.claim_raw(memory.start(), memory.bytes()) }.unwrap();
        heap.on_low_memory(record, &()).unwrap();
        heap.set_external_allowance(random.below(8192)).unwrap();
        let (mut blocks, mut pieces, mut external, mut armed) = (vec![], vec![], 0, true);
        let capacity = heap.memory_load().capacity;
        for step in 0..500 {
            match random.below(6) {
                0..3 if heap.load().percent() < 80 => {
                    // SAFETY: the layout is not empty.
                    let block = unsafe { heap.alloc(UNIT) };
                    assert!(!block.is_null(), "seed {seed}, step {step}");
                    blocks.push(block);
                }
                3 => fall(&heap, heap.load().used.saturating_sub(random.below(4096)), &mut blocks),
                4 if pieces.len() < EXTERNALS => {
                    let bytes = 1 + random.below(4096);
                    heap.acquired(0x1000 * (step + 1), bytes).unwrap();
                    pieces.push(0x1000 * (step + 1));
                    external += bytes;
                }
                _ if !pieces.is_empty() => {
                    external -= heap.released(pieces.swap_remove(random.below(pieces.len()))).unwrap();
                }
                _ => {}
            }
            let load = heap.memory_load();
            assert_eq!((load.external, load.total), (external, load.native + external));
            let (high, low) = ((capacity * 85).div_ceil(100), (capacity * 75).div_ceil(100));
            armed |= load.total <= low;
            let due = armed && load.total >= high;
            armed &= !due;
            assert_eq!(
                heap.poll().callbacks,
                u32::from(due),
                "seed {seed}, step {step}: {load}"
            );
            let _ = told();
        }
        heap.check().unwrap();
    }
}

thread_local! {
    static HEAP: Cell<Option<&'static LocalHeap>> = const { Cell::new(None) };
}

#[test]
fn b4_needs_lets_the_host_free_memory_and_says_whether_to_try_again() {
    static ASKED: AtomicUsize = AtomicUsize::new(0);
    fn free_what_can_be(_: &LowMemory, address: &'static AtomicUsize) {
        let _ = HEAP.get().unwrap().released(address.load(Relaxed));
    }
    fn say_yes(bytes: usize) -> bool {
        HEAP.get().unwrap().check().unwrap(); // outside of all locks
        ASKED.store(bytes, Relaxed);
        true
    }
    static ADDRESS: AtomicUsize = AtomicUsize::new(1000);
    let heap = heap();
    HEAP.set(Some(heap));
    assert!(!heap.needs(4096), "nobody can free anything");
    let event = told().pop().unwrap();
    assert_eq!(
        (event.level, event.cause),
        (Pressure::Critical, Cause::External { bytes: 4096 })
    );

    heap.on_low_memory(free_what_can_be, &ADDRESS).unwrap();
    heap.acquired(1000, 500).unwrap();
    assert!(heap.needs(4096), "a callback has freed something");
    assert_eq!(heap.memory_load().external, 0);
    assert!(!heap.needs(4096), "there was nothing more");

    heap.set_needs_hook(Some(say_yes)).unwrap();
    assert!(heap.needs(77));
    assert_eq!(ASKED.load(Relaxed), 77);
    heap.set_needs_hook(None).unwrap();
    assert!(!heap.needs(4096));
}

/// Whether so many bytes may be `told` ones in some blocks of whole granules.
fn is_rounded(bytes: usize, told: usize) -> bool {
    bytes >= told && bytes < told + 16 * 8
}

#[test]
fn b5_the_load_tells_native_managed_and_external_memory() {
    terrace::brand!(Here);
    let heap = heap_for_good(64 << 10);
    heap.acquired(1000, 500).unwrap();
    let before = heap.memory_load();
    assert_eq!(
        (before.managed, before.external, before.capacity),
        (0, 500, heap.load().capacity)
    );
    // SAFETY: the layout is not empty.
    unsafe { heap.alloc(UNIT) };
    assert_eq!(heap.memory_load().native, before.native + 32);
    let mut arena = terrace::Arena::<Here>::branded(heap).unwrap();
    for _ in 0..3 {
        let stats = arena.enter(|cx| {
            let kept: Vec<_> = (0..50).map(|_| cx.new_slice::<u64>(50, |_, _| 0).unwrap()).collect();
            assert_eq!(kept.len(), 50);
            cx.stats()
        });
        let load = heap.memory_load();
        let told = stats.held + stats.bookkeeping;
        assert!(is_rounded(load.managed, told), "{} of {told}", load.managed);
        assert_eq!(load.native, before.native + 32);
        assert_eq!(load.total, load.native + load.managed + 500);
        assert_eq!(load.available, heap.load().free());
        assert_eq!(usize::from(load.percent), load.total * 100 / load.capacity);
        let stats = heap.stats();
        assert_eq!((stats.managed, stats.external), (load.managed, 500));
        let text = load.to_string();
        assert!(text.contains(&format!("{} managed", load.managed)), "{text}");
        arena.enter(|cx| cx.compact());
        let told = arena.stats().held + arena.stats().bookkeeping;
        assert!(is_rounded(heap.memory_load().managed, told));
    }
    drop(arena);
    assert_eq!(heap.memory_load().managed, 0);
}

thread_local! {
    static PERCENT: Cell<u8> = const { Cell::new(0) };
}

fn host(load: &MemoryLoad) -> HostLoad {
    if let Some(heap) = HEAP.get() {
        assert_eq!(heap.load().used, load.native); // outside of all locks
    }
    HostLoad {
        percent: PERCENT.get(),
        available: 12_345,
    }
}

#[test]
fn b5_the_host_overrides_the_load_and_watermarks_follow() {
    let heap = heap();
    HEAP.set(Some(heap));
    heap.set_load_override(Some(host)).unwrap();
    PERCENT.set(150);
    let load = heap.memory_load();
    assert_eq!((load.percent, load.available), (100, 12_345));
    for (percent, due) in [(79, 0), (80, 1), (100, 0), (61, 0), (80, 0), (60, 0), (99, 1)] {
        PERCENT.set(percent);
        assert_eq!(heap.poll().callbacks, due, "at {percent} %");
    }
    assert_eq!(told().len(), 2);
    // What is really in use is no matter until the heap has its own view back.
    PERCENT.set(0);
    assert_eq!(heap.poll().callbacks, 0);
    let mut blocks = vec![];
    let nearly_all = heap.load().capacity * 9 / 10;
    assert_eq!(rise(heap, nearly_all, &mut blocks), None);
    heap.set_load_override(None).unwrap();
    assert_eq!(heap.poll().callbacks, 1);
    assert_eq!(heap.memory_load().available, heap.load().free());
    fall(heap, 0, &mut blocks);
    assert_eq!(heap.poll().callbacks, 0);
    heap.check().unwrap();
}
