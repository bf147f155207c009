//! Filling memory, where code has to be small: the compiler's `memset` takes 0.8 KiB, in four variants.

const WORD: usize = size_of::<u32>();

/// Writes `byte` to `count` bytes.
///
/// # Safety
/// They are valid for writes.
#[inline(never)]
pub(crate) unsafe fn fill(mut to: *mut u8, count: usize, byte: u8) {
    let end = to.wrapping_add(count);
    while to < end {
        // SAFETY: the caller's; whole words are aligned and end before the end. Volatile, or the compiler makes a call of
        // `memset` of it.
        unsafe {
            if (to as usize).is_multiple_of(WORD) && end as usize - to as usize >= WORD {
                to.cast::<u32>().write_volatile(u32::from_ne_bytes([byte; WORD]));
                to = to.add(WORD);
            } else {
                to.write_volatile(byte);
                to = to.add(1);
            }
        }
    }
}
