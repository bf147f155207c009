//! Does the board keep its promises? Timer, instruction counter, and the two against each other.

#![no_main]
#![cfg_attr(target_os = "none", no_std)]

use core::sync::atomic::{AtomicU32, Ordering};

use terrace_board::{every, idle, instructions, println, stop};

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

fn main() {
    const MICROS: u32 = 500;
    every(MICROS, tick);
    wait(1, true);
    let start = instructions();
    wait(100, true);
    let end = instructions();
    wait(10, false);
    stop();
    let ticks = TICKS.load(Ordering::Relaxed);
    let counted = start.zip(end).map(|(start, end)| end - start);
    println!(
        "{}: {ticks} ticks, {counted:?} instructions in 100 of them",
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
