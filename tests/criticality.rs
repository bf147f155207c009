//! Criticality: reserves, the host's veto, and requests that tell how critical they are.

mod support;

use std::alloc::{GlobalAlloc, Layout};
use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, Ordering};

use lock_api::{GuardSend, RawMutex};
use support::shadow::{ChosenCore, choose_core};
use support::{Memory, Random, scaled};
use terrace::{
    CoreId, Criticality, Denier, Failure, Heap, LocalHeap, MemoryRequest, NoLock, RequestError, ReserveError,
    SingleCore, Verdict,
};

const LEVELS: [Criticality; 3] = [Criticality::Task, Criticality::Domain, Criticality::Process];

fn layout(bytes: usize) -> Layout {
    Layout::from_size_align(bytes, 8).unwrap()
}

/// A heap with memory, and its blocks.
struct Model<L = NoLock, C = SingleCore, const CONTEXTS: usize = 1> {
    heap: Heap<L, C, CONTEXTS>,
    blocks: Vec<(*mut u8, Layout)>,
    used: usize,
    _memory: Memory,
}

impl<L: RawMutex, C: CoreId, const CONTEXTS: usize> Model<L, C, CONTEXTS> {
    fn new(bytes: usize) -> Self {
        let (heap, memory) = (Heap::new(), Memory::new(bytes));
        // SAFETY: the memory outlives the heap: both are in the same struct.
        unsafe { heap.claim_raw(memory.start(), bytes) }.unwrap();
        // What the heap keeps in its own memory is there from now on.
        heap.set_veto(None).unwrap();
        let used = heap.load().used;
        Model {
            heap,
            blocks: Vec::new(),
            used,
            _memory: memory,
        }
    }

    fn free_bytes(&self) -> usize {
        let load = self.heap.load();
        assert_eq!(load.used, self.used);
        load.free()
    }

    fn take(&mut self, block: *mut u8, layout: Layout) {
        self.used += layout.size().next_multiple_of(8);
        self.blocks.push((block, layout));
    }

    /// Allocates at this criticality until that fails; returns the error.
    fn fill(&mut self, bytes: usize, criticality: Criticality) -> RequestError {
        loop {
            match self.heap.allocate_critical(layout(bytes), criticality) {
                Ok(block) => self.take(block.as_ptr(), layout(bytes)),
                Err(error) => return error,
            }
        }
    }

    fn free(&mut self, at: usize) {
        let (block, layout) = self.blocks.swap_remove(at);
        self.used -= layout.size().next_multiple_of(8);
        // SAFETY: the block is the heap's, of this layout.
        unsafe { self.heap.dealloc(block, layout) };
    }

    /// What a request of this criticality must leave free.
    fn floor(&self, criticality: Criticality) -> usize {
        let above = LEVELS.into_iter().filter(|level| *level > criticality);
        let reserves: usize = above.map(|level| self.heap.reserve(level)).sum();
        let capacity = self.heap.load().capacity;
        let hard = self.heap.limits().hard.map_or(capacity, |hard| hard / 8 * 8);
        reserves + (capacity - hard)
    }
}

#[test]
fn b2_a_task_request_is_refused_while_a_process_request_succeeds() {
    let mut model = Model::<NoLock>::new(64 << 10);
    model.heap.set_reserve(Criticality::Domain, 4 << 10).unwrap();
    model.heap.set_reserve(Criticality::Process, 8 << 10).unwrap();
    for (criticality, reserved) in [
        (Criticality::Task, 12 << 10),
        (Criticality::Domain, 8 << 10),
        (Criticality::Process, 0),
    ] {
        model.fill(8, criticality);
        model.heap.trim(); // a request may be refused for what caches hold
        let error = model.fill(8, criticality);
        let free = model.free_bytes();
        assert!(
            free >= reserved && free < reserved + 8,
            "{free} are left by {criticality:?}"
        );
        let expected = if criticality == Criticality::Process {
            RequestError::OutOfMemory {
                requested: 8,
                free,
                reserved,
            }
        } else {
            RequestError::Denied {
                requested: 8,
                criticality,
                free,
                reserved,
                by: Denier::Reserve,
            }
        };
        assert_eq!(error, expected);
    }
    // What is freed goes to the reserve first.
    (0..20).for_each(|_| model.free(0));
    assert!(model.heap.allocate_critical(layout(8), Criticality::Domain).is_err());
    let stats = model.heap.stats();
    assert_eq!((stats.failures, stats.denied), (7, 5));
    model.heap.check().unwrap();
}

