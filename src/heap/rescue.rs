//! What is done for a request that there is no room for, before it fails: each *measure* makes room where it can, outside of all
//! locks, and the request is tried again.
//!
//! ```text
//!   no room --> measure 0 --> again --> measure 1 --> again --> ... --> null, and low memory is due
//! ```
//!
//! A measure is linked only with what it is for: whoever needs it arms it, and the heap gets to it through a pointer.

use core::alloc::Layout;
use core::ptr;

use lock_api::RawMutex;

use super::admit::Trial;
use super::criticality::Verdict;
use super::{Heap, Shared};
use crate::base::core_id::CoreId;
use crate::base::criticality::Criticality;
use crate::base::granule::GRANULE;
use crate::gc::source::{How, Notice};
use crate::native::context::Context;

/// What can be done, in the order in which it is.
#[derive(Clone, Copy)]
pub(super) enum Measure {
    /// Ask the host for more.
    Commit,
}

impl Measure {
    pub(super) const COUNT: usize = Measure::Commit as usize + 1;
}

/// What there is no room for.
#[derive(Clone, Copy)]
pub(super) struct Request {
    pub bytes: usize,
    pub align: usize,
    pub criticality: Criticality,
}

impl Request {
    pub(super) fn new(layout: Layout, criticality: Criticality) -> Request {
        Request {
            bytes: layout.size(),
            align: layout.align(),
            criticality,
        }
    }
}

/// Does one step of a measure for a request, and tells whether there may be more room now. It is called again
/// until it tells no; what it has to remember until then is in `progress`, which is 0 at first.
///
/// # Safety
/// The pointer is that of the heap that the measure was armed for. No lock is held.
pub(super) type Take = unsafe fn(heap: *const (), request: Request, progress: &mut usize) -> bool;

/// How far the measures have been taken for one request.
#[derive(Clone, Copy, Default)]
pub(super) struct Rescue {
    measure: usize,
    progress: usize,
    /// How far the collection of parked arenas has come.
    parked: u32,
    /// What the host says to the request; nothing before it was asked.
    pub verdict: Option<Verdict>,
}

/// Makes one attempt to serve a request, under the locks, also while a GC handler runs; null if there is no room.
pub(super) type Work<'a> = &'a mut dyn Attempt;

/// As `FnMut`, but a table of its functions has no second copy of the closure for a call by value.
pub(super) trait Attempt {
    fn attempt(&mut self, context: &mut Context, shared: &mut Shared) -> *mut u8;
}

impl<F: FnMut(&mut Context, &mut Shared) -> *mut u8> Attempt for F {
    fn attempt(&mut self, context: &mut Context, shared: &mut Shared) -> *mut u8 {
        self(context, shared)
    }
}

/// The ways to rescue a request, for one type of heap; reached through a pointer, which is there as soon as there is anything that
/// can be done: a program without such things does not link it. There are two, [`Heap::BY_ARENAS`] as long as there are arenas but
/// no host's side, and [`Heap::BY_ALL`] from then on.
///
/// # Safety
/// The pointer is that of a heap of this type; no lock is held. The rest as for the methods of these names.
pub(super) struct Rescuer {
    pub serve: unsafe fn(heap: *const (), layout: Layout) -> *mut u8,
    pub enlarge: unsafe fn(heap: *const (), block: *mut u8, old: Layout, new_size: usize) -> *mut u8,
    /// What an arena's request needs beyond one attempt; nothing if that is all there is.
    pub take: Option<TakeForArena>,
    /// Hears what [`Heap::hear`] does not know what to do with, if there is anything to do.
    pub hear: Option<unsafe fn(heap: *const (), notice: Notice<'_>)>,
}

/// See [`Rescuer::take`]; null if there is no room.
pub(super) type TakeForArena =
    unsafe fn(heap: *const (), layout: Layout, criticality: Option<Criticality>, work: Work<'_>) -> *mut u8;

impl Rescue {
    /// Whether the host has refused the request.
    pub(super) fn is_refused(&self) -> bool {
        self.verdict.is_some_and(|verdict| verdict != Verdict::Allow)
    }
}

impl<L: RawMutex, C: CoreId, const CONTEXTS: usize> Heap<L, C, CONTEXTS> {
    /// Does one step of a measure, if it is armed; tells whether that may have made room.
    #[inline(always)]
    pub(super) fn take_step(&self, take: Option<Take>, request: Request, progress: &mut usize) -> bool {
        // SAFETY: whoever armed it did so for this heap; no lock is held here.
        take.is_some_and(|take| unsafe { take(ptr::from_ref(self).cast(), request, progress) })
    }

    /// Takes the next measure that may have made room; tells whether there was one. After those that were armed, the parked arenas are
    /// collected, one after the other.
    #[cold]
    #[inline(never)]
    pub(super) fn take_measure(&self, rescue: &mut Rescue, request: Request) -> bool {
        while rescue.measure < Measure::COUNT {
            let take = self.enter(|_, shared| shared.side_if_any().and_then(|side| side.measures[rescue.measure]));
            if self.take_step(take, request, &mut rescue.progress) {
                return true;
            }
            (rescue.measure, rescue.progress) = (rescue.measure + 1, 0);
        }
        rescue.parked = self.collect_next_of(rescue.parked, How::FOR_NATIVE);
        rescue.parked != 0
    }

    pub(super) const BY_ALL: &'static Rescuer = &Rescuer {
        serve: Self::serve_rescued,
        enlarge: Self::enlarge_rescued,
        take: Some(Self::take_rescued),
        hear: Some(Self::hear_all),
    };

    fn rescuer(&self) -> Option<&'static Rescuer> {
        self.enter(|_, shared| shared.rescuer)
    }

