//! Memory from a host, as it is needed (rows B1, B5, B9, C7, C8).

#[path = "support/banks.rs"]
#[allow(dead_code, reason = "each program uses a part of it")]
mod banks;
mod support;

use std::alloc::{GlobalAlloc, Layout};
use std::ptr::NonNull;
use std::sync::Mutex;

use banks::{BANKS, Block, Power, Region, banks, heap};
use support::memory::for_good;
use support::{Random, scaled};
use terrace::*;

const BANK: usize = 16 << 10;

#[test]
fn b1_the_fixed_region_does_all_that_a_host_can_do() {
    let region = Region::new(BANK);
    let host: &dyn HostMemory = region.host;
    assert_eq!(host.step(), BANK);
    let bank = region.host.bank(3).unwrap();
    assert_eq!((bank.index, bank.bytes, region.host.bank(BANKS)), (3, BANK, None));
    let too_much = region.bytes() + 1;
    for bytes in [0, too_much, usize::MAX] {
        let refused = host.reserve(bytes, Criticality::Task);
        assert_eq!(refused, Err(HostError::OutOfMemory { bytes }));
    }
    let start = host.reserve(region.bytes(), Criticality::Task).unwrap();
    let again = host.reserve(8, Criticality::Process);
    assert_eq!(
        again,
        Err(HostError::OutOfMemory { bytes: 8 }),
        "one reservation at a time"
    );
    let part = |from: usize, to: usize| {
        NonNull::slice_from_raw_parts(
            start.map_addr(|at| at.checked_add(from * BANK).unwrap()),
            (to - from) * BANK,
        )
    };
    let info = |bank: usize| {
        let info = host.query(start.addr().get() + bank * BANK + 100).unwrap();
        (
            (info.start - start.addr().get()) / BANK,
            info.bytes / BANK,
            info.state,
            info.protection,
        )
    };
    assert_eq!(info(1), (0, 4, MemoryState::Reserved, Protection::NoAccess));
    // SAFETY: the ranges are banks of the reservation, in the state that is asked for; nothing lives in them.
    unsafe {
        assert_eq!(host.commit(part(0, 2), Criticality::Domain), Ok(Contents::Undefined));
        assert_eq!(region.power().state().criticality, Criticality::Domain);
        start.write_bytes(1, 2 * BANK);
        assert_eq!(info(0), (0, 2, MemoryState::Committed, Protection::ReadWrite));
        assert_eq!(info(3), (2, 2, MemoryState::Reserved, Protection::NoAccess));
        assert_eq!(
            host.protect(part(0, 1), Protection::ReadOnly),
            Ok(Protection::ReadWrite)
        );
        assert_eq!(
            host.protect(part(0, 1), Protection::ReadWrite),
            Ok(Protection::ReadOnly)
        );
        assert_eq!(host.decommit(part(1, 2)), Ok(()));
        assert_eq!(info(1), (1, 3, MemoryState::Reserved, Protection::NoAccess));
        assert_eq!(host.release(part(0, 4)), Ok(()));
    }
    assert_eq!(info(1), (0, 4, MemoryState::Free, Protection::NoAccess));
    assert_eq!(host.query(start.addr().get() - 1), None);
    assert_eq!(host.query(start.addr().get() + 4 * BANK), None);
    assert_eq!((region.power().count(), host.load(), host.pause()), (0, None, false));
    assert!(host.reserve(8, Criticality::Task).is_ok(), "it is free again");
}

#[test]
fn b1_what_a_request_needs_is_committed_and_no_more() {
    let (region, heap) = banks(BANK);
    let stats = heap.stats();
    assert_eq!(stats.host.reserved, 4 * BANK);
    assert_eq!((stats.host.committed, region.power().count()), (BANK, 1));
    assert_eq!(stats.uncommitted, 3 * BANK);
    assert!(
        stats.capacity > 4 * BANK * 94 / 100,
        "the load is that of all that can be had"
    );
    let mut blocks = Vec::new();
    let mut last = 1;
    while let Some(block) = Block::new(heap, 500, blocks.len() as u8) {
        blocks.push(block);
        heap.check().unwrap();
        region.verify();
        let on = region.power().count();
        if on != last {
            // The rest of the bank before was too small.
            assert_eq!(on, last + 1);
            assert!(heap.stats().used > (last * BANK - heap.stats().bookkeeping) * 97 / 100);
            last = on;
        }
    }
    let stats = heap.stats();
    assert_eq!(
        (region.power().count(), stats.host.commits, stats.uncommitted),
        (4, 3, 0)
    );
    assert_eq!(stats.failures, 1);
    assert!(stats.used > stats.capacity * 98 / 100);
    assert!(
        stats.host.denied + stats.host.out_of_memory + stats.host.failed == 0,
        "the host was not asked in vain"
    );
    drop(blocks);
    heap.trim();
    assert_eq!((region.power().count(), heap.stats().host.decommits), (1, 1));
    region.verify();
    // One that needs several banks gets them at once.
    let large = Block::new(heap, 3 * BANK, 1).unwrap();
    assert_eq!((region.power().count(), heap.stats().host.commits), (4, 4));
    drop(large);
    assert!(Block::new(heap, 4 * BANK, 1).is_none(), "more than there can be");
    assert_eq!(heap.stats().host.commits, 4, "is not asked for");
    heap.check().unwrap();
}

