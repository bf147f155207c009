//! What only some programs need: in a block of the heap itself, made when it is first asked for, so that others pay one word.

use core::alloc::Layout;
use core::ptr::NonNull;

use lock_api::RawMutex;

use super::admit::Admit;
use super::criticality::Veto;
use super::external::NeedsHook;
use super::handlers::{BARS, GcHooks, Run};
use super::hosting::Hosting;
use super::load::{Follow, LoadOverride};
use super::rescue::{Measure, Rescuer, Take};
use super::{Heap, Shared};
use crate::arena::error::OutOfMemory;
use crate::base::core_id::CoreId;
use crate::base::criticality::Criticality;
use crate::base::limits::Limits;
use crate::gc::source::StartupLimits;
use crate::native::context::Context;
use crate::notify::external::External;
use crate::notify::handler::Handlers;
use crate::notify::waker::Wakers;

/// The host's side of a heap.
///
/// **Invariant `SIDE`**: it lies in a block that the heap never gives back, and is reached under the shared lock only.
pub(super) struct Side {
    /// What can be done for a request that there is no room for, see [`Measure`].
    pub measures: [Option<Take>; Measure::COUNT],
    /// Runs hooks and handlers of collections; nothing before there are any.
    pub run: Option<Run>,
    pub handlers: Handlers,
    pub hooks: Option<&'static dyn GcHooks>,
    /// The tasks that hooks or handlers run in, see [`bar_of`](super::handlers::bar_of); 0 where there is none.
    pub bars: [usize; BARS],
    /// Requests of these that were refused; wraps.
    pub refused: u32,
    pub wakers: Wakers,
    /// The number of the last low memory that all callbacks have been told of.
    pub told_count: u32,
    /// What [`Heap::set_startup_limits`](crate::Heap::set_startup_limits) has set.
    pub limits: Option<StartupLimits>,
    /// What lets requests go below the floor; there before there is one.
    pub admit: Option<Admit>,
    /// Bytes that only requests more critical than `Task`, and more critical than `Domain`, may use.
    pub reserves: [usize; Criticality::Process as usize],
    /// What [`Heap::set_limits`] has set.
    pub use_limits: Limits,
    /// The criticality of requests that do not tell.
    pub criticality: Criticality,
    pub veto: Option<Veto>,
    /// Requests that a reserve or the host denied; wraps.
    pub denied: usize,
    /// Memory in use outside of the heap.
    pub external: External,
    /// Bytes that may be, beside the heap's own.
    pub allowance: usize,
    pub needs: Option<NeedsHook>,
    pub load_override: Option<LoadOverride>,
    /// Makes the watch follow the override; there with it.
    pub follow: Option<Follow>,
    /// The heap's doors to arenas for each criticality.
    pub doors: Option<NonNull<()>>,
    /// Where the first span's memory comes from, if it can grow.
    pub hosting: Option<Hosting>,
}

impl Default for Side {
    fn default() -> Side {
        Side {
            measures: [None; Measure::COUNT],
            run: None,
            handlers: Handlers::EMPTY,
            hooks: None,
            bars: [0; BARS],
            refused: 0,
            wakers: Wakers::EMPTY,
            told_count: 0,
            limits: None,
            admit: None,
            reserves: [0; Criticality::Process as usize],
            use_limits: Limits::NONE,
            criticality: Criticality::default(),
            veto: None,
            denied: 0,
            external: External::default(),
            allowance: 0,
            needs: None,
            load_override: None,
            follow: None,
            doors: None,
            hosting: None,
        }
    }
}

impl Side {
    /// Makes a measure be taken from now on.
    pub(super) fn arm(&mut self, measure: Measure, take: Take) {
        self.measures[measure as usize] = Some(take);
    }
}

impl<L: RawMutex, C: CoreId, const CONTEXTS: usize> Heap<L, C, CONTEXTS> {
    /// Runs `work` with the host's side, which is made if there is none.
    ///
    /// # Errors
    /// There is no memory for it.
    pub(super) fn with_side<R>(&self, work: impl FnOnce(&mut Side) -> R) -> Result<R, OutOfMemory> {
        self.enter(|context, shared| {
            let requested = size_of::<Side>();
            shared
                .side(context, Self::BY_ALL)
                .map(work)
                .ok_or(OutOfMemory { requested })
        })
    }

    /// Makes the host's side if there is none and there is memory for it; lets `work` change what the floor follows from, and
    /// makes that the floor.
    pub(super) fn arrange<E>(&self, work: impl FnOnce(&mut Shared) -> Result<(), E>) -> Result<(), E> {
        let _ = self.with_side(|side| side.admit = Some(Self::admit));
        self.enter_all(|all, shared| {
            work(shared)?;
            shared.set_floor();
            shared.follow_scale(all.idle());
            all.each(|context| shared.pool.settle(context));
            Ok(())
        })
    }
}

impl Shared {
    /// The host's side, which is made if there is none; nothing if there is no memory for it. `rescuer` is that of the heap's type.
    pub(super) fn side(&mut self, context: &mut Context, rescuer: &'static Rescuer) -> Option<&mut Side> {
        if self.side.is_none() {
            let layout = Layout::new::<Side>();
            let place = NonNull::new(self.serve_quietly(context, layout.size(), layout.align()))?.cast::<Side>();
            if cfg!(feature = "check") {
                // SAFETY: the pool handed the block out just now, for this layout, which is not empty.
                unsafe { self.note_taken(place.as_ptr().cast(), layout) };
            }
            // SAFETY: the block was taken just now, for this.
            unsafe { place.write(Side::default()) };
            (self.side, self.rescuer) = (Some(place), Some(rescuer));
        }
        self.side_if_any()
    }

    /// The host's side, if there is one.
    pub(super) fn side_if_any(&mut self) -> Option<&mut Side> {
        // SAFETY: SIDE: it lives, and the exclusive reference to the shared part makes this one exclusive.
        self.side.map(|mut side| unsafe { side.as_mut() })
    }

    /// The host's side, to look at.
    pub(super) fn side_to_look_at(&self) -> Option<&Side> {
        // SAFETY: SIDE: it lives, and the reference to the shared part keeps it from being changed.
        self.side.map(|side| unsafe { side.as_ref() })
    }
}
