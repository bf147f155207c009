//! The arena: what owns the objects.

use core::marker::PhantomData;
use core::ptr::NonNull;

use super::brand::{Brand, BrandState, Branded, Main, Phase};
use super::cx::Cx;
use super::error::ArenaError;
use super::stats::ArenaStats;
use crate::gc::Collector;
use crate::gc::parking::Parking;
use crate::gc::source::{Notice, Source};

/// A traced, generational, compacting heap in the memory of a [`Heap`](crate::Heap).
///
/// Objects lie in segments that the arena takes from the heap, and gives back when they are empty. All work with them is done
/// inside of [`Arena::enter`]; outside, the arena is parked.
///
/// An arena that is dropped runs the destructors of its objects, but no [finaliser](crate::Finalize). What handles still keep stays, and the brand remains
/// taken, until the last of them is gone. Not for interrupts.
///
/// # Examples
/// ```
/// use terrace::{Arena, CriticalSectionHeap, Cx, OutOfMemory, Root, Slot, Trace};
///
/// static HEAP: CriticalSectionHeap = CriticalSectionHeap::new();
///
/// #[derive(Trace)]
/// struct Node<'g> {
///     value: u32,
///     next: Slot<'g, Node<'g>>,
/// }
///
/// /// Puts a value before a list.
/// fn push(cx: &mut Cx, value: u32, list: Option<&Root<Node<'static>>>) -> Result<Root<Node<'static>>, OutOfMemory> {
///     cx.new::<Node>(|g| Node {
///         value,
///         next: list.map_or(Slot::null(), |list| Slot::new(g, list.get(g))),
///     })
/// }
///
/// terrace::init!(HEAP, 64 * 1024).unwrap();
/// let mut arena = Arena::new(&HEAP).unwrap();
/// let sum = arena.enter(|cx| {
///     let mut list = push(cx, 0, None)?;
///     for value in 1..10_000 {
///         list = push(cx, value, Some(&list).filter(|_| value % 100 != 0))?; // most of it becomes garbage
///     }
///     let (mut at, mut sum) = (Some(list.get(cx)), 0);
///     while let Some(node) = at {
///         sum += node.value;
///         at = node.next.get(cx);
///     }
///     Ok::<u32, OutOfMemory>(sum)
/// });
/// assert_eq!(sum, Ok((9900..10_000).sum()));
/// ```
pub struct Arena<A: Brand = Main> {
    collector: NonNull<Collector>,
    brand: Branded<A>,
}

impl Arena<Main> {
    /// An arena in the heap's first span: the only one, or the one of the brand [`Main`] beside others of other brands.
    /// O(span), to set up tables of about 2.8 % of it.
    ///
    /// # Errors
    /// There is such an arena; or the heap has no memory, or too little.
    pub fn new<S: Source>(heap: &'static S) -> Result<Arena<Main>, ArenaError> {
        Arena::branded(heap)
    }
}

impl<A: Brand> Arena<A> {
    /// As [`Arena::new`], of any brand.
    ///
    /// # Errors
    /// As for [`Arena::new`].
    pub fn branded<S: Source>(heap: &'static S) -> Result<Arena<A>, ArenaError> {
        let span = heap.span().ok_or(ArenaError::NotClaimed)?;
        let state = A::state();
        if !state.take() {
            return Err(ArenaError::BrandTaken);
        }
        if let Some(collector) = Collector::create(heap, span, &state.parking) {
            // SAFETY: the brand was taken just now.
            unsafe { state.parking.begin(collector, heap) };
            return Ok(Arena {
                collector,
                brand: PhantomData,
            });
        }
        state.release();
        Err(ArenaError::OutOfMemory)
    }

