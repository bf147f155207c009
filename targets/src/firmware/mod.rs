//! The board: from reset to exit status.

#[cfg_attr(target_arch = "arm", path = "arm.rs")]
#[cfg_attr(any(target_arch = "riscv32", target_arch = "riscv64"), path = "riscv.rs")]
mod core_specific;
#[cfg_attr(target_arch = "riscv64", path = "harts.rs")]
#[cfg_attr(not(target_arch = "riscv64"), path = "one_core.rs")]
mod cores;
mod fault;
mod panic;
#[cfg(target_arch = "riscv64")]
mod section;
mod stack;

pub use core_specific::{every, idle, instructions, stop};
pub use cores::{core_id, on_all_cores};
pub use fault::expect_fault;
pub use panic::expect_panic;

include!(concat!(env!("OUT_DIR"), "/settings.rs"));

/// Runs the program, on core 0. Called once on each core, after the runtime has set up memory.
pub fn start(main: fn()) -> ! {
    #[cfg(target_arch = "riscv64")]
    if core_id() != 0 {
        cores::serve();
    }
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
