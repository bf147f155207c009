//! What collections did, for whoever asked to be told.
//!
//! A collection runs no code of the user's, as the arena cannot be used meanwhile. So it leaves a *record*; a poll makes
//! events of it, outside of everything.
//!
//! A program that asks for nothing does not link any of this: the collector gets here through [`Observer::work`] only, whose
//! memory is taken when it is first asked for.

use core::alloc::Layout;
use core::fmt;
use core::ptr::NonNull;

use heapless::Deque;

use super::Collector;
use super::collect::Ending;
use super::generation::Generation;
use super::plan::Plan;
use crate::base::granule::GRANULE_SHIFT;
use crate::region::End;

/// Why there was a collection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
#[repr(u8)]
pub enum CollectionCause {
    /// The program called for it.
    Asked,
    /// As much was allocated, or has survived, as the budget of the generation says.
    Budget,
    /// There was no room for an object or a handle.
    Exhaustion,
    /// There was no room for what [`Cx::reserve`](crate::Cx::reserve) is to make sure of.
    Reserve,
    /// [`Cx::set_stress`](crate::Cx::set_stress) is on.
    Stress,
    /// A budget was spent while the load was at the high watermark.
    Load,
    /// The host has asked the heap for it, or has posted pressure.
    Pressure,
    /// There was no room for a request to the native heap, or to another arena.
    Native,
    /// The arena is being dropped.
    Closing,
}

/// Why a collection has moved objects, or left them where they were.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Reason {
    /// More than a quarter was dead, or not.
    Fragmentation,
    /// The cause of the collection called for it: to compact, or under stress for either.
    Cause,
    /// Nothing would move.
    Nothing,
}

/// What an arena has done. Sizes in bytes. The events of one collection come in this order, and `Started` and `Ended` always.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ArenaEvent {
    /// So many collections before the next one told are not told, as there was no room to remember them.
    Lost {
        /// How many.
        collections: u32,
    },
    /// A collection has started.
    Started {
        /// It and what is younger was collected.
        generation: Generation,
        /// Why.
        cause: CollectionCause,
        /// When: what the clock of [`Cx::set_clock`](crate::Cx::set_clock) said; 0 without one.
        ticks: u32,
    },
    /// What lives has been found.
    Marked {
        /// Alive, large objects apart.
        live: usize,
        /// Dead, between the live ones and behind them.
        dead: usize,
        /// Pieces of 512 bytes of older generations that may have referred to what was collected.
        cards: u32,
    },
    /// Pinned objects were in the way.
    Pinned {
        /// How many.
        count: u32,
    },
    /// The plan was made, and what to do about it.
    Decided {
        /// Objects move.
        compacts: bool,
        /// Why, or why not.
        reason: Reason,
        /// Stretches of live objects.
        plugs: u32,
        /// Stretches between them.
        gaps: u32,
        /// Of objects that move, or would.
        moving: usize,
    },
    /// Objects belong to an older generation now.
    Promoted {
        /// To this one.
        to: Generation,
        /// Large objects apart.
        bytes: usize,
    },
    /// Segments were taken from the heap since the collection before, or given back by this one.
    Segments {
        /// Taken.
        taken: usize,
        /// Given back.
        given: usize,
    },
    /// The collection has ended.
    Ended {
        /// In segments, free or not.
        held: usize,
        /// How many ticks it took; 0 without a clock.
        pause: u32,
    },
}

/// Takes events, one at a time, from [`Cx::poll`](crate::Cx::poll).
pub type ArenaSink = fn(&ArenaEvent);

/// Tells the time, in any unit. It may wrap.
pub type Clock = fn() -> u32;

/// A point of a collection.
#[derive(Clone, Copy)]
pub(crate) enum Moment<'a> {
    Begin(Order),
    /// The plan is made, and nothing has moved.
    Planned(&'a Plan),
    End,
    /// None: it is time to tell of those there were.
    Told,
    /// None: there will be no more.
    Dismissed,
}

/// What is to be collected, how and why.
#[derive(Clone, Copy)]
pub(crate) struct Order {
    pub generation: u8,
    pub ending: Ending,
    pub cause: CollectionCause,
}

