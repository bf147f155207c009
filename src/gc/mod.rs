//! Layer 3: the collector, which knows objects, but not their types.
//!
//! ```text
//!   source      blocks of the native heap's memory
//!     segment   what objects lie in; gaps
//!       context allocation: bump through a gap or a segment
//!     space     positions and side tables: live bits, bricks, cards, firsts
//!   object      header and descriptor; handle: references from outside; drops: who has a destructor;
//!               finalize: who has a finaliser, and whose is due
//!
//!   collect     the driver:  mark -> plan -> sweep
//!                                        '-> relocate -> compact
//! ```
//!
//! A **position** is a granule's index (`u32`, 0 is none). An object is young until a collection has found it alive; a
//! collection of generation *n* condemns the segments of the generations 0 to *n* and all young objects, and what it finds
//! alive there belongs to generation *n* + 1 (2 at most) afterwards. So no promotion ever makes a reference from an older
//! object to a younger one: only stores do, and these dirty cards.
//!
//! Named invariants, which the `SAFETY` comments cite: `SPACE` and `LIVE` (`space.rs`), `OBJECT` (`object.rs`), `BRICK`
//! (`brick.rs`), `FIRST` (`card.rs`), `SEGMENT` (`segment.rs`), `CONTEXT` (`context.rs`), `HANDLE` (`handle.rs`), `DROPS`
//! (`drops.rs`), `FINAL` (`finalize.rs`), `INTERNED` (`intern.rs`), `LIST` (`table.rs`), `STACK` (`visit.rs`), and
//!
//! - **`PARKED`**: during a collection no reference to an object or into one exists; the layer above sees to that by lifetimes.
//! - **`TRACED`**: what implements `Trace` shows each of its slots, and slots are nowhere else.

#[cfg_attr(not(target_arch = "x86_64"), path = "ahead_none.rs")]
mod ahead;
mod brick;
mod budget;
pub(crate) mod card;
pub(crate) mod collect;
mod compact;
mod context;
pub(crate) mod drops;
pub(crate) mod event;
pub(crate) mod finalize;
pub(crate) mod generation;
pub(crate) mod handle;
mod intern;
mod large;
mod mark;
#[cfg_attr(feature = "names", path = "name_on.rs")]
#[cfg_attr(not(feature = "names"), path = "name_off.rs")]
mod name;
pub(crate) mod object;
mod pinned;
mod plan;
pub(crate) mod segment;
pub(crate) mod source;
pub(crate) mod space;
mod table;
pub(crate) mod verify;
#[cfg(feature = "check")]
mod verify_phases;
pub(crate) mod visit;
pub(crate) mod walk;

use core::alloc::Layout;
use core::ptr::NonNull;

use crate::base::granule::GRANULE;
use crate::region::End;
use brick::Turn;
use budget::Budget;
use collect::Counters;
use context::Context;
use drops::Drops;
use event::{Moment, Observer};
use finalize::{Finals, Step};
use handle::Handles;
use intern::Interned;
use plan::Range;
use segment::Segment;
use source::Source;
use space::{BRICK, BRICK_BYTES, Space};
use table::Table;

/// Granules of the largest span: positions have 31 bits, and there are some before the span.
const MOST: u32 = (1 << 31) - 4 * BRICK;

/// A segment is this part of the span, within limits.
const SEGMENT_SHIFT: u32 = 5;
const SEGMENT_MIN: u32 = 2 * BRICK;
const SEGMENT_MAX: u32 = (256 << 10) / GRANULE as u32;

/// Objects from this part of a segment on get segments of their own, if they have so many granules: less would be lost at the
/// end of a brick than at the end of a segment.
const OWN_SHIFT: u32 = 3;
const OWN_MIN: u32 = 16 * BRICK;

/// One granule in so many can be on the mark stack before objects are looked for again, within limits.
const STACK_SHIFT: u32 = 9;
const STACK_MIN: u32 = 32;
const STACK_MAX: u32 = 8192;

/// One arena's heap. It lies in the region itself. What is used most comes first: short instructions reach no further.
#[repr(C)]
pub(crate) struct Collector {
    pub(crate) context: Context,
    pub(crate) space: Space,
    segments: Table<Segment>,
    /// Granules given to objects since the last collection.
    young: usize,
    /// Bytes in segments.
    held: usize,
    /// Bytes of native memory that objects own, as far as the program tells.
    pub(crate) native: usize,
    pub(crate) budget: Budget,
    pub(crate) source: &'static dyn Source,
    pub(crate) handles: Handles,
    pub(crate) drops: Drops,
    /// Granules of a segment.
    standard: u32,
    /// Granules of the smallest large object.
    pub(crate) large: u32,
    /// Granules of the smallest object that gets a segment of its own, but moves as others do.
    pub(super) own: u32,
    /// The mark stack.
    stack: Table<u32>,
    turns: Table<Turn>,
    fills: Table<Range>,
    pins: Table<Range>,
    /// Handles that have outlived the arena.
    pub(crate) orphans: usize,
    pub(crate) finals: Finals,
    interned: Interned,
    observer: Option<NonNull<Observer>>,
    pub(crate) counters: Counters,
}

impl Collector {
    /// The generation that is all of them.
    pub(crate) const ALL: u8 = segment::OLDEST;

