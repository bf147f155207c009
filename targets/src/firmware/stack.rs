//! Nothing stops a stack from growing into the statics, and into a heap that lies there. A pattern between the two tells.

/// What lies between the statics and the stack.
type Guard = [u32; 4];

const PATTERN: Guard = [0x5AFE_57AC; 4];

unsafe extern "C" {
    /// The lowest address of the stack, a symbol of the runtime's linker script.
    #[cfg_attr(target_arch = "arm", link_name = "_stack_end")]
    #[cfg_attr(target_arch = "riscv32", link_name = "__estack")]
    static mut LOWEST: Guard;
}

/// Lays the pattern. To be called early, from the bottom of the stack.
pub fn guard() {
    // SAFETY: the memory from this symbol up to the stack pointer belongs to the stack, which at the start of the program
    // is all but empty; so nothing else lives in these 16 bytes. The symbol is 4-byte aligned.
    unsafe { (&raw mut LOWEST).write_volatile(PATTERN) };
}

/// Whether the pattern is gone.
pub fn overflowed() -> bool {
    // SAFETY: as above; the bytes were initialised by `guard`, and any value is a valid one.
    unsafe { (&raw const LOWEST).read_volatile() != PATTERN }
}
