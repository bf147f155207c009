//! Memory of the operating system, and several threads that ask for it (rows B1, C8, C22, E3).
//!
//! What is not committed here cannot be accessed at all: whoever touches it ends the program.
#![cfg(target_os = "linux")]

#[path = "support/graph.rs"]
mod graph;
#[path = "support/step.rs"]
mod step;
mod support;

use std::alloc::{GlobalAlloc, Layout};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use step::Step;
use support::{Random, scaled};
use terrace::*;

static OS: OsMemory = OsMemory::with_step(1);

#[test]
fn b1_the_operating_system_does_all_that_a_host_can_do() {
    let host: &dyn HostMemory = &OS;
    let page = host.step();
    assert!(page.is_power_of_two() && page >= 4096, "a step of one byte is a page");
    assert_eq!(OsMemory::with_step(page + 1).step(), 2 * page);
    assert!(OsMemory::with_step(usize::MAX).step() > usize::MAX / 4);
    assert_eq!(OsMemory::default().step() % page, 0);
    // On 32 bits, half of the addresses may be had.
    let bytes = if usize::BITS == 64 {
        usize::MAX / 2
    } else {
        usize::MAX / 4 * 3
    };
    assert_eq!(
        host.reserve(bytes, Criticality::Task),
        Err(HostError::OutOfMemory { bytes })
    );
    assert!(matches!(
        host.reserve(0, Criticality::Task),
        Err(HostError::Failed { bytes: 0, code: 22 })
    ));

    let start = host.reserve(64 * page, Criticality::Task).unwrap();
    let part = |from: usize, to: usize| {
        // SAFETY: the reservation is longer.
        NonNull::slice_from_raw_parts(unsafe { start.add(from * page) }, (to - from) * page)
    };
    let info = |at: usize| {
        let info = host.query(start.addr().get() + at * page).unwrap();
        (info.state, info.protection)
    };
    assert_eq!(info(10), (MemoryState::Reserved, Protection::NoAccess));
    // SAFETY: the ranges are pages of the reservation, in the state that is asked for; nothing lives in them.
    unsafe {
        assert_eq!(host.commit(part(4, 8), Criticality::Task), Ok(Contents::Zeroed));
        let first = start.add(4 * page);
        assert_eq!(first.read(), 0);
        first.write_bytes(7, 4 * page);
        assert_eq!(info(4), (MemoryState::Committed, Protection::ReadWrite));
        let found = host.query(first.addr().get() + 5).unwrap();
        assert_eq!((found.start, found.bytes), (first.addr().get(), 4 * page));
        assert_eq!(info(8), (MemoryState::Reserved, Protection::NoAccess));

        assert_eq!(
            host.protect(part(4, 5), Protection::ReadOnly),
            Ok(Protection::ReadWrite)
        );
        assert_eq!((info(4).1, first.read()), (Protection::ReadOnly, 7));
        assert_eq!(host.protect(part(4, 5), Protection::NoAccess), Ok(Protection::ReadOnly));
        assert_eq!(
            host.protect(part(4, 5), Protection::ReadWrite),
            Ok(Protection::NoAccess)
        );
        assert_eq!(first.read(), 7);

        assert_eq!(host.decommit(part(4, 8)), Ok(()));
        assert_eq!(info(4), (MemoryState::Reserved, Protection::NoAccess));
        assert_eq!(host.commit(part(4, 8), Criticality::Task), Ok(Contents::Zeroed));
        assert_eq!(first.read(), 0, "it has come back as nothing");
        assert_eq!(host.release(part(0, 64)), Ok(()));
    }
    assert_eq!(host.query(0).unwrap().state, MemoryState::Free);
    assert_eq!((host.load(), host.pause()), (None, true));
}

/// A heap for good that has its memory page by page.
fn heap(bytes: usize) -> &'static LocalHeap {
    let heap = support::empty_heap_for_good();
    heap.claim_from(&OS, Growth::new(bytes)).unwrap();
    heap
}

