//! A growing array in memory of the heap, for the collector's own lists.

use core::alloc::Layout;
use core::ptr;

use super::source::Source;
use crate::region::End;

/// A list of plain values.
///
/// **Invariant `LIST`**: `start` points at `capacity` values of memory that belongs to this table alone, of which the first
/// `len` are initialised; with a capacity of 0 it points nowhere.
pub(crate) struct Table<T: Copy> {
    start: *mut T,
    len: u32,
    capacity: u32,
}

impl<T: Copy> Table<T> {
    const FIRST: u32 = 16;

    pub(crate) const EMPTY: Table<T> = Table {
        start: ptr::null_mut(),
        len: 0,
        capacity: 0,
    };

    #[inline(always)]
    pub(crate) fn len(&self) -> usize {
        self.len as usize
    }

    /// Values that there is room for.
    pub(crate) fn capacity(&self) -> usize {
        self.capacity as usize
    }

    #[inline(always)]
    pub(crate) fn as_slice(&self) -> &[T] {
        if self.capacity == 0 {
            return &[];
        }
        // SAFETY: LIST: that many values are initialised, and ours.
        unsafe { core::slice::from_raw_parts(self.start, self.len as usize) }
    }

    #[inline(always)]
    pub(crate) fn as_mut_slice(&mut self) -> &mut [T] {
        if self.capacity == 0 {
            return &mut [];
        }
        // SAFETY: LIST: as above; the exclusive reference to the table makes this one exclusive.
        unsafe { core::slice::from_raw_parts_mut(self.start, self.len as usize) }
    }

    /// The value at `index`.
    ///
    /// # Safety
    /// `index` is below the length.
    #[inline(always)]
    pub(crate) unsafe fn at(&self, index: u32) -> &T {
        debug_assert!(index < self.len);
        // SAFETY: LIST: the value is initialised.
        unsafe { &*self.start.add(index as usize) }
    }

    /// As [`Table::at`], to change it.
    ///
    /// # Safety
    /// `index` is below the length.
    #[inline(always)]
    pub(crate) unsafe fn at_mut(&mut self, index: u32) -> &mut T {
        debug_assert!(index < self.len);
        // SAFETY: LIST: the value is initialised.
        unsafe { &mut *self.start.add(index as usize) }
    }

    /// Makes room for `len` values in all; tells whether there is. Amortised O(1) for each value.
    pub(crate) fn reserve(&mut self, len: usize, source: &dyn Source) -> bool {
        if len <= self.capacity as usize {
            return true;
        }
        self.grow(len, source)
    }

    #[cold]
    #[inline(never)]
    fn grow(&mut self, len: usize, source: &dyn Source) -> bool {
        let doubled = (self.capacity as usize * 2).max(Self::FIRST as usize);
        [doubled.max(len), len]
            .into_iter()
            .any(|capacity| u32::try_from(capacity).is_ok_and(|capacity| self.move_to(capacity, source)))
    }

    fn move_to(&mut self, capacity: u32, source: &dyn Source) -> bool {
        let Ok(layout) = Layout::array::<T>(capacity as usize) else {
            return false;
        };
        let start = source.take(layout).cast::<T>();
        if start.is_null() {
            return false;
        }
        self.replace(start, capacity, source);
        true
    }

    /// Moves the values to another block, of at least as many, and gives the old one back.
    fn replace(&mut self, start: *mut T, capacity: u32, source: &dyn Source) {
        if self.capacity != 0 {
            // SAFETY: LIST: `len` values are initialised, and the new block, which is apart, has room for them.
            unsafe { ptr::copy_nonoverlapping(self.start, start, self.len as usize) };
        }
        let len = self.len;
        self.free(source);
        (self.start, self.len, self.capacity) = (start, len, capacity);
    }

    /// Appends a value that [`Table::reserve`] has made room for.
    #[inline(always)]
    pub(crate) fn push(&mut self, value: T) {
        assert!(self.len < self.capacity, "room was reserved");
        // SAFETY: LIST: the place exists and is ours.
        unsafe { self.start.add(self.len as usize).write(value) };
        self.len += 1;
    }

    /// Puts a value at `index`, as [`Table::push`] does at the end.
    pub(crate) fn insert(&mut self, index: usize, value: T) {
        self.push(value);
        self.as_mut_slice()[index..].rotate_right(1);
    }

    /// Keeps the first `len` values.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len as u32);
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
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&mut T) -> bool) {
        let mut kept = 0;
        let values = self.as_mut_slice();
        for index in 0..values.len() {
            if keep(&mut values[index]) {
                values[kept] = values[index];
                kept += 1;
            }
        }
        self.truncate(kept);
    }

    /// Makes the table smaller if it is far larger than `len` values need, and moves it to the first place that has room for
    /// it: so that it does not part the memory that a full collection has freed. O(values + free blocks).
    pub(crate) fn settle(&mut self, len: usize, source: &dyn Source) {
        let wanted = len.max(self.len as usize).max(Self::FIRST as usize) as u32;
        if self.capacity == 0 {
            return;
        }
        let is_wasteful = self.capacity / 4 > wanted;
        let capacity = if is_wasteful { wanted * 2 } else { self.capacity };
        let Ok(layout) = Layout::array::<T>(capacity as usize) else {
            return;
        };
        let start = source.take_outermost(layout, End::First).cast::<T>();
        if start.is_null() {
            return;
        }
        if is_wasteful || start < self.start {
            self.replace(start, capacity, source);
        } else {
            // SAFETY: the block was taken just now, with this layout.
            unsafe { source.give(start.cast(), layout) };
        }
    }

    /// Bytes that the table takes.
    pub(crate) fn bytes(&self) -> usize {
        self.capacity as usize * size_of::<T>()
    }

    /// Empties the table and gives its memory back.
    pub(crate) fn free(&mut self, source: &dyn Source) {
        if self.capacity != 0 {
            let layout = Layout::array::<T>(self.capacity as usize).expect("it was taken with this layout");
            // SAFETY: LIST: the block is this table's alone, which forgets it.
            unsafe { source.give(self.start.cast(), layout) };
        }
        *self = Table::EMPTY;
    }
}
