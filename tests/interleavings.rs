//! Orders of execution of several cores, tried at random, with a lock and atomics that switch at each use (rows A4, B6,
//! C22). Built only by
//!
//! ```sh
//! RUSTFLAGS="--cfg terrace_model" cargo test --test interleavings
//! ```
#![cfg(terrace_model)]

use std::alloc::{GlobalAlloc, Layout};
use std::cell::RefCell;
use std::ptr::NonNull;

use lock_api::RawMutex;
use shuttle::sync::Arc;
use shuttle::sync::atomic::{AtomicBool, Ordering};
use shuttle::{check_pct, check_random, thread};
#[cfg(feature = "spin")]
use terrace::FairSpin;
use terrace::{
    Cause, Contents, CoreId, Criticality, Growth, Heap, HostError, HostMemory, LowMemory, Pressure, Threshold,
    Watermarks,
};

const RUNS: usize = 2000;

/// A spin lock that the model sees.
struct ModelLock(AtomicBool);

// SAFETY: the flag is set by one at a time.
unsafe impl RawMutex for ModelLock {
    #[allow(
        clippy::declare_interior_mutable_const,
        reason = "lock_api's way to construct a lock"
    )]
    const INIT: ModelLock = ModelLock(AtomicBool::new(false));
    type GuardMarker = lock_api::GuardSend;

    fn lock(&self) {
        while !self.try_lock() {
            thread::yield_now();
        }
    }

    fn try_lock(&self) -> bool {
        !self.0.swap(true, Ordering::AcqRel)
    }

    unsafe fn unlock(&self) {
        assert!(self.0.swap(false, Ordering::AcqRel), "unlocked by who did not lock");
    }
}

/// Threads take turns with the contexts.
struct Threads;

impl CoreId for Threads {
    fn core_id() -> usize {
        usize::from(shuttle::current::me()) % 2
    }
}

type ModelHeap<const CONTEXTS: usize> = Heap<ModelLock, Threads, CONTEXTS>;

thread_local! {
    // All threads of the model are one thread of the system.
    static TOLD: RefCell<Vec<LowMemory>> = const { RefCell::new(Vec::new()) };
}

fn record(event: &LowMemory, _: &'static ()) {
    TOLD.with_borrow_mut(|told| told.push(*event));
}

/// A heap and its memory, for one run.
struct Subject<const CONTEXTS: usize> {
    heap: ModelHeap<CONTEXTS>,
    memory: Vec<u64>,
}

// SAFETY: the memory is the heap's, which may be used from everywhere.
unsafe impl<const CONTEXTS: usize> Sync for Subject<CONTEXTS> {}

impl<const CONTEXTS: usize> Subject<CONTEXTS> {
    fn new(bytes: usize) -> Arc<Self> {
        TOLD.take();
        let mut subject = Subject {
            heap: Heap::new(),
            memory: vec![0; bytes / 8],
        };
        // SAFETY: the memory lives as long as the heap and is not used otherwise.
        unsafe { subject.heap.claim_raw(subject.memory.as_mut_ptr().cast(), bytes) }.unwrap();
        subject.heap.on_low_memory(record, &()).unwrap();
        Arc::new(subject)
    }

    /// Allocates, writes, resizes, verifies, frees.
    fn work(&self, mark: u8) {
        for size in [8, 40, 300] {
            let layout = Layout::from_size_align(size, 8).unwrap();
            let larger = Layout::from_size_align(size * 2, 8).unwrap();
            // SAFETY: no layout is empty; each block is used, resized and freed as it was allocated.
            unsafe {
                let block = self.heap.alloc(layout);
                if block.is_null() {
                    continue;
                }
                block.write_bytes(mark, size);
                thread::yield_now();
                let grown = self.heap.realloc(block, layout, larger.size());
                let (block, layout) = if grown.is_null() {
                    (block, layout)
                } else {
                    (grown, larger)
                };
                assert!(
                    (0..size).all(|at| *block.add(at) == mark),
                    "another thread has the same block"
                );
                self.heap.dealloc(block, layout);
            }
        }
    }

    fn finish(&self) {
        self.heap.trim();
        self.heap.check().unwrap();
        let stats = self.heap.stats();
        assert_eq!((stats.used, stats.largest_free), (0, stats.capacity));
    }
}

