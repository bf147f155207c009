//! Elements in a row.

use core::cell::Cell;

use super::super::brand::{Brand, Main};
use super::super::cx::Cx;
use super::super::error::{Full, OutOfMemory};
use super::super::handle::Root;
use super::super::trace::{Leaf, Of, Rebind, Trace};
use super::buffer::{Buffer, Growth, reserve_collecting};
use super::element::Element;
use crate::gc::visit::Visitor;

/// A vector that grows, in an object or as one. 4 bytes, and a buffer of the arena's once there are elements.
///
/// Elements are copied in and out, see [`Element`]; all methods but those of its [`Root`] are for windows. Those that add
/// elements give them back if there is no room without a collection. The buffer becomes half as large again when it is full;
/// where it is young and was allocated last, it does so in place. Not for interrupts.
///
/// # Examples
/// ```
/// # use terrace::*;
/// # static HEAP: CriticalSectionHeap = CriticalSectionHeap::new();
/// # terrace::init!(HEAP, 64 * 1024).unwrap();
/// # let mut arena = Arena::new(&HEAP).unwrap();
/// /// What a small language computes with.
/// #[derive(Trace)]
/// #[trace(element)]
/// enum Value<'g> {
///     Number(i32),
///     Text(Slot<'g, str>),
/// }
///
/// #[derive(Trace)]
/// struct Machine<'g> {
///     stack: GcVec<'g, Value<'g>>,
/// }
///
/// arena.enter(|cx| {
///     let machine = cx.new::<Machine>(|_| Machine { stack: GcVec::new() })?;
///     let stack = &machine.get(cx).get().stack;
///     stack.try_push(cx, Value::Number(1))?;
///     stack.try_push(cx, Value::Text(Slot::new(cx, cx.try_str("two")?)))?;
///     cx.compact();
///     let stack = &machine.get(cx).get().stack;
///     let Some(Value::Text(text)) = stack.pop(cx) else { panic!() };
///     assert_eq!(text.get(cx).as_deref(), Some("two"));
///     assert!(matches!(stack.get(cx, 0), Some(Value::Number(1))));
///     Ok::<(), OutOfMemory>(())
/// }).unwrap();
/// ```
///
/// At a safe point, with the collections that it takes:
/// ```
/// # use terrace::*;
/// # static HEAP: CriticalSectionHeap = CriticalSectionHeap::new();
/// # terrace::init!(HEAP, 64 * 1024).unwrap();
/// # let mut arena = Arena::new(&HEAP).unwrap();
/// arena.enter(|cx| {
///     let lines = cx.new::<GcVec<Slot<str>>>(|_| GcVec::new())?;
///     for number in 0..100 {
///         let line = cx.new_str(&format!("line {number}"))?;
///         lines.push(cx, |g| Slot::new(g, line.get(g)))?;
///     }
///     let last = lines.get(cx).last(cx).unwrap();
///     assert_eq!(last.get(cx).as_deref(), Some("line 99"));
///     Ok::<(), OutOfMemory>(())
/// }).unwrap();
/// ```
pub struct GcVec<'g, T, A = Main> {
    buffer: Buffer<'g, T, A>,
}

impl<T, A> GcVec<'_, T, A> {
    /// A vector without elements, and without a buffer.
    pub const fn new() -> Self
    where
        T: Element,
    {
        GcVec { buffer: Buffer::none() }
    }
}

impl<'g, T: Element + Of<A>, A: Brand> GcVec<'g, T, A> {
    /// Elements in it.
    #[inline]
    pub fn len(&self, cx: &'g Cx<A>) -> usize {
        self.buffer.len(cx)
    }

    /// Whether there are none.
    #[inline]
    pub fn is_empty(&self, cx: &'g Cx<A>) -> bool {
        self.len(cx) == 0
    }

    /// Elements that there is room for without growing.
    #[inline]
    pub fn capacity(&self, cx: &'g Cx<A>) -> usize {
        self.buffer.capacity(cx)
    }

    /// The element at `index`, if there is one. O(1).
    #[inline]
    pub fn get(&self, cx: &'g Cx<A>, index: usize) -> Option<T> {
        self.buffer.get(cx, index)
    }

    /// The last element, if there is one. O(1).
    #[inline]
    pub fn last(&self, cx: &'g Cx<A>) -> Option<T> {
        self.get(cx, self.len(cx).checked_sub(1)?)
    }

    /// Replaces the element at `index`, and returns what was there; nothing, and does nothing, if there is no such element.
    /// O(1).
    #[inline]
    pub fn set(&self, cx: &'g Cx<A>, index: usize, value: T) -> Option<T> {
        let old = self.get(cx, index)?;
        // SAFETY: the index is below the length.
        unsafe { self.buffer.write(cx, index, value) };
        Some(old)
    }

