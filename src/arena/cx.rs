//! The token: windows, in which nothing moves, and safe points, at which anything may.

use core::marker::PhantomData;
use core::ptr::NonNull;

use super::brand::{Brand, Branded, Main};
use super::error::OutOfMemory;
use super::gc::Gc;
use super::stats::ArenaStats;
use super::trace::Object;
use crate::base::granule::GRANULE;
use crate::gc::Collector;
use crate::gc::collect::Ending;
use crate::gc::event::{CollectionCause, Moment};
pub use crate::gc::generation::Generation;
use crate::gc::source::Notice;

/// The token of whoever works with the objects of an arena. There is one, and [`Arena::enter`](crate::Arena::enter) lends it.
///
/// A shared borrow, `&'g Cx`, is a *window*: nothing is collected as long as it lives, and references to objects
/// ([`Gc`]) are bound to it. A method that takes `&mut Cx` is a *safe point*: the borrow checker has seen to it that no such
/// reference is left, so objects can move.
///
/// # Examples
/// ```
/// # use terrace::*;
/// # static HEAP: CriticalSectionHeap = CriticalSectionHeap::new();
/// # terrace::init!(HEAP, 64 * 1024).unwrap();
/// # let mut arena = Arena::new(&HEAP).unwrap();
/// arena.enter(|cx| {
///     // A window: references are as good as `&`, and an allocation that does not fit gives the value back.
///     let text = cx.try_str("abc").unwrap();
///     let number = cx.try_new(7u32).unwrap();
///     assert_eq!((&*text, *number), ("abc", 7));
///     let kept = cx.root::<str>(text).unwrap();
///     // A safe point: `text` and `number` end here, `kept` does not.
///     cx.collect(Generation::Young);
///     assert_eq!(&*kept.get(cx), "abc");
/// });
/// ```
pub struct Cx<A = Main> {
    collector: NonNull<Collector>,
    brand: Branded<A>,
}

impl<A: Brand> Cx<A> {
    /// # Safety
    /// The collector is that of the brand's arena, and there is no other `Cx` of this brand while this one is used.
    pub(super) unsafe fn of(collector: NonNull<Collector>) -> Cx<A> {
        Cx {
            collector,
            brand: PhantomData,
        }
    }

    /// The collector, to look at.
    #[inline(always)]
    pub(super) fn collector(&self) -> &Collector {
        // SAFETY: the arena keeps the collector; nobody holds an exclusive reference to it while other code runs.
        unsafe { self.collector.as_ref() }
    }

    /// The collector, to change. The caller lets no other code run while it uses the reference.
    #[inline(always)]
    #[allow(clippy::mut_from_ref, reason = "the collector is not the token")]
    pub(super) fn collector_mut(&self) -> &mut Collector {
        // SAFETY: as above; callers are methods of this layer that call no user code meanwhile, and one thread of control
        // has all tokens and handles of the brand.
        unsafe { &mut *self.collector.as_ptr() }
    }

    #[inline(always)]
    pub(super) fn position<T: Object + ?Sized>(&self, gc: Gc<'_, T, A>) -> u32 {
        self.collector().space.position(gc.object())
    }

