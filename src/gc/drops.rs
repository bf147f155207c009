//! Objects with destructors: which there are, and which wait for theirs.
//!
//! A destructor is user code, so it does not run in a collection. An object that is found dead is *dying* from then on: its
//! slots are emptied and its memory stays, until a poll has run its destructor.
//!
//! A program whose objects have none does not link what is done for them: the collector gets here through
//! a pointer that the first one sets.

use core::mem::offset_of;
use core::ptr::NonNull;

use super::Collector;
use super::brick::Forward;
use super::card;
use super::collect::Ending;
use super::event::CollectionCause;
use super::object::{self, Descriptor, DropFn};
use super::source::Source;
use super::space::Space;
use super::table::Table;
use super::visit::Visitor;

/// Set in the entry of a dying object.
const DYING: u32 = 1 << 31;

/// The objects whose types have something to drop.
///
/// **Invariant `DROPS`**: an entry is the position of an object whose descriptor has `drop` and whose value was not dropped;
/// there is one entry for each such object. The slots of a dying one are empty.
pub(crate) struct Drops {
    table: Table<u32>,
    dying: u32,
    /// Nothing before the first object.
    work: Option<Work>,
}

/// Does a step of the work with the objects; tells whether there was something to do, if that is of interest.
///
/// # Safety
/// As for the method that does the step.
type Work = unsafe fn(collector: NonNull<Collector>, step: Step) -> bool;