#[test]
fn b2_a_reserve_that_is_not_possible_is_a_typed_error() {
    let heap = LocalHeap::new();
    assert_eq!(
        heap.set_reserve(Criticality::Process, 8),
        Err(ReserveError::OutOfMemory)
    );
    assert_eq!(heap.set_reserve(Criticality::Task, 8), Err(ReserveError::NoneBelow));
    assert!(heap.set_veto(None).is_err());
    let error = heap.allocate_critical(layout(8), Criticality::Process).unwrap_err();
    assert_eq!(
        error,
        RequestError::Failed {
            requested: 8,
            failure: Failure::NotClaimed
        }
    );
    let model = Model::<NoLock>::new(16 << 10);
    let capacity = model.heap.load().capacity;
    model.heap.set_reserve(Criticality::Process, 1000).unwrap();
    assert_eq!(
        model.heap.set_reserve(Criticality::Domain, capacity),
        Err(ReserveError::OutOfRange {
            reserves: capacity + 1000,
            capacity
        })
    );
    assert!(model.heap.set_reserve(Criticality::Process, usize::MAX).is_err());
    assert_eq!(model.heap.reserve(Criticality::Process), 1000, "the old one stays");
    assert_eq!(model.heap.reserve(Criticality::Domain), 0);
    model.heap.set_reserve(Criticality::Domain, capacity - 1000).unwrap();
    assert!(model.heap.allocate_critical(layout(8), Criticality::Task).is_err());
    model.heap.set_reserve(Criticality::Domain, 0).unwrap();
    assert!(model.heap.allocate_critical(layout(8), Criticality::Task).is_ok());
}

#[test]
fn b2_what_does_not_tell_is_of_the_default_criticality() {
    let mut model = Model::<NoLock>::new(16 << 10);
    model.heap.set_reserve(Criticality::Process, 4 << 10).unwrap();
    model.fill(64, Criticality::Task);
    let block = model
        .heap
        .allocate_critical(layout(64), Criticality::Process)
        .unwrap()
        .as_ptr();
    let zeros = Layout::new::<[u64; 30]>();
    // SAFETY: the layouts are not empty, and blocks are given up as they were taken.
    unsafe {
        model.heap.set_default_criticality(Criticality::Task).unwrap();
        assert!(model.heap.alloc(layout(64)).is_null());
        assert!(model.heap.alloc_zeroed(zeros).is_null());
        assert!(model.heap.realloc(block, layout(64), 1000).is_null());
        assert!(
            model
                .heap
                .at(Criticality::Task)
                .realloc(block, layout(64), 1000)
                .is_null()
        );
        let front = model.heap.at(Criticality::Process);
        let zeroed = front.alloc_zeroed(zeros);
        assert!(
            !zeroed.is_null()
                && std::slice::from_raw_parts(zeroed, zeros.size())
                    .iter()
                    .all(|byte| *byte == 0)
        );
        front.dealloc(zeroed, zeros);
        block.write_bytes(7, 64);
        let larger = front.realloc(block, layout(64), 1000);
        assert!(!larger.is_null() && std::slice::from_raw_parts(larger, 64).iter().all(|byte| *byte == 7));
        let block = model.heap.realloc(larger, layout(1000), 64);
        assert!(!block.is_null(), "less is no request");
        model.heap.set_default_criticality(Criticality::Process).unwrap();
        let larger = model.heap.realloc(block, layout(64), 1000);
        assert!(!larger.is_null());
        assert!(!model.heap.alloc(layout(64)).is_null());
        assert!(!model.heap.alloc_zeroed(zeros).is_null());
    }
    model.heap.check().unwrap();
}

