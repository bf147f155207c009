//! Moving memory down, where code has to be small: the compiler's `memmove` takes 1.5 KiB.

use core::mem::MaybeUninit;

use super::granule::GRANULE;

type Word = MaybeUninit<u32>;

const WORD: usize = size_of::<Word>();

/// Moves `count` granules from `from` to `to`, which lies lower or apart.
///
/// # Safety
/// Both are so many granules of memory that may be accessed, aligned to granules.
#[inline(never)]
pub(crate) unsafe fn shift(from: *const u8, to: *mut u8, count: usize) {
    let (mut from, mut to) = (from.cast::<Word>(), to.cast::<Word>());
    // SAFETY: the caller's. What is written has been read before, as it lies lower than what is read next, or apart. Volatile, or
    // the compiler makes a call of `memmove` of it.
    unsafe {
        let end = from.add(count * (GRANULE / WORD));
        while from < end {
            let granule = [from.read_volatile(), from.add(1).read_volatile()];
            to.write_volatile(granule[0]);
            to.add(1).write_volatile(granule[1]);
            (from, to) = (from.add(2), to.add(2));
        }
    }
}
