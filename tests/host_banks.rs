//! Banks of memory that go on and off beneath a heap and an arena (rows B1, E3).

#[path = "support/banks.rs"]
#[allow(dead_code, reason = "each program uses a part of it")]
mod banks;
#[path = "support/graph.rs"]
mod graph;
#[path = "support/step.rs"]
mod step;
mod support;

use banks::{Block, Region, banks, heap};
use step::Step;
use support::{Random, scaled};
use terrace::*;

const BANK: usize = 16 << 10;

#[test]
fn e3_banks_go_off_from_the_top_as_far_as_the_settings_say() {
    let region = Region::new(BANK);
    let growth = Growth::new(region.bytes()).with_initial(BANK + 1).with_slack(50);
    let heap = heap(&region, growth);
    assert_eq!(region.power().count(), 2, "as many as there are to be at first");
    let _low = Block::new(heap, 18 << 10, 1).unwrap();
    let high = Block::new(heap, 40 << 10, 2).unwrap();
    assert_eq!(region.power().count(), 4);
    drop(high);
    let _ = heap.poll();
    // 18 KiB are in use, 9 KiB and more stay free: two banks hold 32 KiB, less the bookkeeping.
    assert_eq!(region.power().count(), 2);
    region.verify();
    let mid = Block::new(heap, 10 << 10, 3).unwrap();
    let top = Block::new(heap, 20 << 10, 4).unwrap();
    assert_eq!(region.power().count(), 4);
    drop(mid);
    heap.trim();
    assert_eq!(region.power().count(), 4, "a block at the top keeps its bank");
    drop(top);
    heap.trim();
    assert_eq!(region.power().count(), 2, "the initial ones stay");

    let region = Region::new(BANK);
    let growth = Growth::new(region.bytes()).with_slack(255);
    let heap = self::heap(&region, growth);
    drop(Block::new(heap, 3 * BANK, 1));
    heap.trim();
    assert_eq!(region.power().count(), 4, "255 percent is all of it");
}

#[test]
fn e3_in_use_and_out_of_use_a_boundary_does_not_flap() {
    let (region, heap) = banks(BANK);
    let most: Vec<_> = (0..)
        .map_while(|number| (heap.stats().free > 1000).then(|| Block::new(heap, 64, number).unwrap()))
        .collect();
    let before = region.power().state();
    for _ in 0..100 {
        drop(Block::new(heap, 2 << 10, 2).unwrap());
        let _ = heap.poll();
    }
    let after = region.power().state();
    // The block does not fit beside the rest in the first bank, and with the second one off less than the slack would be free.
    assert!(heap.load().used / 8 > 1000 && most.len() > 100);
    assert_eq!((after.switched_on - before.switched_on, after.switched_off), (1, 0));
}

brand!(Falling);

#[test]
fn e3_after_the_load_falls_to_20_percent_one_full_collection_switches_three_of_four_banks_off() {
    let (region, heap) = banks(64 << 10);
    let mut arena = Arena::<Falling>::branded(heap).unwrap();
    arena.enter(|cx| {
        let table: Root<[Slot<[u8], Falling>], Falling> =
            cx.new_slice::<Slot<[u8], Falling>>(400, |_, _| Slot::null()).unwrap();
        let mut native = Vec::new();
        let mut made = 0;
        while heap.load().percent() < 85 {
            let object = cx.new_slice::<u8>(500, |_, at| (made + at) as u8).unwrap();
            table.get(cx)[made].set(cx, Some(object.get(cx)));
            native.push(Block::new(heap, 120, made as u8).unwrap());
            made += 1;
        }
        assert_eq!(region.power().count(), 4);
        assert!(made < 400);
        // What stays native is what was there first: that does not move.
        let mut left = made;
        // The bank that is left holds the bookkeeping for all of them, which is threefold under feature `check`.
        let percent = if cfg!(feature = "check") { 14 } else { 18 };
        while heap.load().used - cx.stats().held + left * 512 > heap.load().capacity * percent / 100 {
            native.truncate(native.len().saturating_sub(4).max(made / 20));
            left -= 1;
            table.get(cx)[left].set(cx, None);
            assert!(left > 20);
        }
        cx.collect(Generation::Old);
        heap.check().unwrap();
        let load = heap.load();
        assert!((13..=20).contains(&load.percent()), "{load}");
        assert_eq!(region.power().count(), 1, "{}", heap.stats());
        region.verify();
        for number in 0..left {
            let object = table.get(cx)[number].get(cx).unwrap();
            assert!(object.iter().enumerate().all(|(at, byte)| *byte == (number + at) as u8));
        }
    });
}