#[cfg(feature = "allocator-api2")]
#[test]
fn b2_an_allocator_is_of_its_criticality() {
    use allocator_api2::alloc::Allocator;
    let mut model = Model::<NoLock>::new(16 << 10);
    model.heap.set_reserve(Criticality::Process, 4 << 10).unwrap();
    model.fill(64, Criticality::Task);
    assert!(model.heap.at(Criticality::Task).allocate(layout(64)).is_err());
    let front = model.heap.at(Criticality::Process);
    let block = front.allocate_zeroed(layout(64)).unwrap().cast();
    // SAFETY: the block is the heap's, of this layout.
    unsafe {
        assert!(
            model
                .heap
                .at(Criticality::Task)
                .grow(block, layout(64), layout(2000))
                .is_err()
        );
        let block = front.grow(block, layout(64), layout(2000)).unwrap().cast();
        front.deallocate(block, layout(2000));
    }
}

thread_local! {
    static ASKED: RefCell<Vec<MemoryRequest>> = const { RefCell::new(Vec::new()) };
}

fn record(request: &MemoryRequest) -> Verdict {
    ASKED.with_borrow_mut(|asked| asked.push(*request));
    match request.bytes {
        40 => Verdict::Deny,
        48 => Verdict::Fail,
        _ => Verdict::Allow,
    }
}

#[test]
fn b2_the_host_is_asked_and_may_refuse() {
    let mut model = Model::<NoLock>::new(16 << 10);
    model.heap.set_veto(Some(record)).unwrap();
    let error = model
        .heap
        .allocate_critical(layout(40), Criticality::Process)
        .unwrap_err();
    assert!(matches!(
        error,
        RequestError::Denied {
            requested: 40,
            by: Denier::Host,
            ..
        }
    ));
    let error = model.heap.allocate_critical(layout(48), Criticality::Task).unwrap_err();
    assert_eq!(
        error,
        RequestError::Failed {
            requested: 48,
            failure: Failure::Host
        }
    );
    let asked = ASKED.take();
    let seen: Vec<_> = asked
        .iter()
        .map(|request| (request.bytes, request.criticality))
        .collect();
    assert_eq!(seen, [(40, Criticality::Process), (48, Criticality::Task)]);
    assert!(
        asked
            .iter()
            .all(|request| !request.enters_reserve && request.free == model.heap.load().free())
    );
    let stats = model.heap.stats();
    assert_eq!(
        (stats.denied, stats.failures),
        (2, 0),
        "the host's word is no want of memory"
    );

    // The front asks only where a reserve begins, and only for what is open to it.
    model.heap.set_reserve(Criticality::Process, 4 << 10).unwrap();
    while model.free_bytes() >= (4 << 10) + 64 {
        // SAFETY: the layout is not empty.
        let block = unsafe { model.heap.alloc(layout(64)) };
        model.take(block, layout(64));
    }
    assert_eq!(ASKED.take(), []);
    // SAFETY: the layouts are not empty.
    unsafe {
        assert!(!model.heap.alloc(layout(64)).is_null());
        assert!(model.heap.alloc(layout(40)).is_null());
        let asked = ASKED.take();
        assert!(asked.len() == 2 && asked.iter().all(|request| request.enters_reserve));
        model.heap.set_default_criticality(Criticality::Task).unwrap();
        assert!(model.heap.alloc(layout(64)).is_null());
        assert_eq!(ASKED.take(), []);
        model.heap.set_veto(None).unwrap();
        assert!(!model.heap.at(Criticality::Process).alloc(layout(40)).is_null());
    }
}

/// A lock that finds out whoever takes it twice.
struct Strict(AtomicBool);

// SAFETY: one takes it at a time; the others get nothing, or a panic.
unsafe impl RawMutex for Strict {
    const INIT: Strict = Strict(AtomicBool::new(false));

    type GuardMarker = GuardSend;

    fn lock(&self) {
        assert!(self.try_lock(), "locked twice");
    }

    fn try_lock(&self) -> bool {
        !self.0.swap(true, Ordering::Acquire)
    }

    unsafe fn unlock(&self) {
        self.0.store(false, Ordering::Release);
    }
}

