//! Objects with finalisers: which there are, and whose finaliser is due.
//!
//! ```text
//!   table        | handle, next, run | handle, next, run | ...
//!   registered   first --next--> ... --next--> last        handles that do not keep their objects
//!   queue        first --next--> ... --next--> last        handles that do: of objects found dead
//! ```
//!
//! A finaliser is user code, so it does not run in a collection. A collection that finds an object dead moves its entry from
//! one list to the other and makes the entry's handle a strong one: so the queue is a root, and the object stays intact,
//! with all that it reaches. A poll takes the entry off the queue and leaves the handle to the finaliser. That takes no
//! memory at any point after the registration.
//!
//! A program without finalisers does not link any of this: the collector gets here through [`Finals::work`] only.
//!
//! **Invariant `FINAL`**: each entry is in one of the two lists or in that of the free ones, and what is in the first two has
//! a handle of its own, of kind `Long` if registered and `Strong` if queued. `run` takes handles of objects of the type
//! that the entry's one has. The handle of a registered one holds position 0 while its object is being made.

use core::ptr::NonNull;

use super::Collector;
use super::handle::Kind;
use super::source::Source;
use super::table::Table;
use super::visit::Visitor;

/// Runs a finaliser, with the strong handle of its object, which becomes the finaliser's.
pub(crate) type Run = unsafe fn(collector: NonNull<Collector>, handle: u32);

/// Does a step of the work with finalisers; returns how many of them it has run.
pub(super) type Work = unsafe fn(collector: *mut Collector, step: Step) -> usize;

/// What there is to do.
pub(super) enum Step<'a> {
    /// Queue the objects that a collection up to this generation has not marked, and mark them with all that they reach.
    Find(u8, &'a mut Visitor),
    /// Move the table down.
    Settle,
    /// Run so many of the finalisers that are queued, at most.
    Run(usize),
    /// Forget all entries.
    Clear,
}

#[derive(Clone, Copy)]
struct Entry {
    handle: u32,
    /// The index of the next entry of the list plus 1.
    next: u32,
    run: Run,
}

/// A list of entries: the indices of the first and the last one plus 1, and how many there are.
#[derive(Clone, Copy)]
struct List {
    first: u32,
    last: u32,
    count: u32,
}

impl List {
    const EMPTY: List = List {
        first: 0,
        last: 0,
        count: 0,
    };
}

/// The objects with finalisers.
pub(crate) struct Finals {
    table: Table<Entry>,
    registered: List,
    queue: List,
    /// The index of the first free entry plus 1.
    free: u32,
    /// Nothing before the first registration.
    pub(super) work: Option<Work>,
}

impl Finals {
    /// Makes an empty list of zeros.
    ///
    /// # Safety
    /// All bytes at `place` are 0.
    pub(super) unsafe fn complete(place: *mut Finals) {
        // SAFETY: the caller's: all else is valid if it is zeros.
        unsafe { Table::complete(&raw mut (*place).table) };
    }

    /// Finalisers that are registered and not due.
    pub(crate) fn registered(&self) -> usize {
        self.registered.count as usize
    }

    /// Finalisers that wait for a poll.
    pub(crate) fn queued(&self) -> usize {
        self.queue.count as usize
    }

    pub(crate) fn bytes(&self) -> usize {
        self.table.bytes()
    }

    fn entry(&mut self, index: u32) -> &mut Entry {
        &mut self.table.as_mut_slice()[index as usize - 1]
    }

    /// Makes room for one more entry; tells whether there is.
    fn reserve(&mut self, source: &dyn Source) -> bool {
        let len = self.table.len() + 1;
        self.free != 0 || self.table.reserve(len, source)
    }

    /// An entry, for which there is room, in no list.
    fn take(&mut self, entry: Entry) -> u32 {
        let index = self.free;
        if index == 0 {
            self.table.push(entry);
            return self.table.len() as u32;
        }
        let place = self.entry(index);
        let next = core::mem::replace(place, entry).next;
        self.free = next;
        index
    }

    /// Frees an entry that is in no list; returns it.
    fn give(&mut self, index: u32) -> Entry {
        let next = self.free;
        let place = self.entry(index);
        let entry = *place;
        place.next = next;
        self.free = index;
        entry
    }

    fn append(&mut self, list: List, index: u32) -> List {
        self.entry(index).next = 0;
        if list.last != 0 {
            self.entry(list.last).next = index;
        }
        List {
            first: if list.first == 0 { index } else { list.first },
            last: index,
            count: list.count + 1,
        }
    }

    /// Takes the first entry off the queue.
    fn take_queued(&mut self) -> Option<Entry> {
        let index = self.queue.first;
        if index == 0 {
            return None;
        }
        let entry = self.give(index);
        self.queue.first = entry.next;
        self.queue.count -= 1;
        if entry.next == 0 {
            self.queue.last = 0;
        }
        Some(entry)
    }

    /// Makes the table smaller, if nothing is in it, and moves it down.
    fn settle(&mut self, source: &dyn Source) {
        if self.registered.count + self.queue.count == 0 {
            self.table.free(source);
            self.free = 0;
        }
        self.table.settle(0, source);
    }
}

