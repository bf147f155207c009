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
//! - **`TRACED`**: what implements `Trace` shows each of its slots, and slots are nowhere else; in objects of an arena are slots of
//!   that arena only (`Of`).

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
pub(crate) mod limit;
mod mark;
#[cfg_attr(feature = "names", path = "name_on.rs")]
#[cfg_attr(not(feature = "names"), path = "name_off.rs")]
mod name;
pub(crate) mod object;
pub(crate) mod parking;
mod pinned;
mod pins;
mod plan;
pub(crate) mod segment;
pub(crate) mod source;
pub(crate) mod space;
mod table;
mod trim;
pub(crate) mod verify;
#[cfg(feature = "check")]
mod verify_phases;
pub(crate) mod visit;
pub(crate) mod walk;

use core::alloc::Layout;
use core::mem::offset_of;
use core::ptr::{self, NonNull};

use crate::base::fill::fill;
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
use parking::Parking;
use plan::Range;
use segment::Segment;
use source::{Source, StartupLimits};
use space::{BRICK, BRICK_BYTES, Space};
use table::{Raw, Table};

/// Granules of the largest span: positions have 31 bits, and there are some before the span.
const MOST: u32 = (1 << 31) - 4 * BRICK;

/// A segment is this part of the span, within limits.
const SEGMENT_SHIFT: u32 = 5;
const SEGMENT_MIN: u32 = 2 * BRICK;
const SEGMENT_MAX: u32 = (256 << 10) / GRANULE as u32;

/// Objects from this part of a segment on get segments of their own, if they have so many granules: less would be lost at the
/// end of a brick than at the end of a segment.
const OWN_SHIFT: u32 = 4;
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
    turns: Table<Turn>,
    fills: Table<Range>,
    pins: Table<Range>,
    /// The mark stack.
    stack: Table<u32>,
    /// Granules given to objects since the last collection.
    young: usize,
    /// Bytes in segments.
    held: usize,
    /// Bytes of native memory that objects own, as far as the program tells.
    pub(crate) native: usize,
    /// How many said so, and have not taken it back; `usize::MAX` for good once there were so many.
    pub(crate) charges: usize,
    pub(crate) budget: Budget,
    pub(crate) source: &'static dyn Source,
    pub(crate) parking: &'static Parking,
    pub(crate) handles: Handles,
    pub(crate) drops: Drops,
    /// Granules of a segment.
    standard: u32,
    /// Granules of the smallest large object.
    pub(crate) large: u32,
    /// Granules of the smallest object that gets a segment of its own, but moves as others do.
    pub(super) own: u32,
    pub(crate) limits: limit::Limit,
    /// Handles and charges that have outlived the arena.
    pub(crate) orphans: usize,
    /// The number of the high load that a full collection was made for.
    load_seen: u32,
    pub(crate) finals: Finals,
    interned: Interned,
    /// Nothing before the first pin.
    pinning: Option<pins::Work>,
    /// Nothing before the first object that may be large.
    large_work: Option<large::Work>,
    observer: Option<NonNull<Observer>>,
    pub(crate) counters: Counters,
}

/// Where the tables lie in a [`Collector`] that collections use, and the bytes of a value of each. Those that there has to be room in
/// for what a collection writes come first.
static TABLES: [(u16, u16); 8] = {
    const fn at(offset: usize, width: usize) -> (u16, u16) {
        assert!(offset < 1 << 16 && width < 1 << 16);
        (offset as u16, width as u16)
    }
    [
        at(offset_of!(Collector, segments), Table::<Segment>::WIDTH),
        at(offset_of!(Collector, turns), Table::<Turn>::WIDTH),
        at(offset_of!(Collector, fills), Table::<Range>::WIDTH),
        at(offset_of!(Collector, pins), Table::<Range>::WIDTH),
        at(offset_of!(Collector, stack), Table::<u32>::WIDTH),
        at(offset_of!(Collector, handles) + Handles::TABLE, Handles::WIDTH),
        at(offset_of!(Collector, drops) + Drops::TABLE, Table::<u32>::WIDTH),
        at(offset_of!(Collector, interned) + Interned::TABLE, Table::<u32>::WIDTH),
    ]
};

/// How many of these come first.
const RESERVED: usize = 4;

impl Collector {
    /// The generation that is all of them.
    pub(crate) const ALL: u8 = segment::OLDEST;

    /// A collector without objects, in memory of `source` with this span; nothing if there is too little. O(span).
    pub(crate) fn create(
        source: &'static dyn Source,
        span: (NonNull<u8>, usize),
        parking: &'static Parking,
    ) -> Option<NonNull<Collector>> {
        let granules = u32::try_from(span.1 / GRANULE)
            .ok()
            .filter(|granules| *granules <= MOST)?;
        let place = NonNull::new(source.take(Layout::new::<Collector>(), Some(End::FIRST)))?.cast::<Collector>();
        let Some(space) = Space::new(source, span) else {
            // SAFETY: the block was taken just now, for this; it is given back unused.
            unsafe { source.give(place.as_ptr().cast(), Layout::new::<Collector>()) };
            return None;
        };
        let depth = (granules >> STACK_SHIFT).clamp(STACK_MIN, STACK_MAX) as usize;
        // SAFETY: the block was taken just now, for this. 0 is a mark stack's value; and the collector, which nothing has
        // used, is given up if it has none.
        unsafe {
            Collector::init(place.as_ptr(), (source, parking), space, granules);
            let stack = &mut (*place.as_ptr()).stack;
            if !stack.reserve(depth, source) {
                Collector::destroy(place);
                return None;
            }
            stack.fill_up();
        }
        Some(place)
    }

