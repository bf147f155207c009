//! The driver: one collection, phase by phase, and when there is one.

use core::ptr::NonNull;

use super::budget::Survival;
use super::card;
use super::event::{CollectionCause, Moment, Order};
use super::generation::Generation;
use super::object;
use super::pins;
use super::segment::OLDEST;
use super::source::{Collection, How, Notice};
use super::{Collector, give_segment};
use crate::base::granule::{GRANULE, GRANULE_SHIFT};

/// How a collection ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Ending {
    /// As the plan suggests.
    Decide,
    Compact,
    Sweep,
}

/// What collections did, in all. They wrap.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Counters {
    pub collections: [u32; 3],
    pub compactions: u32,
    pub moved: usize,
    pub pinned: u32,
    /// Live bytes that collections of each generation have found, in all.
    pub survived: [usize; 3],
    /// Dirty bricks that the last collection has visited.
    pub cards: u32,
    /// How requests were served that the context had no room for, by [`Step`].
    pub steps: [u32; Step::COUNT],
    /// Live bytes in segments after the last collection, of the generations that it condemned.
    pub live: usize,
    /// A collection at each safe point: which one is the next.
    pub stress: Option<fn(&Counters) -> Order>,
}

impl Counters {
    /// Collections of all generations; wraps.
    #[cfg_attr(not(terrace_small), inline(always))]
    #[cfg_attr(terrace_small, inline(never))]
    pub(super) fn total(&self) -> u32 {
        self.collections.iter().fold(0, |sum, count| sum.wrapping_add(*count))
    }

    /// The next collection under stress: each generation in turn, and each ending.
    pub(super) fn next_under_stress(&self) -> Order {
        let total = self.total();
        Order {
            generation: (total % 3) as u8,
            ending: if total % 5 == 4 { Ending::Sweep } else { Ending::Compact },
            cause: CollectionCause::Stress,
        }
    }
}

/// A way to serve a request that the context has no room for, in the order in which they are tried.
#[derive(Clone, Copy)]
pub(crate) enum Step {
    Large,
    Gap,
    Segment,
    OldGap,
    CollectYoung,
    CollectAll,
    Fail,
}

impl Step {
    pub(crate) const COUNT: usize = Step::Fail as usize + 1;
}

/// Granules of large objects that a collection has found alive, and of those with slots.
#[derive(Clone, Copy, Default)]
struct Large {
    live: usize,
    traced: usize,
}

/// What is attempted after more and more collections; tells whether it has succeeded. As `FnMut`, but a table of its functions has no
/// second copy of the closure for a call by value.
pub(super) trait Attempt {
    fn attempt(&mut self, collector: &mut Collector) -> bool;
}

impl<F: FnMut(&mut Collector) -> bool> Attempt for F {
    fn attempt(&mut self, collector: &mut Collector) -> bool {
        self(collector)
    }
}

/// Ends the program if a collection unwinds: a panic while panicking aborts.
struct Unfinished;

impl Drop for Unfinished {
    fn drop(&mut self) {
        panic!("a collection did not end");
    }
}

impl Collector {
    #[inline(always)]
    pub(super) fn count(&mut self, step: Step) {
        let count = &mut self.counters.steps[step as usize];
        *count = count.wrapping_add(1);
    }

    /// Collects.
    ///
    /// # Safety
    /// PARKED.
    #[cold]
    #[inline(never)]
    pub(crate) unsafe fn collect(&mut self, generation: u8, ending: Ending, cause: CollectionCause) {
        let generation = generation.min(OLDEST);
        let mut collection = Collection {
            generation: Generation::from_index(generation),
            cause,
            has_compacted: false,
            parking: self.parking,
        };
        let source = self.source;
        source.tell(Notice::Begin(&collection));
        let compactions = self.counters.compactions;
        let unfinished = Unfinished;
        // SAFETY: the phases come in order, and PARKED is the caller's. The observer does its work before the collector is
        // used again.
        unsafe {
            Collector::observe(
                NonNull::from_mut(self),
                Moment::Begin(Order {
                    generation,
                    ending,
                    cause,
                }),
            );
            self.drop_context();
            self.counters.pinned = 0;
            let young = if generation == 0 { self.young } else { 0 };
            let planned = if self.mark(generation) {
                self.decide(generation, ending)
            } else {
                0
            };
            let large = self.finish(generation);
            if generation == OLDEST {
                self.settle_tables();
            }
            let live = planned << GRANULE_SHIFT;
            self.counters.live = live;
            let found = Survival {
                young,
                live: planned + large.live,
                traced: planned + large.traced,
                held: self.burden(),
            };
            self.budget.note(generation, found);
            let survived = &mut self.counters.survived[generation as usize];
            *survived = survived.wrapping_add(live);
            let count = &mut self.counters.collections[generation as usize];
            *count = count.wrapping_add(1);
            #[cfg(feature = "check")]
            self.verify_all();
            Collector::observe(NonNull::from_mut(self), Moment::End);
        }
        core::mem::forget(unfinished);
        collection.has_compacted = self.counters.compactions != compactions;
        self.parking.count(&collection);
        source.tell(Notice::End(&collection));
    }

