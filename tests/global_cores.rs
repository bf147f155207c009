//! `e5_threads_share_the_global_allocator`: a program whose global allocator is a heap
//! with four contexts (rows A3, A6, E1, E5, C22).

mod support;

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::thread;

use terrace::{CoreId, Heap, LowMemory, Pressure, Spin};

/// Threads take turns with the contexts; the number of a thread needs no memory.
struct Threads;

impl CoreId for Threads {
    fn core_id() -> usize {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        thread_local! {
            static NUMBER: Cell<usize> = const { Cell::new(usize::MAX) };
        }
        if NUMBER.get() == usize::MAX {
            NUMBER.set(NEXT.fetch_add(1, Relaxed) % 4);
        }
        NUMBER.get()
    }
}

#[global_allocator]
static HEAP: Heap<Spin, Threads, 4> = <Heap<Spin, Threads, 4>>::new();

/// Before `main`, like firmware does: the runtime allocates before it calls `main`.
extern "C" fn claim() {
    terrace::init!(HEAP, support::workload::REGION).expect("the first claim");
}

#[used]
// SAFETY: the section holds addresses of functions that the C library calls before `main`; this is one.
#[cfg_attr(not(target_vendor = "apple"), unsafe(link_section = ".init_array"))]
#[cfg_attr(target_vendor = "apple", unsafe(link_section = "__DATA,__mod_init_func"))]
static CLAIM: extern "C" fn() = claim;

static CALLS: AtomicUsize = AtomicUsize::new(0);

/// Uses the heap, which deadlocks if it is called inside of it.
fn on_low_memory(event: &LowMemory, calls: &'static AtomicUsize) {
    assert_eq!(event.level, Pressure::Moderate);
    assert!(format!("{event:?}").contains("Posted"));
    calls.fetch_add(1, Relaxed);
}

/// A program of its own, because the test harness allocates beside the test.
fn main() {
    HEAP.on_low_memory(on_low_memory, &CALLS).unwrap();
    let kept = std::hint::black_box(Box::new([0_u8; 100]));
    // What the runtime keeps for good it has by then.
    support::workload::run(4, 1000);
    HEAP.trim();
    let before = HEAP.load().used;
    assert!(before >= size_of_val(&*kept), "it is the global allocator");

    static DONE: AtomicBool = AtomicBool::new(false);
    let watcher = thread::spawn(|| {
        let mut polls = 0;
        while !DONE.load(Relaxed) {
            HEAP.post(Pressure::Moderate);
            let _ = HEAP.poll();
            HEAP.check().unwrap();
            assert!(HEAP.stats().used <= HEAP.load().capacity);
            polls += 1;
            thread::yield_now();
        }
        polls
    });
    support::workload::run(4, 500_000);
    DONE.store(true, Relaxed);
    let polls: usize = watcher.join().unwrap();

    assert!(CALLS.load(Relaxed) >= 1 && CALLS.load(Relaxed) <= polls);
    HEAP.trim();
    HEAP.check().unwrap();
    let stats = HEAP.stats();
    assert_eq!((stats.failures, stats.idle), (0, 0));
    assert_eq!(stats.used, before, "nothing leaks");
    assert!(stats.allocations > support::scaled(1_000_000), "{stats}");
}