    /// Makes a collector at `place`, field by field: the compiler would copy parts of a template that is mostly zeros.
    ///
    /// # Safety
    /// The memory is that of one, and nobody uses it.
    unsafe fn init(
        place: *mut Collector,
        (source, parking): (&'static dyn Source, &'static Parking),
        space: Space,
        granules: u32,
    ) {
        // SAFETY: the caller's. All fields that are not written below are valid if they are zeros: the context, the observer and
        // pointers to work are none then, as are limits, and sums and counters are 0.
        unsafe {
            fill(place.cast(), size_of::<Collector>(), 0);
            (&raw mut (*place).space).write(space);
            (&raw mut (*place).source).write(source);
            (&raw mut (*place).parking).write(parking);
            (&raw mut (*place).budget).write(Budget::new(granules));
            Handles::complete(&raw mut (*place).handles);
            Finals::complete(&raw mut (*place).finals);
            TABLES
                .iter()
                .for_each(|(offset, _)| Raw::complete(place.byte_add((*offset).into()).cast()));
            (*place).set_standard((granules >> SEGMENT_SHIFT).clamp(SEGMENT_MIN, SEGMENT_MAX));
        }
    }

    /// Makes new segments have so many granules, two bricks or more, and what is larger than them large.
    #[inline(always)]
    fn set_standard(&mut self, granules: u32) {
        let standard = granules / BRICK * BRICK;
        self.standard = standard;
        self.own = (standard >> OWN_SHIFT).max(OWN_MIN).min(standard / 2);
        self.large = standard + 1;
    }

    /// Begins with these limits.
    pub(crate) fn start_with(&mut self, limits: StartupLimits) {
        self.set_standard((limits.segment.min(u32::MAX as usize) / GRANULE) as u32);
        self.budget.limit_young(limits.young);
    }

    /// Gives all memory back, objects and all.
    ///
    /// # Safety
    /// `place` came from [`Collector::create`]; it and what it holds is used no more.
    pub(crate) unsafe fn destroy(place: NonNull<Collector>) {
        // SAFETY: the caller's. The observer does its work before the collector is used again, and the block goes last.
        unsafe {
            Collector::observe(place, Moment::Dismissed);
            let collector = &mut *place.as_ptr();
            let source = collector.source;
            for segment in collector.segments.as_slice() {
                give_segment(source, &collector.space, segment.start, segment.end);
            }
            collector.each_table(|_, table, width| {
                table.free(width, source);
                true
            });
            collector.space.free(source);
            source.give(place.as_ptr().cast(), Layout::new::<Collector>());
        }
    }

    /// Calls `work` with the index of each of the [`TABLES`], the table and the bytes of a value, as long as it answers yes; tells
    /// whether it always did.
    #[inline(always)]
    fn each_table(&mut self, mut work: impl FnMut(usize, &mut Raw, usize) -> bool) -> bool {
        let place = ptr::from_mut(self);
        TABLES.iter().enumerate().all(|(index, (offset, width))| {
            // SAFETY: a table lies there, which is a raw one, and the exclusive reference to the collector makes this one exclusive.
            let table = unsafe { &mut *place.byte_add((*offset).into()).cast::<Raw>() };
            work(index, table, (*width).into())
        })
    }

    /// Values that there have to be room for in the first of the tables, for as many segments and pins.
    fn table_lens(segments: usize, pins: usize) -> [usize; RESERVED] {
        [
            segments,
            plan::most_turns(segments, pins),
            plan::most_fills(segments, pins),
            pins,
        ]
    }

    /// Makes room in the tables for as many segments and pins, so that no collection needs memory.
    pub(crate) fn reserve_tables(&mut self, segments: usize, pins: usize) -> bool {
        let source = self.source;
        let lens = Collector::table_lens(segments, pins);
        self.each_table(|index, table, width| index >= RESERVED || table.reserve(lens[index], width, source))
    }

    /// Makes tables smaller that are far larger than need be, and moves them down.
    fn settle_tables(&mut self) {
        let source = self.source;
        self.handles.truncate();
        if let Some(work) = self.finals.work {
            // SAFETY: no phase of a collection is under way.
            unsafe { work(self, Step::Settle) };
        }
        let lens = Collector::table_lens(self.segments.len(), self.handles.pins());
        self.each_table(|index, table, width| {
            table.settle(lens.get(index).copied().unwrap_or(0), width, source);
            true
        });
        self.handles.list_free();
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

    /// The layout of a segment of at least `n` granules, if there can be one: whole bricks.
    fn segment_layout(n: u32) -> Option<Layout> {
        const MOST_BYTES: usize = isize::MAX as usize / BRICK_BYTES * BRICK_BYTES;
        const LARGEST: u32 = if MOST_BYTES / GRANULE < MOST as usize {
            (MOST_BYTES / GRANULE) as u32
        } else {
            MOST
        };
        // SAFETY: whole bricks, no more bytes than there can be.
        (n <= LARGEST).then(|| unsafe { layout_of(n.next_multiple_of(BRICK)) })
    }
}

/// Gives a segment back to the heap.
///
/// # Safety
/// SEGMENT: it was a segment; nothing in it is used any more, and it is not listed any more, or will not be.
#[cfg_attr(terrace_small, inline(never))]
unsafe fn give_segment(source: &dyn Source, space: &Space, start: u32, end: u32) {
    // SAFETY: SEGMENT: it was taken with this layout.
    unsafe { source.give(space.at(start), layout_of(end - start)) };
}

/// The layout that a segment of so many granules was taken with, or will be.
///
/// # Safety
/// SEGMENT: there is or was one, or could be.
#[inline(always)]
unsafe fn layout_of(granules: u32) -> Layout {
    // SAFETY: there can be memory of that size.
    unsafe { Layout::from_size_align_unchecked(granules as usize * GRANULE, BRICK_BYTES) }
}
