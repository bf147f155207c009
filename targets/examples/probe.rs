//! Does the board keep its promises? Timer, instruction counter, and the two against each other; all cores.

#![no_main]
#![cfg_attr(target_os = "none", no_std)]

use core::sync::atomic::{AtomicU32, Ordering};

use terrace_board::{CORES, core_id, every, idle, instructions, on_all_cores, println, stop};

terrace_board::entry!(main);

static TICKS: AtomicU32 = AtomicU32::new(0);

/// The only writer of the count: no compare-and-swap is needed, which some boards do not have.
fn tick() {
    TICKS.store(TICKS.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
}

/// Waits for `count` ticks, awake if `busy`.
fn wait(count: u32, busy: bool) {
    let end = TICKS.load(Ordering::Relaxed) + count;
    while TICKS.load(Ordering::Relaxed) < end {
        if !busy {
            idle();
        }
    }
}

/// How often each core was called.
static CALLS: [AtomicU32; CORES] = [const { AtomicU32::new(0) }; CORES];

fn call(core: usize) {
    assert_eq!(core_id(), core);
    CALLS[core].store(CALLS[core].load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    // All are here at the same time, or this waits for ever.
    let target = CALLS[core].load(Ordering::Relaxed);
    while CALLS.iter().any(|calls| calls.load(Ordering::Relaxed) < target) {}
}

fn main() {
    const MICROS: u32 = 500;
    every(MICROS, tick);
    wait(1, true);
    let start = instructions();
    wait(100, true);
    let end = instructions();
    wait(10, false);
    let before = TICKS.load(Ordering::Relaxed);
    for round in 1..=100 {
        on_all_cores(call);
        assert!(CALLS.iter().all(|calls| calls.load(Ordering::Relaxed) == round));
    }
    // Whoever waits for the other cores is interrupted all the same.
    on_all_cores(|core| {
        let enough = TICKS.load(Ordering::Relaxed) + 10;
        while core != 0 && TICKS.load(Ordering::Relaxed) < enough {}
    });
    assert!(CORES == 1 || TICKS.load(Ordering::Relaxed) >= before + 10);
    stop();
    let ticks = TICKS.load(Ordering::Relaxed);
    let counted = start.zip(end).map(|(start, end)| end - start);
    println!(
        "{}: {ticks} ticks, {counted:?} instructions in 100 of them, {CORES} cores",
        terrace_board::NAME
    );
    assert!(ticks >= 111);

    if let Some(counted) = counted {
        let expected = u64::from(100 * MICROS) * 1000 / 128;
        assert!(
            counted.abs_diff(expected) < expected / 100,
            "{counted} instructions, not about {expected}"
        );
        let readings: [_; 2] = core::array::from_fn(|_| instructions().unwrap_or(0));
        let cost = readings[1] - readings[0];
        assert!((1..1000).contains(&cost), "a reading costs {cost} instructions");
    }
    terrace_board::expect_panic("the last act");
    panic!("the last act");
}
