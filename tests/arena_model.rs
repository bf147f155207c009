//! Random programs on an arena, beside a model that knows every object, its contents and what refers to it.

#[path = "support/graph.rs"]
mod graph;
#[path = "support/step.rs"]
mod step;
mod support;

use step::Step;
use support::Random;
use terrace::brand;

/// `count`, scaled; but feature `check` makes steps only a few times slower, for most of them allocate nothing natively.
fn scaled(count: usize) -> usize {
    let factor = if cfg!(feature = "check") { 25 } else { 1 };
    support::scaled(count * factor).min(count)
}

/// Steps at random. A failing test names the seed.
fn script(seed: u64, steps: usize) -> impl Iterator<Item = Step> {
    let mut random = Random::new(seed);
    (0..steps).map(move |_| Step::decode((random.next() as u32).to_le_bytes()))
}

struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the seed is {}", self.0);
        }
    }
}

fn run<A: terrace::Brand>(seed: u64, bytes: usize, steps: usize) {
    let seed = Seed(seed);
    // SAFETY: `graph::run` verifies that the arena is gone.
    unsafe {
        support::with_heap(bytes, |heap| {
            graph::run::<A>(heap, seed.0.is_multiple_of(2), script(seed.0, steps), 16);
        });
    }
}

#[test]
fn c14_random_graphs_agree_with_the_model_in_small_regions() {
    brand!(Here);
    for seed in 0..scaled(60) as u64 {
        run::<Here>(seed, [16, 24, 48, 100][seed as usize % 4] << 10, scaled(3000));
    }
}

#[test]
fn c14_random_graphs_agree_with_the_model_in_large_regions() {
    brand!(Here);
    for seed in 0..scaled(10) as u64 {
        run::<Here>(seed, [1, 4][seed as usize % 2] << 20, scaled(20_000));
    }
}
