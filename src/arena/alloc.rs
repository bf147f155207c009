//! Making objects.

use core::cell::Cell;
use core::mem::{ManuallyDrop, MaybeUninit, needs_drop};
use core::ptr::NonNull;

use super::brand::Brand;
use super::cx::{Cx, size_of_object};
use super::error::{Full, OutOfMemory};
use super::gc::Gc;
use super::handle::{Entry, Root};
use super::trace::{DescriptorOf, Object, Of, Rebind, Trace};
use crate::base::granule::{GRANULE, granules};
use crate::gc::Collector;
use crate::gc::handle::Kind;
use crate::gc::object::{Descriptor, length_of, offset_of_elements};

/// A byte that may hold anything, and is changed by whoever shares it.
pub type Byte = Cell<MaybeUninit<u8>>;

/// Bytes of a slice object, a multiple of the granule; nothing if no object can be so large.
pub(super) fn size_of_slice<T>(len: usize) -> Option<usize> {
    let bytes = len
        .checked_mul(size_of::<T>())?
        .checked_add(offset_of_elements::<T>())?;
    (len <= u32::MAX as usize && bytes < 1 << 31).then(|| granules(bytes) * GRANULE)
}

impl<A: Brand> Cx<A> {
    /// Memory for an object of `bytes`, a multiple of the granule, without a collection.
    #[inline(always)]
    fn bump(&self, bytes: usize) -> Option<NonNull<u8>> {
        self.collector_mut().bump(bytes)
    }

    /// Memory for an object, and its handle, with collections if need be, at a safe point. Whether it has a destructor is known at
    /// compile time.
    #[inline(always)]
    fn begin(&mut self, bytes: usize, drops: bool) -> Result<(*mut u8, Unfinished<A>), OutOfMemory> {
        let collector = self.collector_mut();
        collector.announce(bytes);
        // SAFETY: PARKED: the exclusive borrow of the token has ended all references to objects.
        if drops && !unsafe { collector.reserve_drop_collecting() } {
            return Err(OutOfMemory { requested: bytes });
        }
        let (object, mut unfinished) = self.begin_expected(bytes)?;
        if drops {
            unfinished.list(self, object);
        }
        Ok((object, unfinished))
    }

    #[cfg_attr(not(terrace_small), inline(always))]
    #[cfg_attr(terrace_small, inline(never))]
    fn begin_expected(&mut self, bytes: usize) -> Result<(*mut u8, Unfinished<A>), OutOfMemory> {
        let collector = self.collector_mut();
        // SAFETY: PARKED, as in `begin`. Room for the handle is made first, and collections leave it.
        unsafe {
            if !collector.reserve_handle() {
                return Err(OutOfMemory { requested: bytes });
            }
            let object = match collector.bump_small(bytes) {
                None => collector.allocate_collecting((bytes / GRANULE) as u32),
                object => object,
            };
            let object = object.ok_or(OutOfMemory { requested: bytes })?.as_ptr();
            Ok((object, Unfinished::new(self, object, Kind::Strong)))
        }
    }

