//! The synthetic workloads, as traces.

use crate::{
    mix::{ALIGN, Mix},
    trace::{Op, Trace},
};
use terrace_measure::random::Random;

/// A named trace and the memory that the heap has for it.
pub struct Workload {
    pub name: String,
    pub trace: Trace,
    /// In bytes, in the setting with plenty of memory.
    pub roomy: usize,
}

impl Workload {
    pub fn new(name: impl Into<String>, trace: Trace) -> Workload {
        Workload {
            name: name.into(),
            trace,
            roomy: 64 << 20,
        }
    }

    /// The region in the setting where memory is short: twice the most bytes in use, at least 64 KiB.
    pub fn tight(&self) -> usize {
        (2 * self.trace.demand().peak).next_multiple_of(4096).max(64 << 10)
    }
}

const BATCH: u32 = 1000;

/// All synthetic workloads; `rounds` scales the number of operations (20 for the published tables).
pub fn all(rounds: usize) -> Vec<Workload> {
    let mut workloads = Vec::new();
    for size in [16, 64, 256] {
        workloads.push(Workload::new(
            format!("lifo{size}"),
            batches(size, rounds, |i| BATCH - 1 - i),
        ));
        workloads.push(Workload::new(format!("fifo{size}"), batches(size, rounds, |i| i)));
        workloads.push(Workload::new(format!("pair{size}"), pairs(size, rounds)));
    }
    for mix in [Mix::Small, Mix::Firmware, Mix::Uniform1K, Mix::Log] {
        let trace = steady(mix, BATCH, rounds * BATCH as usize, 1);
        workloads.push(Workload {
            roomy: if mix == Mix::Log { 128 << 20 } else { 64 << 20 },
            ..Workload::new(mix.name(), trace)
        });
    }
    workloads.push(Workload::new("vec4", vectors(rounds * 5)));
    workloads.push(Workload::new("string", strings(rounds * 20)));
    workloads
}

/// Blocks of one size, allocated in batches and freed in the order that `order` gives.
fn batches(size: u32, rounds: usize, order: impl Fn(u32) -> u32) -> Trace {
    let mut trace = Trace {
        slots: BATCH as usize,
        warm: 0,
        ops: Vec::new(),
    };
    for round in 0..=rounds {
        trace.ops.extend((0..BATCH).map(|slot| Op::Alloc {
            slot,
            size,
            align: ALIGN as u32,
        }));
        trace.ops.extend((0..BATCH).map(|i| Op::Free { slot: order(i) }));
        if round == 0 {
            trace.warm = trace.ops.len();
        }
    }
    trace
}

/// One block at a time.
fn pairs(size: u32, rounds: usize) -> Trace {
    let pair = [
        Op::Alloc {
            slot: 0,
            size,
            align: ALIGN as u32,
        },
        Op::Free { slot: 0 },
    ];
    Trace {
        slots: 1,
        warm: 2 * BATCH as usize,
        ops: pair.repeat(BATCH as usize * (rounds + 1)),
    }
}

/// `blocks` blocks in use; each measured step frees one at random and allocates another.
///
/// The warm-up makes as many replacements as it takes for every block to have been replaced about four times.
pub fn steady(mix: Mix, blocks: u32, replacements: usize, seed: u64) -> Trace {
    let mut random = Random::new(seed);
    let draw = |random: &mut Random, slot| Op::Alloc {
        slot,
        size: mix.draw(random) as u32,
        align: ALIGN as u32,
    };
    let mut ops: Vec<Op> = (0..blocks).map(|slot| draw(&mut random, slot)).collect();
    let warm = 4 * blocks as usize;
    for _ in 0..warm + replacements {
        let slot = random.below(blocks as usize) as u32;
        ops.push(Op::Free { slot });
        ops.push(draw(&mut random, slot));
    }
    Trace {
        slots: blocks as usize,
        warm: blocks as usize + 2 * warm,
        ops,
    }
}

/// Vectors of `u32` that grow to 1000 elements by `push`, while 16 others stay in use.
fn vectors(count: usize) -> Trace {
    grown(count, 16, 4, |_| 1000 * 4, 1 << 4)
}

/// Strings that grow by appends to 20 to 200 bytes, while 64 others stay in use.
fn strings(count: usize) -> Trace {
    grown(count, 64, 1, |random| random.between(20, 200), 8)
}

/// Buffers that start at `first` bytes and double until they hold what `len` says, as `Vec` and `String` do it.
fn grown(count: usize, held: u32, align: u32, len: impl Fn(&mut Random) -> usize, first: usize) -> Trace {
    let mut random = Random::new(2);
    let mut trace = Trace {
        slots: held as usize,
        ..Trace::default()
    };
    for n in 0..count + held as usize {
        let slot = (n % held as usize) as u32;
        if n == held as usize {
            trace.warm = trace.ops.len();
        }
        if n >= held as usize {
            trace.ops.push(Op::Free { slot });
        }
        let len = len(&mut random);
        let mut capacity = first;
        trace.ops.push(Op::Alloc {
            slot,
            size: capacity as u32,
            align,
        });
        while capacity < len {
            capacity *= 2;
            trace.ops.push(Op::Resize {
                slot,
                size: capacity as u32,
            });
        }
    }
    trace
}