    /// A collector without objects, in memory of `source`; nothing if there is too little. O(span).
    pub(crate) fn create(source: &'static dyn Source) -> Option<NonNull<Collector>> {
        let place = NonNull::new(source.take(Layout::new::<Collector>(), Some(End::First)))?.cast::<Collector>();
        if let Some(collector) = Collector::new(source) {
            // SAFETY: the block was taken just now, for this.
            unsafe { place.write(collector) };
            return Some(place);
        }
        // SAFETY: as above; it is given back unused.
        unsafe { source.give(place.as_ptr().cast(), Layout::new::<Collector>()) };
        None
    }

    fn new(source: &'static dyn Source) -> Option<Collector> {
        let (_, bytes) = source.span()?;
        let granules = u32::try_from(bytes / GRANULE)
            .ok()
            .filter(|granules| *granules <= MOST)?;
        let standard = (granules >> SEGMENT_SHIFT).clamp(SEGMENT_MIN, SEGMENT_MAX) / BRICK * BRICK;
        let mut collector = Collector {
            context: Context::EMPTY,
            space: Space::new(source)?,
            handles: Handles::EMPTY,
            drops: Drops::EMPTY,
            finals: Finals::EMPTY,
            interned: Interned::EMPTY,
            observer: None,
            source,
            segments: Table::EMPTY,
            stack: Table::EMPTY,
            turns: Table::EMPTY,
            fills: Table::EMPTY,
            pins: Table::EMPTY,
            standard,
            own: (standard >> OWN_SHIFT).max(OWN_MIN).min(standard / 2),
            large: standard + 1,
            young: 0,
            held: 0,
            native: 0,
            orphans: 0,
            budget: Budget::new(granules),
            counters: Counters::default(),
        };
        let depth = (granules >> STACK_SHIFT).clamp(STACK_MIN, STACK_MAX) as usize;
        if !collector.stack.reserve(depth, source) {
            collector.free_tables();
            return None;
        }
        (0..depth).for_each(|_| collector.stack.push(0));
        Some(collector)
    }

    /// Gives all memory back, objects and all.
    ///
    /// # Safety
    /// `place` came from [`Collector::create`]; it and what it holds is used no more.
    pub(crate) unsafe fn destroy(place: NonNull<Collector>) {
        // SAFETY: the caller's; the collector is moved out of its block before that is given back.
        unsafe {
            let mut collector = place.read();
            let source = collector.source;
            for segment in collector.segments.as_slice() {
                collector.give_segment(segment);
            }
            collector.free_tables();
            source.give(place.as_ptr().cast(), Layout::new::<Collector>());
        }
    }

    fn free_tables(&mut self) {
        let source = self.source;
        self.segments.free(source);
        self.stack.free(source);
        self.turns.free(source);
        self.fills.free(source);
        self.pins.free(source);
        self.handles.free(source);
        self.drops.free(source);
        self.interned.free(source);
        // SAFETY: the observer does its work before the collector is used again.
        unsafe { Collector::observe(NonNull::from_mut(self), Moment::Dismissed) };
        // SAFETY: the collector is used no more.
        unsafe { self.space.free(source) };
    }

    /// Makes room in the tables for as many segments and pins, so that no collection needs memory.
    pub(crate) fn reserve_tables(&mut self, segments: usize, pins: usize) -> bool {
        let source = self.source;
        self.segments.reserve(segments, source)
            && self.turns.reserve(plan::most_turns(segments, pins), source)
            && self.fills.reserve(plan::most_fills(segments, pins), source)
            && self.pins.reserve(pins, source)
    }

    /// Makes tables smaller that are far larger than need be, and moves them down.
    fn settle_tables(&mut self) {
        let (source, segments, pins) = (self.source, self.segments.len(), self.handles.pins());
        self.handles.settle(source);
        self.drops.settle(source);
        self.interned.settle(source);
        if let Some(work) = self.finals.work {
            // SAFETY: no phase of a collection is under way.
            unsafe { work(self, Step::Settle) };
        }
        self.stack.settle(0, source);
        self.segments.settle(0, source);
        self.turns.settle(plan::most_turns(segments, pins), source);
        self.fills.settle(plan::most_fills(segments, pins), source);
        self.pins.settle(pins, source);
    }

    /// Makes sure that one more pin can be added without memory.
    pub(crate) fn reserve_pin(&mut self) -> bool {
        self.reserve_tables(self.segments.len(), self.handles.pins() + 1)
    }

    /// The index of the segment that `position` lies in.
    fn segment_of(&self, position: u32) -> usize {
        plan::index_of(self.segments.as_slice(), position)
    }

    /// Bytes in segments.
    pub(crate) fn held(&self) -> usize {
        self.held
    }

    /// Bytes of bookkeeping.
    pub(crate) fn bookkeeping(&self) -> usize {
        let tables = self.segments.bytes() + self.stack.bytes() + self.turns.bytes() + self.fills.bytes();
        let lists = self.pins.bytes() + self.handles.bytes() + self.drops.bytes() + self.finals.bytes();
        tables + lists + self.interned.bytes() + self.space.table_bytes() + size_of::<Collector>()
    }

    fn segment_layout(granules: u32) -> Option<Layout> {
        Layout::from_size_align((granules as usize).checked_mul(GRANULE)?, BRICK_BYTES).ok()
    }

    /// Gives a segment back to the heap.
    ///
    /// # Safety
    /// Nothing in it is used any more, and it is not listed any more, or will not be.
    unsafe fn give_segment(&self, segment: &Segment) {
        if let Some(layout) = Collector::segment_layout(segment.granules()) {
            // SAFETY: SEGMENT: it was taken with this layout.
            unsafe { self.source.give(self.space.at(segment.start), layout) };
        }
    }
}