    /// Plans, and compacts or not; tells how many granules live in what was planned.
    ///
    /// # Safety
    /// What lives is marked.
    unsafe fn decide(&mut self, generation: u8, ending: Ending) -> usize {
        // SAFETY: the phases come in order, and the rest is the caller's.
        unsafe {
            #[cfg(feature = "check")]
            self.verify_live();
            let fit = self
                .pinning
                .filter(|_| generation == OLDEST && ending == Ending::Compact);
            if let Some(work) = fit {
                work(self, pins::Step::Widen);
            }
            let plan = self.plan(generation);
            #[cfg(feature = "check")]
            self.verify_plan(generation);
            self.counters.pinned = self.pins.len() as u32;
            Collector::observe(NonNull::from_mut(self), Moment::Planned(&plan));
            let dead = plan.extent - plan.live;
            let compacts = match ending {
                Ending::Decide => dead > plan.extent / 4,
                Ending::Compact => true,
                Ending::Sweep => false,
            };
            if compacts && plan.moving != 0 {
                self.relocate(generation);
                self.compact(generation);
                #[cfg(feature = "check")]
                self.verify_live();
                self.counters.compactions = self.counters.compactions.wrapping_add(1);
                self.counters.moved = self.counters.moved.wrapping_add(plan.moving << GRANULE_SHIFT);
            }
            self.drop_plan(generation);
            if let Some(work) = fit {
                work(self, pins::Step::Trim);
            }
            plan.live
        }
    }

    /// Promotes what was condemned, lists gaps and starts anew, and gives empty segments back. Tells what large objects are left.
    ///
    /// # Safety
    /// LIVE holds again; no young objects are left.
    unsafe fn finish(&mut self, generation: u8) -> Large {
        let (space, source) = (self.space, self.source);
        let mut large = Large::default();
        // What generation 0 will take anyway is kept ready.
        let mut kept = if generation == 0 { self.budget.young } else { 0 };
        let (mut held, standard) = (self.held, self.standard);
        self.segments.retain(|segment| {
            let is_condemned = segment.generation <= generation;
            // SAFETY: SPACE, LIVE: the caller's.
            unsafe {
                if is_condemned || segment.is_touched {
                    let granules = segment.granules() as usize;
                    if segment.is_empty(&space) {
                        let is_common = granules as u32 == standard && !segment.is_large && !segment.is_pinned;
                        if is_common && granules <= kept {
                            kept -= granules;
                            segment.empty(&space);
                            return true;
                        }
                        held -= granules * GRANULE;
                        give_segment(source, &space, segment.start, segment.end);
                        return false;
                    }
                    if is_condemned {
                        segment.generation = (generation + 1).min(OLDEST);
                        if segment.is_large {
                            large.live += granules;
                            if object::descriptor(space.at(segment.start)).trace.is_some() {
                                large.traced += granules;
                            }
                        } else {
                            card::link_starts(&space, segment);
                        }
                    }
                    segment.is_touched = false;
                    segment.is_filled = !segment.is_large;
                }
                if core::mem::take(&mut segment.is_filled) {
                    segment.list_gaps(&space);
                }
                // Nothing is younger than generation 1 now; after a collection of more, nothing than generation 2. The cards
                // of empty segments are clean.
                match segment.generation {
                    0 => {}
                    old if old <= generation + 1 => card::clean(&space, segment),
                    _ => card::age(&space, segment),
                }
            }
            true
        });
        self.held = held;
        self.young = 0;
        self.context.scan = 0;
        large
    }

    /// Granules held in segments, and as native memory by objects.
    fn burden(&self) -> usize {
        self.held.saturating_add(self.native) >> GRANULE_SHIFT
    }

    /// Takes note of native memory that an object owns from now on. It brings the next collection nearer, as an object of that
    /// size does.
    pub(crate) fn charge(&mut self, bytes: usize) {
        self.native = self.native.saturating_add(bytes);
        self.charges = self.charges.saturating_add(1);
        // What is allocated beside it is added without a look at the sum.
        const MOST: usize = usize::MAX >> (GRANULE_SHIFT + 1);
        self.young = self.young.saturating_add(bytes >> GRANULE_SHIFT).min(MOST);
    }

    /// Takes note that such native memory is no more.
    pub(crate) fn discharge(&mut self, bytes: usize) {
        self.native = self.native.saturating_sub(bytes);
        if self.charges != usize::MAX {
            self.charges -= 1;
        }
    }

    /// Whether a collection is due.
    #[cfg_attr(not(terrace_small), inline(always))]
    #[cfg_attr(terrace_small, inline(never))]
    pub(crate) fn is_due(&self) -> bool {
        self.young >= self.budget.due || self.counters.stress.is_some() || self.parking.is_asked()
    }