    /// A block for `layout`, which is not empty and for which there was no room; null if no measure makes any. Of the heap's
    /// default criticality.
    #[cold]
    #[inline(never)]
    pub(super) fn rescue(&self, layout: Layout) -> *mut u8 {
        match self.rescuer() {
            // SAFETY: it is set for this heap only; no lock is held.
            Some(rescuer) => unsafe { (rescuer.serve)(ptr::from_ref(self).cast(), layout) },
            None => ptr::null_mut(), // the failure is noted
        }
    }

    /// # Safety
    /// The pointer is that of a heap of this type.
    unsafe fn serve_rescued(heap: *const (), layout: Layout) -> *mut u8 {
        // SAFETY: the caller's.
        let heap = unsafe { &*heap.cast::<Self>() };
        let mut attempt = |context: &mut Context, shared: &mut Shared| shared.take_unbarred(context, layout);
        heap.rescue_with(&mut Rescue::default(), layout, None, &mut attempt)
    }

    /// A block for an arena's request, for which one attempt has found no room: as the criticality permits, and after the host has
    /// given more.
    ///
    /// # Safety
    /// The pointer is that of a heap of this type; no lock is held.
    unsafe fn take_rescued(
        heap: *const (),
        layout: Layout,
        criticality: Option<Criticality>,
        work: Work<'_>,
    ) -> *mut u8 {
        // SAFETY: the caller's.
        let heap = unsafe { &*heap.cast::<Self>() };
        let mut progress = 0;
        loop {
            let (admit, default, commit) = heap.enter_first(|_, shared| {
                let admit = shared.admit().filter(|_| shared.pool.has_floor());
                (admit, shared.criticality(), shared.measure(Measure::Commit))
            });
            let request = Request::new(layout, criticality.unwrap_or(default));
            let mut block = ptr::null_mut();
            if let Some(admit) = admit {
                let trial = Trial {
                    rescue: &mut Rescue::default(),
                    request,
                    is_arena: true,
                    work,
                };
                // SAFETY: it is this heap's; no lock is held here.
                block = unsafe { admit(ptr::from_ref(heap).cast(), trial) };
            }
            if !block.is_null() || !heap.take_step(commit, request, &mut progress) {
                return block;
            }
            block = heap.enter_first(|context, shared| work.attempt(context, shared));
            if !block.is_null() {
                return block;
            }
        }
    }

    /// Hears what an arena tells.
    ///
    /// # Safety
    /// The pointer is that of a heap of this type; no lock is held.
    unsafe fn hear_all(heap: *const (), notice: Notice<'_>) {
        // SAFETY: the caller's.
        let heap = unsafe { &*heap.cast::<Self>() };
        match notice {
            Notice::Made(arena) => {
                let limits = heap.enter_first(|_, shared| shared.side_if_any().and_then(|side| side.limits));
                if let Some(limits) = limits {
                    // SAFETY: it is told of.
                    unsafe { arena.start_with(limits) };
                }
            }
            Notice::Settled => heap.settle(),
            _ => {
                let run = heap.enter_first(|_, shared| shared.side_if_any().and_then(|side| side.run));
                if let Some(run) = run {
                    // SAFETY: it was set for this heap; no lock is held here.
                    unsafe { run(ptr::from_ref(heap).cast(), notice) };
                }
            }
        }
    }

    /// As [`Heap::move_rescued`], of the heap's default criticality.
    ///
    /// # Safety
    /// As for [`Heap::move_rescued`].
    #[cold]
    #[cfg_attr(not(terrace_small), inline(never))]
    #[cfg_attr(terrace_small, inline(always))]
    pub(super) unsafe fn enlarge(&self, block: *mut u8, old: Layout, new_size: usize) -> *mut u8 {
        match self.rescuer() {
            // SAFETY: it is set for this heap only; no lock is held; the rest is the caller's.
            Some(rescuer) => unsafe { (rescuer.enlarge)(ptr::from_ref(self).cast(), block, old, new_size) },
            None => ptr::null_mut(), // the failure is noted
        }
    }

