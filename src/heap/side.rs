//! What only some hosts need: in a block of the heap itself, made when it is first asked for, so that other programs pay one
//! word.

use core::alloc::Layout;
use core::ptr::NonNull;

use super::Shared;
use crate::native::context::Context;

/// The host's side of a heap.
///
/// **Invariant `SIDE`**: it lies in a block that the heap never gives back, and is reached under the shared lock only.
#[derive(Default)]
pub(super) struct Side {}

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
