//! Two threads against one.

use crate::{
    allocators::{Lock, Placed, Visitor, for_each},
    mix::Mix,
    options::Options,
    replay::Replay,
    subject::Subject,
    trace::Trace,
    workload,
};
use core::cell::Cell;
use std::{
    sync::Barrier,
    thread,
    time::{Duration, Instant},
};
use terrace_measure::{region::Region, table::Table};

/// Blocks in use per thread.
const BLOCKS: u32 = 1000;

thread_local! {
    static CORE: Cell<usize> = const { Cell::new(0) };
}

/// Each measuring thread counts as a core.
pub struct Threads;

impl terrace::CoreId for Threads {
    #[inline(always)]
    fn core_id() -> usize {
        CORE.get()
    }
}

macro_rules! two_contexts {
    ($lock:ty, $name:literal) => {
        // SAFETY: terrace's own `GlobalAlloc`.
        unsafe impl Subject for terrace::Heap<$lock, Threads, 2> {
            const NAME: &'static str = $name;
            const CONTEXTS: usize = 2;

            fn fresh() -> Self {
                terrace::Heap::new()
            }

            unsafe fn claim(&self, start: *mut u8, len: usize) -> bool {
                // SAFETY: the caller's promise.
                unsafe { self.claim_raw(start, len) }.is_ok()
            }
        }
    };
}

two_contexts!(Lock, "terrace, two contexts");
two_contexts!(terrace::FairSpin, "terrace, two contexts, fair lock");

pub fn run(options: &Options) {
    let runs = if options.quick { 3 } else { 9 };
    let replacements = if options.quick { 200_000 } else { 1_000_000 };
    let mut measure = Measure {
        traces: [1, 2].map(|seed| workload::steady(Mix::Firmware, BLOCKS, replacements, seed)),
        region: Region::new(64 << 20),
        runs,
        table: Table::new(
            "Two threads",
            format!(
                "Millions of allocations and frees per second, each thread with {BLOCKS} blocks of the mix `fw` of its own \
                 in one heap of 64 MiB, one at random replaced per step; medians of the {runs} of {} interleaved runs \
                 that were disturbed least by others on the machine. `ratio`: two threads together against one. \
                 `share`: the part of the time in which both threads ran, in the worst of these runs; below about 90 % \
                 the figures say little.",
                runs * TRIES
            ),
            ["one thread", "two threads", "ratio", "share"].map(String::from),
        ),
    };
    for_each(&options.allocators, &mut measure);
    println!("{}", measure.table);
}

struct Measure {
    traces: [Trace; 2],
    region: Region,
    runs: usize,
    table: Table,
}

impl Visitor for Measure {
    const CONTEXTS: bool = true;

    fn visit<A: Placed>(&mut self) {
        eprintln!("scaling: {}", A::NAME);
        let (mut one, mut two) = (Vec::new(), Vec::new());
        for _ in 0..self.runs * TRIES {
            one.push(Run::of::<A>(&self.region, &self.traces[..1]));
            two.push(Run::of::<A>(&self.region, &self.traces));
        }
        let (one, two) = (undisturbed(one, self.runs), undisturbed(two, self.runs));
        self.table.row(
            A::NAME,
            [
                format!("{:.1}", one.throughput),
                format!("{:.1}", two.throughput),
                format!("{:.2}", two.throughput / one.throughput),
                format!("{:.0} %", 100.0 * two.share),
            ],
        );
    }
}

/// Runs made for each one that counts.
const TRIES: usize = 4;

#[derive(Clone, Copy)]
struct Run {
    /// Millions of operations per second, by the thread that takes longest.
    throughput: f64,
    /// Of the time that the threads took, the part in which they ran: less than 1 if others used the processor.
    share: f64,
}

impl Run {
    /// One thread per trace, in a new heap.
    fn of<A: Placed>(region: &Region, traces: &[Trace]) -> Run {
        // SAFETY: the threads of earlier runs have ended.
        assert!(unsafe { A::open(region) }, "64 MiB are enough");
        let start = Barrier::new(traces.len());
        let times: Vec<(Duration, Duration)> = thread::scope(|scope| {
            let spawn = |(core, trace)| {
                let start = &start;
                scope.spawn(move || replay::<A>(core, trace, start))
            };
            let threads: Vec<_> = traces.iter().enumerate().map(spawn).collect();
            threads
                .into_iter()
                .map(|thread| thread.join().expect("no panic"))
                .collect()
        });
        let longest = times
            .iter()
            .map(|times| times.0)
            .max()
            .unwrap_or(Duration::MAX)
            .as_secs_f64();
        let running: Duration = times.iter().map(|times| times.1).sum();
        Run {
            throughput: (traces.len() * traces[0].measured()) as f64 / longest / 1e6,
            share: running.as_secs_f64() / (traces.len() as f64 * longest),
        }
    }
}

/// What one thread does. Returns the time it took, and its processor time.
fn replay<A: Placed>(core: usize, trace: &Trace, start: &Barrier) -> (Duration, Duration) {
    CORE.set(core);
    let mut replay = Replay::<A>::new(trace);
    // SAFETY: the heap is open, and a heap may be used by several threads; each block stays with the thread that got
    // it.
    unsafe { replay.warm_up() };
    start.wait();
    let (begin, begin_running) = (Instant::now(), processor_time());
    // SAFETY: as above.
    unsafe { replay.measure() };
    let times = (begin.elapsed(), processor_time() - begin_running);
    start.wait();
    // SAFETY: as above.
    assert_eq!(unsafe { replay.finish() }, 0, "64 MiB are enough");
    times
}

/// The median of the `count` runs that were disturbed least, with the lowest share among these.
fn undisturbed(mut runs: Vec<Run>, count: usize) -> Run {
    runs.sort_by(|a, b| b.share.total_cmp(&a.share));
    runs.truncate(count);
    let share = runs[runs.len() - 1].share;
    runs.sort_by(|a, b| a.throughput.total_cmp(&b.throughput));
    Run {
        share,
        ..runs[runs.len() / 2]
    }
}

/// Processor time of this thread.
fn processor_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is ours to be written.
    let result = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    assert_eq!(result, 0, "every thread has a clock");
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
