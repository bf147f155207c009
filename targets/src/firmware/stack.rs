//! Nothing stops a stack from growing into the statics, or into the stack of another core. A pattern at the end of each tells.

use core::ptr;

use super::CORES;

/// What lies below a stack.
type Guard = [u32; 4];

const PATTERN: Guard = [0x5AFE_57AC; 4];

unsafe extern "C" {
    /// The lowest address of the stacks, a symbol of the runtime's linker script.
    #[cfg_attr(target_arch = "arm", link_name = "_stack_end")]
    #[cfg_attr(any(target_arch = "riscv32", target_arch = "riscv64"), link_name = "__estack")]
    static LOWEST: u8;
    /// The end of the stacks, where that of core 0 starts; the others are below it, all of one size.
    #[link_name = "_stack_start"]
    static END: u8;
}

/// Where the stacks end, from that of core 0 on.
fn guards() -> impl Iterator<Item = *mut Guard> {
    let (lowest, end) = (&raw const LOWEST as usize, &raw const END as usize);
    let bytes = (end - lowest) / CORES;
    (1..=CORES).map(move |stacks| ptr::with_exposed_provenance_mut((end - stacks * bytes).next_multiple_of(16)))
}

/// Lays the patterns. To be called early, from the bottom of core 0's stack, while no other one is in use.
pub fn guard() {
    for guard in guards() {
        // SAFETY: this memory belongs to a stack, which at the start of the program is all but empty; so nothing else lives in
        // these 16 bytes. They are aligned to 16.
        unsafe { guard.write_volatile(PATTERN) };
    }
}

/// Whether one of the patterns is gone.
pub fn overflowed() -> bool {
    // SAFETY: as above; the bytes were initialised by `guard`, and any value is a valid one.
    guards().any(|guard| unsafe { guard.read_volatile() } != PATTERN)
}
