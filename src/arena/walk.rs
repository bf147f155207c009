//! The objects of an arena, for whoever looks at them.

use core::fmt;

use super::brand::{Brand, Main};
use super::cx::{Cx, Generation};
use crate::base::granule::GRANULE;
use crate::gc::object::{self, Descriptor};
use crate::gc::verify::ArenaFault;
use crate::gc::walk::each_reference;

impl<A: Brand> Cx<A> {
    /// The objects that the last collection found alive, in ascending order of address. Those that wait for their
    /// destructors are among them.
    ///
    /// Younger ones, `young` bytes in the [statistics](crate::ArenaStats), are not: until a collection has found them, only
    /// those who refer to them know where they are. After [`Cx::collect`] of [`Generation::Old`] the walk meets exactly what
    /// lives.
    ///
    /// A collection can neither come in the way nor be looked at half done: one needs the token, and runs no code that has
    /// it. O(objects + words of live bits). Not for interrupts. In .NET's debugger this is `dumpheap`.
    ///
    /// # Examples
    /// ```
    /// # use terrace::*;
    /// # static HEAP: CriticalSectionHeap = CriticalSectionHeap::new();
    /// # terrace::init!(HEAP, 64 * 1024).unwrap();
    /// # let mut arena = Arena::new(&HEAP).unwrap();
    /// arena.enter(|cx| {
    ///     let pair = cx.new::<[Slot<str>; 2]>(|g| [Slot::new(g, g.try_str("a").unwrap()), Slot::null()]).unwrap();
    ///     assert_eq!(cx.walk().count(), 0, "nothing is known of the young");
    ///     cx.collect(Generation::Old);
    ///     assert_eq!(cx.walk().count(), 2);
    ///     let first = cx.walk().find(|object| object.address() == &raw const *pair.get(cx) as usize).unwrap();
    ///     first.references(|text| assert_eq!((text.len(), text.generation()), (1, Generation::Old)));
    /// });
    /// ```
    pub fn walk(&self) -> Objects<'_, A> {
        Objects {
            cx: self,
            at: 0,
            end: 0,
        }
    }
}

impl<A: Brand> Cx<A> {
    /// Verifies what the collector relies on: headers, lengths, live bits, slots, handles, gaps. Young objects are not looked
    /// at, as in [`Cx::walk`]. Under feature `check`, all of that is verified in and after every collection as well.
    ///
    /// It finds memory that was overwritten, by code that is `unsafe` or by a DMA controller, and does not follow what it has
    /// not verified; that an object's header leads to what looks like a type's description by chance, nobody can tell.
    /// Does not panic. O(objects + slots + bricks). Not for interrupts.
    ///
    /// # Errors
    /// The first broken rule, with the address of the evidence. The arena is of no use any more then: the next collection may
    /// follow what was overwritten.
    ///
    /// # Examples
    /// ```
    /// # use terrace::*;
    /// # static HEAP: CriticalSectionHeap = CriticalSectionHeap::new();
    /// # terrace::init!(HEAP, 64 * 1024).unwrap();
    /// # let mut arena = Arena::new(&HEAP).unwrap();
    /// arena.enter(|cx| {
    ///     cx.collect(Generation::Young);
    ///     cx.verify()
    /// }).unwrap();
    /// ```
    pub fn verify(&self) -> Result<(), ArenaFault> {
        self.collector().verify()
    }
}

/// The objects of an arena, from [`Cx::walk`].
///
/// Objects can be made and stored meanwhile, but none of them is met.
pub struct Objects<'g, A = Main> {
    cx: &'g Cx<A>,
    /// The next object lies here or behind, and not within one.
    at: u32,
    /// The end of the segment that `at` lies in.
    end: u32,
}

impl<'g, A: Brand> Iterator for Objects<'g, A> {
    type Item = ObjectInfo<'g, A>;

    fn next(&mut self) -> Option<ObjectInfo<'g, A>> {
        let collector = self.cx.collector();
        loop {
            // Segments may have been added since; those that there were stay where they are.
            let segment = collector.segment_behind(self.at)?;
            if self.end != segment.end {
                (self.at, self.end) = (segment.start, segment.end);
            }
            match collector.next_old(&segment, self.at) {
                Some(position) => {
                    let object = ObjectInfo { cx: self.cx, position };
                    self.at = position + object.granules();
                    return Some(object);
                }
                None => self.at = self.end,
            }
        }
    }
}

/// An object, seen without its type, in a window.
///
/// **Invariant `FOUND`**: an object lies at the position, of which no collection knows better within `'g`.
pub struct ObjectInfo<'g, A = Main> {
    cx: &'g Cx<A>,
    position: u32,
}