    /// Makes an object in a window. Nothing is collected.
    ///
    /// # Errors
    /// There is no room without a collection; the value comes back.
    #[inline(always)]
    pub fn try_new<'g, T: Of<A> + 'g>(&'g self, value: T) -> Result<Gc<'g, T, A>, Full<T>> {
        let requested = const { size_of_object::<T>() };
        if needs_drop::<T>() && !self.collector_mut().reserve_drop() {
            return Err(Full { value, requested });
        }
        let Some(object) = self.bump(requested).map(NonNull::as_ptr) else {
            return Err(Full { value, requested });
        };
        if needs_drop::<T>() {
            self.collector_mut().note_drop(object);
        }
        // SAFETY: the memory is the object's, large enough and aligned; OBJECT holds there from now on.
        unsafe {
            let place = T::from_object(object);
            object.cast::<&'static Descriptor>().write(DescriptorOf::<T>::ONE);
            place.write(value);
            Ok(Gc::new(place))
        }
    }

    /// Makes an object, after a collection if one is due. `init` runs when there is room, in a window that begins behind
    /// that, and nothing that it makes is lost.
    ///
    /// # Errors
    /// There is no room, even after a full collection; `init` did not run then.
    #[inline]
    #[allow(clippy::new_ret_no_self, reason = "a token makes objects")]
    pub fn new<T: Rebind>(
        &mut self,
        init: impl for<'g> FnOnce(&'g Cx<A>) -> T::At<'g>,
    ) -> Result<Root<T, A>, OutOfMemory>
    where
        for<'g> T::At<'g>: Of<A> + Sized,
    {
        let (object, unfinished) = self.begin(
            const { size_of_object::<T::At<'static>>() },
            needs_drop::<T::At<'static>>(),
        )?;
        let value = init(self);
        // SAFETY: the memory is the object's, large enough and aligned; OBJECT holds there from now on. A handle holds it.
        unsafe {
            T::At::from_object(object).write(value);
            let descriptor = DescriptorOf::<T::At<'static>>::ONE;
            object.cast::<&'static Descriptor>().write(descriptor);
        }
        Ok(Root::from_entry(unfinished.finish()))
    }

    /// Makes a slice of `len` elements, as [`Cx::new`] makes one value. `init` is called for each index in turn.
    ///
    /// # Errors
    /// As for [`Cx::new`].
    pub fn new_slice<T: Rebind>(
        &mut self,
        len: usize,
        mut init: impl for<'g> FnMut(&'g Cx<A>, usize) -> T::At<'g>,
    ) -> Result<Root<[T], A>, OutOfMemory>
    where
        for<'g> T::At<'g>: Of<A> + Sized,
    {
        let too_large = OutOfMemory { requested: usize::MAX };
        let (object, unfinished) = self.begin(
            size_of_slice::<T::At<'static>>(len).ok_or(too_large)?,
            needs_drop::<T::At<'static>>(),
        )?;
        let elements = object.wrapping_add(offset_of_elements::<T::At<'static>>());
        let mut made = Made::<T::At<'static>> {
            first: elements.cast(),
            len: 0,
        };
        for index in 0..len {
            let value = init(self, index);
            // SAFETY: the memory is the object's and has room for `len` elements. The lifetime of a type does not change its
            // layout.
            unsafe { elements.cast::<T::At<'_>>().add(index).write(value) };
            made.len += 1;
        }
        core::mem::forget(made);
        // SAFETY: as in `new`.
        unsafe { write_slice_header(object, DescriptorOf::<T::At<'static>>::SLICE, len) };
        Ok(Root::from_entry(unfinished.finish()))
    }

    /// Makes a slice of copies of plain elements in a window.
    ///
    /// # Errors
    /// There is no room without a collection.
    pub fn try_slice<'g, T: Trace + Copy + 'static>(&'g self, elements: &[T]) -> Result<Gc<'g, [T], A>, Full<()>> {
        let Some(requested) = size_of_slice::<T>(elements.len()) else {
            return Err(Full {
                value: (),
                requested: usize::MAX,
            });
        };
        let Some(object) = self.bump(requested).map(NonNull::as_ptr) else {
            return Err(Full { value: (), requested });
        };
        // SAFETY: the memory is the object's, and has room for as many elements, which are plain.
        unsafe {
            write_slice_header(object, DescriptorOf::<T>::SLICE, elements.len());
            let place = <[T]>::from_object(object);
            place
                .cast::<T>()
                .copy_from_nonoverlapping(elements.as_ptr(), elements.len());
            Ok(Gc::new(place))
        }
    }

    /// Makes a slice of `len` elements in a window, which may be references. `init` is called for each index in turn.
    ///
    /// # Errors
    /// There is no room without a collection; if elements need no destructor, `init` was not called.
    pub fn try_slice_with<'g, T: Of<A> + 'g>(
        &'g self,
        len: usize,
        mut init: impl FnMut(usize) -> T,
    ) -> Result<Gc<'g, [T], A>, Full<()>> {
        let Some(requested) = size_of_slice::<T>(len) else {
            return Err(Full {
                value: (),
                requested: usize::MAX,
            });
        };
        let Some(object) = self.bump(requested).map(NonNull::as_ptr) else {
            return Err(Full { value: (), requested });
        };
        let first = object.wrapping_add(offset_of_elements::<T>()).cast::<T>();
        let mut made = Made { first, len: 0 };
        for index in 0..len {
            let value = init(index);
            // SAFETY: the memory is the object's and has room for `len` elements.
            unsafe { first.add(index).write(value) };
            made.len += 1;
        }
        if needs_drop::<T>() {
            // Behind `init`, which may have made objects with destructors itself.
            if !self.collector_mut().reserve_drop() {
                return Err(Full { value: (), requested });
            }
            self.collector_mut().note_drop(object);
        }
        core::mem::forget(made);
        // SAFETY: the memory is the object's; OBJECT holds there from now on.
        unsafe {
            write_slice_header(object, DescriptorOf::<T>::SLICE, len);
            Ok(Gc::new(<[T]>::from_object(object)))
        }
    }

    /// Makes a string in a window.
    ///
    /// # Errors
    /// There is no room without a collection.
    pub fn try_str<'g>(&'g self, text: &str) -> Result<Gc<'g, str, A>, Full<()>> {
        let bytes = self.try_slice(text.as_bytes())?;
        // SAFETY: the bytes are those of a string, and nobody can change them.
        Ok(unsafe { Gc::new(bytes.as_ptr() as *mut str) })
    }

    /// Makes a string, after a collection if one is due.
    ///
    /// # Errors
    /// As for [`Cx::new`].
    pub fn new_str(&mut self, text: &str) -> Result<Root<str, A>, OutOfMemory> {
        let bytes = size_of_slice::<u8>(text.len()).ok_or(OutOfMemory { requested: usize::MAX })?;
        let (object, unfinished) = self.begin(bytes, false)?;
        // SAFETY: the memory is the object's, and has room for the text.
        unsafe {
            write_slice_header(object, DescriptorOf::<u8>::SLICE, text.len());
            let place = object.wrapping_add(offset_of_elements::<u8>());
            place.copy_from_nonoverlapping(text.as_ptr(), text.len());
        }
        Ok(Root::from_entry(unfinished.finish()))
    }

    /// Makes a buffer of bytes that hold anything, for a DMA controller or an interrupt to fill once it is pinned. O(1).
    ///
    /// # Errors
    /// As for [`Cx::new`].
    pub fn new_buffer(&mut self, len: usize) -> Result<Root<[Byte], A>, OutOfMemory> {
        let bytes = size_of_slice::<Byte>(len).ok_or(OutOfMemory { requested: usize::MAX })?;
        let (object, unfinished) = self.begin(bytes, false)?;
        // SAFETY: the memory is the object's, and any bytes will do.
        unsafe { write_slice_header(object, DescriptorOf::<Byte>::SLICE, len) };
        Ok(Root::from_entry(unfinished.finish()))
    }
}

/// # Safety
/// The memory is that of a slice object with this descriptor and length, which is at most `u32::MAX`.
#[inline(always)]
pub(super) unsafe fn write_slice_header(object: *mut u8, descriptor: &'static Descriptor, len: usize) {
    // SAFETY: the caller's.
    unsafe {
        object.cast::<&'static Descriptor>().write(descriptor);
        length_of(object).write(len as u32);
    }
}

impl Collector {
    /// Memory for an object of `bytes`, a multiple of the granule, without a collection.
    #[inline(always)]
    pub(super) fn bump(&mut self, bytes: usize) -> Option<NonNull<u8>> {
        self.announce(bytes);
        match self.bump_small(bytes) {
            None => self.allocate_slowly((bytes / GRANULE) as u32),
            object => object,
        }
    }

