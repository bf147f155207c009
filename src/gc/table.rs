//! A growing array in memory of the heap, for the collector's own lists.

use core::alloc::Layout;
use core::marker::PhantomData;
use core::ptr::{self, NonNull};

use super::source::Source;
use crate::base::fill::fill;
use crate::base::granule::GRANULE;
use crate::region::End;

/// Values of the smallest table that is not empty.
const FIRST: u32 = 16;

/// A table without its type, so that what grows and shrinks it is there once.
pub(super) struct Raw {
    start: NonNull<u8>,
    len: u32,
    capacity: u32,
}

/// A list of plain values.
///
/// **Invariant `LIST`**: `start` points at `capacity` values of memory that belongs to this table alone, of which the first
/// `len` are initialised; with a capacity of 0 it points nowhere. Values are aligned to a granule at most.
#[repr(transparent)]
pub(crate) struct Table<T: Copy> {
    raw: Raw,
    values: PhantomData<T>,
}

impl Raw {
    pub(super) const EMPTY: Raw = Raw {
        start: NonNull::<u64>::dangling().cast(),
        len: 0,
        capacity: 0,
    };

    /// Makes an empty table of zeros.
    ///
    /// # Safety
    /// All bytes at `place` are 0.
    #[inline(always)]
    pub(super) unsafe fn complete(place: *mut Raw) {
        // SAFETY: the caller's: length and capacity are 0 already.
        unsafe { (&raw mut (*place).start).write(Raw::EMPTY.start) };
    }

    /// A block for `capacity` values of `width` bytes, if there is one.
    #[cfg_attr(terrace_small, inline(never))]
    fn take(capacity: u32, width: usize, source: &dyn Source) -> Option<NonNull<u8>> {
        let layout = Layout::from_size_align((capacity as usize).checked_mul(width)?, GRANULE).ok()?;
        NonNull::new(source.take(layout, Some(End::FIRST)))
    }

    /// Gives back a block that [`Raw::take`] has taken for so many values.
    ///
    /// # Safety
    /// Nobody uses it any more.
    unsafe fn give(block: NonNull<u8>, capacity: u32, width: usize, source: &dyn Source) {
        // SAFETY: it was taken with this layout; the rest is the caller's.
        unsafe {
            let layout = Layout::from_size_align_unchecked(capacity as usize * width, GRANULE);
            source.give(block.as_ptr(), layout);
        }
    }

    /// Makes room for `len` values of `width` bytes in all; tells whether there is.
    #[inline(always)]
    pub(super) fn reserve(&mut self, len: usize, width: usize, source: &dyn Source) -> bool {
        len <= self.capacity as usize || self.grow(len, width, source)
    }

    /// Appends values, all of whose bytes are 0, until there is no more room.
    ///
    /// # Safety
    /// There are such values of the table's type, which has `width` bytes.
    #[inline(never)]
    unsafe fn fill_up(&mut self, width: usize) {
        let (from, to) = (self.len as usize * width, self.capacity as usize * width);
        // SAFETY: LIST: the places are ours.
        unsafe { fill(self.start.as_ptr().wrapping_add(from), to - from, 0) };
        self.len = self.capacity;
    }

    /// Adds one value of `width` bytes, for which there is room; returns its place, which is to be written.
    #[cfg_attr(not(terrace_small), inline(always))]
    #[cfg_attr(terrace_small, inline(never))]
    fn lengthen(&mut self, width: usize) -> *mut u8 {
        assert!(self.len < self.capacity, "room was reserved");
        let place = self.start.as_ptr().wrapping_add(self.len as usize * width);
        self.len += 1;
        place
    }

    /// Makes room for `len` values of `width` bytes, or for twice as many as now if that is more.
    #[cold]
    #[inline(never)]
    fn grow(&mut self, len: usize, width: usize, source: &dyn Source) -> bool {
        let Ok(len) = u32::try_from(len) else { return false };
        let doubled = self.capacity.saturating_mul(2).max(FIRST).max(len);
        for capacity in [doubled, len] {
            if let Some(block) = Raw::take(capacity, width, source) {
                self.move_to(block, capacity, width, source);
                return true;
            }
        }
        false
    }

    /// Moves the values to another block, of as many as the capacity says, and gives the old one back.
    #[cfg_attr(terrace_small, inline(never))]
    fn move_to(&mut self, start: NonNull<u8>, capacity: u32, width: usize, source: &dyn Source) {
        let len = self.len;
        if self.capacity != 0 {
            // SAFETY: LIST: `len` values are initialised, and the new block, which is apart, has room for them.
            unsafe { ptr::copy_nonoverlapping(self.start.as_ptr(), start.as_ptr(), len as usize * width) };
        }
        self.free(width, source);
        *self = Raw { start, len, capacity };
    }

    #[inline(never)]
    pub(super) fn settle(&mut self, len: usize, width: usize, source: &dyn Source) {
        let wanted = len.max(self.len as usize).max(FIRST as usize) as u32;
        if self.capacity == 0 {
            return;
        }
        let is_wasteful = self.capacity / 4 > wanted;
        let capacity = if is_wasteful { wanted * 2 } else { self.capacity };
        let Some(start) = Raw::take(capacity, width, source) else {
            return;
        };
        if is_wasteful || start < self.start {
            self.move_to(start, capacity, width, source);
        } else {
            // SAFETY: the block was taken just now.
            unsafe { Raw::give(start, capacity, width, source) };
        }
    }

