//! Finalisers: what a type has done for its objects before they go.

use core::marker::PhantomData;
use core::ptr::NonNull;

use super::brand::{Brand, Branded, Main};
use super::cx::Cx;
use super::error::OutOfMemory;
use super::gc::Gc;
use super::handle::{Entry, Root};
use super::trace::{Object, Of, Rebind};
use crate::gc::Collector;

/// A type whose objects can have a finaliser.
///
/// A finaliser runs from [`Cx::poll`], after a collection has found that nothing but weak handles and other finalisers leads to
/// the object. The object is intact then: it and all that it reaches are kept until the finaliser is done, so every slot can
/// be followed. The finaliser has the object's only handle. If it drops that and stores the object nowhere, a later collection
/// finds the object dead for good; if it keeps the handle or stores the object, the object lives on (*resurrection*), without
/// a finaliser unless it registers again.
///
/// - Finalisers of objects that were found dead in one collection run in the order of their registration.
/// - Each registration is good for one run, also if the finaliser panics.
/// - If the type has a destructor as well, that runs when the object is dead for good.
/// - Finalisers need the token, so none runs when the [`Arena`](crate::Arena) is dropped: destructors only. Finalise what
///   matters before: drop its handles, [`Cx::collect`], [`Cx::poll`].
///
/// A type that owns something outside of the arena, and needs no slot to let go of it, needs no finaliser but `Drop`.
///
/// The term is that of C# and Java: `Object.Finalize` of .NET, with `GC.SuppressFinalize` and `GC.ReRegisterForFinalize`.
///
/// # Examples
/// ```
/// # use terrace::*;
/// # static HEAP: CriticalSectionHeap = CriticalSectionHeap::new();
/// # terrace::init!(HEAP, 64 * 1024).unwrap();
/// # let mut arena = Arena::new(&HEAP).unwrap();
/// use std::cell::Cell;
///
/// #[derive(Trace)]
/// struct Pool<'g> {
///     free: Slot<'g, Line<'g>>,
/// }
///
/// /// A line of a display: goes back to its pool when nobody uses it any more.
/// #[derive(Trace)]
/// struct Line<'g> {
///     pool: Slot<'g, Pool<'g>>,
///     text: Cell<[u8; 16]>,
/// }
///
/// impl Finalize for Line<'static> {
///     fn finalize(line: Root<Self>, cx: &mut Cx) {
///         let line = line.get(cx);
///         line.text.set([b' '; 16]);
///         let pool = line.pool.get(cx).unwrap(); // what it refers to is there
///         pool.free.set(cx, Some(line)); // it lives again
///     }
/// }
///
/// arena.enter(|cx| {
///     let pool = cx.new::<Pool>(|_| Pool { free: Slot::null() }).unwrap();
///     let line = cx.new_finalizable::<Line>(|g| Line {
///         pool: Slot::new(g, pool.get(g)),
///         text: Cell::new(*b"0123456789abcdef"),
///     }).unwrap();
///     drop(line);
///     cx.collect(Generation::Young);
///     assert!(pool.get(cx).free.get(cx).is_none());
///     assert_eq!(cx.poll(), 1);
///     assert_eq!(pool.get(cx).free.get(cx).unwrap().text.get(), [b' '; 16]);
/// });
/// ```
pub trait Finalize<A: Brand = Main>: Rebind + 'static {
    /// Finalises an object. It may do all that any code with the token may: allocate, collect, poll.
    fn finalize(this: Root<Self, A>, cx: &mut Cx<A>);
}

/// # Safety
/// The handle is that of an object of type `T` in the arena of the brand, strong, and the caller's no more; nobody else uses a
/// token meanwhile.
unsafe fn run<T: Finalize<A> + ?Sized, A: Brand>(collector: NonNull<Collector>, handle: u32) {
    // SAFETY: the caller's.
    unsafe { T::finalize(Root::from_entry(Entry::adopt(handle)), &mut Cx::of(collector)) };
}

/// The registration of an object that is being made, whose position is 0 so far; forgotten if the making fails or unwinds.
struct Seat<A: Brand> {
    handle: u32,
    brand: Branded<A>,
}

impl<A: Brand> Seat<A> {
    /// Gives the registration to the object.
    fn take(self, cx: &Cx<A>, position: u32) {
        cx.collector_mut().handles.set(self.handle, position);
        core::mem::forget(self);
    }
}

impl<A: Brand> Drop for Seat<A> {
    fn drop(&mut self) {
        // SAFETY: BRAND: the arena is entered, so the collector lives; nobody holds a reference to it while other code runs.
        // There is one seat at a time: it lives in a method that has the token, and no safe point is within its reach.
        unsafe { (*A::state().collector()).suppress(Some(0)) };
    }
}

impl<A: Brand> Cx<A> {
    /// Makes an object with a finaliser, as [`Cx::new`] makes one without.
    ///
    /// # Errors
    /// There is no room for the object, its handle or its registration, even after a full collection; `init` did not run then.
    pub fn new_finalizable<T: Finalize<A>>(
        &mut self,
        init: impl for<'g> FnOnce(&'g Cx<A>) -> T::At<'g>,
    ) -> Result<Root<T, A>, OutOfMemory>
    where
        for<'g> T::At<'g>: Of<A> + Sized,
    {
        let mut handle = self.collector_mut().register(0, run::<T, A>);
        if handle.is_none() {
            self.compact();
            handle = self.collector_mut().register(0, run::<T, A>);
        }
        let seat = Seat {
            handle: handle.ok_or(OutOfMemory { requested: 0 })?,
            brand: PhantomData,
        };
        let root = self.new::<T>(init)?;
        seat.take(self, self.position(root.get(self)));
        Ok(root)
    }

    /// Registers an object for finalisation; also again, from inside of the finaliser. An object that is registered twice is
    /// finalised twice. Amortised O(1).
    ///
    /// # Errors
    /// There is no room for the registration: up to 24 bytes.
    pub fn register_finalizer<'g, T: Finalize<A> + ?Sized>(
        &'g self,
        target: Gc<'g, T::At<'g>, A>,
    ) -> Result<(), OutOfMemory>
    where
        for<'a> T::At<'a>: Object,
    {
        let position = self.position(target);
        let registered = self.collector_mut().register(position, run::<T, A>);
        registered.map(|_| ()).ok_or(OutOfMemory { requested: 0 })
    }

    /// Forgets the finalisers of an object, also those that wait for a poll; returns how many there were. O(objects with
    /// finalisers).
    pub fn suppress_finalizer<'g, T: Object + ?Sized>(&'g self, target: Gc<'g, T, A>) -> usize {
        let position = self.position(target);
        self.collector_mut().suppress(Some(position))
    }
}
