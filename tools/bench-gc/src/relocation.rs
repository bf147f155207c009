//! Where objects move to, in two forms: a prefix sum for each brick, and a tree of plugs for each brick. What it takes to write
//! that down, and to look it up, in a heap of one's making.
//!
//! ```text
//!   heap -> plugs -> Form::note      the plan, in order of addresses
//!        -> objects -> Form::position      for references to each object that lives, in order and at random
//! ```

mod heap;
mod sums;
mod trees;

use std::ffi::CString;
use std::io;
use std::time::Duration;

use terrace_measure::callgrind;
use terrace_measure::random::Random;
use terrace_measure::table::Table;

use crate::clock::cpu_time;
use crate::options::Options;
use crate::rounds::{digits, median};
use heap::{Heap, Shape};
use sums::Sums;
use trees::Trees;

/// The command that counts instructions, for callgrind.
pub const COUNT: &str = "count-relocation";

/// Inside of these functions it does.
const COUNTED: &str = "terrace_bench_gc::relocation::measured*";

const BYTES: usize = 16 << 20;
/// Of the heap in which instructions are counted: there are as many per plug.
const BYTES_COUNTED: usize = 512 << 10;

/// Plugs, or references, that a figure is of at least.
const LEAST: usize = 100_000;

/// Bytes of a node of .NET's on 64 bits.
const NODE_OF_NET: usize = 24;

const OBJECTS: [usize; 4] = [16, 40, 64, 256];
const PERCENTS: [usize; 3] = [10, 50, 90];

/// A way to write down where plugs go.
trait Form {
    /// Bytes of a brick's entry.
    const ENTRY: usize;
    /// Bytes that are overwritten before each plug.
    const NODE: usize;

    fn new(granules: usize) -> Self;

    /// Notes that the plug `from..end` goes to `to`; it comes behind all that were noted.
    fn note(&mut self, memory: &mut [u64], from: u32, end: u32, to: u32);

    /// All plugs were noted.
    fn finish(&mut self);

    /// Where the object at `position`, which lives, goes to.
    fn position(&self, live: &[u64], memory: &[u64], position: u32) -> u32;
}

/// What is measured: a name, and what it is per unit.
const TASKS: [(&str, &str); 3] = [
    (
        "the plan",
        "For each plug: finding it, which is the same in both forms, and noting where it goes.",
    ),
    (
        "looked up in order",
        "For each object that lives, a reference, in the order of addresses.",
    ),
    ("looked up at random", "The same references in any order."),
];

/// Nanoseconds for each task.
type Times = [f64; TASKS.len()];

/// A form, and how it is measured.
struct Entrant {
    name: &'static str,
    brick: usize,
    entry: usize,
    node: usize,
    time: fn(&mut Heap, rounds: usize) -> Times,
    count: fn(&mut Heap, label: &str),
}

const fn entrant<F: Form>(name: &'static str, shift: u32) -> Entrant {
    Entrant {
        name,
        brick: heap::GRANULE << shift,
        entry: F::ENTRY,
        node: F::NODE,
        time: time::<F>,
        count: count::<F>,
    }
}

const ENTRANTS: [Entrant; 6] = [
    entrant::<Sums<6>>("sum, 512 B", 6),
    entrant::<Sums<8>>("2 KiB", 8),
    entrant::<Sums<9>>("4 KiB", 9),
    entrant::<Trees<6>>("tree, 512 B", 6),
    entrant::<Trees<8>>("2 KiB", 8),
    entrant::<Trees<9>>("4 KiB", 9),
];

pub fn run(options: &Options) -> io::Result<()> {
    eprintln!("relocation: instructions");
    let directory = std::env::temp_dir().join(format!("terrace-bench-gc-{}", std::process::id()));
    let (_, counts) = callgrind::run(&[COUNT], COUNTED, &directory)?;
    let mut counts = counts.into_iter().map(|(_, count)| count);
    let columns = ENTRANTS.map(|entrant| entrant.name.to_owned());
    let mut tables = TASKS.map(|(name, about)| {
        let title = format!("Where objects move to: {name}");
        Table::new(title, format!("{about} Nanoseconds / instructions."), columns.clone())
    });
    let mut gaps = Table::new(
        "Where objects move to: the gaps",
        "Plugs, and those of them in percent whose gap has no room for a node of one granule, or of three words.",
        ["plugs per MiB", "8 B", "24 B"].map(str::to_owned),
    );
    for shape in shapes() {
        eprintln!("relocation: {shape}");
        let small = Heap::new(BYTES_COUNTED, shape);
        let (plugs, _) = small.count_plugs(NODE_OF_NET);
        let mut heap = Heap::new(BYTES, shape);
        let mut cells = TASKS.map(|_| Vec::new());
        for entrant in &ENTRANTS {
            let times = (entrant.time)(&mut heap, options.rounds);
            for (task, time) in times.into_iter().enumerate() {
                let units = if task == 0 { plugs } else { small.objects.len() };
                let count = counts.next().ok_or_else(|| io::Error::other("a count is missing"))?;
                cells[task].push(format!("{} / {:.0}", digits(time), count as f64 / units as f64));
            }
        }
        for (table, cells) in tables.iter_mut().zip(cells) {
            table.row(shape.to_string(), cells);
        }
        let (all, cramped) = heap.count_plugs(NODE_OF_NET);
        let (_, tight) = heap.count_plugs(heap::GRANULE);
        let percent = |part: usize| format!("{:.0}", 100.0 * part as f64 / all as f64);
        let density = format!("{}", all / (BYTES >> 20));
        gaps.row(shape.to_string(), [density, percent(tight), percent(cramped)]);
    }
    for table in tables.iter().chain([&gaps, &memory()]) {
        println!("{table}");
    }
    Ok(())
}