#[test]
fn b1_alignment_growth_in_place_and_zeroing_reach_into_what_is_committed_late() {
    let (region, heap) = banks(BANK);
    let aligned = Layout::from_size_align(BANK, 4096).unwrap();
    // SAFETY: the layouts are not empty, and blocks are given back with their own.
    unsafe {
        let block = heap.alloc(aligned);
        assert!(!block.is_null() && (block as usize).is_multiple_of(4096));
        heap.dealloc(block, aligned);
        heap.trim();
        assert_eq!(region.power().count(), 1);
        let small = Layout::from_size_align(100, 8).unwrap();
        let block = heap.alloc(small);
        block.write_bytes(7, 100);
        let grown = heap.realloc(block, small, 2 * BANK);
        assert!(!grown.is_null() && (0..100).all(|at| *grown.add(at) == 7));
        assert_eq!(region.power().count(), 3);
        heap.check().unwrap();
        heap.dealloc(grown, Layout::from_size_align(2 * BANK, 8).unwrap());
        let zeroed = Layout::from_size_align(3 * BANK, 8).unwrap();
        let block = heap.alloc_zeroed(zeroed);
        assert!((0..3 * BANK).all(|at| *block.add(at) == 0));
        heap.dealloc(block, zeroed);
    }
    heap.check().unwrap();
    region.verify();
}

#[test]
fn b1_denied_out_of_memory_and_failed_are_told_apart_and_counted() {
    let (region, heap) = banks(BANK);
    let errors = [
        HostError::Denied { bytes: BANK },
        HostError::OutOfMemory { bytes: BANK },
        HostError::Failed { bytes: BANK, code: -5 },
        HostError::Unsupported,
    ];
    for (count, error) in errors.into_iter().enumerate() {
        region.power().change(|state| state.refusal = Some(error));
        assert!(Block::new(heap, BANK, 0).is_none());
        let stats = heap.stats();
        assert_eq!((stats.failures, stats.last_failed), (count + 1, BANK));
        let host = stats.host;
        let counts = [(1, 0, 0), (1, 1, 0), (1, 1, 1), (1, 1, 2)][count];
        assert_eq!((host.denied, host.out_of_memory, host.failed), counts, "{error}");
        assert_eq!((host.commits, region.power().count()), (0, 1));
        heap.check().unwrap();
    }
    region.power().change(|state| state.refusal = None);
    assert!(Block::new(heap, BANK, 0).is_some(), "the host has thought better of it");
    assert_eq!(region.power().state().criticality, Criticality::Process);
    assert_eq!(heap.poll().callbacks, 0);
    assert_eq!(heap.stats().low_memory, 1, "a request that failed is low memory");
}

#[test]
fn b1_a_claim_that_the_host_refuses_changes_nothing() {
    let region = Region::new(BANK);
    let heap = LocalHeap::new();
    let claim = |bytes: usize| heap.claim_from(region.host, Growth::new(bytes));
    for bytes in [0, 100, MIN_SPAN - 8] {
        assert!(matches!(claim(bytes), Err(ClaimError::TooSmall { .. })), "{bytes}");
    }
    assert!(matches!(claim(usize::MAX), Err(ClaimError::TooLarge { .. })));
    let bytes = 5 * BANK;
    assert_eq!(claim(bytes), Err(ClaimError::Host(HostError::OutOfMemory { bytes })));
    let error = HostError::Denied { bytes: BANK };
    region.power().change(|state| state.refusal = Some(error));
    assert_eq!(claim(4 * BANK), Err(ClaimError::Host(error)));
    assert_eq!(ClaimError::Host(error).to_string(), "the host denies 16384 bytes");
    assert_eq!((heap.load(), heap.check()), (Load::default(), Ok(())));
    region.power().change(|state| state.refusal = None);
    region.verify();
    claim(4 * BANK).unwrap();
    assert_eq!(claim(4 * BANK), Err(ClaimError::AlreadyClaimed));
    let other = LocalHeap::new();
    let taken = other.claim_from(region.host, Growth::new(BANK));
    assert!(
        matches!(taken, Err(ClaimError::Host(HostError::OutOfMemory { .. }))),
        "two heaps in one reservation"
    );
}

