//! Filling memory.

/// Writes `byte` to `count` bytes.
///
/// # Safety
/// They are valid for writes.
#[inline(always)]
pub(crate) unsafe fn fill(to: *mut u8, count: usize, byte: u8) {
    // SAFETY: the caller's.
    unsafe { core::ptr::write_bytes(to, byte, count) };
}