/// What the forms take beside the mark bits.
fn memory() -> Table {
    let mut table = Table::new(
        "Where objects move to: memory",
        "Bytes of entries per MiB of the heap, beside the mark bits (16,384), which sums need until all is moved and trees in \
         the plan; bytes that are overwritten before each plug: where that is not 0, the heap cannot be walked.",
        ["entries", "overwritten"].map(str::to_owned),
    );
    for entrant in &ENTRANTS {
        let entries = (1 << 20) / entrant.brick * entrant.entry;
        let kind = if entrant.node == 0 { "sum" } else { "tree" };
        let name = format!("{kind}, bricks of {} B", entrant.brick);
        table.row(name, [entries.to_string(), entrant.node.to_string()]);
    }
    table
}

/// Runs each task once, for callgrind.
pub fn count_all() {
    for shape in shapes() {
        let mut heap = Heap::new(BYTES_COUNTED, shape);
        for entrant in &ENTRANTS {
            (entrant.count)(&mut heap, entrant.name);
        }
    }
}

fn shapes() -> impl Iterator<Item = Shape> {
    let kinds = OBJECTS
        .into_iter()
        .flat_map(|object| PERCENTS.map(|percent| (object, percent)));
    kinds.flat_map(|(object, percent)| {
        [false, true].map(|in_runs| Shape {
            object,
            percent,
            in_runs,
        })
    })
}

impl core::fmt::Display for Shape {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let order = if self.in_runs { "in runs" } else { "at random" };
        write!(f, "{} B, {} % alive {order}", self.object, self.percent)
    }
}

#[inline(never)]
fn measured_plan<F: Form>(form: &mut F, live: &[u64], memory: &mut [u64]) {
    let mut to = 1;
    Heap::plugs(live, |from, end| {
        form.note(memory, from, end, to);
        to += end - from;
    });
    form.finish();
}

#[inline(never)]
fn measured_lookups<F: Form>(form: &F, live: &[u64], memory: &[u64], references: &[u32]) -> u32 {
    let positions = references.iter().map(|position| form.position(live, memory, *position));
    positions.fold(0, u32::wrapping_add)
}

/// The references, in an order of their own.
fn shuffled(heap: &Heap) -> Vec<u32> {
    let mut references = heap.objects.clone();
    Random::new(1).shuffle(&mut references);
    references
}

/// Verifies that each object goes right behind the one before.
fn verify<F: Form>(form: &F, heap: &Heap) {
    let mut to = 1;
    Heap::plugs(&heap.live, |from, end| {
        let first = heap.objects.partition_point(|object| *object < from);
        for object in heap.objects[first..].iter().take_while(|object| **object < end) {
            let position = form.position(&heap.live, &heap.memory, *object);
            assert_eq!(position, to + (object - from), "of {object}");
        }
        to += end - from;
    });
}

fn count<F: Form>(heap: &mut Heap, label: &str) {
    let mut form = F::new(heap.memory.len());
    let end = |task: &str| {
        let name = CString::new(format!("{label} {task}")).expect("names are without zeros");
        callgrind::end_section(&name);
    };
    measured_plan(&mut form, &heap.live, &mut heap.memory);
    end(TASKS[0].0);
    for (task, references) in [(1, heap.objects.clone()), (2, shuffled(heap))] {
        core::hint::black_box(measured_lookups(&form, &heap.live, &heap.memory, &references));
        end(TASKS[task].0);
    }
}

fn time<F: Form>(heap: &mut Heap, rounds: usize) -> Times {
    let mut form = F::new(heap.memory.len());
    let (plugs, _) = heap.count_plugs(0);
    let plan = per_unit(plugs, rounds, || measured_plan(&mut form, &heap.live, &mut heap.memory));
    verify(&form, heap);
    let lookups = [heap.objects.clone(), shuffled(heap)].map(|references| {
        per_unit(references.len(), rounds, || {
            core::hint::black_box(measured_lookups(&form, &heap.live, &heap.memory, &references));
        })
    });
    [plan, lookups[0], lookups[1]]
}

/// Nanoseconds for each of `units` that `work` does, the median of some rounds.
fn per_unit(units: usize, rounds: usize, mut work: impl FnMut()) -> f64 {
    let repeats = LEAST.div_ceil(units);
    let times = (0..rounds).map(|_| {
        let before = cpu_time();
        (0..repeats).for_each(|_| work());
        (cpu_time() - before).max(Duration::from_nanos(1)).as_secs_f64() * 1e9 / (repeats * units) as f64
    });
    median(times.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c14_both_forms_lead_objects_right_behind_one_another() {
        for shape in shapes() {
            let mut heap = Heap::new(256 << 10, shape);
            for entrant in &ENTRANTS {
                (entrant.time)(&mut heap, 1);
            }
            let part = heap.objects.len() * shape.object * 100 / (256 << 10);
            assert!(part.abs_diff(shape.percent) < 15, "{shape}: {part} %");
        }
    }
}