#[test]
fn b1_another_span_must_not_lie_where_the_heap_may_grow() {
    let (_region, heap) = banks(BANK);
    let start = Block::new(heap, 8, 0).unwrap().address() / BANK * BANK;
    // SAFETY: the claim fails, so nothing becomes of the memory.
    let overlapping = unsafe { heap.extend_raw(std::ptr::without_provenance_mut(start + 3 * BANK), BANK, 1) };
    assert!(
        matches!(overlapping, Err(ClaimError::Overlaps { .. })),
        "{overlapping:?}"
    );
}

#[test]
fn b1_what_the_host_does_not_take_back_stays_in_use() {
    let (region, heap) = banks(BANK);
    drop(Block::new(heap, 3 * BANK, 1).unwrap());
    let error = HostError::Failed { bytes: BANK, code: 1 };
    region.power().change(|state| state.keeps_on = Some(error));
    let before = heap.stats();
    heap.trim();
    let stats = heap.stats();
    assert_eq!(
        (stats.host.failed, stats.host.decommits, region.power().count()),
        (1, 0, 4)
    );
    assert_eq!((stats.capacity, stats.uncommitted), (before.capacity, 0));
    heap.check().unwrap();
    drop(Block::new(heap, 3 * BANK, 2).unwrap());
    assert_eq!(heap.stats().host.commits, before.host.commits, "it is there");
    // SAFETY: the layout is not empty, and the block is given back with it.
    unsafe {
        let layout = Layout::from_size_align(3 * BANK, 8).unwrap();
        let block = heap.alloc_zeroed(layout);
        assert!(
            (0..3 * BANK).all(|at| *block.add(at) == 0),
            "what may be lost is not zero"
        );
        heap.dealloc(block, layout);
    }
    region.power().change(|state| state.keeps_on = None);
    heap.trim();
    assert_eq!((region.power().count(), heap.stats().host.decommits), (1, 1));
    region.verify();
}

#[test]
fn b1_a_bank_that_stays_on_keeps_those_above_it() {
    struct Stubborn(Power);
    // SAFETY: as for `Power`.
    unsafe impl Banks for Stubborn {
        unsafe fn switch_on(&self, bank: Bank, criticality: Criticality) -> Result<Contents, HostError> {
            // SAFETY: the caller's.
            unsafe { self.0.switch_on(bank, criticality) }
        }
        unsafe fn switch_off(&self, bank: Bank) -> Result<(), HostError> {
            let bytes = bank.bytes;
            if bank.index == 2 {
                return Err(HostError::Failed { bytes, code: 2 });
            }
            // SAFETY: the caller's.
            unsafe { self.0.switch_off(bank) }
        }
    }
    let host = banks::fixed(BANK, Stubborn);
    let heap = LocalHeap::new();
    heap.claim_from(host, Growth::new(4 * BANK)).unwrap();
    drop(Block::new(&heap, 3 * BANK, 1).unwrap());
    heap.trim();
    assert_eq!(heap.stats().host.failed, 1);
    assert!((0..BANKS).all(|index| host.is_on(index)) && !host.is_on(BANKS));
    assert!(Block::new(&heap, 3 * BANK, 2).is_some());
    heap.check().unwrap();
}

#[test]
fn c8_what_is_committed_counts_as_zero_only_where_the_host_says_so() {
    for zeroes in [false, true] {
        let region = Region::new(BANK);
        region.power().change(|state| state.zeroes = zeroes);
        let heap = heap(&region, Growth::new(region.bytes()));
        let mut random = Random::new(8);
        let mut blocks: Vec<(*mut u8, Layout)> = Vec::new();
        for _ in 0..scaled(3000) {
            if random.one_in(300) {
                blocks.drain(..).for_each(|(block, layout)| {
                    // SAFETY: the heap handed the block out with this layout.
                    unsafe { heap.dealloc(block, layout) };
                });
                heap.trim();
            }
            let layout = Layout::from_size_align(130 + random.size(BANK), 8).unwrap();
            // SAFETY: the layout is not empty, and the block has so many bytes.
            unsafe {
                let block = heap.alloc_zeroed(layout);
                if block.is_null() {
                    let (block, layout) = blocks.swap_remove(random.below(blocks.len()));
                    heap.dealloc(block, layout);
                    continue;
                }
                let bytes = std::slice::from_raw_parts(block, layout.size());
                assert!(bytes.iter().all(|byte| *byte == 0), "a block is zero");
                block.write_bytes(0xFF, layout.size());
                blocks.push((block, layout));
            }
        }
        let stats = heap.stats();
        assert!(stats.host.commits >= 3, "{stats:?}");
        heap.check().unwrap();
        region.verify();
    }
}

