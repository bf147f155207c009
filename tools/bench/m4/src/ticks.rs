//! A clock that counts instructions.
//!
//! Under `qemu -icount shift=7` every instruction takes 128 ns of the board's time; SysTick counts down at 25 MHz, so that
//! five instructions are 16 ticks. Sums over many calls are exact to a small part of an instruction.

use cortex_m::peripheral::{Peripherals, SYST, syst::SystClkSource};

pub struct Ticks {
    /// What a measurement takes besides the function that is called.
    around: u64,
}

const RANGE: u32 = 0x00ff_ffff;

impl Ticks {
    pub fn start() -> Ticks {
        let mut peripherals = Peripherals::take().expect("taken once");
        peripherals.SYST.set_clock_source(SystClkSource::Core);
        peripherals.SYST.set_reload(RANGE);
        peripherals.SYST.clear_current();
        peripherals.SYST.enable_counter();
        let ticks = Ticks { around: 0 };
        // The phase of the clock against the instructions differs from call to call: take the mean.
        const TURNS: u64 = 3200;
        let sum: u64 = (0..TURNS).map(|_| ticks.count(nothing).1).sum();
        // `nothing` itself is one instruction: 3.2 ticks.
        Ticks {
            around: (sum - TURNS * 16 / 5) / TURNS,
        }
    }

    /// The result of `call` and the ticks it took.
    #[inline(always)]
    pub fn count<T>(&self, call: impl FnOnce() -> T) -> (T, u64) {
        let before = SYST::get_current();
        let result = call();
        let after = SYST::get_current();
        (
            result,
            u64::from(before.wrapping_sub(after) & RANGE).saturating_sub(self.around),
        )
    }
}

/// Called and returned from, like the functions that are counted.
#[inline(never)]
fn nothing() {
    // SAFETY: no instruction; it keeps the call from being left out.
    unsafe { core::arch::asm!("") };
}

pub fn instructions(ticks: u64) -> u64 {
    (ticks * 5 + 8) / 16
}