fn several_threads<const CONTEXTS: usize>() {
    let subject = Subject::<CONTEXTS>::new(16 << 10);
    let workers: Vec<_> = (1..4u8)
        .map(|mark| {
            let subject = subject.clone();
            thread::spawn(move || subject.work(mark))
        })
        .collect();
    let looker = {
        let subject = subject.clone();
        thread::spawn(move || {
            subject.heap.check().unwrap();
            let _ = subject.heap.poll();
            subject.heap.trim();
            assert!(subject.heap.load().used <= subject.heap.stats().capacity);
        })
    };
    workers.into_iter().for_each(|worker| worker.join().unwrap());
    looker.join().unwrap();
    subject.finish();
}

#[test]
fn c22_several_cores_on_one_context() {
    check_random(several_threads::<1>, RUNS);
    check_pct(several_threads::<1>, RUNS, 3);
}

#[test]
fn c22_several_cores_on_contexts_of_their_own() {
    check_random(several_threads::<2>, RUNS);
    check_pct(several_threads::<2>, RUNS, 3);
}

/// One holder at a time, and each that asks becomes one, whatever the order of looks at the lock.
#[cfg(feature = "spin")]
#[test]
fn c22_several_cores_on_a_fair_lock() {
    fn run() {
        let shared = Arc::new((FairSpin::INIT, AtomicBool::new(false)));
        let turn = |shared: &(FairSpin, AtomicBool), patient: bool| {
            let (lock, held) = shared;
            if !patient && !lock.try_lock() {
                return;
            }
            if patient {
                lock.lock();
            }
            assert!(!held.swap(true, Ordering::Relaxed), "two hold the lock");
            thread::yield_now();
            held.store(false, Ordering::Relaxed);
            // SAFETY: locked above.
            unsafe { lock.unlock() };
        };
        let workers: Vec<_> = (0..3)
            .map(|number| {
                let shared = shared.clone();
                thread::spawn(move || (0..3).for_each(|time| turn(&shared, number != time)))
            })
            .collect();
        workers.into_iter().for_each(|worker| worker.join().unwrap());
        assert!(shared.0.try_lock(), "nobody holds it, nobody waits");
    }
    check_random(run, RUNS);
    check_pct(run, RUNS, 3);
}

/// The load stays below the watermark in every order: no alarm, whatever other cores hold back.
#[test]
fn a6_several_cores_below_the_watermark_raise_no_alarm() {
    check_random(
        || {
            let subject = Subject::<2>::new(64 << 10);
            let (high, low) = (Threshold::BytesFree(60_000), Threshold::BytesFree(62_000));
            subject.heap.set_watermarks(Watermarks { high, low }).unwrap();
            let workers: Vec<_> = (1..4u8)
                .map(|mark| {
                    let subject = subject.clone();
                    thread::spawn(move || subject.work(mark)) // 900 bytes at most at a time
                })
                .collect();
            workers.into_iter().for_each(|worker| worker.join().unwrap());
            assert_eq!((subject.heap.poll().callbacks, subject.heap.stats().low_memory), (0, 0));
            subject.finish();
        },
        RUNS,
    );
}

/// A post that ends before a poll begins is told by it or was told before; of posts that race, one of the last is told
/// last.
#[test]
fn b6_no_post_is_lost() {
    fn run() {
        let subject = Subject::<1>::new(1024);
        let posts = [
            [Pressure::Moderate, Pressure::Critical],
            [Pressure::Critical, Pressure::Moderate],
        ];
        let posters: Vec<_> = posts
            .into_iter()
            .map(|levels| {
                let subject = subject.clone();
                thread::spawn(move || levels.iter().for_each(|level| subject.heap.post(*level)))
            })
            .collect();
        let poller = {
            let subject = subject.clone();
            thread::spawn(move || (0..2).map(|_| subject.heap.poll().callbacks).sum::<u32>())
        };
        posters.into_iter().for_each(|poster| poster.join().unwrap());
        let before = poller.join().unwrap();
        let last = subject.heap.poll().callbacks;
        assert_eq!(subject.heap.poll().callbacks, 0, "each is told once");
        let told = TOLD.take();
        assert_eq!(told.len() as u32, before + last);
        assert!(!told.is_empty() && told.len() <= 4 && told.iter().all(|event| event.cause == Cause::Posted));
    }
    check_random(run, RUNS * 5);
    check_pct(run, RUNS * 5, 3);
}