/// Does what is to be done at a moment.
pub(crate) type Work = unsafe fn(collector: NonNull<Collector>, moment: Moment<'_>);

/// What is remembered of a collection.
#[derive(Clone, Copy)]
pub(crate) struct Record {
    order: Order,
    ticks: u32,
    /// Bytes of segments, taken since the collection before.
    taken: usize,
    /// Bytes in segments: before the collection, and when it has ended.
    held_before: usize,
    held: usize,
    plan: Plan,
    pub(crate) plugs: u32,
    pub(crate) gaps: u32,
    pinned: u32,
    cards: u32,
    compacted: bool,
    pub(crate) pause: u32,
}

impl Record {
    /// The events of the collection, in order.
    pub(crate) fn events(&self) -> impl Iterator<Item = ArenaEvent> + '_ {
        (0..7).filter_map(|index| self.event(index))
    }

    fn event(&self, index: u32) -> Option<ArenaEvent> {
        let Plan { live, extent, moving } = self.plan;
        let (order, ticks) = (self.order, self.ticks);
        let generation = Generation::from_index(order.generation);
        let given = self.held_before.saturating_sub(self.held);
        let bytes = |granules: usize| granules << GRANULE_SHIFT;
        Some(match index {
            0 => ArenaEvent::Started {
                generation,
                cause: order.cause,
                ticks,
            },
            1 => ArenaEvent::Marked {
                live: bytes(live),
                dead: bytes(extent - live),
                cards: self.cards,
            },
            2 if self.pinned != 0 => ArenaEvent::Pinned { count: self.pinned },
            3 => ArenaEvent::Decided {
                compacts: self.compacted,
                reason: self.reason(),
                plugs: self.plugs,
                gaps: self.gaps,
                moving: bytes(moving),
            },
            4 if live != 0 && generation != Generation::Old => ArenaEvent::Promoted {
                to: Generation::from_index(order.generation + 1),
                bytes: bytes(live),
            },
            5 if self.taken | given != 0 => ArenaEvent::Segments {
                taken: self.taken,
                given,
            },
            6 => ArenaEvent::Ended {
                held: self.held,
                pause: self.pause,
            },
            _ => return None,
        })
    }

    fn reason(&self) -> Reason {
        match self.order.ending {
            _ if self.plan.moving == 0 => Reason::Nothing,
            Ending::Decide => Reason::Fragmentation,
            Ending::Compact | Ending::Sweep => Reason::Cause,
        }
    }
}

/// Collections that are remembered for the next poll.
pub const REMEMBERED: usize = 8;

/// Watches an arena's collections. Lies in a block of the heap.
pub(crate) struct Observer {
    work: Work,
    pub(crate) clock: Option<Clock>,
    pub(crate) sink: Option<ArenaSink>,
    pub(crate) largest_pause: u32,
    /// Bytes in segments after the last collection.
    held: usize,
    /// The collection that is under way, or the last one.
    pub(crate) record: Option<Record>,
    compactions: u32,
    records: Deque<Record, REMEMBERED>,
    /// Collections that were forgotten, before those that are remembered.
    lost: u32,
}

impl Observer {
    /// How many collections were forgotten since this was asked last.
    pub(crate) fn take_lost(&mut self) -> u32 {
        core::mem::take(&mut self.lost)
    }

    /// The oldest record.
    pub(crate) fn take(&mut self) -> Option<Record> {
        self.records.pop_front()
    }

    /// Forgets all records.
    pub(crate) fn forget(&mut self) {
        self.records.clear();
        self.lost = 0;
    }

    fn remember(&mut self, record: Record) {
        if self.records.is_full() {
            self.records.pop_front();
            self.lost = self.lost.wrapping_add(1);
        }
        let _ = self.records.push_back(record); // there is room
    }
}

impl Collector {
    /// The observer, if there is one.
    pub(crate) fn observer(&self) -> Option<&Observer> {
        // SAFETY: the block is the collector's own, and lives as long.
        self.observer.map(|observer| unsafe { observer.as_ref() })
    }

    /// As [`Collector::observer`], to change it.
    pub(crate) fn observer_mut(&mut self) -> Option<&mut Observer> {
        // SAFETY: as above; the exclusive reference to the collector makes this one exclusive.
        self.observer.map(|mut observer| unsafe { observer.as_mut() })
    }

    /// The observer, which is made if there is none: that calls `work`. Nothing if there is no memory for it.
    pub(crate) fn hire(&mut self, work: Work) -> Option<&mut Observer> {
        if self.observer.is_none() {
            let block = NonNull::new(self.source.take(Layout::new::<Observer>(), Some(End::FIRST)))?.cast::<Observer>();
            let observer = Observer {
                work,
                clock: None,
                sink: None,
                largest_pause: 0,
                held: self.held,
                record: None,
                compactions: 0,
                records: Deque::new(),
                lost: 0,
            };
            // SAFETY: the block was taken just now, for this.
            unsafe { block.write(observer) };
            self.observer = Some(block);
        }
        self.observer_mut()
    }

    /// Gives the observer's memory back.
    pub(crate) fn dismiss(&mut self) {
        if let Some(observer) = self.observer.take() {
            // SAFETY: the block was taken with this layout, and is forgotten.
            unsafe { self.source.give(observer.as_ptr().cast(), Layout::new::<Observer>()) };
        }
    }

