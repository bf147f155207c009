//! What only some programs need: in a block of the heap itself, made when it is first asked for, so that others pay one word.

use core::alloc::Layout;
use core::ptr::NonNull;

use super::Shared;
use super::handlers::{BARS, GcHooks, Run};
use super::rescue::{Measure, Take};
use crate::gc::source::StartupLimits;
use crate::native::context::Context;
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
    /// What [`Heap::set_startup_limits`](crate::Heap::set_startup_limits) has set.
    pub limits: Option<StartupLimits>,
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
            limits: None,
        }
    }
}

impl Side {
    /// Makes a measure be taken from now on.
    pub(super) fn arm(&mut self, measure: Measure, take: Take) {
        self.measures[measure as usize] = Some(take);
    }
}

impl Shared {
    /// The host's side, which is made if there is none; nothing if there is no memory for it.
    pub(super) fn side(&mut self, context: &mut Context) -> Option<&mut Side> {
        if self.side.is_none() {
            let layout = Layout::new::<Side>();
            let place = NonNull::new(self.serve_quietly(context, layout.size(), layout.align()))?.cast::<Side>();
            if cfg!(feature = "check") {
                // SAFETY: the pool handed the block out just now, for this layout, which is not empty.
                unsafe { self.note_taken(place.as_ptr().cast(), layout) };
            }
            // SAFETY: the block was taken just now, for this.
            unsafe { place.write(Side::default()) };
            self.side = Some(place);
        }
        self.side_if_any()
    }

    /// The host's side, if there is one.
    pub(super) fn side_if_any(&mut self) -> Option<&mut Side> {
        // SAFETY: SIDE: it lives, and the exclusive reference to the shared part makes this one exclusive.
        self.side.map(|mut side| unsafe { side.as_mut() })
    }
}
