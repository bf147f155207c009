//! How much of a region can be used.

use crate::{
    allocators::{Placed, Visitor, for_each},
    blocks::Blocks,
    mix::Mix,
    options::Options,
    programs,
    replay::Replay,
    workload::Workload,
};
use terrace_measure::{
    random::Random,
    region::Region,
    table::{Table, bytes, grouped},
};

/// Random replacements that a load has to survive.
const REPLACEMENTS: usize = 20_000;
/// The heap counts as full when so many requests in a row were refused.
const REFUSALS: usize = 100;

/// What the regions are filled with: a mix and a region in bytes; and how many seeds make a mean that differences of one
/// percent stand out from, to fill and to sustain.
const COLUMNS: [(Mix, usize, [u64; 2]); 5] = [
    (Mix::Small, 64 << 10, [100, 24]),
    (Mix::Firmware, 64 << 10, [200, 48]),
    (Mix::Uniform1K, 64 << 10, [200, 48]),
    (Mix::Firmware, 1 << 20, [30, 12]),
    (Mix::Log, 128 << 20, [10, 5]),
];

/// Seeds that false failures are looked for with.
const FAILURE_SEEDS: u64 = 12;

const NOTES: &str = "\
Live bytes, as requested, in percent of the region given; every request has an alignment of 8. `fill`: allocate, with \
two random frees in every five steps, until the first refusal. `sustain`: the highest constant load that survives 20,000 \
random replacements. Means over the same seeds for all. `control`: bytes of the allocator's own static, outside of the \
region.";

pub fn run(options: &Options) {
    let columns = |name: &str| COLUMNS.map(|(mix, len, _)| format!("{name} {} {}", mix.name(), bytes(len)));
    let traces: Vec<Workload> = programs::traces()
        .into_iter()
        .filter(|workload| options.wants_workload(&workload.name))
        .collect();
    let smallest_notes = format!(
        "The smallest region, to 256 bytes, in which each trace runs without a refusal. Most bytes in use: {}.",
        traces
            .iter()
            .map(|t| format!("{} {}", t.name, grouped(t.trace.demand().peak)))
            .collect::<Vec<_>>()
            .join(", ")
    );
    let mut measure = Measure {
        part: if options.quick { 10 } else { 1 },
        density: Table::new(
            "Density",
            NOTES,
            columns("fill")
                .into_iter()
                .chain(columns("sustain"))
                .chain(["control".into()]),
        ),
        smallest: Table::new(
            "Smallest region",
            smallest_notes,
            traces.iter().map(|trace| trace.name.clone()),
        ),
        failures: Table::new(
            "False failures",
            format!(
                "A region of 64 KiB is filled as for `fill`, then without frees until {REFUSALS} requests in a row are \
                 refused. Then each block in turn is freed and the same layout is asked for again: refused / tried, \
                 sums over the same seeds for all."
            ),
            COLUMNS[..3].iter().map(|(mix, ..)| mix.name().into()),
        ),
        traces,
    };
    for_each(&options.allocators, &mut measure);
    println!("{}\n{}", measure.density, measure.failures);
    if !measure.traces.is_empty() {
        println!("{}", measure.smallest);
    }
}

struct Measure {
    /// The part of the seeds that is used.
    part: u64,
    traces: Vec<Workload>,
    density: Table,
    smallest: Table,
    failures: Table,
}

impl Visitor for Measure {
    fn visit<A: Placed>(&mut self) {
        if !A::FIXED {
            return;
        }
        eprintln!("density: {}", A::NAME);
        let percent = |share: f64| format!("{:.1}", 100.0 * share);
        let part = self.part;
        let fills =
            COLUMNS.map(|(mix, len, [seeds, _])| percent(mean(seeds.div_ceil(part), |seed| fill::<A>(mix, len, seed))));
        let loads = COLUMNS
            .map(|(mix, len, [_, seeds])| percent(mean(seeds.div_ceil(part), |seed| sustain::<A>(mix, len, seed))));
        self.density
            .row(A::NAME, fills.into_iter().chain(loads).chain([grouped(size_of::<A>())]));
        eprintln!("density: {}, traces", A::NAME);
        self.smallest.row(
            A::NAME,
            self.traces
                .iter()
                .map(|trace| smallest::<A>(trace).map_or("-".into(), grouped)),
        );
        self.failures.row(
            A::NAME,
            COLUMNS[..3].iter().map(|&(mix, len, _)| {
                let runs = (1..=FAILURE_SEEDS.div_ceil(part)).map(|seed| false_failures::<A>(mix, len, seed));
                let (refused, tried) = runs.fold((0, 0), |sum, run| (sum.0 + run.0, sum.1 + run.1));
                format!("{refused} / {}", grouped(tried))
            }),
        );
    }
}