    /// Tells the observer, if there is one, where a collection is, or that there is none.
    ///
    /// # Safety
    /// The collector lives, and nobody uses a reference to it meanwhile.
    #[inline(never)]
    pub(crate) unsafe fn observe(collector: NonNull<Collector>, moment: Moment<'_>) {
        // SAFETY: the caller's; the observer is the collector's own.
        unsafe {
            if let Some(observer) = collector.as_ref().observer {
                let work = observer.as_ref().work;
                work(collector, moment);
            }
        }
    }

    /// Notes the beginning of a collection.
    pub(crate) fn note_begin(&mut self, order: Order, ticks: u32) {
        let (held, compactions) = (self.held, self.counters.compactions);
        let Some(observer) = self.observer_mut() else { return };
        observer.compactions = compactions;
        observer.record = Some(Record {
            order,
            ticks,
            taken: held.saturating_sub(observer.held),
            held_before: held,
            held,
            plan: Plan::default(),
            plugs: 0,
            gaps: 0,
            pinned: 0,
            cards: 0,
            compacted: false,
            pause: 0,
        });
    }

    /// Notes what was planned, and counts the plugs and the gaps. O(words of live bits).
    pub(crate) fn note_plan(&mut self, plan: &Plan) {
        let Some(generation) = self
            .observer()
            .and_then(|observer| observer.record)
            .map(|record| record.order.generation)
        else {
            return;
        };
        let (mut plugs, mut gaps) = (0, 0);
        for segment in self.segments.as_slice() {
            if segment.is_compactable(generation) {
                let (mut at, mut set) = (segment.start, false);
                while at < segment.end {
                    // SAFETY: SPACE: positions of a segment.
                    let end = unsafe { self.space.find(at, segment.end, !set) };
                    let count = if set { &mut plugs } else { &mut gaps };
                    *count += u32::from(end != at);
                    (at, set) = (end, !set);
                }
            }
        }
        if let Some(record) = self.observer_mut().and_then(|observer| observer.record.as_mut()) {
            (record.plan, record.plugs, record.gaps) = (*plan, plugs, gaps);
        }
    }

    /// Notes the end of a collection.
    pub(crate) fn note_end(&mut self, ticks: u32) {
        let (held, counters) = (self.held, self.counters);
        let Some(observer) = self.observer_mut() else { return };
        let Some(record) = &mut observer.record else { return };
        record.held = held;
        record.pinned = counters.pinned;
        record.cards = counters.cards;
        record.compacted = counters.compactions != observer.compactions;
        record.pause = ticks.wrapping_sub(record.ticks);
        let record = *record;
        observer.held = held;
        observer.largest_pause = observer.largest_pause.max(record.pause);
        if observer.sink.is_some() {
            observer.remember(record);
        }
    }
}

impl fmt::Display for ArenaEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            ArenaEvent::Lost { collections } => write!(f, "{collections} collections are not told"),
            ArenaEvent::Started {
                generation,
                cause,
                ticks,
            } => {
                let cause = match cause {
                    CollectionCause::Asked => "asked",
                    CollectionCause::Budget => "budget",
                    CollectionCause::Exhaustion => "exhaustion",
                    CollectionCause::Reserve => "reserve",
                    CollectionCause::Stress => "stress",
                    CollectionCause::Load => "load",
                    CollectionCause::Pressure => "pressure",
                    CollectionCause::Native => "native",
                    CollectionCause::Closing => "closing",
                };
                write!(f, "collection of {} ({cause}) at {ticks}", generation.name())
            }
            ArenaEvent::Marked { live, dead, cards } => write!(f, "{live} bytes live, {dead} dead; {cards} cards"),
            ArenaEvent::Pinned { count } => write!(f, "{count} pinned"),
            ArenaEvent::Decided {
                compacts,
                reason,
                plugs,
                gaps,
                moving,
            } => {
                let what = if compacts { "compact" } else { "sweep" };
                let why = match (reason, compacts) {
                    (Reason::Fragmentation, true) => "fragmented",
                    (Reason::Fragmentation, false) => "dense",
                    (Reason::Cause, _) => "as called for",
                    (Reason::Nothing, _) => "nothing would move",
                };
                write!(f, "{what}, {why}; {plugs} plugs, {gaps} gaps, {moving} bytes to move")
            }
            ArenaEvent::Promoted { to, bytes } => write!(f, "{bytes} bytes promoted to {}", to.name()),
            ArenaEvent::Segments { taken, given } => write!(f, "{taken} bytes of segments taken, {given} given back"),
            ArenaEvent::Ended { held, pause } => write!(f, "ended after {pause} ticks, {held} bytes held"),
        }
    }
}
