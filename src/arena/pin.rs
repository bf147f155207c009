//! Pins without a handle to keep: for the time of a call.

use core::marker::PhantomData;

use super::brand::{Brand, Branded};
use super::cx::Cx;
use super::error::OutOfMemory;
use super::handle::Root;
use super::trace::{Leaf, Object, Rebind};
use crate::gc::handle::Kind;

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
}