#[test]
fn b2_the_host_is_asked_outside_of_all_locks() {
    static HEAP: Heap<Strict, SingleCore, 2> = Heap::new();
    fn look(request: &MemoryRequest) -> Verdict {
        assert_eq!(HEAP.stats().free, request.free);
        HEAP.check().unwrap();
        Verdict::Allow
    }
    let memory = support::memory::for_good(Memory::new(16 << 10));
    // SAFETY: the memory is the heap's for good.
    unsafe { HEAP.claim_raw(memory.start(), memory.bytes()) }.unwrap();
    HEAP.set_reserve(Criticality::Process, 12 << 10).unwrap();
    HEAP.set_veto(Some(look)).unwrap();
    let allocate = |level| HEAP.allocate_critical(layout(512), level);
    while allocate(Criticality::Task).is_ok() {}
    while allocate(Criticality::Process).is_ok() {}
    assert!(HEAP.load().free() < 512);
}

/// Requests of all criticalities at random, beside what must be true of each.
fn random_load<C: CoreId, const CONTEXTS: usize>(seed: u64) {
    let mut random = Random::new(seed);
    let bytes = 4096 << random.below(4);
    let mut model = Model::<NoLock, C, CONTEXTS>::new(bytes);
    let capacity = model.heap.load().capacity;
    let largest = 1 << (4 + random.below(8));
    for step in 0..2000 {
        if random.one_in(2) {
            choose_core(random.below(CONTEXTS + 1));
        }
        let level = LEVELS[random.below(3)];
        match random.below(20) {
            0..10 => allocate(&mut model, &mut random, level, largest, seed, step),
            10..13 => grow(&mut model, &mut random, level, largest, seed, step),
            13..18 if !model.blocks.is_empty() => {
                for _ in 0..=random.below(3).min(model.blocks.len() - 1) {
                    model.free(random.below(model.blocks.len()));
                }
            }
            18 if random.one_in(10) => {
                let _ = model.heap.set_reserve(level, random.below(capacity / 2));
                let hard = (!random.one_in(3)).then(|| capacity / 2 + random.below(capacity / 2));
                let _ = model.heap.set_limits(terrace::Limits { soft: None, hard });
                model.heap.set_default_criticality(LEVELS[random.below(3)]).unwrap();
            }
            19 if random.one_in(20) => {
                model.heap.trim();
                model
                    .heap
                    .check()
                    .unwrap_or_else(|fault| panic!("seed {seed}, step {step}: {fault}"));
            }
            _ => {}
        }
    }
    while !model.blocks.is_empty() {
        model.free(0);
    }
    model.heap.trim();
    model.heap.check().unwrap();
    assert_eq!(model.heap.load().used, model.used, "seed {seed}");
}

fn allocate<C: CoreId, const CONTEXTS: usize>(
    model: &mut Model<NoLock, C, CONTEXTS>,
    random: &mut Random,
    level: Criticality,
    largest: usize,
    seed: u64,
    step: usize,
) {
    let align = 1 << random.below(6);
    let layout = Layout::from_size_align(random.size(largest).max(1), align).unwrap();
    let (free, floor, n) = (
        model.free_bytes(),
        model.floor(level),
        layout.size().next_multiple_of(8),
    );
    let may = free >= n && free - n >= floor;
    match model.heap.allocate_critical(layout, level) {
        Ok(block) => {
            model.take(block.as_ptr(), layout);
            assert!(
                may,
                "seed {seed}, step {step}: {level:?} left {} of {floor}",
                free as isize - n as isize
            );
        }
        Err(error) if may => {
            assert!(
                matches!(error, RequestError::OutOfMemory { .. }),
                "seed {seed}, step {step}: {error}"
            );
            // Of wider alignments, only blocks are found that surely hold them.
            let stats = model.heap.stats();
            assert!(
                align > 8 || stats.largest_free < n,
                "seed {seed}, step {step}: {level:?} was refused {layout:?} wrongly: {error}, {stats:?}"
            );
        }
        Err(RequestError::Denied { reserved, .. }) => assert_eq!(reserved, floor, "seed {seed}, step {step}"),
        Err(error) => assert!(matches!(error, RequestError::OutOfMemory { reserved, .. } if reserved == floor)),
    }
    model.free_bytes();
}

