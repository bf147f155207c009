//! What is done with each slot that `Trace` shows.

use core::cell::Cell;

use super::brick::Forward;
use super::object;
use super::space::Space;

/// Handed to [`Trace::trace`](crate::Trace::trace): takes note of slots, or changes them.
pub struct Visitor {
    pub(super) space: Space,
    pub(super) task: Task,
    /// The mark stack.
    ///
    /// **Invariant `STACK`**: `stack` points at `capacity` words of which `depth` are positions of marked objects.
    pub(super) stack: *mut u32,
    pub(super) depth: usize,
    pub(super) capacity: usize,
    /// Whether any object was marked.
    pub(super) found: bool,
    /// A marked object did not fit into the stack.
    pub(super) overflowed: bool,
}

/// What a [`Visitor`] is about.
pub(super) enum Task {
    /// Finding what lives.
    Mark,
    /// Replacing positions by where the objects will be.
    Relocate(Forward),
    /// Emptying the slots of an object that is dead but for its destructor.
    Sever,
    /// Verifying that positions are those of live objects.
    #[cfg(feature = "check")]
    Verify(super::verify::Verifier),
}

impl Visitor {
    /// Visits one slot: a position, or 0.
    #[cfg_attr(not(terrace_small), inline(always))]
    #[cfg_attr(terrace_small, inline(never))]
    pub(crate) fn edge(&mut self, slot: &Cell<u32>) {
        let position = slot.get();
        if position == 0 {
            return;
        }
        match &mut self.task {
            Task::Mark => self.mark(position),
            // SAFETY: LIVE: what a traced object refers to was marked.
            Task::Relocate(forward) => slot.set(unsafe { forward.position(position) }),
            Task::Sever => slot.set(0),
            #[cfg(feature = "check")]
            Task::Verify(verifier) => verifier.edge(position),
        }
    }

    /// Marks the object at `position` if it is not yet marked, and remembers to trace it.
    #[inline(always)]
    pub(super) fn mark(&mut self, position: u32) {
        // SAFETY: SPACE: slots and handles hold positions of objects of this arena. A marked object has all bits set.
        unsafe {
            if self.space.is_live(position) {
                return;
            }
            self.found = true;
            let object = self.space.at(position);
            self.space.set_live(position, position + object::size(object));
            if object::descriptor(object).trace.is_some() {
                self.push(position);
            }
        }
    }

    #[inline(always)]
    fn push(&mut self, position: u32) {
        if self.depth == self.capacity {
            self.overflowed = true;
            return;
        }
        // SAFETY: STACK: the word exists.
        unsafe { self.stack.add(self.depth).write(position) };
        self.depth += 1;
    }

    /// Traces what was remembered, until nothing is left.
    #[cfg_attr(not(terrace_small), inline(always))]
    #[cfg_attr(terrace_small, inline(never))]
    pub(super) fn drain(&mut self) {
        while self.depth != 0 {
            self.depth -= 1;
            // SAFETY: STACK: the word was written by `push`, as the position of an object.
            unsafe {
                let position = *self.stack.add(self.depth);
                object::trace(self.space.at(position), self);
            }
        }
    }
}