    /// A point where a collection may be: makes one if it is due.
    ///
    /// # Safety
    /// PARKED.
    #[inline(always)]
    pub(crate) unsafe fn safe_point(&mut self) {
        if self.is_due() {
            // SAFETY: the caller's.
            unsafe { self.collect_due() };
        }
    }

    #[cold]
    unsafe fn collect_due(&mut self) {
        let (pace, is_asked) = self.parking.take_asked();
        self.budget.set_pace(pace);
        let order = if is_asked {
            Order {
                generation: OLDEST,
                ending: Ending::Compact,
                cause: CollectionCause::Pressure,
            }
        } else if let Some(next) = self.counters.stress {
            next(&self.counters)
        } else if self.young < self.budget.due {
            return; // only the pace has changed
        } else {
            self.order_by_budget()
        };
        // SAFETY: the caller's.
        unsafe { self.collect(order.generation, order.ending, order.cause) };
    }

    /// What to collect when the budget is spent: everything, if the load has become high.
    #[cfg_attr(terrace_small, inline(always))]
    fn order_by_budget(&mut self) -> Order {
        let mut order = Order {
            generation: self.budget.generation(self.burden()),
            ending: Ending::Decide,
            cause: CollectionCause::Budget,
        };
        let load = self.source.tell(Notice::IsLoaded);
        if load != 0 && load != self.load_seen {
            self.load_seen = load;
            (order.generation, order.cause) = (OLDEST, CollectionCause::Load);
        }
        order
    }

    /// Makes the context hold `n` granules, with collections if need be; tells whether it does.
    ///
    /// # Safety
    /// PARKED.
    #[cold]
    #[inline(never)]
    pub(crate) unsafe fn reserve(&mut self, n: u32) -> bool {
        // SAFETY: the caller's.
        unsafe {
            self.until(CollectionCause::Reserve, &mut |collector: &mut Collector| {
                collector.refill(n)
            })
        }
    }

    /// Takes `n` granules, with collections if need be.
    ///
    /// # Safety
    /// PARKED.
    #[cold]
    #[inline(never)]
    pub(crate) unsafe fn allocate_collecting(&mut self, n: u32) -> Option<NonNull<u8>> {
        let mut object = None;
        let mut attempt = |collector: &mut Collector| {
            object = collector.allocate_slowly(n);
            object.is_some()
        };
        // SAFETY: the caller's.
        unsafe { self.until(CollectionCause::Exhaustion, &mut attempt) };
        object
    }

    /// Makes room for one more handle, with collections if need be.
    ///
    /// # Safety
    /// PARKED.
    #[inline(always)]
    pub(crate) unsafe fn reserve_handle(&mut self) -> bool {
        // SAFETY: the caller's.
        self.handles.has_room() || unsafe { self.reserve_handle_slowly() }
    }

    #[cold]
    #[cfg_attr(not(terrace_small), inline(never))]
    #[cfg_attr(terrace_small, inline(always))]
    unsafe fn reserve_handle_slowly(&mut self) -> bool {
        let mut attempt = |collector: &mut Collector| collector.handles.reserve(collector.source);
        // SAFETY: the caller's.
        unsafe { self.until(CollectionCause::Exhaustion, &mut attempt) }
    }

    /// Makes room for one more object with a destructor, with collections if need be; further collections leave it.
    ///
    /// # Safety
    /// PARKED.
    #[inline(always)]
    pub(crate) unsafe fn reserve_drop_collecting(&mut self) -> bool {
        // SAFETY: the caller's.
        self.drops.has_room() || unsafe { self.reserve_drop_slowly() }
    }

    #[cold]
    #[inline(never)]
    unsafe fn reserve_drop_slowly(&mut self) -> bool {
        let mut attempt = |collector: &mut Collector| collector.drops.reserve(collector.source);
        // SAFETY: the caller's.
        unsafe { self.until(CollectionCause::Exhaustion, &mut attempt) }
    }

    /// Attempts something after more and more collections, until it succeeds; tells whether it did.
    ///
    /// # Safety
    /// PARKED.
    #[cold]
    #[inline(never)]
    pub(super) unsafe fn until(&mut self, cause: CollectionCause, attempt: &mut dyn Attempt) -> bool {
        // What parked arenas can do they do one by one.
        let mut progress = 0;
        for round in 0u32.. {
            // SAFETY: the caller's.
            unsafe {
                match round {
                    0 => self.safe_point(),
                    1 if self.young == 0 => continue,
                    1 => {
                        self.count(Step::CollectYoung);
                        self.collect(0, Ending::Compact, cause);
                    }
                    2 => {
                        self.count(Step::CollectAll);
                        self.collect(OLDEST, Ending::Compact, cause);
                    }
                    3 => self.slide_large(),
                    _ => {
                        let how = How::FOR_NATIVE;
                        progress = self.source.tell(Notice::CollectNext { how, progress });
                        if progress == 0 {
                            break;
                        }
                    }
                }
            }
            if attempt.attempt(self) {
                return true;
            }
        }
        self.count(Step::Fail);
        false
    }
}