    #[inline(never)]
    pub(super) fn free(&mut self, width: usize, source: &dyn Source) {
        if self.capacity != 0 {
            // SAFETY: LIST: the block is this table's alone, which forgets it.
            unsafe { Raw::give(self.start, self.capacity, width, source) };
        }
        *self = Raw::EMPTY;
    }
}

impl<T: Copy> Table<T> {
    pub(super) const WIDTH: usize = {
        assert!(align_of::<T>() <= GRANULE, "blocks are aligned to a granule");
        size_of::<T>()
    };

    pub(crate) const EMPTY: Table<T> = Table {
        raw: Raw::EMPTY,
        values: PhantomData,
    };

    /// As [`Raw::complete`].
    ///
    /// # Safety
    /// All bytes at `place` are 0.
    #[inline(always)]
    pub(super) unsafe fn complete(place: *mut Table<T>) {
        // SAFETY: the caller's; a table is a raw one.
        unsafe { Raw::complete(place.cast()) };
    }

    #[inline(always)]
    fn start(&self) -> *mut T {
        self.raw.start.as_ptr().cast()
    }

    #[inline(always)]
    pub(crate) fn len(&self) -> usize {
        self.raw.len as usize
    }

    /// Values that there is room for.
    #[inline(always)]
    pub(crate) fn capacity(&self) -> usize {
        self.raw.capacity as usize
    }

    #[inline(always)]
    pub(crate) fn as_slice(&self) -> &[T] {
        // SAFETY: LIST: that many values are initialised, and ours.
        unsafe { core::slice::from_raw_parts(self.start(), self.len()) }
    }

    #[inline(always)]
    pub(crate) fn as_mut_slice(&mut self) -> &mut [T] {
        // SAFETY: LIST: as above; the exclusive reference to the table makes this one exclusive.
        unsafe { core::slice::from_raw_parts_mut(self.start(), self.len()) }
    }

    /// The value at `index`.
    ///
    /// # Safety
    /// `index` is below the length.
    #[inline(always)]
    pub(crate) unsafe fn at(&self, index: u32) -> &T {
        debug_assert!(index < self.raw.len);
        // SAFETY: LIST: the value is initialised.
        unsafe { &*self.start().add(index as usize) }
    }

    /// As [`Table::at`], to change it.
    ///
    /// # Safety
    /// `index` is below the length.
    #[inline(always)]
    pub(crate) unsafe fn at_mut(&mut self, index: u32) -> &mut T {
        debug_assert!(index < self.raw.len);
        // SAFETY: LIST: the value is initialised.
        unsafe { &mut *self.start().add(index as usize) }
    }

    /// Makes room for `len` values in all; tells whether there is. Amortised O(1) for each value.
    #[inline(always)]
    pub(crate) fn reserve(&mut self, len: usize, source: &dyn Source) -> bool {
        self.raw.reserve(len, Self::WIDTH, source)
    }

    /// Appends a value that [`Table::reserve`] has made room for.
    #[inline(always)]
    pub(crate) fn push(&mut self, value: T) {
        let place = self.raw.lengthen(Self::WIDTH).cast::<T>();
        // SAFETY: LIST: the place exists and is ours.
        unsafe { place.write(value) };
    }

    /// Appends values, all of whose bytes are 0, until there is no more room.
    ///
    /// # Safety
    /// There are such values.
    #[inline(always)]
    pub(crate) unsafe fn fill_up(&mut self) {
        // SAFETY: the caller's.
        unsafe { self.raw.fill_up(Self::WIDTH) };
    }

    /// Keeps the first `len` values.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.raw.len = self.raw.len.min(len as u32);
    }

    /// Removes the value at `index`; the last one takes its place.
    pub(crate) fn swap_remove(&mut self, index: usize) -> T {
        let last = self.len() - 1;
        let values = self.as_mut_slice();
        values.swap(index, last);
        let value = values[last];
        self.truncate(last);
        value
    }

    /// Keeps the values that `keep` accepts, in order.
    #[inline(always)]
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&mut T) -> bool) {
        let (mut kept, end) = (self.start(), self.start().wrapping_add(self.len()));
        let mut value = kept;
        while value < end {
            // SAFETY: LIST: the value is initialised, and ours. What is kept goes to where it was or further down.
            unsafe {
                if keep(&mut *value) {
                    if kept != value {
                        ptr::copy_nonoverlapping(value, kept, 1);
                    }
                    kept = kept.add(1);
                }
                value = value.add(1);
            }
        }
        // SAFETY: LIST: both are places in this table, and none of its values is empty.
        self.raw.len = unsafe { kept.offset_from_unsigned(self.start()) } as u32;
    }

    /// Makes the table smaller if it is far larger than `len` values need, and moves it if there is a lower place: so that
    /// it does not part the memory that a full collection has freed.
    pub(crate) fn settle(&mut self, len: usize, source: &dyn Source) {
        self.raw.settle(len, Self::WIDTH, source);
    }

    /// Bytes that the table takes.
    pub(crate) fn bytes(&self) -> usize {
        self.capacity() * Self::WIDTH
    }

    /// Empties the table and gives its memory back.
    pub(crate) fn free(&mut self, source: &dyn Source) {
        self.raw.free(Self::WIDTH, source);
    }
}