fn mean(seeds: u64, measure: impl Fn(u64) -> f64) -> f64 {
    (1..=seeds).map(measure).sum::<f64>() / seeds as f64
}

/// A new heap; `None` if the region is too small.
fn open<A: Placed>(region: &Region) -> Option<Blocks<'_, A>> {
    // SAFETY: each measurement here uses one heap at a time, on the only thread.
    unsafe { Blocks::open(region) }
}

fn fill<A: Placed>(mix: Mix, len: usize, seed: u64) -> f64 {
    let region = Region::new(len);
    let Some(mut blocks) = open::<A>(&region) else {
        return 0.0;
    };
    let mut random = Random::new(seed);
    fill_up(&mut blocks, mix, &mut random);
    blocks.bytes() as f64 / len as f64
}

/// Allocates until the first refusal; two steps of five free a block instead.
fn fill_up<A: Placed>(blocks: &mut Blocks<'_, A>, mix: Mix, random: &mut Random) {
    loop {
        if random.below(5) < 2 && blocks.len() > 0 {
            blocks.free(random.below(blocks.len()));
        } else if !blocks.alloc(mix.draw(random)) {
            return;
        }
    }
}

/// The highest load that survives, by bisection to 1/256 of the region.
fn sustain<A: Placed>(mix: Mix, len: usize, seed: u64) -> f64 {
    let region = Region::new(len);
    let (mut good, mut bad) = (0, 256);
    while bad - good > 1 {
        let middle = (good + bad) / 2;
        if survives::<A>(&region, mix, len / 256 * middle, seed) {
            good = middle;
        } else {
            bad = middle;
        }
    }
    good as f64 / 256.0
}

fn survives<A: Placed>(region: &Region, mix: Mix, load: usize, seed: u64) -> bool {
    let Some(mut blocks) = open::<A>(region) else {
        return false;
    };
    let mut random = Random::new(seed);
    let mut size = mix.draw(&mut random);
    while blocks.bytes() + size <= load {
        if !blocks.alloc(size) {
            return false;
        }
        size = mix.draw(&mut random);
    }
    for _ in 0..REPLACEMENTS {
        while blocks.bytes() + size > load && blocks.len() > 0 {
            blocks.free(random.below(blocks.len()));
        }
        // Several small blocks may take the place of a large one.
        while blocks.bytes() + size <= load {
            if !blocks.alloc(size) {
                return false;
            }
            size = mix.draw(&mut random);
        }
    }
    true
}

/// The smallest region that `workload` fits in, to 256 bytes; `None` if four times its peak is not enough.
fn smallest<A: Placed>(workload: &Workload) -> Option<usize> {
    const UNIT: usize = 256;
    let peak = workload.trace.demand().peak;
    let (mut bad, mut good) = (peak / UNIT, (4 * peak).div_ceil(UNIT));
    let mut region = Region::new(good * UNIT);
    let mut fits = |units: usize| {
        region.shrink_to(units * UNIT);
        // SAFETY: one heap at a time, on the only thread; the region outlives the replay.
        unsafe { A::open(&region) && Replay::<A>::new(&workload.trace).fits() }
    };
    if !fits(good) {
        return None;
    }
    while good - bad > 1 {
        let middle = (good + bad) / 2;
        if fits(middle) {
            good = middle;
        } else {
            bad = middle;
        }
    }
    Some(good * UNIT)
}

/// Refused and tried.
fn false_failures<A: Placed>(mix: Mix, len: usize, seed: u64) -> (usize, usize) {
    let region = Region::new(len);
    let full = || {
        let mut blocks = open::<A>(&region).expect("64 KiB are enough for every allocator");
        let mut random = Random::new(seed);
        fill_up(&mut blocks, mix, &mut random);
        let mut refusals = 0;
        while refusals < REFUSALS {
            refusals = if blocks.alloc(mix.draw(&mut random)) {
                0
            } else {
                refusals + 1
            };
        }
        blocks
    };
    let mut blocks = full();
    let tried = blocks.len();
    let mut refused = 0;
    for _ in 0..tried {
        // The last block takes the place of the freed one, the new one comes last: each has its turn.
        let size = blocks.free(0);
        if !blocks.alloc(size) {
            refused += 1;
            blocks = full();
        }
    }
    (refused, tried)
}