/// Steps at random. A failing test names the seed.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the seed is {}", self.0);
        }
    }
}

#[test]
fn b1_random_requests_keep_every_block_and_touch_no_bank_that_is_off() {
    for seed in 0..scaled(12) as u64 {
        let _named = Seed(seed);
        let region = Region::new(BANK);
        region.power().change(|state| state.zeroes = seed % 2 == 1);
        let growth = Growth::new(region.bytes() - 8 * (seed as usize % 3)).with_slack([0, 12, 60][seed as usize % 3]);
        let heap = heap(&region, growth);
        let own = heap.load().used;
        let mut random = Random::new(seed);
        let mut blocks: Vec<Block> = Vec::new();
        for step in 0..scaled(6000) {
            let growing = step % 1500 < 1000;
            match random.below(40) {
                0 => heap.trim(),
                1 => _ = heap.poll(),
                2 => {
                    let error = HostError::Denied { bytes: 1 };
                    region
                        .power()
                        .change(|state| state.refusal = random.one_in(3).then_some(error));
                }
                3 => {
                    let error = HostError::Failed { bytes: 1, code: 1 };
                    region
                        .power()
                        .change(|state| state.keeps_on = random.one_in(3).then_some(error));
                }
                4..24 if growing => {
                    let limit = [200, 3000, 30_000][random.below(3)];
                    let bytes = 1 + random.size(limit);
                    blocks.extend(Block::new(heap, bytes, step as u8));
                }
                _ if !blocks.is_empty() && (!growing || random.one_in(2)) => {
                    blocks.swap_remove(random.below(blocks.len()));
                }
                _ => {}
            }
            let used: usize = blocks.iter().map(|block| block.layout.size().next_multiple_of(8)).sum();
            assert_eq!(heap.load().used, used + own);
            if step % 8 == 0 {
                heap.check().unwrap();
                region.verify();
                let stats = heap.stats();
                assert_eq!(stats.used + stats.free + stats.uncommitted, stats.capacity);
                assert_eq!(
                    stats.host.committed.min(growth.reserve),
                    (region.power().count() * BANK).min(growth.reserve)
                );
            }
        }
        region.power().change(|state| state.keeps_on = None);
        drop(blocks);
        heap.trim();
        assert_eq!((region.power().count(), heap.load().used), (1, own));
        region.verify();
    }
}

#[test]
fn e3_random_graphs_and_native_blocks_agree_with_the_model_while_banks_come_and_go() {
    brand!(Here);
    let (mut commits, mut decommits) = (0, 0);
    let factor = if cfg!(feature = "check") { 25 } else { 1 };
    let (seeds, steps) = (scaled(24 * factor).min(24), scaled(3000 * factor).min(3000));
    for seed in 0..seeds as u64 {
        let _named = Seed(seed);
        let bank = [8, 16, 40][seed as usize % 3] << 10;
        let (region, heap) = banks(bank);
        region.power().change(|state| state.zeroes = seed % 2 == 1);
        let mut random = Random::new(seed);
        let mut count = 0;
        let script = (0..steps).map(|_| {
            count += 1;
            if count % 64 == 0 {
                region.verify();
            }
            Step::decode((random.next() as u32).to_le_bytes())
        });
        graph::run::<Here>(heap, seed.is_multiple_of(2), script, 16);
        let stats = heap.stats();
        commits += stats.host.commits;
        decommits += stats.host.decommits;
        heap.trim();
        assert_eq!(region.power().count(), 1, "all is given back in the end");
        region.verify();
    }
    let least = seeds * steps / 6500;
    assert!(
        commits > decommits / 2 && decommits >= least,
        "{commits} and {decommits}"
    );
}
