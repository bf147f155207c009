//! Handles: references from outside of the heap, which the collector knows and changes.

use core::mem::offset_of;

use super::source::Source;
use super::space::Space;
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

/// Set in the kind of a handle of an interned string, which is the collector's own.
const INTERNED: u32 = 1 << 3;

/// No handle.
const NONE: u32 = u32::MAX;

/// A handle: the position of an object, or 0, and the kind. A free one: the index of the next free one, and `FREE`.
#[derive(Clone, Copy)]
struct Handle {
    position: u32,
    kind: u32,
}

impl Handle {
    /// Nothing for a free one.
    #[inline(always)]
    fn kind(&self) -> Option<Kind> {
        match self.kind & !INTERNED {
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
/// with it; its position is that of a live object, or 0 if it is weak or long, or its object is yet to be made.
/// All other ones in the table form the list of free ones, which `NONE` ends.
pub(crate) struct Handles {
    table: Table<Handle>,
    /// The index of the first free handle.
    free: u32,
    pins: u32,
    /// Nothing before the first handle that does not keep its object.
    emptying: Option<Empty>,
}

/// Empties the handles of one kind whose objects are not marked.
///
/// # Safety
/// The kind is one that does not keep its object; LIVE, and all that lives is marked.
type Empty = unsafe fn(&mut Handles, &Space, Kind);

impl Handles {
    /// Where the table lies, and the bytes of a value.
    pub(super) const TABLE: usize = offset_of!(Handles, table);
    pub(super) const WIDTH: usize = Table::<Handle>::WIDTH;

    /// Makes a list without handles of zeros, but for the table.
    ///
    /// # Safety
    /// All bytes at `place` are 0.
    pub(super) unsafe fn complete(place: *mut Handles) {
        // SAFETY: the caller's: no handle pins.
        unsafe { (*place).free = NONE };
    }

    /// How many there are, but for those of interned strings. O(handles): counting them would cost each one.
    pub(crate) fn count(&self) -> usize {
        self.table
            .as_slice()
            .iter()
            .filter(|handle| handle.kind != FREE && handle.kind & INTERNED == 0)
            .count()
    }

    /// Handles that pin.
    pub(crate) fn pins(&self) -> usize {
        self.pins as usize
    }

    pub(crate) fn bytes(&self) -> usize {
        self.table.bytes()
    }

    /// Whether one more handle can be added.
    #[inline(always)]
    pub(crate) fn has_room(&self) -> bool {
        self.free != NONE
    }

    /// Makes sure that one more handle can be added without memory; tells whether it can.
    pub(crate) fn reserve(&mut self, source: &dyn Source) -> bool {
        if self.has_room() {
            return true;
        }
        let len = self.table.len();
        if len >= NONE as usize || !self.table.reserve(len + 1, source) {
            return false;
        }
        self.list_free();
        true
    }

    /// Lists all free handles, those at the table's end as well, the first ones first.
    pub(super) fn list_free(&mut self) {
        const { assert!(FREE == 0) };
        // SAFETY: two words of 0 are a free handle.
        unsafe { self.table.fill_up() };
        self.free = NONE;
        for (index, handle) in self.table.as_mut_slice().iter_mut().enumerate().rev() {
            if handle.kind == FREE {
                handle.position = self.free;
                self.free = index as u32;
            }
        }
    }

    /// A handle for the object at `position`; nothing if there is no memory for it. Amortised O(1).
    #[inline(always)]
    pub(crate) fn add(&mut self, position: u32, kind: Kind, source: &dyn Source) -> Option<u32> {
        // SAFETY: there is room.
        self.reserve(source)
            .then(|| unsafe { self.add_reserved(position, kind) })
    }

    /// A handle for the object at `position`. O(1).
    ///
    /// # Safety
    /// There is room.
    #[inline(always)]
    pub(crate) unsafe fn add_reserved(&mut self, position: u32, kind: Kind) -> u32 {
        self.announce(kind);
        if kind == Kind::Pinned {
            self.pins += 1;
        }
        let index = self.free;
        // SAFETY: HANDLE: there is a free handle, as there is room, and it is in the table.
        unsafe {
            let place = self.table.at_mut(index);
            self.free = place.position;
            *place = Handle {
                position,
                kind: kind as u32,
            };
        }
        index
    }

    /// Takes note that there will be a handle of this kind.
    #[inline(always)]
    fn announce(&mut self, kind: Kind) {
        if matches!(kind, Kind::Weak | Kind::Long) {
            self.emptying = Some(Handles::empty_dead);
        }
    }

    /// Empties the handles of one kind, which does not keep objects, whose objects are not marked.
    ///
    /// # Safety
    /// LIVE, and all that lives is marked.
    #[inline(always)]
    pub(super) unsafe fn empty(&mut self, space: &Space, kind: Kind) {
        if let Some(empty) = self.emptying {
            // SAFETY: the caller's.
            unsafe { empty(self, space, kind) };
        }
    }

    /// The one [`Empty`] there is.
    unsafe fn empty_dead(&mut self, space: &Space, weak: Kind) {
        self.each(|kind, position| {
            // SAFETY: HANDLE: an object lies there.
            if kind == weak && unsafe { !space.is_live(*position) } {
                *position = 0;
            }
        });
    }

    /// Gives a handle up; one that pins after [`Handles::unpin`].
    ///
    /// # Safety
    /// HANDLE: it was added and not removed since.
    #[cfg_attr(not(terrace_small), inline(always))]
    #[cfg_attr(terrace_small, inline(never))]
    pub(crate) unsafe fn remove(&mut self, index: u32) {
        let free = Handle {
            position: self.free,
            kind: FREE,
        };
        // SAFETY: HANDLE: it is in the table.
        unsafe { *self.table.at_mut(index) = free };
        self.free = index;
    }

    /// Makes a handle that of an interned string: a symbol, which keeps it, or one that lets it go.
    ///
    /// # Safety
    /// HANDLE; its object is a string, and nobody gives it up but who interns.
    pub(crate) unsafe fn intern(&mut self, index: u32, is_symbol: bool) {
        let kind = if is_symbol { Kind::Strong } else { Kind::Long };
        self.announce(kind);
        // SAFETY: HANDLE: the index is below the table's length.
        unsafe { self.table.at_mut(index).kind = INTERNED | kind as u32 };
    }

    /// The position of the string of a symbol, if this is one.
    pub(crate) fn symbol(&self, index: u32) -> Option<u32> {
        let handle = self.table.as_slice().get(index as usize)?;
        (handle.kind == INTERNED | Kind::Strong as u32).then_some(handle.position)
    }

    /// Makes a handle that keeps its object one that pins it as well; tells whether it was none before.
    ///
    /// # Safety
    /// HANDLE; it is strong or pins, and the collector's tables have room for one more pin.
    pub(crate) unsafe fn pin(&mut self, index: u32) -> bool {
        // SAFETY: HANDLE: the index is below the table's length.
        let kind = unsafe { &mut self.table.at_mut(index).kind };
        let is_new = *kind == Kind::Strong as u32;
        *kind = Kind::Pinned as u32;
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
        self.announce(kind);
        // SAFETY: HANDLE: the index is below the table's length.
        unsafe { self.table.at_mut(index).kind = kind as u32 };
    }

    /// Changes the position that a handle holds.
    #[inline(always)]
    pub(crate) fn set(&mut self, index: u32, position: u32) {
        self.table.as_mut_slice()[index as usize].position = position;
    }

    /// Takes the free handles at the table's end off it; they are to be listed again. O(handles).
    pub(super) fn truncate(&mut self) {
        let handles = self.table.as_slice();
        let used = handles.iter().rposition(|handle| handle.kind != FREE);
        self.table.truncate(used.map_or(0, |last| last + 1));
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
}