    /// Swaps two elements; tells whether there are both. O(1).
    pub fn swap(&self, cx: &'g Cx<A>, first: usize, second: usize) -> bool {
        let Some((a, b)) = self.get(cx, first).zip(self.get(cx, second)) else {
            return false;
        };
        self.set(cx, first, b);
        self.set(cx, second, a);
        true
    }

    /// Adds an element at the end. Amortised O(1).
    ///
    /// # Errors
    /// There is no room without a collection; the element comes back.
    #[inline]
    pub fn try_push(&self, cx: &'g Cx<A>, value: T) -> Result<(), Full<T>> {
        let len = self.len(cx);
        if let Err(Full { requested, .. }) = self.buffer.reserve(cx, len.checked_add(1), Growth::Amortised) {
            return Err(Full { value, requested });
        }
        // SAFETY: there is room for it, and from then on one more element is a value.
        unsafe {
            self.buffer.write(cx, len, value);
            self.buffer.set_len(cx, len + 1);
        }
        Ok(())
    }

    /// Takes the last element out. O(1).
    #[inline]
    pub fn pop(&self, cx: &'g Cx<A>) -> Option<T> {
        let last = self.len(cx).checked_sub(1)?;
        let value = self.get(cx, last);
        self.truncate(cx, last);
        value
    }

    /// Keeps the first `len` elements. O(1); the buffer stays as large as it is.
    #[inline]
    pub fn truncate(&self, cx: &'g Cx<A>, len: usize) {
        if len < self.len(cx) {
            // SAFETY: they are values.
            unsafe { self.buffer.set_len(cx, len) };
        }
    }

    /// Removes all elements. O(1); the buffer stays as large as it is.
    pub fn clear(&self, cx: &'g Cx<A>) {
        self.truncate(cx, 0);
    }

    /// Takes the element at `index` out; the last one takes its place. O(1).
    pub fn swap_remove(&self, cx: &'g Cx<A>, index: usize) -> Option<T> {
        if index >= self.len(cx) {
            return None;
        }
        let last = self.pop(cx)?;
        if index == self.len(cx) {
            return Some(last);
        }
        self.set(cx, index, last)
    }

    /// Adds copies of elements at the end, all or none. O(elements).
    ///
    /// # Errors
    /// There is no room without a collection.
    pub fn try_extend_from_slice(&self, cx: &'g Cx<A>, values: &[T]) -> Result<(), Full<()>>
    where
        T: Copy,
    {
        self.try_reserve(cx, values.len())?;
        if !values.is_empty() {
            // SAFETY: there is room, so there is a buffer.
            unsafe { self.buffer.append(cx, values) };
        }
        Ok(())
    }

    /// Makes room for so many further elements.
    ///
    /// # Errors
    /// There is no room without a collection.
    pub fn try_reserve(&self, cx: &'g Cx<A>, additional: usize) -> Result<(), Full<()>> {
        let needed = self.len(cx).checked_add(additional);
        self.buffer.reserve(cx, needed, Growth::Amortised)
    }

    /// Makes it `len` elements long: takes elements off the end, or adds as many as `init` returns.
    ///
    /// # Errors
    /// There is no room without a collection; `init` was not called then.
    pub fn try_resize_with(&self, cx: &'g Cx<A>, len: usize, mut init: impl FnMut() -> T) -> Result<(), Full<()>> {
        self.truncate(cx, len);
        self.buffer.reserve(cx, Some(len), Growth::Exact)?;
        for index in self.len(cx)..len {
            let value = init();
            // `init` may have changed the vector.
            if self.len(cx) != index || index == self.capacity(cx) {
                break;
            }
            // SAFETY: there is room for it, and from then on one more element is a value.
            unsafe {
                self.buffer.write(cx, index, value);
                self.buffer.set_len(cx, index + 1);
            }
        }
        Ok(())
    }

    /// Bytes of a buffer of exactly this capacity; 0 if there is one.
    pub(super) fn growth_exact(&self, cx: &'g Cx<A>, capacity: usize) -> usize {
        self.buffer.growth(cx, Some(capacity), Growth::Exact)
    }

    /// Makes it the other vector.
    pub(super) fn replace(&self, cx: &'g Cx<A>, other: Self) {
        self.buffer.replace(cx, other.buffer);
    }

    /// Bytes that adding so many elements takes: when [`Cx::reserve`] has made room for them, and nothing else was allocated
    /// since, it cannot fail. 0 if there is room; `usize::MAX` if no object can be so large.
    pub fn growth(&self, cx: &'g Cx<A>, additional: usize) -> usize {
        let needed = self.len(cx).checked_add(additional);
        self.buffer.growth(cx, needed, Growth::Amortised)
    }

    /// The elements, in order. Elements that are added or replaced meanwhile are met as they are when their turn comes.
    pub fn iter<'a>(&'a self, cx: &'g Cx<A>) -> GcVecIter<'a, 'g, T, A> {
        GcVecIter {
            vec: self,
            cx,
            index: 0,
        }
    }