#[test]
fn a6_the_load_is_that_of_all_that_can_be_had() {
    let (region, heap) = banks(BANK);
    let capacity = heap.load().capacity;
    let mut blocks = Vec::new();
    while heap.load().used < capacity * 84 / 100 {
        blocks.push(Block::new(heap, 200, 1).unwrap());
        assert_eq!(heap.load().capacity, capacity);
        if blocks.len() % 16 == 0 {
            let _ = heap.poll();
        }
    }
    assert_eq!(
        (region.power().count(), heap.stats().low_memory),
        (4, 0),
        "silent while more can be committed"
    );
    while heap.load().used < capacity * 86 / 100 {
        blocks.push(Block::new(heap, 200, 1).unwrap());
    }
    let _ = heap.poll();
    assert_eq!(heap.stats().low_memory, 1, "it is not below the watermark");
    // What falls, falls below the low watermark also where that is more than is committed then.
    blocks.truncate(10);
    let _ = heap.poll();
    heap.trim();
    assert_eq!(region.power().count(), 1);
    while heap.load().used < capacity * 86 / 100 {
        blocks.push(Block::new(heap, 200, 1).unwrap());
    }
    let _ = heap.poll();
    assert_eq!(heap.stats().low_memory, 2, "it was armed again");
    let peak = heap.stats().peak;
    assert!(peak >= heap.load().used && peak < capacity);
    drop(blocks);
    heap.trim();
    assert_eq!(heap.stats().peak, peak, "the peak stays what it was");
}

#[test]
fn b5_the_host_may_override_the_load() {
    struct Loaded;
    // SAFETY: no memory is ever given.
    unsafe impl HostMemory for Loaded {
        fn step(&self) -> usize {
            BANK
        }
        fn reserve(&self, bytes: usize, _: Criticality) -> Result<NonNull<u8>, HostError> {
            let memory = for_good(support::Memory::new(bytes));
            Ok(NonNull::new(memory.start()).unwrap())
        }
        unsafe fn commit(&self, _: NonNull<[u8]>, _: Criticality) -> Result<Contents, HostError> {
            Ok(Contents::Undefined)
        }
        unsafe fn decommit(&self, _: NonNull<[u8]>) -> Result<(), HostError> {
            Ok(())
        }
        unsafe fn release(&self, _: NonNull<[u8]>) -> Result<(), HostError> {
            Ok(())
        }
        fn load(&self) -> Option<HostLoad> {
            Some(HostLoad {
                percent: 97,
                available: 12,
            })
        }
    }
    let (_region, heap) = banks(BANK);
    let (load, own) = (heap.load(), heap.memory_load());
    assert_eq!((own.percent, own.available), (load.percent(), load.free()));
    let heap = LocalHeap::new();
    heap.claim_from(&Loaded, Growth::new(4 * BANK)).unwrap();
    let told = heap.memory_load();
    assert_eq!((told.percent, told.available, told.external), (97, 12, 0));
    let _ = heap.poll();
    assert_eq!(heap.stats().low_memory, 1, "watermarks follow the host");
    heap.set_load_override(None).unwrap();
    assert!(heap.memory_load().percent < 10, "the heap has its own view again");
    assert_eq!(Loaded.query(0), None);
    // SAFETY: it does nothing.
    let protected = unsafe {
        Loaded.protect(
            NonNull::slice_from_raw_parts(NonNull::dangling(), 0),
            Protection::ReadOnly,
        )
    };
    assert_eq!((protected, Loaded.pause()), (Err(HostError::Unsupported), false));
}