#[test]
fn b1_gigabytes_are_reserved_and_a_little_is_committed() {
    let bytes = if usize::BITS == 64 { 8 << 30 } else { 256 << 20 };
    let heap = heap(bytes);
    let stats = heap.stats();
    assert_eq!(stats.host.reserved, bytes);
    // Bookkeeping for all of it, of which the part that is not needed yet is never touched.
    assert!(stats.host.committed < bytes / 16, "{stats:?}");
    let layout = Layout::from_size_align(bytes / 4, 8).unwrap();
    // SAFETY: the layout is not empty; the block has so many bytes.
    unsafe {
        let block = heap.alloc_zeroed(Layout::from_size_align(1 << 20, 8).unwrap());
        assert!((0..1 << 20).all(|at| *block.add(at) == 0));
        let large = heap.alloc(layout);
        assert!(!large.is_null());
        large.add(layout.size() - 1).write(1);
        assert!(heap.stats().host.committed > bytes / 4);
        heap.dealloc(large, layout);
    }
    heap.trim();
    assert!(heap.stats().host.committed < bytes / 16);
    if !cfg!(feature = "check") {
        heap.check().unwrap();
    }
}

#[test]
fn e3_random_graphs_and_native_blocks_live_on_committed_pages() {
    brand!(Here);
    let factor = if cfg!(feature = "check") { 25 } else { 1 };
    let (mut commits, mut decommits) = (0, 0);
    let (seeds, steps) = (scaled(12 * factor).min(12), scaled(3000 * factor).min(3000));
    for seed in 0..seeds as u64 {
        let heap = heap([64, 200, 1000][seed as usize % 3] << 10);
        let mut random = Random::new(seed);
        let script = (0..steps).map(|_| Step::decode((random.next() as u32).to_le_bytes()));
        println!("the seed is {seed}");
        graph::run::<Here>(heap, seed.is_multiple_of(2), script, 16);
        let _ = heap.map::<64>();
        commits += heap.stats().host.commits;
        decommits += heap.stats().host.decommits;
    }
    let least = seeds * steps / 360;
    assert!(commits.min(decommits) >= least, "{commits} and {decommits}");
}

static CORES: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static CORE: usize = CORES.fetch_add(1, Ordering::Relaxed);
}

/// One context for each thread, as far as there are some.
struct ThreadCore;

impl CoreId for ThreadCore {
    fn core_id() -> usize {
        CORE.try_with(|core| core % 3).unwrap_or(0)
    }
}

/// Fills and frees blocks; each keeps what is in it.
fn churn(heap: &Heap<Spin, ThreadCore, 3>, seed: u64, steps: usize) {
    let mut random = Random::new(seed);
    let mut blocks: Vec<(NonNull<u8>, Layout, u8)> = Vec::new();
    for step in 0..steps {
        let growing = step % 400 < 250;
        match step % 200 {
            0 => heap.trim(),
            100 => _ = heap.poll(),
            _ => {}
        }
        if growing || blocks.is_empty() {
            let layout = Layout::from_size_align(1 + random.size(20_000), 8).unwrap();
            let fill = random.next() as u8;
            // SAFETY: the layout is not empty, and the block has so many bytes.
            unsafe {
                let block = NonNull::new(heap.alloc(layout)).expect("there is enough for all");
                block.write_bytes(fill, layout.size());
                blocks.push((block, layout, fill));
            }
        }
        if !growing || blocks.len() > 60 {
            let (block, layout, fill) = blocks.swap_remove(random.below(blocks.len()));
            // SAFETY: the block has so many bytes, which were written, and is given back as it was had.
            unsafe {
                let bytes = std::slice::from_raw_parts(block.as_ptr(), layout.size());
                assert!(bytes.iter().all(|byte| *byte == fill), "a block keeps what is in it");
                heap.dealloc(block.as_ptr(), layout);
            }
        }
    }
    for (block, layout, _) in blocks {
        // SAFETY: as above.
        unsafe { heap.dealloc(block.as_ptr(), layout) };
    }
}

#[test]
fn c22_threads_that_grow_and_shrink_at_once_lose_and_double_nothing() {
    static HEAP: Heap<Spin, ThreadCore, 3> = Heap::new();
    HEAP.claim_from(&OS, Growth::new(64 << 20).with_slack(1)).unwrap();
    let own = HEAP.load().used;
    thread::scope(|scope| {
        for seed in 0..4 {
            scope.spawn(move || churn(&HEAP, seed, scaled(6000)));
        }
    });
    HEAP.trim();
    HEAP.check().unwrap();
    let stats = HEAP.stats();
    assert_eq!((stats.used, stats.failures, stats.idle), (own, 0, 0));
    assert!(stats.host.commits.min(stats.host.decommits) >= scaled(10), "{stats:?}");
    assert_eq!(stats.free, stats.largest_free, "in one piece");
}