    /// Lends the token to `work`. The objects that nothing refers to afterwards are garbage.
    ///
    /// Waits until it is over if another thread or core is collecting the arena, which is parked until then, for a request of its own;
    /// [`GcHooks::thread_is_blocking`](crate::GcHooks::thread_is_blocking) is called meanwhile. So do not enter an arena inside of a
    /// critical section that the other core may need. Left also when `work` unwinds.
    pub fn enter<R>(&mut self, work: impl FnOnce(&mut Cx<A>) -> R) -> R {
        let parking = &A::state().parking;
        parking.open();
        let open = Open { parking };
        // SAFETY: the exclusive borrow of the only arena of the brand lets one token be.
        let result = work(&mut unsafe { Cx::of(self.collector) });
        drop(open);
        result
    }

    /// What the arena holds and did; all zero if a collection of it is calling the caller. O(handles).
    pub fn stats(&self) -> ArenaStats {
        // SAFETY: BRAND: the arena lives, and is of one thread of control.
        unsafe { A::state().look(ArenaStats::of) }.unwrap_or_default()
    }
}

/// The arena is entered: nobody else collects it. Left also when that unwinds.
struct Open {
    parking: &'static Parking,
}

impl Drop for Open {
    fn drop(&mut self) {
        // SAFETY: BRAND: the arena is open, and its thread of control is here.
        let (is_due, source) = unsafe {
            let collector = &*self.parking.collector();
            (collector.is_due(), collector.source)
        };
        self.parking.park();
        if is_due {
            source.tell(Notice::Due);
        }
    }
}

impl<A: Brand> Drop for Arena<A> {
    fn drop(&mut self) {
        close(A::state());
    }
}

/// Gives up a handle. If a collection is calling user code, which this is, the handle keeps its place for good.
///
/// # Safety
/// The index is that of a handle of the brand's arena, one that pins if so told, and is used no more. The caller is of the
/// arena's thread of control.
#[cfg_attr(not(terrace_small), inline(always))]
#[cfg_attr(terrace_small, inline(never))]
pub(super) unsafe fn drop_handle(state: &'static BrandState, index: u32, is_pinned: bool) {
    // SAFETY: the caller's.
    let remove = |collector: &mut Collector| unsafe {
        if is_pinned {
            collector.handles.unpin();
        }
        collector.handles.remove(index);
    };
    // SAFETY: the caller's.
    let is_done = unsafe { state.with(remove) };
    if !state.is(Phase::Open) && is_done.is_some() && state.is(Phase::Orphaned) {
        let_go(state);
    }
}

/// Takes note that a handle or a charge is no more. The last one of an arena that was dropped takes the arena's memory along.
#[cold]
#[inline(never)]
pub(super) fn let_go(state: &'static BrandState) {
    // SAFETY: BRAND: the arena's collector is there; handles and charges are of its thread of control.
    let (orphans, droppable) = unsafe {
        let collector = &mut *state.collector();
        collector.orphans -= usize::from(collector.orphans != usize::MAX);
        (collector.orphans, collector.drops.count())
    };
    // Objects with destructors may own handles, which go with them.
    if orphans == 0 || droppable != 0 {
        close(state);
    }
}

/// Runs the destructors of all objects that no handle keeps; if no handle is left then, gives everything back.
fn close(state: &'static BrandState) {
    let collector = state.collector();
    if state.is(Phase::Orphaned) {
        state.parking.set(Phase::Closing);
    } else {
        state.parking.close();
    }
    // SAFETY: BRAND: the arena is dropped, so there is no token and no reference to an object (PARKED); only pinned ones are
    // read. While destructors run, the phase keeps handles that are dropped from coming here again.
    unsafe {
        (*collector).clear_finalizers();
        Collector::drop_all(NonNull::new_unchecked(collector));
        (*collector).orphans = (*collector).handles.count().saturating_add((*collector).charges);
        if (*collector).orphans == 0 {
            Collector::destroy(NonNull::new_unchecked(collector));
            state.release();
        } else {
            state.parking.set(Phase::Orphaned);
        }
    }
}
