//! Text that grows at its end.

use core::cell::Cell;
use core::fmt;

use super::super::brand::{Brand, Main};
use super::super::cx::Cx;
use super::super::error::{Full, OutOfMemory};
use super::super::handle::Root;
use super::super::trace::{Of, Rebind, Trace};
use super::buffer::{Buffer, Growth, reserve_collecting};
use crate::gc::visit::Visitor;

/// UTF-8 text that grows at its end, in an object or as one. 8 bytes, and a buffer of the arena's once there is text.
///
/// [`GcString::as_str`] lends the text for the rest of the window, whatever is done to the string meanwhile: what was written
/// in a window is never written again in it. So text that is added after some was taken away goes to a new buffer; at safe
/// points, a [`Root`] can clear a string and keep its buffer. All else is as for [`GcVec`](crate::GcVec).
///
/// # Examples
/// ```
/// # use terrace::*;
/// # static HEAP: CriticalSectionHeap = CriticalSectionHeap::new();
/// # terrace::init!(HEAP, 64 * 1024).unwrap();
/// # let mut arena = Arena::new(&HEAP).unwrap();
/// use std::fmt::Write;
///
/// arena.enter(|cx| {
///     let line = cx.new::<GcString>(|_| GcString::new())?;
///     line.push_str(cx, "sensor ")?;
///     let text = line.get(cx).get();
///     write!(text.writer(cx), "{}: {} mV", 3, 3300).unwrap();
///     let before = text.as_str(cx);
///     text.try_push_str(cx, ", low")?;
///     assert_eq!(before, "sensor 3: 3300 mV");
///     assert_eq!(text.as_str(cx), "sensor 3: 3300 mV, low");
///     line.clear(cx); // a safe point, so that the buffer can be used again
///     Ok::<(), OutOfMemory>(())
/// }).unwrap();
/// ```
pub struct GcString<'g, A = Main> {
    /// **Invariant `TEXT`**: the first `len` bytes are UTF-8, or there is no buffer. All bytes of the buffer up to its length may
    /// be lent.
    buffer: Buffer<'g, u8, A>,
    len: Cell<u32>,
}

impl<A> GcString<'_, A> {
    /// A string without text, and without a buffer.
    pub const fn new() -> Self {
        GcString {
            buffer: Buffer::none(),
            len: Cell::new(0),
        }
    }
}

impl<'g, A: Brand> GcString<'g, A> {
    /// Bytes of text.
    #[inline]
    pub fn len(&self, _: &'g Cx<A>) -> usize {
        self.len.get() as usize
    }

    /// Whether there is no text.
    #[inline]
    pub fn is_empty(&self, cx: &'g Cx<A>) -> bool {
        self.len(cx) == 0
    }

    /// Bytes of text that there is room for without growing.
    #[inline]
    pub fn capacity(&self, cx: &'g Cx<A>) -> usize {
        self.buffer.capacity(cx)
    }

    /// The text as it is now, as long as the window. O(1).
    #[inline]
    pub fn as_str(&self, cx: &'g Cx<A>) -> &'g str {
        let len = self.len(cx).min(self.buffer.len(cx));
        // SAFETY: TEXT: these bytes are UTF-8, and are not written again in the window, in which nothing moves.
        unsafe { str::from_utf8_unchecked(core::slice::from_raw_parts(self.buffer.elements(cx), len)) }
    }

    /// Adds text at the end, all or none. Amortised O(text).
    ///
    /// # Errors
    /// There is no room without a collection.
    pub fn try_push_str(&self, cx: &'g Cx<A>, text: &str) -> Result<(), Full<()>> {
        if text.is_empty() {
            return Ok(());
        }
        self.try_reserve(cx, text.len())?;
        // SAFETY: there is room, so there is a buffer, whose length is that of the text; nobody was lent what is behind it.
        unsafe { self.buffer.append(cx, text.as_bytes()) };
        self.len.set(self.buffer.len(cx) as u32);
        Ok(())
    }

    /// Adds a character at the end.
    ///
    /// # Errors
    /// There is no room without a collection; the character comes back.
    pub fn try_push(&self, cx: &'g Cx<A>, value: char) -> Result<(), Full<char>> {
        self.try_push_str(cx, value.encode_utf8(&mut [0; 4]))
            .map_err(|Full { requested, .. }| Full { value, requested })
    }

    /// Takes the last character away. O(1).
    pub fn pop(&self, cx: &'g Cx<A>) -> Option<char> {
        let last = self.as_str(cx).chars().next_back()?;
        self.len.set(self.len.get() - last.len_utf8() as u32);
        Some(last)
    }

    /// Keeps the first `len` bytes; tells whether there are so many, and no character is cut. O(1).
    pub fn truncate(&self, cx: &'g Cx<A>, len: usize) -> bool {
        let is_boundary = self.as_str(cx).is_char_boundary(len);
        if is_boundary {
            self.len.set(len as u32);
        }
        is_boundary
    }

    /// Removes all text, and gives the buffer up.
    pub fn clear(&self, _: &'g Cx<A>) {
        self.buffer.forget();
        self.len.set(0);
    }

    /// Makes room for so many further bytes.
    ///
    /// # Errors
    /// There is no room without a collection.
    pub fn try_reserve(&self, cx: &'g Cx<A>, additional: usize) -> Result<(), Full<()>> {
        self.reserve(cx, additional, Growth::Amortised)
    }

    /// Bytes that adding so much text takes, as [`GcVec::growth`](crate::GcVec::growth).
    pub fn growth(&self, cx: &'g Cx<A>, additional: usize) -> usize {
        self.growth_of(cx, additional, Growth::Amortised)
    }

    /// A writer for `write!`. What does not fit without a collection is an error, and what was written before that stays.
    pub fn writer<'a>(&'a self, cx: &'g Cx<A>) -> GcStringWriter<'a, 'g, A> {
        GcStringWriter { string: self, cx }
    }

