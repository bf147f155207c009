//! A program whose global allocator is a heap: threads work with it while another one polls and verifies it.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::thread;

use lock_api::RawMutex;
use terrace::{CoreId, Heap, LowMemory, Pressure};

use super::{scaled, workload};

static CALLS: AtomicUsize = AtomicUsize::new(0);

/// Uses the heap, which deadlocks if it is called inside of it.
fn on_low_memory(event: &LowMemory, calls: &'static AtomicUsize) {
    assert_eq!(event.level, Pressure::Moderate);
    assert!(format!("{event:?}").contains("Posted"));
    calls.fetch_add(1, Relaxed);
}

/// Runs the program; `heap` is its global allocator. A program of its own, because the test harness allocates beside the test.
pub fn run<L: RawMutex + Sync, C: CoreId, const N: usize>(heap: &'static Heap<L, C, N>) {
    heap.on_low_memory(on_low_memory, &CALLS).unwrap();
    let kept = std::hint::black_box(Box::new([0_u8; 100]));
    // What the runtime keeps for good it has by then.
    workload::run(4, 1000);
    heap.trim();
    let before = heap.load().used;
    assert!(before >= size_of_val(&*kept), "it is the global allocator");

    static DONE: AtomicBool = AtomicBool::new(false);
    let watcher = thread::spawn(|| {
        let mut polls = 0;
        while !DONE.load(Relaxed) {
            heap.post(Pressure::Moderate);
            let _ = heap.poll();
            heap.check().unwrap();
            assert!(heap.stats().used <= heap.load().capacity);
            polls += 1;
            thread::yield_now();
        }
        polls
    });
    workload::run(4, 500_000);
    DONE.store(true, Relaxed);
    let polls: usize = watcher.join().unwrap();

    assert!(CALLS.load(Relaxed) >= 1 && CALLS.load(Relaxed) <= polls);
    heap.trim();
    heap.check().unwrap();
    let stats = heap.stats();
    assert_eq!((stats.failures, stats.idle), (0, 0));
    assert_eq!(stats.used, before, "nothing leaks");
    assert!(stats.allocations > scaled(1_000_000), "{stats}");
}

/// Gives a `static` heap its memory before `main`, like firmware does: the runtime allocates before it calls `main`.
#[macro_export]
macro_rules! claim_before_main {
    ($heap:path) => {
        extern "C" fn claim() {
            terrace::init!($heap, support::workload::REGION).expect("the first claim");
        }

        #[used]
        // SAFETY: the section holds addresses of functions that the C library calls before `main`; this is one.
        #[cfg_attr(not(target_vendor = "apple"), unsafe(link_section = ".init_array"))]
        #[cfg_attr(target_vendor = "apple", unsafe(link_section = "__DATA,__mod_init_func"))]
        static CLAIM: extern "C" fn() = claim;
    };
}