    /// Makes room in the list of objects with destructors.
    fn reserve_drop(&mut self) -> bool {
        let source = self.source;
        self.drops.reserve(source)
    }

    /// Lists an object with a destructor, for which there is room.
    fn note_drop(&mut self, object: *mut u8) {
        let position = self.space.position(object);
        self.drops.push(position);
    }
}

/// An object whose value is being made. If that unwinds, handle and entry go, and the memory is garbage.
pub(super) struct Unfinished<A: Brand> {
    entry: ManuallyDrop<Entry<A>>,
    kind: Kind,
    /// The position, if it is in the list of objects with destructors; or 0.
    listed: u32,
}

impl<A: Brand> Unfinished<A> {
    /// With a handle of this kind.
    ///
    /// # Safety
    /// There is room for it.
    #[inline(always)]
    pub(super) unsafe fn new(cx: &Cx<A>, object: *mut u8, kind: Kind) -> Unfinished<A> {
        let position = cx.collector().space.position(object);
        // SAFETY: the caller's.
        let entry = ManuallyDrop::new(unsafe { Entry::reserved(cx, position, kind) });
        Unfinished { entry, kind, listed: 0 }
    }

    /// Lists the object as one with a destructor, for which there is room.
    #[inline(always)]
    pub(super) fn list(&mut self, cx: &Cx<A>, object: *mut u8) {
        let collector = cx.collector_mut();
        self.listed = collector.space.position(object);
        collector.drops.push(self.listed);
    }

    #[inline(always)]
    pub(super) fn finish(mut self) -> Entry<A> {
        // SAFETY: the entry is taken once, as the rest is forgotten.
        let entry = unsafe { ManuallyDrop::take(&mut self.entry) };
        core::mem::forget(self);
        entry
    }
}

impl<A: Brand> Drop for Unfinished<A> {
    #[cold]
    fn drop(&mut self) {
        // SAFETY: the handle, which is still there, keeps the collector.
        let collector = unsafe { &mut *A::state().collector() };
        if self.listed != 0 {
            collector.drops.remove(self.listed);
        }
        if self.kind == Kind::Pinned {
            collector.handles.unpin();
        }
        // SAFETY: `finish` forgets the value, so the entry was not taken.
        unsafe { ManuallyDrop::drop(&mut self.entry) };
    }
}

/// The elements that were made of a slice, dropped if the making of another one unwinds.
struct Made<T> {
    first: *mut T,
    len: usize,
}

impl<T> Drop for Made<T> {
    fn drop(&mut self) {
        // SAFETY: as many elements were written, and the object was not finished.
        unsafe { core::ptr::slice_from_raw_parts_mut(self.first, self.len).drop_in_place() };
    }
}