    /// Whether the buffer holds the text and nothing behind it that may be lent.
    fn is_whole(&self, cx: &'g Cx<A>) -> bool {
        self.len(cx) == self.buffer.len(cx)
    }

    fn reserve(&self, cx: &'g Cx<A>, additional: usize, growth: Growth) -> Result<(), Full<()>> {
        let needed = self.len(cx).checked_add(additional);
        if self.is_whole(cx) {
            return self.buffer.reserve(cx, needed, growth);
        }
        let fresh = Buffer::none();
        fresh.reserve(cx, needed, growth)?;
        if needed != Some(0) {
            // SAFETY: there is room, so there is a buffer.
            unsafe { fresh.append(cx, self.as_str(cx).as_bytes()) };
        }
        self.buffer.replace(cx, fresh);
        Ok(())
    }

    fn growth_of(&self, cx: &'g Cx<A>, additional: usize, growth: Growth) -> usize {
        let needed = self.len(cx).checked_add(additional);
        if self.is_whole(cx) {
            return self.buffer.growth(cx, needed, growth);
        }
        Buffer::<u8, A>::none().growth(cx, needed, growth)
    }
}

impl<A> Default for GcString<'_, A> {
    fn default() -> Self {
        GcString::new()
    }
}

// SAFETY: its slot is that of the buffer.
unsafe impl<A> Trace for GcString<'_, A> {
    const LEAF: bool = false;

    #[inline(always)]
    fn trace(&self, visitor: &mut Visitor) {
        self.buffer.trace(visitor);
    }
}

// SAFETY: its slot is of that brand.
unsafe impl<A> Of<A> for GcString<'_, A> {}

// SAFETY: the same type, rebound.
unsafe impl<A: 'static> Rebind for GcString<'_, A> {
    type At<'g> = GcString<'g, A>;
}

/// Writes formatted text at the end of a [`GcString`].
pub struct GcStringWriter<'a, 'g, A: Brand = Main> {
    string: &'a GcString<'g, A>,
    cx: &'g Cx<A>,
}

impl<A: Brand> fmt::Write for GcStringWriter<'_, '_, A> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.string.try_push_str(self.cx, text).map_err(|_| fmt::Error)
    }
}

/// Strings at safe points.
impl<A: Brand> Root<GcString<'_, A>, A> {
    /// Makes room for so many further bytes, after a collection if one is due or there is none without.
    ///
    /// # Errors
    /// There is no room, even after a full collection.
    pub fn reserve(&self, cx: &mut Cx<A>, additional: usize) -> Result<(), OutOfMemory> {
        reserve_collecting(
            cx,
            |cx, how| self.get(cx).get().reserve(cx, additional, how).is_ok(),
            |cx, how| self.get(cx).get().growth_of(cx, additional, how),
        )
    }

    /// Adds text at the end, all or none.
    ///
    /// # Errors
    /// As for [`Root::reserve`].
    pub fn push_str(&self, cx: &mut Cx<A>, text: &str) -> Result<(), OutOfMemory> {
        self.reserve(cx, text.len())?;
        let result = self.get(cx).get().try_push_str(cx, text);
        result.map_err(OutOfMemory::from)
    }

    /// Removes all text, and keeps the buffer.
    pub fn clear(&self, cx: &mut Cx<A>) {
        let string = self.get(cx).get();
        // SAFETY: nothing is lent: the exclusive borrow of the token has ended all windows.
        unsafe { string.buffer.set_len(cx, 0) };
        string.len.set(0);
    }
}
