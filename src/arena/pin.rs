//! Objects that stay where they are: for the time of a call, or from birth.

use core::marker::PhantomData;
use core::mem::needs_drop;

use super::alloc::{Byte, Unfinished, size_of_slice, write_slice_header};
use super::brand::{Brand, Branded};
use super::cx::{Cx, size_of_object};
use super::error::OutOfMemory;
use super::handle::{Pinned, Root};
use super::trace::{DescriptorOf, Leaf, Object, Rebind, Trace};
use crate::base::granule::GRANULE;
use crate::gc::handle::Kind;
use crate::gc::object::Descriptor;

/// Pins the object of a handle as long as it lives. The handle, which is borrowed longer, becomes a strong one again then.
struct Scope<A: Brand> {
    index: u32,
    brand: Branded<A>,
}

impl<A: Brand> Drop for Scope<A> {
    fn drop(&mut self) {
        // SAFETY: BRAND: the arena is entered, so the collector lives, and nobody holds a reference to it while other code runs.
        // OWNED: the handle is there, and was made to pin by `with_pinned`.
        unsafe {
            let handles = &mut (*A::state().collector()).handles;
            handles.unpin();
            handles.set_kind(self.index, Kind::Strong);
        }
    }
}

impl<A: Brand> Cx<A> {
    /// Keeps the object of a handle where it is while `work` runs, which gets it as a plain reference besides the token: at
    /// safe points in there, everything else moves around it. It is as free as ever when `work` is done, also by a panic.
    ///
    /// The handle itself serves as the pin. Calls may nest, also for one object. Like what [`Pinned`](crate::Pinned) keeps, the
    /// object has no slots, and is changed by interior mutability. O(1), amortised.
    ///
    /// # Errors
    /// There is no room in the collector's lists of pinned objects, even after a full collection: up to 48 bytes for each.
    /// `work` did not run then.
    ///
    /// # Examples
    /// ```
    /// # use terrace::*;
    /// # static HEAP: CriticalSectionHeap = CriticalSectionHeap::new();
    /// # terrace::init!(HEAP, 64 * 1024).unwrap();
    /// # let mut arena = Arena::new(&HEAP).unwrap();
    /// use std::mem::MaybeUninit;
    ///
    /// arena.enter(|cx| {
    ///     let buffer = cx.new_buffer(16)?;
    ///     cx.with_pinned(&buffer, |cx, bytes| {
    ///         let address = bytes.as_ptr(); // for a DMA controller, until the transfer is over
    ///         cx.compact();
    ///         assert_eq!(bytes.as_ptr(), address);
    ///         bytes[0].set(MaybeUninit::new(1));
    ///     })
    /// }).unwrap();
    /// ```
    pub fn with_pinned<T, R>(
        &mut self,
        target: &Root<T, A>,
        work: impl FnOnce(&mut Cx<A>, &T) -> R,
    ) -> Result<R, OutOfMemory>
    where
        T: Leaf + Object + for<'g> Rebind<At<'g> = T> + ?Sized,
    {
        if !self.collector_mut().reserve_pin() {
            self.compact();
            if !self.collector_mut().reserve_pin() {
                return Err(OutOfMemory { requested: 0 });
            }
        }
        let index = target.entry.index;
        let place = target.get(self).as_ptr();
        // SAFETY: OWNED: the handle is there, and stays: it is borrowed. A handle that pins already is made strong again by
        // whoever made it pin.
        let is_new = unsafe { self.collector_mut().handles.pin(index) };
        let scope = is_new.then(|| Scope::<A> {
            index,
            brand: PhantomData,
        });
        // SAFETY: the object lives and does not move until the handle is a strong one again, nor does the collector write to it: it
        // has no slots.
        let result = work(self, unsafe { &*place });
        drop(scope);
        Ok(result)
    }
    /// Memory for an object that is pinned from birth, with collections if need be, at a safe point.
    fn bump_pinned(&mut self, bytes: usize, drops: bool) -> Result<*mut u8, OutOfMemory> {
        // SAFETY: PARKED: the exclusive borrow of the token has ended all references to objects.
        let object = unsafe { self.collector_mut().allocate_pinned((bytes / GRANULE) as u32, drops) };
        if object.is_null() {
            return Err(OutOfMemory { requested: bytes });
        }
        Ok(object)
    }

    /// Makes an object that is pinned from birth, as [`Cx::new`] makes one that moves. It lies among its like, at the end of
    /// the heap's first span, so that it is in nobody's way: to be preferred to [`Cx::pin`] for what stays pinned long.
    ///
    /// When nothing refers to it any more, the next full collection finds it dead; its memory is then for other such objects,
    /// or the heap's, if no such object lies beside it. A handle of another kind, and a slot, keep it alive as well, and it never
    /// moves. O(free blocks of the heap + gaps between such objects).
    ///
    /// # Errors
    /// There is no room, even after a full collection; `init` did not run then.
    pub fn new_pinned<T: Leaf + Trace>(
        &mut self,
        init: impl for<'g> FnOnce(&'g Cx<A>) -> T,
    ) -> Result<Pinned<T, A>, OutOfMemory> {
        let object = self.bump_pinned(const { size_of_object::<T>() }, needs_drop::<T>())?;
        // SAFETY: `bump_pinned` has made room.
        let mut unfinished = unsafe { Unfinished::new(self, object, Kind::Pinned) };
        if needs_drop::<T>() {
            unfinished.list(self, object);
        }
        let value = init(self);
        // SAFETY: the memory is the object's, large enough and aligned; OBJECT holds there from now on. The entry pins it, and a
        // `Leaf` has no slots.
        unsafe {
            let place = T::from_object(object);
            place.write(value);
            object.cast::<&'static Descriptor>().write(DescriptorOf::<T>::ONE);
            Ok(Pinned::from_entry(unfinished.finish(), place))
        }
    }

    /// Makes a buffer of bytes that hold anything, pinned from birth as by [`Cx::new_pinned`], for a DMA controller or an
    /// interrupt to fill. Its address is a multiple of 4.
    ///
    /// # Errors
    /// As for [`Cx::new_pinned`].
    ///
    /// # Examples
    /// ```
    /// # use terrace::*;
    /// # static HEAP: CriticalSectionHeap = CriticalSectionHeap::new();
    /// # terrace::init!(HEAP, 64 * 1024).unwrap();
    /// # let mut arena = Arena::new(&HEAP).unwrap();
    /// use std::mem::MaybeUninit;
    ///
    /// let samples = arena.enter(|cx| cx.new_pinned_buffer(256)).unwrap();
    /// let address = samples.as_ptr();
    /// arena.enter(|cx| cx.compact());
    /// assert_eq!(samples.as_ptr(), address);
    /// samples[255].set(MaybeUninit::new(1));
    /// ```
    pub fn new_pinned_buffer(&mut self, len: usize) -> Result<Pinned<[Byte], A>, OutOfMemory> {
        let bytes = size_of_slice::<Byte>(len).ok_or(OutOfMemory { requested: usize::MAX })?;
        let object = self.bump_pinned(bytes, false)?;
        // SAFETY: `bump_pinned` has made room.
        let unfinished = unsafe { Unfinished::new(self, object, Kind::Pinned) };
        // SAFETY: as in `new_pinned`; any bytes will do.
        unsafe {
            write_slice_header(object, DescriptorOf::<Byte>::SLICE, len);
            Ok(Pinned::from_entry(unfinished.finish(), <[Byte]>::from_object(object)))
        }
    }
}
