//! Two threads against one.

use crate::{
    allocators::{Lock, Placed, Visitor, for_each},
    mix::Mix,
    options::Options,
    region::Region,
    replay::Replay,
    subject::Subject,
    table::Table,
    trace::Trace,
    workload,
};
use core::cell::Cell;
use std::{
    sync::Barrier,
    thread,
    time::{Duration, Instant},
};

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

// SAFETY: terrace's own `GlobalAlloc`.
unsafe impl Subject for terrace::Heap<Lock, Threads, 2> {
    const NAME: &'static str = "terrace, two contexts";
    const CONTEXTS: usize = 2;

    fn fresh() -> Self {
        terrace::Heap::new()
    }

    unsafe fn claim(&self, start: *mut u8, len: usize) -> bool {
        // SAFETY: the caller's promise.
        unsafe { self.claim_raw(start, len) }.is_ok()
    }
}

pub fn run(options: &Options) {
    let runs = if options.quick { 3 } else { 9 };
    let replacements = if options.quick { 200_000 } else { 2_000_000 };
    let mut measure = Measure {
        traces: [1, 2].map(|seed| workload::steady(Mix::Firmware, BLOCKS, replacements, seed)),
        region: Region::new(64 << 20),
        runs,
        table: Table::new(
            "Two threads",
            format!(
                "Millions of allocations and frees per second, each thread with {BLOCKS} blocks of the mix `fw` of its own \
                 in one heap of 64 MiB, one at random replaced per step; medians of {runs} interleaved runs. On a machine \
                 that others use too these figures are rough. `ratio`: two threads together against one."
            ),
            ["one thread", "two threads", "ratio"].map(String::from),
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
        for _ in 0..self.runs {
            one.push(throughput::<A>(&self.region, &self.traces[..1]));
            two.push(throughput::<A>(&self.region, &self.traces));
        }
        let (one, two) = (median(one), median(two));
        self.table.row(
            A::NAME,
            [format!("{one:.1}"), format!("{two:.1}"), format!("{:.2}", two / one)],
        );
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Millions of operations per second of one thread per trace, by the thread that takes longest.
fn throughput<A: Placed>(region: &Region, traces: &[Trace]) -> f64 {
    // SAFETY: the threads of earlier runs have ended.
    assert!(unsafe { A::open(region) }, "64 MiB are enough");
    let start = Barrier::new(traces.len());
    let longest = thread::scope(|scope| {
        let threads: Vec<_> = traces
            .iter()
            .enumerate()
            .map(|(core, trace)| {
                let start = &start;
                scope.spawn(move || {
                    CORE.set(core);
                    let mut replay = Replay::<A>::new(trace);
                    // SAFETY: the heap is open, and a heap may be used by several threads; each block stays with
                    // the thread that got it.
                    unsafe { replay.warm_up() };
                    start.wait();
                    let begin = Instant::now();
                    // SAFETY: as above.
                    unsafe { replay.measure() };
                    let time = begin.elapsed();
                    start.wait();
                    // SAFETY: as above.
                    assert_eq!(unsafe { replay.finish() }, 0, "64 MiB are enough");
                    time
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("no panic"))
            .max()
            .unwrap_or(Duration::MAX)
    });
    (traces.len() * traces[0].measured()) as f64 / longest.as_secs_f64() / 1e6
}