impl Collector {
    /// Registers a finaliser for the object at `position`, or at 0 for one that is to be made; the index of its handle, or
    /// nothing if there is no memory. Amortised O(1).
    pub(crate) fn register(&mut self, position: u32, run: Run) -> Option<u32> {
        let source = self.source;
        if !self.finals.reserve(source) {
            return None;
        }
        // There is a table from now on, whatever else there is no memory for.
        self.finals.work = Some(work);
        let handle = self.handles.add(position, Kind::Long, source)?;
        let finals = &mut self.finals;
        let index = finals.take(Entry { handle, next: 0, run });
        finals.registered = finals.append(finals.registered, index);
        Some(handle)
    }

    /// Forgets the finalisers of the object at `position`, queued ones as well, or all of them; tells how many there were.
    /// O(finalisers).
    pub(crate) fn suppress(&mut self, position: Option<u32>) -> usize {
        let finals = &mut self.finals;
        let before = finals.registered.count + finals.queue.count;
        for is_queue in [false, true] {
            let list = if is_queue { finals.queue } else { finals.registered };
            let (mut kept, mut at) = (List::EMPTY, list.first);
            while at != 0 {
                let Entry { handle, next, .. } = *finals.entry(at);
                // SAFETY: FINAL: the handle is the entry's own; it goes with the entry.
                unsafe {
                    if position.is_none_or(|position| self.handles.get(handle) == position) {
                        self.handles.remove(handle);
                        finals.give(at);
                    } else {
                        kept = finals.append(kept, at);
                    }
                }
                at = next;
            }
            *(if is_queue {
                &mut finals.queue
            } else {
                &mut finals.registered
            }) = kept;
        }
        (before - finals.registered.count - finals.queue.count) as usize
    }

    /// Runs the finalisers that are queued; returns how many. What comes into the queue meanwhile waits for the next time.
    ///
    /// # Safety
    /// PARKED, and nobody holds a reference to the collector.
    pub(crate) unsafe fn run_finalizers(collector: NonNull<Collector>, most: usize) -> usize {
        // SAFETY: the caller's.
        unsafe {
            let work = collector.as_ref().finals.work;
            work.map_or(0, |work| work(collector.as_ptr(), Step::Run(most)))
        }
    }

    /// Forgets all finalisers, whether queued or not.
    pub(crate) fn clear_finalizers(&mut self) {
        if let Some(work) = self.finals.work {
            // SAFETY: no phase of a collection is under way.
            unsafe { work(self, Step::Clear) };
        }
    }

    /// Queues what has died, in order of registration, and marks it with all that it reaches.
    ///
    /// # Safety
    /// As for [`Collector::mark`]: all that lives is marked.
    unsafe fn find_final(&mut self, generation: u8, visitor: &mut Visitor) {
        let (space, finals) = (self.space, &mut self.finals);
        let (last, mut at) = (finals.queue.last, finals.registered.first);
        finals.registered = List::EMPTY;
        // SAFETY: FINAL: the handles are the entries' own; HANDLE: objects lie at their positions.
        unsafe {
            // All of the dead are found before any is marked: they may refer to each other.
            while at != 0 {
                let Entry { handle, next, .. } = *finals.entry(at);
                let position = self.handles.get(handle);
                if position == 0 || space.is_live(position) {
                    finals.registered = finals.append(finals.registered, at);
                } else {
                    self.handles.set_kind(handle, Kind::Strong);
                    finals.queue = finals.append(finals.queue, at);
                }
                at = next;
            }
            at = if last == 0 {
                finals.queue.first
            } else {
                finals.entry(last).next
            };
            while at != 0 {
                let Entry { handle, next, .. } = *finals.entry(at);
                visitor.mark(self.handles.get(handle));
                visitor.work();
                at = next;
            }
            visitor.drain();
            self.rescan(generation, visitor);
        }
    }
}

/// All the work with finalisers: reached through [`Finals::work`].
///
/// # Safety
/// The collector lives, and nobody holds a reference to it; for `Find`, as for [`Collector::mark`].
unsafe fn work(collector: *mut Collector, step: Step) -> usize {
    let mut count = 0;
    // SAFETY: the caller's; no reference is held while a finaliser runs. FINAL: the handle is the entry's, which is gone, so it
    // is the finaliser's, and of an object of its type.
    unsafe {
        match step {
            Step::Find(generation, visitor) => (*collector).find_final(generation, visitor),
            Step::Settle => {
                let source = (*collector).source;
                (*collector).finals.settle(source);
            }
            Step::Clear => {
                let source = (*collector).source;
                (*collector).suppress(None);
                (*collector).finals.settle(source);
            }
            Step::Run(most) => {
                let queued = (*collector).finals.queued().min(most);
                while count < queued
                    && let Some(entry) = (*collector).finals.take_queued()
                {
                    count += 1;
                    (entry.run)(NonNull::new_unchecked(collector), entry.handle);
                }
            }
        }
    }
    count
}
