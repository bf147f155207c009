//! What a program needs around it to run on one of terrace's boards under QEMU, and the same on a host, so that one
//! source is firmware and host program at once:
//!
//! ```no_run
//! #![no_main]
//! #![cfg_attr(target_os = "none", no_std)]
//!
//! terrace_board::entry!(main);
//!
//! fn main() {
//!     terrace_board::println!("hello from {}", terrace_board::NAME);
//! }
//! ```
//!
//! | | on a board | on a host |
//! |---|---|---|
//! | [`entry!`] | reset, `main`, exit status 0 | the same, from C's `main` |
//! | [`println!`] | semihosting, QEMU's standard output | `std` |
//! | panic | message on standard error, status 101 | the same |
//! | fault | message on standard error, status 102 | a signal |
//! | stack overflow | found at the end, status 103 | a signal |
//! | [`every`] | timer interrupt: SysTick, or the CLINT's `mtimer` | a thread |
//! | [`instructions`] | exact, see there; none where there are several cores | none |
//! | [`on_all_cores`] | the harts of `riscv64-virt-smp`, elsewhere core 0 | threads |
//! | `critical-section` | interrupts masked, one core at a time | a mutex |
//!
//! A board is a folder of `targets/`: `memory.x` is its memory, `board.conf` says how QEMU runs it. The environment
//! variable `TERRACE_BOARD` names the board where a target has several. The linker script `board.x`, written by the
//! build script, brings everything together: a program is linked with `-Tboard.x` and nothing else.
//!
//! Time on a board of one core counts instructions: one takes 128 ns of virtual time, as on a core of 8 MHz. A program
//! therefore does exactly the same in every run, interrupts included. Where there are several cores, they run at the same
//! time, each on a thread of the host, and time is the host's: no two runs are alike.

#![cfg_attr(target_os = "none", no_std)]

#[cfg(target_os = "none")]
mod firmware;
#[cfg(not(target_os = "none"))]
mod host;

#[cfg(target_os = "none")]
use firmware as platform;
#[cfg(not(target_os = "none"))]
use host as platform;

pub use platform::{CORES, NAME, REGION_BYTES, core_id, exit, expect_fault, expect_panic, idle, instructions};

#[cfg(all(target_os = "none", feature = "defmt"))]
use defmt_semihosting as _;

#[doc(hidden)]
pub mod private {
    pub use crate::platform::start;
    #[cfg(target_os = "none")]
    pub use semihosting;
}

/// Makes `$main`, a `fn()`, the program: it is the first thing that runs, and when it returns, the exit status is 0.
///
/// A host takes C's `main` for it, not Rust's: `std` allocates before that runs, and no heap has been claimed then.
#[macro_export]
macro_rules! entry {
    ($main:ident) => {
        #[unsafe(export_name = "main")]
        extern "C" fn __terrace_board_main() -> ! {
            $crate::private::start($main)
        }
    };
}

/// Writes a line to standard output.
#[cfg(not(target_os = "none"))]
pub use std::println;

/// Writes a line to standard output, by semihosting. May be called from an interrupt.
#[cfg(target_os = "none")]
#[macro_export]
macro_rules! println {
    ($($arguments:tt)*) => {
        $crate::private::semihosting::println!($($arguments)*)
    };
}

/// Runs `work` on all [`CORES`] at once, with the number of each; returns when all have finished. What was written before is
/// seen by them, and what they wrote is seen afterwards.
///
/// To be called by core 0, with interrupts on, neither from a handler nor in a critical section. Interrupts come on core 0
/// only.
///
/// # Panics
/// If another core calls it, or it is called in `work`. A panic on any core ends the program.
pub fn on_all_cores(work: fn(usize)) {
    platform::on_all_cores(work);
}

/// Runs `handler` in a timer interrupt every `micros` microseconds, from now on, instead of an earlier handler.
///
/// On a host a thread runs the handler in a critical section, so that masking interrupts holds it off there too.
///
/// # Panics
///
/// If `micros` is 0, or more than the timer of the board can count. All of them reach 600,000.
pub fn every(micros: u32, handler: fn()) {
    assert!(micros > 0, "a timer period of 0");
    platform::every(micros, handler);
}

/// Stops the timer. When this returns, no handler is running, unless the handler itself is the caller.
pub fn stop() {
    platform::stop();
}
