//! Who is told what about the load, when, and from where (rows A1 to A7, B5, B6, B10, C21, D5).

mod support;

use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use lock_api::RawMutex;
use support::shadow::{ChosenCore, choose_core};
use support::watch::{events, record, record_event, told};
use support::{Memory, Operation, Random, Shadow, scaled};
use terrace::{
    CALLBACKS, CallbackError, Cause, CoreId, Event, Heap, LocalHeap, LowMemory, NoLock, Polled, Pressure, Threshold,
    WatermarkError, Watermarks,
};

/// A heap with memory, and the blocks that make up its load.
struct Loaded<L = NoLock, C = terrace::SingleCore, const CONTEXTS: usize = 1> {
    heap: Heap<L, C, CONTEXTS>,
    blocks: Vec<*mut u8>,
    _memory: Memory,
}

const UNIT: Layout = Layout::new::<[u64; 4]>();

impl<L: RawMutex, C: CoreId, const CONTEXTS: usize> Loaded<L, C, CONTEXTS> {
    fn new(bytes: usize) -> Self {
        let (heap, memory) = (Heap::new(), Memory::new(bytes));
        // SAFETY: the memory outlives the heap: both are in the same struct.
        unsafe { heap.claim_raw(memory.start(), bytes) }.unwrap();
        heap.on_low_memory(record, &()).unwrap();
        Loaded {
            heap,
            blocks: Vec::new(),
            _memory: memory,
        }
    }

    /// Allocates or frees until `used` bytes, rounded down to blocks, are in use.
    fn load(&mut self, used: usize) {
        while self.blocks.len() > used / UNIT.size() {
            // SAFETY: the block was allocated with this layout and is given up.
            unsafe { self.heap.dealloc(self.blocks.pop().unwrap(), UNIT) };
        }
        while self.blocks.len() < used / UNIT.size() {
            // SAFETY: the layout is not empty.
            let block = unsafe { self.heap.alloc(UNIT) };
            assert!(!block.is_null());
            self.blocks.push(block);
        }
    }

    fn percent(&mut self, percent: usize) {
        self.load(
            (self.heap.load().capacity * percent)
                .div_ceil(100)
                .next_multiple_of(UNIT.size()),
        );
    }

    fn fail(&self, bytes: usize) {
        // SAFETY: the layout is not empty.
        let block = unsafe { self.heap.alloc(Layout::from_size_align(bytes, 1).unwrap()) };
        assert!(block.is_null());
    }
}

fn watermarks(high: u8, low: u8) -> Watermarks {
    Watermarks {
        high: Threshold::Percent(high),
        low: Threshold::Percent(low),
    }
}

static COUNTS: [AtomicUsize; 8] = [const { AtomicUsize::new(0) }; 8];

fn count(_: &LowMemory, data: &'static AtomicUsize) {
    data.fetch_add(1, Relaxed);
}

#[test]
fn a1_a_callback_is_registered_without_memory_and_gets_its_data() {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    fn set(event: &LowMemory, data: &'static AtomicUsize) {
        assert_eq!(event.level, Pressure::Critical);
        data.store(7, Relaxed);
    }
    let heap = LocalHeap::new(); // has no memory to allocate a registration from
    heap.on_low_memory(set, &NUMBER).unwrap();
    heap.post(Pressure::Critical);
    assert_eq!(heap.poll().callbacks, 1);
    assert_eq!(NUMBER.load(Relaxed), 7);
    heap.remove_low_memory(set, &NUMBER).unwrap();
    heap.post(Pressure::Critical);
    assert_eq!(heap.poll().callbacks, 0);
}