    /// Plain elements as cells, to read and change them where they are. What is added later is not among them, and after
    /// growing the vector's elements are elsewhere. O(1).
    pub fn as_cells(&self, cx: &'g Cx<A>) -> &'g [Cell<T>]
    where
        T: Copy + Leaf,
    {
        // SAFETY: BUFFER: they are values, and are read and written, here as elsewhere, as cells are; nothing moves in the
        // window, and a buffer that was given up stays as it is. There are no slots in them.
        unsafe { core::slice::from_raw_parts(self.buffer.elements(cx).cast(), self.len(cx)) }
    }
}

impl<T: Element, A> Default for GcVec<'_, T, A> {
    fn default() -> Self {
        GcVec::new()
    }
}

// SAFETY: its slot is that of the buffer, which is traced itself.
unsafe impl<T, A> Trace for GcVec<'_, T, A> {
    const LEAF: bool = false;

    #[inline(always)]
    fn trace(&self, visitor: &mut Visitor) {
        self.buffer.trace(visitor);
    }
}

// SAFETY: its slot is of that brand; what the elements are of is asked where they come in.
unsafe impl<T, A> Of<A> for GcVec<'_, T, A> {}

// SAFETY: the same type, rebound.
unsafe impl<T: Rebind, A: 'static> Rebind for GcVec<'_, T, A>
where
    for<'g> T::At<'g>: Sized,
{
    type At<'g> = GcVec<'g, T::At<'g>, A>;
}

/// The elements of a [`GcVec`].
pub struct GcVecIter<'a, 'g, T, A: Brand = Main> {
    vec: &'a GcVec<'g, T, A>,
    cx: &'g Cx<A>,
    index: usize,
}

impl<T: Element + Of<A>, A: Brand> Iterator for GcVecIter<'_, '_, T, A> {
    type Item = T;

    #[inline]
    fn next(&mut self) -> Option<T> {
        let value = self.vec.get(self.cx, self.index)?;
        self.index += 1;
        Some(value)
    }
}

/// Vectors at safe points.
impl<T: Rebind, A: Brand> Root<GcVec<'_, T, A>, A>
where
    for<'g> T::At<'g>: Element + Of<A> + Sized,
{
    /// Makes room for so many further elements, after a collection if one is due or there is none without.
    ///
    /// # Errors
    /// There is no room, even after a full collection.
    pub fn reserve(&self, cx: &mut Cx<A>, additional: usize) -> Result<(), OutOfMemory> {
        reserve_collecting(
            cx,
            |cx, how| {
                let vec = self.get(cx).get();
                let needed = vec.len(cx).checked_add(additional);
                vec.buffer.reserve(cx, needed, how).is_ok()
            },
            |cx, how| {
                let vec = self.get(cx).get();
                let needed = vec.len(cx).checked_add(additional);
                vec.buffer.growth(cx, needed, how)
            },
        )
    }

    /// Adds an element at the end. `init` makes it when there is room, in a window that begins behind that.
    ///
    /// # Errors
    /// As for [`Root::reserve`]; `init` did not run then, unless it has filled this vector itself.
    pub fn push(&self, cx: &mut Cx<A>, init: impl for<'g> FnOnce(&'g Cx<A>) -> T::At<'g>) -> Result<(), OutOfMemory> {
        self.reserve(cx, 1)?;
        let value = init(cx);
        self.get(cx).get().try_push(cx, value).map_err(OutOfMemory::from)
    }
}

/// Vectors of plain elements at safe points.
impl<T: Element + Leaf + Of<A> + for<'g> Rebind<At<'g> = T>, A: Brand> Root<GcVec<'_, T, A>, A> {
    /// Adds copies of elements at the end, all or none.
    ///
    /// # Errors
    /// As for [`Root::reserve`].
    pub fn extend_from_slice(&self, cx: &mut Cx<A>, values: &[T]) -> Result<(), OutOfMemory>
    where
        T: Copy,
    {
        self.reserve(cx, values.len())?;
        let result = self.get(cx).get().try_extend_from_slice(cx, values);
        result.map_err(OutOfMemory::from)
    }

    /// The elements, to be sorted, searched or filled: nobody else gets at them as long as the token is borrowed.
    pub fn as_mut_slice<'a>(&self, cx: &'a mut Cx<A>) -> &'a mut [T] {
        let (elements, len) = {
            let vec = self.get(cx).get();
            (vec.buffer.elements(cx), vec.len(cx))
        };
        // SAFETY: BUFFER: they are values. References into the arena borrow the token, so there are no others, and nothing
        // moves. There are no slots in them.
        unsafe { core::slice::from_raw_parts_mut(elements, len) }
    }
}
