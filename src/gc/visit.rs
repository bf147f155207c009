//! What is done with each slot that `Trace` shows.

use core::cell::Cell;

use super::ahead::Ahead;
use super::brick::Forward;
use super::card;
use super::object;
use super::segment::Segment;
use super::space::Space;

/// Handed to [`Trace::trace`](crate::Trace::trace): takes note of slots, or changes them.
pub struct Visitor {
    pub(super) space: Space,
    pub(super) task: Task,
    /// The mark stack.
    ///
    /// **Invariant `STACK`**: `stack` points at `capacity` words of which `depth` are positions of marked objects, or pairs of an
    /// element's index and the position of a marked slice with [`REST`].
    stack: *mut u32,
    depth: usize,
    capacity: usize,
    /// Objects that may yet have to be marked.
    ahead: Ahead,
    /// Dirty bricks that were visited.
    pub(super) cards: u32,
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
    /// Telling a function of the positions.
    Look(super::walk::Look),
}

/// Set in what is on the mark stack for the rest of a slice.
const REST: u32 = 1 << 31;

/// Elements of a slice that are traced before what they refer to: that is in the cache still, and fits into the stack.
const PIECE: usize = 128;

impl Visitor {
    /// A visitor with an empty stack in `stack`.
    pub(super) fn new(space: Space, task: Task, stack: &mut [u32]) -> Visitor {
        Visitor {
            space,
            task,
            stack: stack.as_mut_ptr(),
            depth: 0,
            capacity: stack.len(),
            ahead: Ahead::EMPTY,
            cards: 0,
            found: false,
            overflowed: false,
        }
    }

    /// Whether user code is told of each slot.
    pub(crate) fn is_look(&self) -> bool {
        matches!(self.task, Task::Look(_))
    }

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
            Task::Relocate(forward) => slot.set(unsafe { forward.position(&self.space, position) }),
            Task::Sever => slot.set(0),
            Task::Look(look) => look.tell(position),
        }
    }

    /// Sees to it that the object at `position` is marked and traced, at the latest by [`Visitor::drain`].
    #[cfg_attr(not(terrace_small), inline(always))]
    #[cfg_attr(terrace_small, inline(never))]
    pub(super) fn mark(&mut self, position: u32) {
        // SAFETY: SPACE: slots and handles hold positions of objects of this arena.
        if unsafe { self.space.is_live(position) } {
            return;
        }
        if let Some(next) = self.ahead.exchange(&self.space, position) {
            self.mark_now(next);
        }
    }

    /// Marks the object at `position` if it is not yet marked, and remembers to trace it.
    #[inline(always)]
    fn mark_now(&mut self, position: u32) {
        // SAFETY: SPACE: as above. A marked object has all bits set.
        unsafe {
            if self.space.is_live(position) {
                return;
            }
            self.found = true;
            card::note_live(&self.space, position);
            let object = self.space.at(position);
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

    /// Traces what was remembered, until the stack is empty. What is on its way from memory may be left.
    #[cfg_attr(not(terrace_small), inline(always))]
    #[cfg_attr(terrace_small, inline(never))]
    pub(super) fn work(&mut self) {
        while self.depth != 0 {
            self.depth -= 1;
            // SAFETY: STACK: the word was written by `push`, as the position of an object, or by `trace_piece`.
            unsafe {
                let word = *self.stack.add(self.depth);
                if cfg!(not(terrace_small)) && (word & REST != 0 || object::is_slice(self.space.at(word))) {
                    self.trace_piece(word);
                } else {
                    object::trace(self.space.at(word), self);
                }
            }
        }
    }

    /// Traces a slice, or the next piece of a long one, whose rest comes when all that the piece leads to is done.
    ///
    /// # Safety
    /// STACK: it is a word that was taken off the stack just now.
    #[inline(never)]
    unsafe fn trace_piece(&mut self, word: u32) {
        // SAFETY: STACK: the object is marked; an index lies below a position with `REST`, and there was room for both then.
        unsafe {
            let object = self.space.at(word & !REST);
            let mut from = 0;
            if word & REST != 0 {
                self.depth -= 1;
                from = *self.stack.add(self.depth) as usize;
            }
            let mut to = object::len(object);
            if to - from > PIECE && self.depth + 2 <= self.capacity {
                to = from + PIECE;
                let rest = self.stack.add(self.depth);
                rest.write(to as u32);
                rest.add(1).write(word | REST);
                self.depth += 2;
            }
            object::trace_elements(object, from, to, self);
        }
    }

    /// Traces each live object of a segment, and what is remembered on the way.
    ///
    /// # Safety
    /// SPACE and LIVE hold for the segment.
    pub(super) unsafe fn trace_live(&mut self, segment: &Segment) {
        let mut at = segment.start;
        // SAFETY: LIVE: objects are marked whole, and a set bit that does not follow an object's granule is an object's first
        // one, so the walk meets each at its start; a large one that is not marked may have bits behind that.
        unsafe {
            if segment.is_empty_large(&self.space) {
                return;
            }
            loop {
                at = self.space.find(at, segment.end, true);
                if at >= segment.end {
                    return;
                }
                let object = self.space.at(at);
                at += object::size(object);
                object::trace(object, self);
                self.work();
            }
        }
    }

    /// Marks and traces until nothing is left.
    pub(super) fn drain(&mut self) {
        self.work();
        while let Some(next) = self.ahead.take() {
            self.mark_now(next);
            self.work();
        }
    }
}
