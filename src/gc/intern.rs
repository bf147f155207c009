//! Interned strings: one for each text.
//!
//! ```text
//!   entries   | 0 | handle + 1 | 0 | handle + 1 | ...     a power of two of them, found by the hash of the text
//! ```
//!
//! Open addressing with linear probing. An entry leads to a handle, and so to the string: handles are what the collector
//! marks from, empties and changes already, so that a collection needs nothing more for interned strings, and a program
//! without them does not link any of this. A handle of kind `Long` lets the string go when nothing else refers to it, and
//! is emptied then; such an entry is used for another string, or goes when the table grows.
//!
//! **Invariant `INTERNED`**: an entry that is not 0 leads to a handle of its own, that of a string object or an
//! empty one; from the place that its hash says to that of each string there is no entry 0. There is always one entry 0,
//! if there are any.

use core::mem::offset_of;

use super::Collector;
use super::event::CollectionCause;
use super::handle::Kind;
use super::object;
use super::table::Table;

/// Entries of the smallest table.
const FIRST: usize = 16;

/// The strings that are interned.
pub(crate) struct Interned {
    entries: Table<u32>,
    /// Entries that are not 0.
    used: usize,
}

impl Interned {
    /// Where the table lies.
    pub(super) const TABLE: usize = offset_of!(Interned, entries);

    pub(super) fn bytes(&self) -> usize {
        self.entries.bytes()
    }
}

/// FNV-1a (Fowler, Noll, Vo), folded: the table takes the low bits.
fn hash(text: &[u8]) -> usize {
    let step = |hash: u32, byte: &u8| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
    let hash = text.iter().fold(0x811C_9DC5, step);
    (hash ^ hash >> 15) as usize
}

/// What [`Collector::probe`] has found.
enum Probed {
    /// The handle of the string.
    Handle(u32),
    /// There is none; it would go to the entry of this index.
    Vacant(usize),
}

impl Collector {
    /// The handle of the one string of this text. O(text) expected.
    pub(crate) fn find_interned(&self, text: &str) -> Option<u32> {
        match self.probe(text.as_bytes()) {
            Probed::Handle(handle) => Some(handle),
            Probed::Vacant(_) => None,
        }
    }

    /// Makes room for one more string; tells whether there is. Amortised O(text).
    pub(crate) fn reserve_interned(&mut self) -> bool {
        let source = self.source;
        let capacity = self.interned.entries.len();
        let has_room = self.interned.used < capacity / 4 * 3 || self.rebuild_interned();
        // One entry stays 0, also when there is no memory for a larger table.
        (has_room || self.interned.used + 1 < capacity) && self.handles.reserve(source)
    }

    /// Interns the string at `position`; returns its handle.
    ///
    /// # Safety
    /// It is a string of this text, and there is room, which was made since anything else was interned.
    pub(crate) unsafe fn add_interned(&mut self, text: &str, position: u32) -> u32 {
        let vacant = match self.probe(text.as_bytes()) {
            Probed::Handle(handle) => return handle,
            Probed::Vacant(vacant) => vacant,
        };
        let entry = &mut self.interned.entries.as_mut_slice()[vacant];
        if *entry != 0 {
            self.handles.set(*entry - 1, position);
            return *entry - 1;
        }
        // SAFETY: there is room, as for the entry; the handle is the entry's own.
        let handle = unsafe {
            let handle = self.handles.add_reserved(position, Kind::Long);
            self.handles.intern(handle, false);
            handle
        };
        *entry = handle + 1;
        self.interned.used += 1;
        handle
    }

    /// Makes room for one more string of this text, of `granules`, unless it is interned, with collections if need be.
    ///
    /// # Safety
    /// PARKED.
    pub(crate) unsafe fn reserve_interned_collecting(&mut self, text: &str, granules: u32) -> bool {
        let mut attempt = |collector: &mut Collector| {
            collector.find_interned(text).is_some() || collector.reserve_interned() && collector.refill(granules)
        };
        // SAFETY: the caller's.
        unsafe { self.until(CollectionCause::Exhaustion, &mut attempt) }
    }

    /// The position of the string of an entry; 0 if it is gone.
    fn interned_at(&self, entry: u32) -> u32 {
        // SAFETY: INTERNED: it leads to a handle.
        unsafe { self.handles.get(entry - 1) }
    }

    /// The bytes of the string at `position`.
    fn interned_text(&self, position: u32) -> &[u8] {
        let string = self.space.at(position);
        // SAFETY: INTERNED, OBJECT: a string is a slice of bytes, and does not move while the collector is borrowed.
        unsafe { core::slice::from_raw_parts(object::value(string), object::len(string)) }
    }

    fn probe(&self, text: &[u8]) -> Probed {
        let entries = self.interned.entries.as_slice();
        let (mut at, mut vacant) = (hash(text), None);
        loop {
            at &= entries.len().wrapping_sub(1);
            let entry = entries.get(at).copied().unwrap_or(0);
            if entry == 0 {
                return Probed::Vacant(vacant.unwrap_or(at));
            }
            match self.interned_at(entry) {
                0 => vacant = vacant.or(Some(at)),
                position if self.interned_text(position) == text => return Probed::Handle(entry - 1),
                _ => {}
            }
            at += 1;
        }
    }

    /// Makes a new table that is half full at most, without the strings that are gone; tells whether there is memory for it.
    #[cold]
    fn rebuild_interned(&mut self) -> bool {
        let source = self.source;
        let entries = self.interned.entries.as_slice();
        let is_alive = |entry: &&u32| **entry != 0 && self.interned_at(**entry) != 0;
        let alive = entries.iter().filter(is_alive).count();
        let capacity = (2 * (alive + 1)).next_power_of_two().max(FIRST);
        let mut table = Table::EMPTY;
        if !table.reserve(capacity, source) {
            return false;
        }
        (0..capacity).for_each(|_| table.push(0));
        for index in 0..self.interned.entries.len() {
            let entry = self.interned.entries.as_slice()[index];
            if entry == 0 {
                continue;
            }
            let position = self.interned_at(entry);
            if position == 0 {
                // SAFETY: INTERNED: the handle is this entry's own, which goes.
                unsafe { self.handles.remove(entry - 1) };
                continue;
            }
            let mut at = hash(self.interned_text(position)) & (capacity - 1);
            while table.as_slice()[at] != 0 {
                at = (at + 1) & (capacity - 1);
            }
            table.as_mut_slice()[at] = entry;
        }
        self.interned.entries.free(source);
        self.interned = Interned {
            entries: table,
            used: alive,
        };
        true
    }
}