    /// # Safety
    /// The pointer is that of a heap of this type; the rest as for [`Heap::move_rescued`].
    unsafe fn enlarge_rescued(heap: *const (), block: *mut u8, old: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: the caller's.
        unsafe {
            let heap = &*heap.cast::<Self>();
            heap.move_rescued(block, old, new_size, |layout, attempt| {
                heap.rescue_with(&mut Rescue::default(), layout, None, attempt)
            })
        }
    }

    /// Attempts something that needs memory of this layout, and for which there was no room, until it succeeds or nothing can be done.
    #[inline(never)]
    pub(super) fn rescue_with(
        &self,
        rescue: &mut Rescue,
        layout: Layout,
        criticality: Option<Criticality>,
        work: Work<'_>,
    ) -> *mut u8 {
        let (has_measures, is_barred, has_floor, default) = self.enter(|_, shared| {
            let (is_barred, has_floor) = (shared.pool.is_barred(), shared.pool.has_floor());
            (shared.has_measures(), is_barred, has_floor, shared.criticality())
        });
        if !has_measures {
            return ptr::null_mut(); // the failure is noted
        }
        if is_barred && self.is_barred() {
            return self.refuse();
        }
        let request = Request::new(layout, criticality.unwrap_or(default));
        let mut is_worth_it = is_barred || has_floor;
        loop {
            if is_worth_it {
                let block = self.attempt(rescue, request, work);
                if !block.is_null() || rescue.is_refused() {
                    return block;
                }
            }
            is_worth_it = !C::in_interrupt() && self.take_measure(rescue, request);
            if !is_worth_it {
                break;
            }
        }
        self.enter(|context, shared| shared.fail(context, layout.size()));
        ptr::null_mut()
    }

    /// Refuses a request of a GC handler.
    fn refuse(&self) -> *mut u8 {
        self.enter(|_, shared| {
            if let Some(side) = shared.side_if_any() {
                side.refused = side.refused.wrapping_add(1);
            }
        });
        ptr::null_mut()
    }

    /// One attempt, as the criticality permits.
    fn attempt(&self, rescue: &mut Rescue, request: Request, work: Work<'_>) -> *mut u8 {
        match self.enter(|_, shared| shared.admit()) {
            Some(admit) => {
                let trial = Trial {
                    rescue,
                    request,
                    is_arena: false,
                    work,
                };
                // SAFETY: it is this heap's; no lock is held here.
                unsafe { admit(ptr::from_ref(self).cast(), trial) }
            }
            None => self.run(ptr::null_mut(), |context, shared| work.attempt(context, shared)),
        }
    }

    /// Runs `work` with the running core's context and the shared part; under feature `check` if the heap is sound, or it is
    /// `refused`.
    pub(super) fn run<R>(&self, refused: R, work: impl FnOnce(&mut Context, &mut Shared) -> R) -> R {
        if cfg!(feature = "check") {
            self.check_and(refused, |context, shared| Ok(work(context, shared)))
        } else {
            self.enter(work)
        }
    }
}

impl Shared {
    /// Whether something can be done for a request that there is no room for.
    #[inline(always)]
    pub(super) fn has_measures(&self) -> bool {
        self.side.is_some() || !self.arenas.is_null()
    }

    /// Takes note that there was no room for a request: it has failed, if nothing can be done.
    #[cold]
    #[inline(never)]
    pub(super) fn miss(&mut self, context: &Context, bytes: usize) {
        if !self.has_measures() {
            self.fail(context, bytes);
        }
    }

    /// A block for `layout`, which is not empty, or null.
    pub(super) fn take(&mut self, context: &mut Context, layout: Layout) -> *mut u8 {
        if self.pool.is_barred() {
            return ptr::null_mut(); // whose request it is, `Heap::rescue` finds out
        }
        self.take_unbarred(context, layout)
    }

    /// As [`Shared::take`], also while a GC handler runs.
    pub(super) fn take_unbarred(&mut self, context: &mut Context, layout: Layout) -> *mut u8 {
        let mut block = ptr::null_mut();
        if layout.align() <= GRANULE {
            block = context.pop(layout.size());
        }
        if block.is_null() {
            block = self.serve_unbarred(context, layout.size(), layout.align());
        }
        if cfg!(feature = "check") {
            // SAFETY: the block, if there is one, was handed out right now.
            unsafe { self.note_taken(block, layout) };
        }
        block
    }

    /// How a measure is taken, if it is armed.
    pub(super) fn measure(&mut self, measure: Measure) -> Option<Take> {
        self.side_if_any()?.measures[measure as usize]
    }
}
