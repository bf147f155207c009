//! The object in which the elements of a collection lie, and the reference to it. `gc/object.rs` draws it.
//!
//! A full buffer that is young and was allocated last becomes larger where it is; otherwise the elements are copied to a new
//! one, half as large again, and the old one is garbage, which stays as it was until the next collection.

use core::cell::Cell;
use core::marker::PhantomData;
use core::ptr::NonNull;

use super::super::brand::Brand;
use super::super::cx::Cx;
use super::super::error::{Full, OutOfMemory};
use super::super::gc::Gc;
use super::super::trace::{DescriptorOf, Trace};
use super::element::Element;
use crate::base::granule::GRANULE;
use crate::gc::Collector;
use crate::gc::card;
use crate::gc::object::{Descriptor, buffered_of, length_of, offset_of_buffered};
use crate::gc::visit::Visitor;

/// Bytes of elements in the smallest buffer.
const FIRST: usize = 16;

/// A slot that refers to a buffer of its own, or to none.
///
/// **Invariant `BUFFER`**: the position is 0 or that of a buffer of `T`, which no other slot that is used refers to; its
/// capacity is at least its length, and as many of its elements are values.
pub(super) struct Buffer<'g, T, A> {
    position: Cell<u32>,
    window: PhantomData<Cell<Gc<'g, [T], A>>>,
}

/// How much larger a buffer becomes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Growth {
    /// So that many small additions take time in proportion to their number.
    Amortised,
    /// By no more than what is needed.
    Exact,
}

/// What growing must know of the elements, so that there is one function for all types.
struct Shape {
    descriptor: &'static Descriptor,
    /// Bytes from a buffer's start to the elements, and of each.
    offset: usize,
    element: usize,
}

impl Shape {
    const fn of<T: Trace>() -> Shape {
        const { assert!(!core::mem::needs_drop::<T>(), "elements have no destructor") };
        Shape {
            descriptor: DescriptorOf::<T>::BUFFER,
            offset: offset_of_buffered::<T>(),
            element: size_of::<T>(),
        }
    }

    /// Bytes of a buffer of this capacity, a multiple of the granule; nothing if no object can be so large.
    fn bytes(&self, capacity: usize) -> Option<usize> {
        let bytes = capacity.checked_mul(self.element)?.checked_add(self.offset)?;
        (capacity <= u32::MAX as usize && bytes < 1 << 31).then(|| bytes.next_multiple_of(GRANULE))
    }

    /// Elements that a buffer of so many bytes has room for.
    fn capacity(&self, bytes: usize) -> usize {
        (bytes - self.offset)
            .checked_div(self.element)
            .unwrap_or(u32::MAX as usize)
    }

    /// Bytes of a buffer that has `capacity` and is to have `needed`; nothing if no object can be so large.
    fn grown(&self, capacity: usize, needed: usize, growth: Growth) -> Option<usize> {
        if growth == Growth::Exact {
            return self.bytes(needed);
        }
        let first = FIRST.checked_div(self.element).unwrap_or(0);
        let amortised = needed.max(first).max(capacity.saturating_add(capacity / 2));
        self.bytes(amortised).or_else(|| self.bytes(needed))
    }
}

impl<'g, T, A> Buffer<'g, T, A> {
    pub(super) const fn none() -> Buffer<'g, T, A> {
        Buffer {
            position: Cell::new(0),
            window: PhantomData,
        }
    }

    /// Shows the slot.
    #[inline(always)]
    pub(super) fn trace(&self, visitor: &mut Visitor) {
        visitor.edge(&self.position);
    }

    /// Gives the buffer up.
    pub(super) fn forget(&self) {
        self.position.set(0);
    }
}

impl<'g, T: Element, A: Brand> Buffer<'g, T, A> {
    const SHAPE: &'static Shape = &Shape::of::<T>();