    /// The object at a position.
    ///
    /// # Safety
    /// An object of this type lies there.
    #[inline(always)]
    pub(super) unsafe fn object_at<'g, T: Object + ?Sized>(&'g self, position: u32) -> Gc<'g, T, A> {
        let object = self.collector().space.at(position);
        // SAFETY: the caller's; the window is borrowed from the token.
        unsafe { Gc::new(T::from_object(object)) }
    }

    /// Collects the generations up to this one, now. O(live objects in them + segments) for what is young, and for all the
    /// words of their live bits.
    pub fn collect(&mut self, generation: Generation) {
        // SAFETY: PARKED: the exclusive borrow of the token has ended all references to objects.
        unsafe {
            self.collector_mut()
                .collect(generation as u8, Ending::Decide, CollectionCause::Asked)
        };
        if generation == Generation::Old {
            self.settle();
        }
    }

    /// Collects everything, and moves objects together as far as pinned ones permit, large ones too, so that the rest of the
    /// memory is the heap's.
    pub fn compact(&mut self) {
        let collector = self.collector_mut();
        // SAFETY: PARKED, as in `collect`.
        unsafe {
            collector.collect(Generation::Old as u8, Ending::Compact, CollectionCause::Asked);
            collector.slide_large();
        }
        self.settle();
    }

    /// Lets the heap give back what is not needed after a full collection.
    fn settle(&self) {
        let source = self.collector().source;
        source.tell(Notice::Settled);
    }

    /// Collects if a budget is spent.
    pub fn safe_point(&mut self) {
        // SAFETY: PARKED, as in `collect`.
        unsafe { self.collector_mut().safe_point() };
    }

    /// Whether a budget is spent, so that [`Cx::safe_point`] would collect: for a loop in a window to end it. O(1).
    #[inline(always)]
    pub fn is_due(&self) -> bool {
        self.collector().is_due()
    }

    /// Makes room: the next objects that take `bytes` in all, as [`size_of_object`] says, can be allocated in a window without
    /// fail, if their types need no destructor.
    ///
    /// # Errors
    /// There is no such room in one piece, even after a full collection.
    pub fn reserve(&mut self, bytes: usize) -> Result<(), OutOfMemory> {
        let error = OutOfMemory { requested: bytes };
        let n = bytes.checked_next_multiple_of(GRANULE).ok_or(error)? / GRANULE;
        let n = u32::try_from(n).map_err(|_| error)?;
        // SAFETY: PARKED, as in `collect`.
        let has_room = bytes == 0 || unsafe { self.collector_mut().reserve(n) };
        has_room.then_some(()).ok_or(error)
    }

    /// Tells the sink of [`Cx::set_sink`] what has happened. Then runs the finalisers and destructors of objects that were
    /// found dead; returns how many. Their memory is reused after
    /// the next collection, that of objects with finalisers after one that has found them dead again. Finalisers that become
    /// due meanwhile wait for the next poll.
    pub fn poll(&mut self) -> usize {
        self.poll_some(usize::MAX)
    }

    /// As [`Cx::poll`], but runs at most so many.
    pub fn poll_some(&mut self, most: usize) -> usize {
        // SAFETY: nobody holds a reference to the collector while other code, such as the sink, runs.
        unsafe { Collector::observe(self.collector, Moment::Told) };
        // SAFETY: PARKED: the exclusive borrow of the token has ended all references to objects.
        let mut count = unsafe { Collector::run_finalizers(self.collector, most) };
        // SAFETY: nobody refers to a dying object, and nothing moves while its destructor runs: this method has the token.
        while count < most && unsafe { Collector::drop_dying(self.collector) } {
            count += 1;
        }
        count
    }

    /// Sets the bytes that may be allocated between collections; by default an eighth of the heap's first span, 4 MiB at most.
    pub fn set_budget(&mut self, bytes: usize) {
        self.collector_mut().budget.set(bytes);
    }

    /// Sets the bytes from which on an object is large: it moves only in [`Cx::compact`] or when nothing else makes room, as
    /// that costs more than it gains. From 512 bytes to what a segment holds, which it is by default. A segment is a 32nd of the
    /// heap's first span, from 1 KiB to 256 KiB. Objects that exist stay what they are.
    pub fn set_large(&mut self, bytes: usize) {
        self.collector_mut().set_large(bytes);
    }

    /// Collects at every safe point, and moves what can move nearly each time: to find what relies on luck.
    pub fn set_stress(&mut self, on: bool) {
        self.collector_mut().set_stress(on);
    }

    /// What the arena holds and did. O(handles).
    pub fn stats(&self) -> ArenaStats {
        ArenaStats::of(self.collector())
    }
}

/// Bytes that an object of this type takes, with its header.
///
/// Objects lie at multiples of 8 bytes, so a type that wants more does not compile as one:
/// ```
/// #[repr(align(8))]
/// struct Vector([f32; 4]);
/// assert_eq!(terrace::size_of_object::<Vector>(), 24);
/// ```
/// ```compile_fail
/// #[repr(align(16))]
/// struct Vector([f32; 4]);
/// terrace::size_of_object::<Vector>();
/// ```
pub const fn size_of_object<T>() -> usize {
    let bytes = crate::gc::object::offset_of_value::<T>() + size_of::<T>();
    bytes.next_multiple_of(GRANULE)
}
