//! Whatever is done to a heap, in whatever order, it does what a shadow model expects (rows E1, E5; A4, A6 on the way).

mod support;

use proptest::collection::vec;
use proptest::prelude::*;
use support::shadow::{ChosenCore, LocalShadow};
use support::{Operation, Random, Shadow, scaled};
use terrace::NoLock;

fn size(region: usize) -> impl Strategy<Value = usize> {
    prop_oneof![
        8 => 1..130usize,
        3 => 1..=region / 8,
        1 => 1..=region + region / 4,
        1 => Just(isize::MAX as usize - 4096),
    ]
}

fn operation(region: usize) -> impl Strategy<Value = Operation> {
    let align = prop_oneof![4 => 0..4u8, 1 => 4..22u8];
    prop_oneof![
        12 => (size(region), align, any::<bool>())
            .prop_map(|(size, align, zeroed)| Operation::Allocate { size, align, zeroed }),
        8 => any::<u16>().prop_map(|block| Operation::Free { block: block.into() }),
        5 => (any::<u16>(), size(region)).prop_map(|(block, size)| Operation::Resize { block: block.into(), size }),
        1 => Just(Operation::Trim),
        1 => Just(Operation::Poll),
        1 => (0..3u8).prop_map(|level| Operation::Post { level }),
        1 => (0..=101u8, 0..=101u8, any::<bool>())
            .prop_map(|(high, low, bytes)| Operation::Watermarks { high, low, bytes }),
        1 => (0..10_000usize).prop_map(|bytes| Operation::Extend { bytes }),
        2 => (0..6u8).prop_map(|index| Operation::Core { index }),
    ]
}

fn script() -> impl Strategy<Value = (usize, bool, Vec<Operation>)> {
    let region = prop_oneof![512..2048usize, 2048..20_000usize, 20_000..200_000usize, Just(1 << 20)];
    (region, any::<bool>())
        .prop_flat_map(|(region, zeroed)| (Just(region), Just(zeroed), vec(operation(region), 1..300)))
}

fn config() -> ProptestConfig {
    ProptestConfig {
        cases: scaled(400) as u32,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn e5_any_script_keeps_every_block((region, zeroed, script) in script()) {
        let mut shadow = LocalShadow::new(region, zeroed);
        for operation in script {
            shadow.apply(operation);
            shadow.check();
        }
        shadow.finish();
    }

    #[test]
    fn c22_any_script_on_changing_cores_keeps_every_block((region, zeroed, script) in script()) {
        let mut shadow = Shadow::<NoLock, ChosenCore, 4>::new(region, zeroed);
        for operation in script {
            shadow.apply(operation);
            shadow.check();
        }
        shadow.finish();
    }
}

/// Many operations, in phases of growth and of decline, so that memory becomes plentiful and short again and again.
fn long_run<const CONTEXTS: usize>(seed: u64, region: usize) {
    let mut random = Random::new(seed);
    let mut shadow = Shadow::<NoLock, ChosenCore, CONTEXTS>::new(region, seed.is_multiple_of(2));
    for step in 0..scaled(20_000) {
        let growing = !step.is_multiple_of(3000) && step % 3000 < 2000;
        shadow.apply(Operation::random(&mut random, region, growing));
        if step.is_multiple_of(64) {
            shadow.check();
        }
    }
    shadow.finish();
}

fn long_runs<const CONTEXTS: usize>(seeds: std::ops::Range<u64>) {
    for seed in seeds {
        let region =
            [512, 1024, 4096, 16 << 10, 64 << 10, 256 << 10, 1 << 20][seed as usize % 7] + (seed as usize % 5) * 8;
        if let Err(panic) = std::panic::catch_unwind(|| long_run::<CONTEXTS>(seed, region)) {
            eprintln!("failed with seed {seed}, {region} bytes, {CONTEXTS} contexts");
            std::panic::resume_unwind(panic);
        }
    }
}

#[test]
fn e5_long_random_runs_keep_every_block() {
    long_runs::<1>(1..1 + scaled(140) as u64);
}

#[test]
fn c22_long_random_runs_on_changing_cores_keep_every_block() {
    long_runs::<4>(1000..1000 + scaled(70) as u64);
}