impl<'g, A: Brand> ObjectInfo<'g, A> {
    fn object(self) -> *mut u8 {
        self.cx.collector().space.at(self.position)
    }

    fn granules(self) -> u32 {
        // SAFETY: FOUND, OBJECT.
        unsafe { object::size(self.object()) }
    }

    /// The address of the value.
    pub fn address(self) -> usize {
        // SAFETY: FOUND, OBJECT.
        unsafe { object::value(self.object()) as usize }
    }

    /// What a [`Slot`](crate::Slot) that refers to it holds: the index of its first granule of 8 bytes, counted from a place
    /// before the heap's first span.
    pub fn position(self) -> u32 {
        self.position
    }

    /// Bytes that it takes, with its header.
    pub fn bytes(self) -> usize {
        self.granules() as usize * GRANULE
    }

    /// Elements in it; 1 if it is no slice.
    #[allow(clippy::len_without_is_empty, reason = "an object is there")]
    pub fn len(self) -> usize {
        // SAFETY: FOUND, OBJECT.
        unsafe { object::len(self.object()) }
    }

    /// Its type.
    pub fn object_type(self) -> ObjectType {
        // SAFETY: FOUND, OBJECT.
        ObjectType(unsafe { object::descriptor(self.object()) })
    }

    /// The generation that it belongs to. O(log segments).
    pub fn generation(self) -> Generation {
        // SAFETY: FOUND.
        Generation::from_index(unsafe { self.cx.collector().generation_of(self.position) })
    }

    /// Whether it has a segment of its own, in which it does not move. O(log segments).
    pub fn is_large(self) -> bool {
        let segment = self.cx.collector().segment_behind(self.position);
        segment.is_some_and(|segment| segment.is_large)
    }

    /// Whether a handle pins it. O(handles), if there are any that pin.
    pub fn is_pinned(self) -> bool {
        self.cx.collector().pins(self.position)
    }

    /// Calls `visit` with each object that this one refers to, as often as it does.
    pub fn references(self, mut visit: impl FnMut(ObjectInfo<'g, A>)) {
        let cx = self.cx;
        // SAFETY: FOUND; an object is only ever referred to by shared references. TRACED: what a slot of an object refers to
        // is one; it may be a young one.
        unsafe {
            each_reference(cx.collector().space, self.position, |position| {
                visit(ObjectInfo { cx, position })
            })
        };
    }
}

impl<A> Clone for ObjectInfo<'_, A> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<A> Copy for ObjectInfo<'_, A> {}

impl<A: Brand> fmt::Display for ObjectInfo<'_, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:#010x} {:>8} bytes  {:<6} {}",
            self.address(),
            self.bytes(),
            self.generation().name(),
            self.object_type()
        )?;
        f.write_str(if self.is_pinned() { ", pinned" } else { "" })?;
        f.write_str(if self.is_large() { ", large" } else { "" })
    }
}

impl<A: Brand> fmt::Debug for ObjectInfo<'_, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The type of an object, as far as the collector knows it.
///
/// Two are equal if their names are. Without feature `names` no names are linked; types are told apart by the address of what
/// the collector knows of them then, which the compiler may let types share that differ in nothing else.
#[derive(Clone, Copy)]
pub struct ObjectType(&'static Descriptor);

impl ObjectType {
    /// The name, as [`core::any::type_name`] writes it: `[u8]` for `str`. Nothing without feature `names`.
    pub fn name(self) -> Option<&'static str> {
        self.0.name.get()
    }

    /// Whether the objects are slices.
    pub const fn is_slice(self) -> bool {
        self.0.is_slice()
    }

    /// Bytes of an element; of the value, if it is no slice.
    pub const fn element_bytes(self) -> usize {
        self.0.element()
    }

    /// Whether objects of it have a destructor that has not run.
    pub const fn has_destructor(self) -> bool {
        self.0.drop.is_some()
    }
}

impl PartialEq for ObjectType {
    fn eq(&self, other: &ObjectType) -> bool {
        core::ptr::eq(self.0, other.0) || self.name().is_some_and(|name| other.name() == Some(name))
    }
}

impl Eq for ObjectType {}

impl fmt::Display for ObjectType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "type {:p}", self.0),
        }
    }
}

impl fmt::Debug for ObjectType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for ObjectType {
    fn format(&self, f: defmt::Formatter<'_>) {
        match self.name() {
            Some(name) => defmt::write!(f, "{=str}", name),
            None => defmt::write!(f, "type {=usize:#x}", core::ptr::from_ref(self.0) as usize),
        }
    }
}
