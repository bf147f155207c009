//! Whether an interrupt is being handled: Cortex-M processors tell.

/// Whether an exception is being handled, interrupts among them.
#[inline]
pub(crate) fn is_handled() -> bool {
    let number: u32;
    // SAFETY: reads a register that tells the running exception, and has no effect.
    unsafe { core::arch::asm!("mrs {}, IPSR", out(reg) number, options(nomem, nostack, preserves_flags)) };
    number != 0
}