/// One poster, as many polls in between as may be: the last thing told is the last post.
#[test]
fn b6_the_last_post_is_told_last() {
    check_random(
        || {
            let subject = Subject::<1>::new(1024);
            let poster = {
                let subject = subject.clone();
                thread::spawn(move || {
                    [Pressure::Critical, Pressure::Critical, Pressure::Moderate]
                        .iter()
                        .for_each(|level| subject.heap.post(*level));
                })
            };
            let polled: u32 = (0..3).map(|_| subject.heap.poll().callbacks).sum();
            poster.join().unwrap();
            let all = polled + subject.heap.poll().callbacks;
            let told = TOLD.take();
            assert_eq!(told.len() as u32, all);
            assert_eq!(told.last().unwrap().level, Pressure::Moderate);
        },
        RUNS * 5,
    );
}

/// A host that is called by one at a time, and finds what is not committed as it has left it.
struct ModelHost {
    memory: Vec<u64>,
    is_called: AtomicBool,
}

impl ModelHost {
    const STEP: usize = 2 << 10;
    const OFF: u64 = 0xB4B4_B4B4_B4B4_B4B4;

    fn new() -> &'static ModelHost {
        Box::leak(Box::new(ModelHost {
            memory: vec![ModelHost::OFF; 4 * ModelHost::STEP / 8],
            is_called: AtomicBool::new(false),
        }))
    }

    /// Does something that takes a while, and must not be done twice at once.
    fn call(&self, work: impl FnOnce()) {
        assert!(!self.is_called.swap(true, Ordering::SeqCst), "two calls at once");
        thread::yield_now();
        work();
        thread::yield_now();
        assert!(self.is_called.swap(false, Ordering::SeqCst));
    }
}

// SAFETY: the memory is there in any case, and reserved by one heap.
unsafe impl HostMemory for ModelHost {
    fn step(&self) -> usize {
        ModelHost::STEP
    }

    fn reserve(&self, _: usize, _: Criticality) -> Result<NonNull<u8>, HostError> {
        Ok(NonNull::new(self.memory.as_ptr().cast_mut().cast()).unwrap())
    }

    unsafe fn commit(&self, range: NonNull<[u8]>, _: Criticality) -> Result<Contents, HostError> {
        // SAFETY: the range is in the memory, and nobody's.
        let words = unsafe { std::slice::from_raw_parts_mut(range.cast::<u64>().as_ptr(), range.len() / 8) };
        self.call(|| {
            assert!(words.iter().all(|word| *word == ModelHost::OFF), "it was written to");
            words.fill(0x3C);
        });
        Ok(Contents::Undefined)
    }

    unsafe fn decommit(&self, range: NonNull<[u8]>) -> Result<(), HostError> {
        // SAFETY: as above.
        let words = unsafe { std::slice::from_raw_parts_mut(range.cast::<u64>().as_ptr(), range.len() / 8) };
        self.call(|| words.fill(ModelHost::OFF));
        Ok(())
    }

    unsafe fn release(&self, _: NonNull<[u8]>) -> Result<(), HostError> {
        Ok(())
    }

    fn pause(&self) -> bool {
        thread::yield_now();
        true
    }
}

/// Cores that ask the host for memory, and give it back, at once: each request is served, and nothing is lost.
#[test]
fn b1_several_cores_grow_and_shrink_at_once() {
    fn run<const CONTEXTS: usize>() {
        let heap = Arc::new(ModelHeap::<CONTEXTS>::new());
        heap.claim_from(ModelHost::new(), Growth::new(4 * ModelHost::STEP).with_slack(0))
            .unwrap();
        let first = heap.stats();
        let workers: Vec<_> = (1..3u8)
            .map(|mark| {
                let heap = heap.clone();
                thread::spawn(move || {
                    for _ in 0..2 {
                        let layout = Layout::from_size_align(1500, 8).unwrap();
                        // SAFETY: the layout is not empty; the block has so many bytes and is given back with it.
                        unsafe {
                            let block = heap.alloc(layout);
                            assert!(!block.is_null(), "there is enough for all");
                            block.write_bytes(mark, 1500);
                            thread::yield_now();
                            assert!((0..1500).all(|at| *block.add(at) == mark));
                            heap.dealloc(block, layout);
                        }
                    }
                })
            })
            .collect();
        let giver = {
            let heap = heap.clone();
            thread::spawn(move || {
                heap.trim();
                heap.check().unwrap();
                heap.trim();
            })
        };
        workers.into_iter().for_each(|worker| worker.join().unwrap());
        giver.join().unwrap();
        heap.trim();
        heap.check().unwrap();
        let stats = heap.stats();
        assert_eq!((stats.used, stats.failures), (first.used, 0));
        assert_eq!(stats.host.committed, first.host.committed, "all is given back");
    }
    check_random(run::<1>, RUNS);
    check_random(run::<2>, RUNS);
    check_pct(run::<2>, RUNS, 3);
}
