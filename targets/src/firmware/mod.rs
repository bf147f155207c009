//! The board: from reset to exit status.

#[cfg_attr(target_arch = "arm", path = "arm.rs")]
#[cfg_attr(target_arch = "riscv32", path = "riscv.rs")]
mod core_specific;
mod fault;
mod panic;
mod stack;

pub use core_specific::{every, idle, stop};
pub use fault::expect_fault;
pub use panic::expect_panic;

include!(concat!(env!("OUT_DIR"), "/settings.rs"));

/// Runs the program. Called once, after the runtime has set up memory.
pub fn start(main: fn()) -> ! {
    stack::guard();
    core_specific::start();
    main();
    if let Some(message) = panic::expected() {
        semihosting::eprintln!("expected the panic {message:?}, which did not come");
        exit(1);
    }
    if let Some(addresses) = fault::expected() {
        semihosting::eprintln!("expected a fault in {addresses:#x?}, which did not come");
        exit(1);
    }
    exit(0)
}

/// Ends the program with this exit status. A stack that has overflowed makes it 103.
pub fn exit(status: u8) -> ! {
    if stack::overflowed() {
        semihosting::eprintln!("the stack has run into the data below it");
        semihosting::process::exit(103);
    }
    semihosting::process::exit(status.into())
}

/// Instructions executed since the start of the program, or `None` on a host.
///
/// Exact on RISC-V. On ARM the timer is read, which ticks 1.6 to 3.2 times per instruction: a difference of two readings
/// is right to one instruction. Taking a reading costs some dozens of them, hundreds in a debug build; on a core that
/// divides in software the number varies a little.
pub fn instructions() -> Option<u64> {
    Some(core_specific::instructions())
}
