//! Handles: references from outside of the heap, which the collector knows and changes.

use super::source::Source;
use super::table::Table;

/// What a handle does to its object.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub(crate) enum Kind {
    /// Keeps it alive.
    Strong = 1,
    /// Becomes 0 when it is found dead.
    Weak = 2,
    /// Keeps it alive, and where it is.
    Pinned = 3,
    /// Becomes 0 when it is found dead and no finaliser waits for it, nor for what refers to it.
    Long = 4,
}

const FREE: u32 = 0;
const KIND_BITS: u32 = 3;
const KIND_MASK: u32 = (1 << KIND_BITS) - 1;

/// A handle: the position of an object, or 0, and the kind. A free one: `FREE`, and above that the index of the next free one
/// plus 1.
#[derive(Clone, Copy)]
struct Handle {
    position: u32,
    tag: u32,
}

impl Handle {
    /// Nothing for a free one.
    #[inline(always)]
    fn kind(&self) -> Option<Kind> {
        match self.tag {
            1 => Some(Kind::Strong),
            2 => Some(Kind::Weak),
            3 => Some(Kind::Pinned),
            4 => Some(Kind::Long),
            _ => None,
        }
    }
}

/// The handles of an arena.
///
/// **Invariant `HANDLE`**: an index that [`Handles::add`] returned is that of a handle until [`Handles::remove`] is called
/// with it; its position is that of a live object, or 0 if it is weak or long. Free handles form a list through their tags.
pub(crate) struct Handles {
    table: Table<Handle>,
    /// The index of the first free handle plus 1.
    free: u32,
    count: u32,
    pins: u32,
}

impl Handles {
    pub(crate) const EMPTY: Handles = Handles {
        table: Table::EMPTY,
        free: 0,
        count: 0,
        pins: 0,
    };

    pub(crate) fn count(&self) -> usize {
        self.count as usize
    }

    /// Handles that pin.
    pub(crate) fn pins(&self) -> usize {
        self.pins as usize
    }

    pub(crate) fn bytes(&self) -> usize {
        self.table.bytes()
    }

    /// Makes sure that one more handle can be added without memory; tells whether it can.
    #[inline(always)]
    pub(crate) fn reserve(&mut self, source: &dyn Source) -> bool {
        self.free != 0 || {
            let len = self.table.len() + 1;
            // Indices have the bits that the tag leaves.
            len < 1 << (u32::BITS - KIND_BITS - 1) && self.table.reserve(len, source)
        }
    }

    /// A handle for the object at `position`; nothing if there is no memory for it. Amortised O(1).
    #[inline(always)]
    pub(crate) fn add(&mut self, position: u32, kind: Kind, source: &dyn Source) -> Option<u32> {
        self.reserve(source).then(|| self.add_reserved(position, kind))
    }

    /// A handle for the object at `position`, for which there is room. O(1).
    #[inline(always)]
    pub(crate) fn add_reserved(&mut self, position: u32, kind: Kind) -> u32 {
        let handle = Handle {
            position,
            tag: kind as u32,
        };
        self.count += 1;
        if kind == Kind::Pinned {
            self.pins += 1;
        }
        if self.free == 0 {
            self.table.push(handle);
            return self.table.len() as u32 - 1;
        }
        let index = self.free - 1;
        // SAFETY: HANDLE: free handles are in the table.
        unsafe {
            let place = self.table.at_mut(index);
            self.free = place.tag >> KIND_BITS;
            *place = handle;
        }
        index
    }

    /// Gives a handle up; one that pins after [`Handles::unpin`].
    ///
    /// # Safety
    /// HANDLE: it was added and not removed since.
    #[inline(always)]
    pub(crate) unsafe fn remove(&mut self, index: u32) {
        let tag = self.free << KIND_BITS | FREE;
        // SAFETY: HANDLE: it is in the table.
        unsafe { self.table.at_mut(index).tag = tag };
        self.free = index + 1;
        self.count -= 1;
    }

    /// Makes a handle that keeps its object one that pins it as well; tells whether it was none before.
    ///
    /// # Safety
    /// HANDLE; it is strong or pins, and the collector's tables have room for one more pin.
    pub(crate) unsafe fn pin(&mut self, index: u32) -> bool {
        // SAFETY: HANDLE: the index is below the table's length.
        let tag = unsafe { &mut self.table.at_mut(index).tag };
        let is_new = *tag == Kind::Strong as u32;
        *tag = Kind::Pinned as u32;
        self.pins += u32::from(is_new);
        is_new
    }

    /// Takes note that a handle that pins will be given up.
    pub(crate) fn unpin(&mut self) {
        self.pins -= 1;
    }

    /// The position that a handle holds.
    ///
    /// # Safety
    /// HANDLE.
    #[inline(always)]
    pub(crate) unsafe fn get(&self, index: u32) -> u32 {
        // SAFETY: HANDLE: the index is below the table's length.
        unsafe { self.table.at(index).position }
    }

    /// Makes a handle one of another kind; not of the kind that pins, nor the other way round.
    ///
    /// # Safety
    /// HANDLE.
    pub(crate) unsafe fn set_kind(&mut self, index: u32, kind: Kind) {
        // SAFETY: HANDLE: the index is below the table's length.
        unsafe { self.table.at_mut(index).tag = kind as u32 };
    }

    /// Changes the position that a handle holds.
    #[inline(always)]
    pub(crate) fn set(&mut self, index: u32, position: u32) {
        self.table.as_mut_slice()[index as usize].position = position;
    }

    /// Makes the table smaller if most of it is unused, and moves it down. O(handles).
    pub(crate) fn settle(&mut self, source: &dyn Source) {
        let handles = self.table.as_slice();
        let used = handles.iter().rposition(|handle| handle.tag & KIND_MASK != FREE);
        self.table.truncate(used.map_or(0, |last| last + 1));
        self.free = 0;
        for (index, handle) in self.table.as_mut_slice().iter_mut().enumerate() {
            if handle.tag & KIND_MASK == FREE {
                handle.tag = self.free << KIND_BITS | FREE;
                self.free = index as u32 + 1;
            }
        }
        self.table.settle(0, source);
    }

    /// Calls `visit` with the kind and the position of each handle that has one.
    pub(crate) fn each(&mut self, mut visit: impl FnMut(Kind, &mut u32)) {
        for handle in self.table.as_mut_slice() {
            let Some(kind) = handle.kind() else { continue };
            if handle.position != 0 {
                visit(kind, &mut handle.position);
            }
        }
    }

    /// Kind and position of each handle that has one.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Kind, u32)> + '_ {
        self.table.as_slice().iter().filter_map(|handle| {
            let kind = handle.kind().filter(|_| handle.position != 0)?;
            Some((kind, handle.position))
        })
    }

    pub(crate) fn free(&mut self, source: &dyn Source) {
        self.table.free(source);
        *self = Handles::EMPTY;
    }
}