#[test]
fn b6_the_host_notifies_the_heap() {
    /// A host that keeps what it is to notify.
    struct Notifying(Power, Mutex<Option<Notifier>>);
    // SAFETY: as for `Power`.
    unsafe impl Banks for Notifying {
        unsafe fn switch_on(&self, bank: Bank, criticality: Criticality) -> Result<Contents, HostError> {
            // SAFETY: the caller's.
            unsafe { self.0.switch_on(bank, criticality) }
        }
        unsafe fn switch_off(&self, bank: Bank) -> Result<(), HostError> {
            // SAFETY: the caller's.
            unsafe { self.0.switch_off(bank) }
        }
        fn register(&self, notifier: Notifier) {
            *self.1.lock().unwrap() = Some(notifier);
        }
        fn load(&self) -> Option<HostLoad> {
            Some(HostLoad {
                percent: 3,
                available: 7,
            })
        }
    }
    static HEAP: CriticalSectionHeap = CriticalSectionHeap::new();
    let host = banks::fixed(BANK, |power| Notifying(power, Mutex::new(None)));
    assert!(!HEAP.register(), "there is no host");
    HEAP.claim_from(host, Growth::new(4 * BANK)).unwrap();
    assert!(HEAP.register());
    let told = HEAP.memory_load();
    assert_eq!((told.percent, told.available), (3, 7));
    let notifier = host.banks().1.lock().unwrap().unwrap();
    assert!(format!("{notifier:?}").contains("Notifier(0x"));
    assert_eq!(HEAP.poll().events, 1, "it was claimed");
    std::thread::spawn(move || notifier.notify(Available::Low))
        .join()
        .unwrap();
    let _ = HEAP.poll();
    assert_eq!(HEAP.stats().low_memory, 1);
    notifier.notify(Available::High);
    let _ = HEAP.poll();
    assert_eq!(HEAP.stats().low_memory, 1);
}

#[test]
fn b1_an_interrupt_never_asks_the_host() {
    struct Interrupted;
    impl CoreId for Interrupted {
        fn core_id() -> usize {
            0
        }
        fn in_interrupt() -> bool {
            INTERRUPTED.get()
        }
    }
    std::thread_local! {
        static INTERRUPTED: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
    }
    let region = Region::new(BANK);
    let heap: Heap<NoLock, Interrupted> = Heap::new();
    heap.claim_from(region.host, Growth::new(region.bytes())).unwrap();
    let layout = Layout::from_size_align(BANK, 8).unwrap();
    // SAFETY: the layout is not empty, and the block is given back with it.
    unsafe {
        INTERRUPTED.set(true);
        assert!(heap.alloc(layout).is_null());
        assert_eq!(region.power().count(), 1);
        INTERRUPTED.set(false);
        let block = heap.alloc(layout);
        assert!(!block.is_null() && region.power().count() == 2);
        heap.dealloc(block, layout);
        INTERRUPTED.set(true);
        heap.trim();
        assert_eq!(region.power().count(), 2);
        INTERRUPTED.set(false);
        heap.trim();
        assert_eq!(region.power().count(), 1);
    }
}

#[test]
fn b2_a_reserve_may_lie_in_what_is_not_committed_yet() {
    let (region, heap) = banks(BANK);
    heap.set_reserve(Criticality::Process, 2 * BANK).unwrap();
    let layout = Layout::from_size_align(1000, 8).unwrap();
    let fill = |criticality: Criticality| {
        std::iter::from_fn(|| heap.allocate_critical(layout, criticality).ok())
            .map(|block| block.as_ptr().cast::<u8>())
            .collect::<Vec<_>>()
    };
    let tasks = fill(Criticality::Task);
    let stats = heap.stats();
    assert_eq!(
        region.power().count(),
        2,
        "a bank that tasks may not use is not asked for"
    );
    assert!(stats.free + stats.uncommitted >= 2 * BANK && stats.free + stats.uncommitted < 2 * BANK + 2100);
    assert!(tasks.len() > 20);
    let process = fill(Criticality::Process);
    assert!(process.len() > 28 && region.power().count() == 4);
    assert!(heap.stats().free < 2100);
    heap.check().unwrap();
    region.verify();
    for block in tasks.into_iter().chain(process) {
        // SAFETY: the heap handed the block out with this layout.
        unsafe { heap.dealloc(block, layout) };
    }
    heap.trim();
    assert_eq!(region.power().count(), 1);
    heap.check().unwrap();
}

#[test]
fn b10_a_hard_limit_bounds_what_is_committed() {
    let (region, heap) = banks(BANK);
    heap.set_limits(Limits {
        hard: Some(2 * BANK - 4000),
        ..Limits::NONE
    })
    .unwrap();
    let mut blocks = Vec::new();
    while let Some(block) = Block::new(heap, 500, 1) {
        blocks.push(block);
    }
    let used = heap.load().used;
    assert!(used <= 2 * BANK - 4000 && used > 2 * BANK - 4600, "{used}");
    assert_eq!(region.power().count(), 2);
    heap.set_limits(Limits::NONE).unwrap();
    while let Some(block) = Block::new(heap, 500, 1) {
        blocks.push(block);
    }
    assert_eq!(region.power().count(), 4);
    heap.check().unwrap();
}