#[test]
fn a2_a_failure_is_told_with_its_size_and_outranks_the_watermark() {
    let mut heap = Loaded::<NoLock>::new(64 << 10);
    heap.fail(1 << 20);
    let _ = heap.heap.poll();
    let event = told()[0];
    assert_eq!(
        (event.level, event.cause),
        (Pressure::Critical, Cause::Failure { bytes: 1 << 20 })
    );
    assert_eq!((event.load.used, event.load.capacity), (0, heap.heap.load().capacity));

    heap.percent(90);
    heap.fail(40_000);
    heap.fail(50_000);
    let _ = heap.heap.poll();
    let events = told();
    assert_eq!(events.len(), 1, "one event, with the worst cause");
    assert!(matches!(events[0].cause, Cause::Failure { .. }));
    assert_eq!((events[0].count, heap.heap.stats().failures), (2, 3));
}

/// A lock that knows whether it is held, and that lets an interrupt come right after it is taken.
struct Witness {
    lock: NoLock,
}

thread_local! {
    static HELD: Cell<usize> = const { Cell::new(0) };
    static TAKEN: Cell<usize> = const { Cell::new(0) };
    static INTERRUPT: Cell<Option<fn()>> = const { Cell::new(None) };
}

// SAFETY: it is a lock for one thread of control, as `NoLock` is; each static with it is used by one thread.
unsafe impl RawMutex for Witness {
    #[allow(
        clippy::declare_interior_mutable_const,
        reason = "lock_api's way to construct a lock"
    )]
    const INIT: Witness = Witness { lock: NoLock::INIT };
    type GuardMarker = lock_api::GuardNoSend;

    fn lock(&self) {
        self.lock.lock();
        HELD.set(HELD.get() + 1);
        TAKEN.set(TAKEN.get() + 1);
        if let Some(interrupt) = INTERRUPT.take() {
            interrupt();
        }
    }

    fn try_lock(&self) -> bool {
        self.lock();
        true
    }

    unsafe fn unlock(&self) {
        HELD.set(HELD.get() - 1);
        // SAFETY: the caller holds it.
        unsafe { self.lock.unlock() };
    }
}

// SAFETY: each static with such a lock is used by one test, on one thread.
unsafe impl Sync for Witness {}

static WITNESSED: Heap<Witness> = Heap::new();

#[test]
fn a3_b6_callbacks_run_outside_of_locks_and_posts_need_none() {
    fn callback(_: &LowMemory, data: &'static AtomicUsize) {
        assert_eq!(HELD.get(), 0, "no lock is held");
        data.fetch_add(1, Relaxed);
    }
    fn sink(_: &Event) {
        assert_eq!(HELD.get(), 0, "no lock is held");
    }
    fn interrupt() {
        let (held, taken) = (HELD.get(), TAKEN.get());
        assert!(held > 0, "it comes in the middle of an operation");
        WITNESSED.post(Pressure::Critical);
        assert_eq!((HELD.get(), TAKEN.get()), (held, taken), "a post takes no lock");
    }
    let calls = &COUNTS[0];
    terrace::init!(WITNESSED, 4096).unwrap();
    WITNESSED.on_low_memory(callback, calls).unwrap();
    WITNESSED.set_sink(Some(sink));
    // SAFETY: the layouts are not empty; the block is freed as it was allocated.
    unsafe {
        INTERRUPT.set(Some(interrupt));
        let block = WITNESSED.alloc(UNIT);
        INTERRUPT.set(Some(interrupt));
        WITNESSED.dealloc(block, UNIT);
        assert!(WITNESSED.alloc(Layout::new::<[u8; 5000]>()).is_null());
        WITNESSED.alloc(Layout::new::<[u8; 3700]>());
    }
    assert_eq!(calls.load(Relaxed), 0, "only poll runs callbacks");
    INTERRUPT.set(Some(interrupt));
    let polled = WITNESSED.poll();
    assert_eq!((calls.load(Relaxed), polled.callbacks), (1, 1));
    assert_eq!(HELD.get(), 0);
}