/// A host whose second commit takes as long as it is told to.
struct Slow {
    waits: bool,
    commits: AtomicUsize,
    is_called: AtomicBool,
    may_end: AtomicBool,
    pauses: AtomicUsize,
}

impl Slow {
    const fn new(waits: bool) -> Slow {
        Slow {
            waits,
            commits: AtomicUsize::new(0),
            is_called: AtomicBool::new(false),
            may_end: AtomicBool::new(false),
            pauses: AtomicUsize::new(0),
        }
    }
}

// SAFETY: as for `OsMemory`, which does it all.
unsafe impl HostMemory for Slow {
    fn step(&self) -> usize {
        64 << 10
    }

    fn reserve(&self, bytes: usize, criticality: Criticality) -> Result<NonNull<u8>, HostError> {
        OS.reserve(bytes, criticality)
    }

    unsafe fn commit(&self, range: NonNull<[u8]>, criticality: Criticality) -> Result<Contents, HostError> {
        if self.commits.fetch_add(1, Ordering::SeqCst) == 1 {
            self.is_called.store(true, Ordering::SeqCst);
            while !self.may_end.load(Ordering::SeqCst) {
                thread::yield_now();
            }
        }
        // SAFETY: the caller's.
        unsafe { OS.commit(range, criticality) }
    }

    unsafe fn decommit(&self, range: NonNull<[u8]>) -> Result<(), HostError> {
        // SAFETY: the caller's.
        unsafe { OS.decommit(range) }
    }

    unsafe fn release(&self, range: NonNull<[u8]>) -> Result<(), HostError> {
        // SAFETY: the caller's.
        unsafe { OS.release(range) }
    }

    fn pause(&self) -> bool {
        if self.pauses.fetch_add(1, Ordering::SeqCst) == 100 {
            self.may_end.store(true, Ordering::SeqCst);
        }
        thread::yield_now();
        self.waits
    }
}

/// Two threads ask for more than there is: how many times the host was called to commit, what the second one got, and how often
/// it paused.
fn race(heap: &'static Heap<Spin>, host: &'static Slow) -> (usize, bool, usize) {
    let layout = Layout::from_size_align(64 << 10, 8).unwrap();
    heap.claim_from(host, Growth::new(1 << 20)).unwrap();
    thread::scope(|scope| {
        // SAFETY: the layout is not empty.
        let first = scope.spawn(move || !unsafe { heap.alloc(layout) }.is_null());
        while !host.is_called.load(Ordering::SeqCst) {
            thread::yield_now();
        }
        // Others go on meanwhile.
        // SAFETY: as above; the block is given back with its layout.
        unsafe {
            let word = Layout::new::<u64>();
            let block = heap.alloc(word);
            assert!(!block.is_null());
            heap.dealloc(block, word);
            heap.trim();
        }
        // SAFETY: as above.
        let second = !unsafe { heap.alloc(layout) }.is_null();
        host.may_end.store(true, Ordering::SeqCst);
        assert!(first.join().unwrap());
        heap.check().unwrap();
        (
            host.commits.load(Ordering::SeqCst),
            second,
            host.pauses.load(Ordering::SeqCst),
        )
    })
}

#[test]
fn b1_who_comes_second_waits_if_the_host_knows_how() {
    static HEAP: Heap<Spin> = Heap::new();
    static HOST: Slow = Slow::new(true);
    let (commits, second, pauses) = race(&HEAP, &HOST);
    assert!(second && pauses > 100, "{pauses}");
    assert_eq!(commits, 3, "the claim, the first one, the second one");
}

#[test]
fn b1_who_comes_second_goes_on_without_the_host_otherwise() {
    static HEAP: Heap<Spin> = Heap::new();
    static HOST: Slow = Slow::new(false);
    let (commits, second, pauses) = race(&HEAP, &HOST);
    assert_eq!((commits, second, pauses), (2, false, 1));
    assert_eq!(HEAP.stats().failures, 1);
}
