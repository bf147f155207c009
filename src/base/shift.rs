//! Moving memory down.

use core::mem::MaybeUninit;

use super::granule::GRANULE;

/// Up to so many granules are moved by a loop: that takes less time than the call of `memmove`.
const FEW: usize = 16;

/// Moves `count` granules from `from` to `to`, which lies lower or apart.
///
/// # Safety
/// Both are so many granules of memory that may be accessed, aligned to granules.
#[inline(always)]
pub(crate) unsafe fn shift(from: *const u8, to: *mut u8, count: usize) {
    // SAFETY: the caller's.
    unsafe {
        if count > FEW {
            core::ptr::copy(from, to, count * GRANULE);
        } else {
            shift_few(from, to, count);
        }
    }
}

/// # Safety
/// As for [`shift`].
#[inline(always)]
unsafe fn shift_few(from: *const u8, to: *mut u8, count: usize) {
    type Two = MaybeUninit<[u64; 2]>;
    let mut at = 0;
    // SAFETY: the caller's. What is written has been read before, as it lies lower than what is read next, or apart.
    unsafe {
        while at + 2 <= count {
            let two = from.add(at * GRANULE).cast::<Two>().read();
            to.add(at * GRANULE).cast::<Two>().write(two);
            at += 2;
        }
        if at < count {
            let one = from.add(at * GRANULE).cast::<MaybeUninit<u64>>().read();
            to.add(at * GRANULE).cast::<MaybeUninit<u64>>().write(one);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c13_granules_move_down_by_any_distance() {
        for count in 0..40 {
            for distance in 0..40 {
                let mut memory: std::vec::Vec<u64> = (0..100).collect();
                let place = memory.as_mut_ptr().cast::<u8>();
                // SAFETY: both places lie in the memory, the second one lower.
                unsafe { shift(place.add((distance + 1) * GRANULE), place.add(GRANULE), count) };
                for (index, value) in memory.iter().enumerate() {
                    let is_new = (1..=count).contains(&index);
                    assert_eq!(*value as usize, index + if is_new { distance } else { 0 });
                }
            }
        }
    }
}