    /// The buffer, if there is one.
    #[inline(always)]
    fn object(&self, cx: &'g Cx<A>) -> Option<*mut u8> {
        let position = self.position.get();
        // TRACED: a slot that can be used in the window was filled in it, or lies in an object and is up to date.
        (position != 0).then(|| cx.collector().space.at(position))
    }

    /// Elements in the buffer.
    #[inline(always)]
    pub(super) fn len(&self, cx: &'g Cx<A>) -> usize {
        // SAFETY: BUFFER: the length is there.
        self.object(cx)
            .map_or(0, |object| unsafe { *buffered_of(object) } as usize)
    }

    /// Elements that the buffer has room for.
    #[inline(always)]
    pub(super) fn capacity(&self, cx: &'g Cx<A>) -> usize {
        // SAFETY: BUFFER: the capacity is there.
        self.object(cx)
            .map_or(0, |object| unsafe { *length_of(object) } as usize)
    }

    /// Where the elements lie; dangling if there is no buffer.
    #[inline(always)]
    pub(super) fn elements(&self, cx: &'g Cx<A>) -> *mut T {
        let first = |object: *mut u8| object.wrapping_add(offset_of_buffered::<T>()).cast();
        self.object(cx).map_or(core::ptr::dangling_mut(), first)
    }

    /// The element at `index`, if there is one.
    #[inline(always)]
    pub(super) fn get(&self, cx: &'g Cx<A>, index: usize) -> Option<T> {
        // SAFETY: BUFFER: it is a value, and a copy of an element is a value.
        (index < self.len(cx)).then(|| unsafe { self.elements(cx).add(index).read() })
    }

    /// Writes an element, and takes note of its slots.
    ///
    /// # Safety
    /// `index` is below the capacity.
    #[inline(always)]
    pub(super) unsafe fn write(&self, cx: &'g Cx<A>, index: usize, value: T) {
        // SAFETY: BUFFER: the caller's: the place is there, and nobody refers to it.
        let place = unsafe {
            let place = self.elements(cx).add(index);
            place.write(value);
            place
        };
        if !T::LEAF {
            let space = &cx.collector().space;
            if size_of::<T>() > align_of::<T>() {
                card::dirty_all(space, place as usize, size_of::<T>());
            } else {
                card::dirty(space, place as usize);
            }
        }
    }