#[test]
fn a3_a_callback_may_use_the_heap_in_every_way() {
    static HEAP: Heap<Witness> = Heap::new(); // its lock panics if it is taken twice
    static CALLS: AtomicUsize = AtomicUsize::new(0);
    fn other(_: &LowMemory, _: &'static AtomicUsize) {}
    fn callback(_: &LowMemory, calls: &'static AtomicUsize) {
        calls.fetch_add(1, Relaxed);
        // SAFETY: the layout is not empty; the block is freed as it was allocated.
        unsafe {
            let block = HEAP.alloc(UNIT);
            let block = HEAP.realloc(block, UNIT, 100);
            HEAP.dealloc(block, Layout::new::<[u64; 13]>());
        }
        HEAP.on_low_memory(other, &CALLS).unwrap();
        HEAP.remove_low_memory(other, &CALLS).unwrap();
        HEAP.set_watermarks(watermarks(80, 60)).unwrap();
        HEAP.trim();
        HEAP.check().unwrap();
        assert!(HEAP.stats().used < HEAP.load().capacity);
        let inner = HEAP.poll();
        assert!(inner.more && inner.callbacks == 0, "a poll inside a poll does nothing");
        HEAP.post(Pressure::Moderate);
    }
    terrace::init!(HEAP, 8192).unwrap();
    HEAP.on_low_memory(callback, &CALLS).unwrap();
    HEAP.post(Pressure::Moderate);
    let first = HEAP.poll();
    assert_eq!(CALLS.load(Relaxed), 1);
    assert_eq!(
        HEAP.poll().callbacks,
        1,
        "what was posted by the callback is due at the next poll, {first:?}"
    );
    HEAP.remove_low_memory(callback, &CALLS).unwrap();
    let _ = HEAP.poll();
    assert_eq!(HEAP.poll(), Polled::default());
}

#[test]
fn a3_a_callback_that_unwinds_does_not_stop_the_others_for_ever() {
    fn bad(_: &LowMemory, _: &'static ()) {
        panic!("a bad callback");
    }
    let heap = Loaded::<NoLock>::new(4096);
    heap.heap.on_low_memory(bad, &()).unwrap();
    heap.heap.post(Pressure::Critical);
    assert!(catch_unwind(AssertUnwindSafe(|| heap.heap.poll())).is_err());
    assert_eq!(told().len(), 1);
    heap.heap.remove_low_memory(bad, &()).unwrap();
    heap.heap.post(Pressure::Critical);
    assert_eq!(heap.heap.poll().callbacks, 1);
    assert_eq!((told().len(), heap.heap.check()), (1, Ok(())));
}

#[test]
fn a4_once_per_rising_edge() {
    let mut heap = Loaded::<NoLock>::new(256 << 10);
    heap.heap.set_watermarks(watermarks(80, 60)).unwrap();
    let mut edges = 0;
    // (load, whether that is a rising edge)
    let steps = [
        (79, false),
        (80, true),
        (95, false),
        (70, false),
        (85, false),
        (61, false),
        (81, false),
        (58, false),
        (79, false),
        (81, true),
        (10, false),
        (90, true),
    ];
    for (percent, edge) in steps {
        heap.percent(percent);
        edges += u32::from(edge);
        assert_eq!(heap.heap.poll().callbacks, u32::from(edge), "at {percent} %");
        assert_eq!(heap.heap.poll().callbacks, 0, "the flag has reset itself");
    }
    let events = told();
    assert_eq!(events.len(), edges as usize);
    assert!(
        events
            .iter()
            .all(|event| event.level == Pressure::Moderate && event.cause == Cause::Watermark)
    );
    assert_eq!(events.iter().map(|event| event.count).collect::<Vec<_>>(), [1, 2, 3]);
}

/// An edge between two polls is not lost, even if the load has fallen since.
#[test]
fn a4_an_edge_is_remembered_until_the_poll() {
    let mut heap = Loaded::<NoLock>::new(256 << 10);
    heap.percent(90);
    heap.percent(5);
    assert_eq!(heap.heap.poll().callbacks, 1);
    let event = told()[0];
    assert!(
        (85..=86).contains(&event.load.percent()),
        "the load when it was noticed"
    );
    heap.percent(90);
    heap.percent(5);
    heap.percent(90);
    assert_eq!(heap.heap.poll().callbacks, 1, "several edges are told as one");
    assert_eq!(told()[0].count, 2);
}

/// Random loads around close watermarks, against the shadow's watch, which sees every operation.
#[test]
fn a4_no_edge_is_lost_or_told_twice_in_random_operations() {
    for seed in 1..=scaled(30) as u64 {
        let mut random = Random::new(seed);
        let region = [2048, 16 << 10, 64 << 10, 512 << 10][seed as usize % 4];
        let mut shadow = Shadow::<NoLock>::new(region, false);
        for step in 0..20_000 {
            if step % 1000 == 0 {
                let low = random.below(90) as u8;
                let high = low + 1 + random.below(4) as u8;
                shadow.apply(Operation::Watermarks {
                    high,
                    low,
                    bytes: random.one_in(2),
                });
            }
            let limit = if random.one_in(10) { region / 20 } else { 100 };
            let size = 1 + random.below(limit);
            shadow.apply(match random.below(40) {
                0 => Operation::Poll,
                1..20 => Operation::Free {
                    block: random.below(1 << 20),
                },
                _ => Operation::Allocate {
                    size,
                    align: 3,
                    zeroed: false,
                },
            });
        }
        shadow.finish();
    }
}

/// With several contexts, what each of them holds back is not in use: an edge is told once all of it is seen.
#[test]
fn a4_an_edge_is_told_once_with_several_contexts() {
    let mut heap = Loaded::<NoLock, ChosenCore, 4>::new(256 << 10);
    for percent in [90, 20, 90, 20, 90, 20] {
        for core in 0..4 {
            choose_core(core);
            let now = usize::from(heap.heap.load().percent());
            heap.percent(now + 1);
            heap.percent(now);
        }
        heap.percent(percent);
        assert_eq!(
            heap.heap.poll().callbacks,
            u32::from(percent == 90),
            "{}",
            heap.heap.load()
        );
        assert_eq!(heap.heap.poll().callbacks, 0);
    }
    assert_eq!(told().iter().map(|event| event.count).collect::<Vec<_>>(), [1, 2, 3]);
}

#[test]
fn a5_several_callbacks_and_typed_errors() {
    fn other(_: &LowMemory, data: &'static AtomicUsize) {
        data.fetch_add(100, Relaxed);
    }
    let heap = LocalHeap::new();
    let data = &COUNTS[1..];
    for counter in &data[..CALLBACKS] {
        heap.on_low_memory(count, counter).unwrap();
    }
    assert_eq!(heap.on_low_memory(count, &data[0]), Err(CallbackError::Duplicate));
    assert_eq!(
        heap.on_low_memory(other, &data[0]),
        Err(CallbackError::Full { capacity: CALLBACKS })
    );
    assert_eq!(heap.remove_low_memory(other, &data[0]), Err(CallbackError::Unknown));
    heap.post(Pressure::Moderate);
    assert_eq!(heap.poll().callbacks as usize, CALLBACKS);
    assert!(data[..CALLBACKS].iter().all(|counter| counter.load(Relaxed) == 1));
    heap.remove_low_memory(count, &data[1]).unwrap();
    heap.on_low_memory(other, &data[0]).unwrap();
    heap.post(Pressure::Moderate);
    assert_eq!(heap.poll().callbacks as usize, CALLBACKS);
    assert_eq!((data[0].load(Relaxed), data[1].load(Relaxed)), (102, 1));
}

/// Millions of random operations that come as close to the watermark as can be, and never reach it.
fn stay_below<C: CoreId, const CONTEXTS: usize>(operations: usize) {
    let mut heap = Loaded::<NoLock, C, CONTEXTS>::new(256 << 10);
    heap.heap.set_watermarks(watermarks(60, 40)).unwrap();
    let limit = (heap.heap.load().capacity * 60).div_ceil(100);
    let (mut random, mut used, mut blocks) = (Random::new(6), 0, Vec::new());
    for step in 0..operations {
        let size = 1 + random.below(200);
        let bytes = usize::next_multiple_of(size, 8);
        choose_core(random.below(CONTEXTS));
        // SAFETY: the layouts are not empty; each block is freed as it was allocated.
        unsafe {
            if used + bytes < limit && !random.one_in(4) {
                let layout = Layout::from_size_align(size, 1).unwrap();
                let block = heap.heap.alloc(layout);
                assert!(!block.is_null());
                blocks.push((block, layout));
                used += bytes;
            } else if !blocks.is_empty() {
                let (block, layout) = blocks.swap_remove(random.below(blocks.len()));
                heap.heap.dealloc(block, layout);
                used -= layout.size().next_multiple_of(8);
            }
        }
        if step % 50 == 0 {
            assert_eq!(heap.heap.poll().callbacks, 0, "at step {step}, {}", heap.heap.load());
        }
    }
    assert_eq!((heap.heap.stats().low_memory, heap.heap.load().used), (0, used));
    heap.blocks.clear();
}

#[test]
fn a6_silent_below_the_watermark() {
    stay_below::<terrace::SingleCore, 1>(scaled(3_000_000));
}

#[test]
fn a6_silent_below_the_watermark_with_several_contexts() {
    stay_below::<ChosenCore, 4>(scaled(1_000_000));
}

#[test]
fn a7_watermarks_in_percent_and_bytes_at_run_time() {
    let mut heap = Loaded::<NoLock>::new(64 << 10);
    let capacity = heap.heap.load().capacity;
    assert_eq!(heap.heap.watermarks(), Watermarks::DEFAULT);
    heap.percent(50);
    assert_eq!(heap.heap.poll().callbacks, 0);
    heap.heap.set_watermarks(watermarks(40, 30)).unwrap();
    assert_eq!(heap.heap.poll().callbacks, 1, "they hold at once");
    let in_bytes = Watermarks {
        high: Threshold::BytesFree(10_000),
        low: Threshold::BytesFree(20_000),
    };
    heap.heap.set_watermarks(in_bytes).unwrap();
    assert_eq!(heap.heap.watermarks(), in_bytes);
    heap.load(capacity - 10_000 - 32);
    assert_eq!(heap.heap.poll().callbacks, 0);
    heap.load(capacity - 10_000 + 31);
    assert_eq!(heap.heap.poll().callbacks, 1);
    let event = *told().last().unwrap();
    assert!(event.load.free() <= 10_000 && event.load.free() > 9_000);
    let stats = heap.heap.stats();
    assert_eq!((event.count, stats.low_memory), (2, 2));
    assert_eq!(event.load.used, stats.low_memory_used);

    for (bad, is_range) in [
        (watermarks(101, 50), true),
        (watermarks(50, 50), false),
        (watermarks(50, 60), false),
        (
            Watermarks {
                low: Threshold::BytesFree(capacity + 1),
                ..in_bytes
            },
            true,
        ),
    ] {
        let error = heap.heap.set_watermarks(bad).unwrap_err();
        assert_eq!(matches!(error, WatermarkError::OutOfRange { .. }), is_range, "{error}");
        assert_eq!(heap.heap.watermarks(), in_bytes, "an error changes nothing");
    }
}

/// New watermarks that the load has reached are told, even if the old ones were told before.
#[test]
fn a7_raised_watermarks_are_watched_from_the_start() {
    let mut heap = Loaded::<NoLock>::new(64 << 10);
    heap.percent(86);
    assert_eq!(heap.heap.poll().callbacks, 1);
    heap.heap.set_watermarks(watermarks(90, 80)).unwrap();
    assert_eq!(heap.heap.poll().callbacks, 0);
    heap.percent(91);
    assert_eq!(heap.heap.poll().callbacks, 1);
}

#[test]
fn b5_the_load_is_exact_in_bytes_and_percent() {
    let mut heap = Loaded::<NoLock>::new(64 << 10);
    assert_eq!((heap.heap.load().percent(), heap.heap.load().used), (0, 0));
    let mut random = Random::new(3);
    for _ in 0..1000 {
        let blocks = random.below(heap.heap.load().capacity / UNIT.size() * 9 / 10);
        heap.load(blocks * UNIT.size());
        let load = heap.heap.load();
        assert_eq!(
            (load.used, load.used + load.free()),
            (blocks * UNIT.size(), load.capacity)
        );
        assert_eq!(usize::from(load.percent()), load.used * 100 / load.capacity);
        assert_eq!(load, heap.heap.stats().load());
    }
}

#[test]
fn b6_d5_posts_are_told_at_the_next_poll_and_trim() {
    let mut heap = Loaded::<NoLock>::new(256 << 10);
    heap.percent(30);
    heap.percent(0);
    assert!(heap.heap.stats().idle > 0, "something to trim");
    heap.heap.set_sink(Some(record_event));
    events();
    heap.heap.post(Pressure::None);
    let polled = heap.heap.poll();
    assert_eq!(polled.callbacks, 0, "no pressure");
    assert!(events().contains(&Event::Posted(Pressure::None)));
    assert!(heap.heap.stats().idle > 0);
    for level in [Pressure::Moderate, Pressure::Critical, Pressure::Critical] {
        heap.heap.post(level);
        assert_eq!(heap.heap.poll().callbacks, 1);
        let event = told()[0];
        assert_eq!((event.level, event.cause), (level, Cause::Posted));
        assert_eq!(heap.heap.stats().idle, 0, "caches are given back under pressure");
    }
    heap.heap.post(Pressure::Critical);
    heap.heap.post(Pressure::Moderate);
    assert_eq!(heap.heap.poll().callbacks, 1, "the later one counts");
    assert_eq!(told()[0].level, Pressure::Moderate);
    assert!(Pressure::None < Pressure::Moderate && Pressure::Moderate < Pressure::Critical);
}

#[test]
fn b10_the_capacity_is_a_hard_limit_and_reaching_it_an_error() {
    let mut heap = Loaded::<NoLock>::new(64 << 10);
    let capacity = heap.heap.load().capacity;
    loop {
        // SAFETY: the layout is not empty.
        let block = unsafe { heap.heap.alloc(UNIT) };
        if block.is_null() {
            break;
        }
        heap.blocks.push(block);
    }
    let used = heap.heap.load().used;
    assert!(used <= capacity && used * 100 >= capacity * 97, "{}", heap.heap.stats());
    heap.load(0);
    assert_eq!((heap.heap.load().used, heap.heap.check()), (0, Ok(())));
}

#[test]
fn c21_events_tell_what_happened_since_the_last_poll() {
    let mut heap = Loaded::<NoLock>::new(64 << 10);
    let capacity = heap.heap.load().capacity;
    heap.heap.set_sink(Some(record_event));
    events();
    let _ = heap.heap.poll();
    assert_eq!(events(), [Event::Claimed { capacity }]);

    heap.fail(100_000);
    heap.fail(200_000);
    heap.percent(90);
    heap.heap.post(Pressure::Moderate);
    let polled = heap.heap.poll();
    let low_memory = Event::LowMemory(told()[0]);
    let failed = Event::Failed {
        count: 2,
        bytes: 200_000,
    };
    assert_eq!(events(), [Event::Posted(Pressure::Moderate), low_memory, failed]);
    assert_eq!((polled.callbacks, polled.events), (1, 3));

    heap.percent(10);
    let _ = heap.heap.poll();
    assert!(matches!(events()[..], [Event::Recovered(load)] if load == heap.heap.load()));
    let _ = heap.heap.poll();
    assert_eq!(events(), [], "nothing is told twice");
    heap.heap.set_sink(None);
    heap.fail(100_000);
    assert_eq!(heap.heap.poll().events, 2, "dropped, not kept");
    assert_eq!(events(), []);
}