fn grow<C: CoreId, const CONTEXTS: usize>(
    model: &mut Model<NoLock, C, CONTEXTS>,
    random: &mut Random,
    level: Criticality,
    largest: usize,
    seed: u64,
    step: usize,
) {
    if model.blocks.is_empty() {
        return;
    }
    let at = random.below(model.blocks.len());
    let (block, old) = model.blocks[at];
    let new = Layout::from_size_align(old.size() + random.size(largest).max(1), old.align()).unwrap();
    let (free, floor, n) = (model.free_bytes(), model.floor(level), new.size().next_multiple_of(8));
    let more = n - old.size().next_multiple_of(8);
    // SAFETY: the block is the heap's, of this layout, and has one byte at least at both ends.
    let moved = unsafe {
        block.write(step as u8);
        block.add(old.size() - 1).write(!step as u8);
        model.heap.at(level).realloc(block, old, new.size())
    };
    if moved.is_null() {
        let fits = free >= n && free - n >= floor && old.align() <= 8 && model.heap.stats().largest_free >= n;
        assert!(!fits, "seed {seed}, step {step}: {level:?} was refused wrongly");
        return;
    }
    // SAFETY: as above.
    let ends = unsafe { (moved.read(), moved.add(old.size() - 1).read()) };
    let first = if old.size() == 1 { !step as u8 } else { step as u8 };
    assert_eq!(ends, (first, !step as u8), "seed {seed}, step {step}");
    model.blocks.swap_remove(at);
    model.used -= old.size().next_multiple_of(8);
    model.take(moved, new);
    let left = model.free_bytes();
    assert!(
        more == 0 || left >= floor,
        "seed {seed}, step {step}: {level:?} left {left} of {floor}"
    );
}

#[test]
fn b2_no_request_leaves_less_than_its_floor_and_none_is_refused_wrongly() {
    for seed in 0..scaled(200) as u64 {
        random_load::<SingleCore, 1>(seed);
    }
}

#[test]
fn b2_the_floors_hold_with_several_contexts() {
    for seed in 0..scaled(200) as u64 {
        random_load::<ChosenCore, 4>(seed);
    }
}

/// A lock for threads.
struct Yielding(AtomicBool);

// SAFETY: one takes it at a time; the others wait.
unsafe impl RawMutex for Yielding {
    const INIT: Yielding = Yielding(AtomicBool::new(false));

    type GuardMarker = GuardSend;

    fn lock(&self) {
        while !self.try_lock() {
            std::thread::yield_now();
        }
    }

    fn try_lock(&self) -> bool {
        !self.0.swap(true, Ordering::Acquire)
    }

    unsafe fn unlock(&self) {
        self.0.store(false, Ordering::Release);
    }
}

#[test]
fn b2_threads_together_stop_at_the_reserve() {
    const THREADS: usize = 4;
    for seed in 0..scaled(20) as u64 {
        let model = Model::<Yielding, ChosenCore, THREADS>::new(64 << 10);
        model.heap.set_reserve(Criticality::Process, 16 << 10).unwrap();
        let heap = &model.heap;
        std::thread::scope(|scope| {
            for thread in 0..THREADS {
                scope.spawn(move || {
                    choose_core(thread);
                    let mut random = Random::new(seed * THREADS as u64 + thread as u64);
                    let (mut blocks, mut refused) = (vec![], 0);
                    while refused < 50 {
                        let layout = layout(8 * (1 + random.below(8)));
                        match heap.allocate_critical(layout, Criticality::Task) {
                            Ok(block) => blocks.push((block, layout)),
                            Err(_) => refused += 1,
                        }
                        if random.one_in(3) && !blocks.is_empty() {
                            let (block, layout) = blocks.swap_remove(random.below(blocks.len()));
                            // SAFETY: the block is the heap's, of this layout.
                            unsafe { heap.dealloc(block.as_ptr(), layout) };
                        }
                    }
                });
            }
        });
        let last = std::iter::repeat_with(|| heap.allocate_critical(layout(8), Criticality::Task));
        assert!(last.take_while(Result::is_ok).count() < 8192);
        assert_eq!(heap.load().free(), 16 << 10, "seed {seed}");
        heap.check().unwrap();
    }
}