    /// Writes copies of elements behind the last one, for which there is room.
    ///
    /// # Safety
    /// There is a buffer, whose capacity is that many elements larger than its length.
    pub(super) unsafe fn append(&self, cx: &'g Cx<A>, values: &[T])
    where
        T: Copy,
    {
        let len = self.len(cx);
        // SAFETY: the caller's; no slice of elements is anywhere but before the buffer's length.
        unsafe {
            let place = self.elements(cx).add(len);
            place.copy_from_nonoverlapping(values.as_ptr(), values.len());
            if !T::LEAF {
                card::dirty_all(&cx.collector().space, place as usize, size_of_val(values));
            }
            self.set_len(cx, len + values.len());
        }
    }

    /// Changes the length.
    ///
    /// # Safety
    /// There is a buffer, and as many of its elements are values.
    #[inline(always)]
    pub(super) unsafe fn set_len(&self, cx: &'g Cx<A>, len: usize) {
        if let Some(object) = self.object(cx) {
            // SAFETY: BUFFER: the length is there, and the caller's is right.
            unsafe { *buffered_of(object) = len as u32 };
        }
    }

    /// Makes room for `needed` elements in all, without a collection.
    #[inline(always)]
    pub(super) fn reserve(&self, cx: &'g Cx<A>, needed: Option<usize>, growth: Growth) -> Result<(), Full<()>> {
        if needed.is_some_and(|needed| needed <= self.capacity(cx)) {
            return Ok(());
        }
        let result = grow(cx.collector_mut(), &self.position, Self::SHAPE, needed, growth);
        result.map_err(|requested| Full { value: (), requested })
    }

    /// Bytes that [`Buffer::reserve`] takes at first; 0 if there is room.
    pub(super) fn growth(&self, cx: &'g Cx<A>, needed: Option<usize>, growth: Growth) -> usize {
        let capacity = self.capacity(cx);
        if needed.is_some_and(|needed| needed <= capacity) {
            return 0;
        }
        let bytes = needed.and_then(|needed| Self::SHAPE.grown(capacity, needed, growth));
        bytes.unwrap_or(usize::MAX)
    }

    /// Makes this slot refer to another buffer.
    pub(super) fn replace(&self, cx: &'g Cx<A>, buffer: Self) {
        self.position.set(buffer.position.get());
        card::dirty(&cx.collector().space, core::ptr::from_ref(&self.position) as usize);
    }
}

/// Makes room for `needed` elements in the buffer that `slot` refers to, without a collection; else tells how many bytes
/// that takes at least.
#[cold]
#[inline(never)]
fn grow(
    collector: &mut Collector,
    slot: &Cell<u32>,
    shape: &Shape,
    needed: Option<usize>,
    growth: Growth,
) -> Result<(), usize> {
    let needed = needed.ok_or(usize::MAX)?;
    let exact = shape.bytes(needed).ok_or(usize::MAX)?;
    let old = collector.space.at(slot.get());
    let (capacity, len) = match slot.get() {
        0 => (0, 0),
        // SAFETY: BUFFER: capacity and length are there.
        _ => unsafe { (*length_of(old) as usize, *buffered_of(old)) },
    };
    let amortised = shape.grown(capacity, needed, growth).ok_or(usize::MAX)?;
    let sizes = [amortised, exact];
    for bytes in &sizes[usize::from(amortised == exact)..] {
        if slot.get() != 0 && extend(collector, old, shape, *bytes) {
            return Ok(());
        }
        let Some(object) = collector.bump(*bytes).map(NonNull::as_ptr) else {
            continue;
        };
        // SAFETY: the memory is the object's: OBJECT holds there from now on, and BUFFER for the slot. Elements are copied.
        unsafe {
            object.cast::<&'static Descriptor>().write(shape.descriptor);
            length_of(object).write(shape.capacity(*bytes) as u32);
            buffered_of(object).write(len);
            if len != 0 {
                let (from, to) = (old.add(shape.offset), object.add(shape.offset));
                to.copy_from_nonoverlapping(from, len as usize * shape.element);
            }
        }
        slot.set(collector.space.position(object));
        card::dirty(&collector.space, core::ptr::from_ref(slot) as usize);
        return Ok(());
    }
    Err(exact)
}

/// Makes a buffer `bytes` large where it is; tells whether that could be.
fn extend(collector: &mut Collector, buffer: *mut u8, shape: &Shape, bytes: usize) -> bool {
    // SAFETY: BUFFER: the capacity is there, and when there is more memory it may be larger.
    unsafe {
        let capacity = length_of(buffer);
        let Some(has) = shape.bytes(*capacity as usize) else {
            return false;
        };
        let is_extended = collector.extend(buffer, has, bytes.saturating_sub(has));
        if is_extended {
            capacity.write(shape.capacity(bytes) as u32);
        }
        is_extended
    }
}

/// Makes room at a safe point: attempts `reserve` in a window first, then with room for the bytes that `growth` says, after
/// collections if need be.
pub(super) fn reserve_collecting<A: Brand>(
    cx: &mut Cx<A>,
    reserve: impl Fn(&Cx<A>, Growth) -> bool,
    growth: impl Fn(&Cx<A>, Growth) -> usize,
) -> Result<(), OutOfMemory> {
    cx.safe_point();
    if reserve(cx, Growth::Amortised) {
        return Ok(());
    }
    let mut requested = usize::MAX;
    for how in [Growth::Amortised, Growth::Exact] {
        requested = growth(cx, how);
        if requested != usize::MAX && cx.reserve(requested).is_ok() && reserve(cx, how) {
            return Ok(());
        }
    }
    Err(OutOfMemory { requested })
}