/// What there is to do.
pub(super) enum Step<'a> {
    /// Mark the objects that were dying already.
    Mark(&'a mut Visitor),
    /// Find the objects that have died.
    Find(&'a mut Visitor),
    /// Replace the positions by new ones.
    Relocate(&'a Forward),
    /// Run a destructor that waits.
    Drop,
    /// Run those of all objects that no handle keeps.
    Close,
}

/// The one [`Work`] there is.
unsafe fn work(collector: NonNull<Collector>, step: Step) -> bool {
    // SAFETY: the caller's: the reference ends before the destructor runs.
    unsafe {
        if let Step::Close = step {
            close(collector);
            return false;
        }
        let Collector { space, drops, .. } = &mut *collector.as_ptr();
        match step {
            Step::Mark(visitor) => drops.mark_dying(visitor),
            Step::Find(sever) => return drops.find_dead(space, sever),
            Step::Relocate(forward) => drops.relocate(space, forward),
            Step::Drop => {
                if let Some((drop, value, len)) = drops.take_dying(space) {
                    drop(value, len);
                    return true;
                }
            }
            Step::Close => {}
        }
        false
    }
}

/// Collects and runs destructors until no object is found that has one and is kept by no handle.
///
/// # Safety
/// As for [`Collector::drop_all`].
unsafe fn close(collector: NonNull<Collector>) {
    // SAFETY: the caller's; no reference is held while a destructor runs.
    unsafe {
        let mut ran = true;
        while ran && (*collector.as_ptr()).drops.count() != 0 {
            (*collector.as_ptr()).collect(Collector::ALL, Ending::Compact, CollectionCause::Closing);
            ran = false;
            while Collector::drop_dying(collector) {
                ran = true;
            }
        }
    }
}

impl Collector {
    /// Does a step of the work with objects that have destructors, if there are any.
    ///
    /// # Safety
    /// As for the step.
    #[inline(always)]
    pub(super) unsafe fn care_for_drops(collector: NonNull<Collector>, step: Step) -> bool {
        // SAFETY: the caller's.
        unsafe {
            (*collector.as_ptr())
                .drops
                .work
                .is_some_and(|work| work(collector, step))
        }
    }

    /// Runs the destructor of a dying object, if there is one; tells whether there was.
    ///
    /// # Safety
    /// The collector lives and is at rest. Nobody holds a reference to it, nor to a dying object; and nothing is collected while
    /// the destructor runs.
    pub(crate) unsafe fn drop_dying(collector: NonNull<Collector>) -> bool {
        // SAFETY: the caller's.
        unsafe { Collector::care_for_drops(collector, Step::Drop) }
    }

    /// Runs the destructors of all objects that no handle keeps, before the collector is given up.
    ///
    /// # Safety
    /// As for [`Collector::drop_dying`], and PARKED.
    pub(crate) unsafe fn drop_all(collector: NonNull<Collector>) {
        // SAFETY: the caller's.
        unsafe { Collector::care_for_drops(collector, Step::Close) };
    }
}

impl Drops {
    /// Where the table lies.
    pub(super) const TABLE: usize = offset_of!(Drops, table);

    /// Objects with destructors, dying ones included.
    pub(crate) fn count(&self) -> usize {
        self.table.len()
    }

    pub(crate) fn dying(&self) -> usize {
        self.dying as usize
    }

    pub(crate) fn bytes(&self) -> usize {
        self.table.bytes()
    }

    /// Whether one more object can be added.
    #[inline(always)]
    pub(crate) fn has_room(&self) -> bool {
        self.table.len() < self.table.capacity()
    }

    /// Makes room for one more object; tells whether there is.
    #[inline(always)]
    pub(crate) fn reserve(&mut self, source: &dyn Source) -> bool {
        let len = self.table.len() + 1;
        self.table.reserve(len, source)
    }

    /// Adds an object, for which room was made.
    pub(crate) fn push(&mut self, position: u32) {
        self.work = Some(work);
        self.table.push(position);
    }

    /// Takes an object off the list.
    pub(crate) fn remove(&mut self, position: u32) {
        if let Some(index) = self.table.as_slice().iter().rposition(|entry| *entry == position) {
            self.table.swap_remove(index);
        }
    }

    /// Marks the objects that were dying already.
    fn mark_dying(&self, visitor: &mut Visitor) {
        if self.dying == 0 {
            return;
        }
        for entry in self.table.as_slice() {
            if entry & DYING != 0 {
                visitor.mark(entry & !DYING);
            }
        }
    }

    /// Finds the objects that have died, marks them and empties their slots with `sever`; tells whether there are any.
    ///
    /// # Safety
    /// LIVE and OBJECT hold, and all that lives is marked.
    unsafe fn find_dead(&mut self, space: &Space, sever: &mut Visitor) -> bool {
        let before = self.dying;
        for entry in self.table.as_mut_slice() {
            // SAFETY: DROPS: entries are positions of objects.
            unsafe {
                if *entry & DYING == 0 && !space.is_live(*entry) {
                    card::note_live(space, *entry);
                    object::trace(space.at(*entry), sever);
                    *entry |= DYING;
                    self.dying += 1;
                }
            }
        }
        self.dying != before
    }

    /// Replaces the positions by new ones.
    ///
    /// # Safety
    /// As for [`Forward::position`], for all objects.
    unsafe fn relocate(&mut self, space: &Space, forward: &Forward) {
        for entry in self.table.as_mut_slice() {
            // SAFETY: DROPS: an entry is an object's position; the rest is the caller's.
            let position = unsafe { forward.position(space, *entry & !DYING) };
            *entry = position | (*entry & DYING);
        }
    }

    /// Takes a dying object off the list and marks its value as dropped. Whoever gets it drops the value: function,
    /// value and length.
    ///
    /// # Safety
    /// OBJECT holds.
    unsafe fn take_dying(&mut self, space: &Space) -> Option<(DropFn, *mut u8, usize)> {
        if self.dying == 0 {
            return None;
        }
        let index = self.table.as_slice().iter().rposition(|entry| entry & DYING != 0)?;
        let object = space.at(self.table.swap_remove(index) & !DYING);
        self.dying -= 1;
        // SAFETY: DROPS: the object is one whose type has a destructor and a descriptor for when it has run, which agrees with
        // the first in all but that.
        unsafe {
            let descriptor = object::descriptor(object);
            let (drop, dead) = (descriptor.drop?, descriptor.dead?);
            let value = object::value(object);
            let len = object::len(object);
            object.cast::<&'static Descriptor>().write(dead);
            Some((drop, value, len))
        }
    }
}
