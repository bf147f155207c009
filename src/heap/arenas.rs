//! The arenas of a heap: which there are, and collecting them while they are parked.
//!
//! ```text
//!   a request that fails ----> Measure::Collect --.
//!   Heap::collect, pressure ----------------------+--> claim, under the lock --> collect, outside --> the arena is parked again
//!   Heap::poll -----------------------------------'
//! ```
//!
//! An arena that is entered can't be collected by others; it is asked to do so itself at its next safe point.

use core::cell::Cell;
use core::ptr;
use core::sync::atomic::Ordering;

use lock_api::RawMutex;

use super::rescue::{Request, Rescue};
use super::{Heap, Shared};
use crate::base::core_id::CoreId;
use crate::base::criticality::Criticality;
use crate::base::granule::GRANULE;
use crate::gc::Collector;
use crate::gc::collect::Ending;
use crate::gc::event::CollectionCause;
use crate::gc::generation::Generation;
use crate::gc::parking::{Asked, Pace, Parking};
use crate::gc::source::{How, Notice};

/// What [`Heap::collect`] did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct Collected {
    /// Arenas that were parked, and have been collected.
    pub collected: u32,
    /// Arenas that are entered, or being collected by somebody else: they will be at their next safe point.
    pub asked: u32,
}

impl<L: RawMutex, C: CoreId, const CONTEXTS: usize> Heap<L, C, CONTEXTS> {
    pub(super) fn enrol_arena(&self, arena: &'static Parking) {
        self.enter_first(|_, shared| {
            arena.next.store(shared.arenas.cast_mut(), Ordering::Relaxed);
            shared.arenas = arena;
            shared.rescuer = Some(Self::RESCUER);
            if shared.pace != Pace::Neutral {
                arena.set_pace(shared.pace);
            }
        });
    }

    pub(super) fn withdraw_arena(&self, arena: &'static Parking) {
        self.enter_first(|_, shared| {
            let next = arena.next.load(Ordering::Relaxed);
            if ptr::eq(shared.arenas, arena) {
                shared.arenas = next;
            } else if let Some(before) = shared
                .arenas()
                .find(|other| ptr::eq(other.next.load(Ordering::Relaxed), arena))
            {
                before.next.store(next, Ordering::Relaxed);
            }
        });
    }

    /// What an arena tells, whose requests are of this criticality, or of the heap's default.
    pub(super) fn hear(&self, notice: Notice<'_>, criticality: Option<Criticality>) -> bool {
        match notice {
            Notice::IsLoaded { seen } => {
                let (count, is_loaded) = self.enter_first(|_, shared| (shared.watch.count(), shared.watch.is_high()));
                is_loaded && seen.replace(count) != count
            }
            Notice::Due => {
                self.enter_first(|_, shared| {
                    shared.has_news = true;
                    shared.is_due = true;
                });
                false
            }
            Notice::Stuck { bytes, progress } => {
                let mut rescue = Rescue::from_numbers(progress.get());
                let request = Request {
                    bytes: bytes.max(1),
                    align: GRANULE,
                    criticality: criticality.unwrap_or_else(|| self.enter_first(|_, shared| shared.criticality())),
                };
                let may_go_on = self.take_measure(&mut rescue, request);
                progress.set(rescue.to_numbers());
                may_go_on
            }
            Notice::CollectNext { how, progress } => {
                let mut index = progress.get();
                let is_done = self.collect_next(&mut index, how);
                progress.set(index);
                is_done
            }
            Notice::Settled => {
                self.settle();
                false
            }
            Notice::Waiting | Notice::Begin(_) | Notice::End(_) => {
                let run = self.enter_first(|_, shared| shared.side_if_any().and_then(|side| side.run));
                if let Some(run) = run {
                    // SAFETY: it was set for this heap; no lock is held here.
                    unsafe { run(ptr::from_ref(self).cast(), notice) };
                }
                false
            }
        }
    }

    /// Collects the next arena that can be collected and is worth it, from the one at the index `progress` on; tells whether there
    /// was one.
    pub(super) fn collect_next(&self, progress: &mut usize, how: How) -> bool {
        loop {
            // Claimed under the lock: so what is listed stays there until the claim ends.
            let claimed = self.enter_first(|_, shared| {
                let mut arenas = shared.arenas().enumerate().skip(*progress);
                let (index, arena) = arenas.find(|(_, arena)| arena.claim())?;
                *progress = index + 1;
                Some(arena)
            });
            let Some(arena) = claimed else { return false };
            // SAFETY: it was claimed just now.
            let is_useful = unsafe {
                match how {
                    How::Due => arena.collect_if_due(),
                    How::Now(generation, cause) => {
                        let is_full = generation == Generation::Old;
                        let ending = if is_full { Ending::Compact } else { Ending::Decide };
                        arena.collect(generation as u8, ending, cause)
                    }
                }
            };
            if is_useful {
                return true;
            }
        }
    }

    /// As [`Heap::collect_next`], by way of an arena, so that a program without one does not link what collects them.
    pub(super) fn collect_next_of(&self, progress: &mut usize, how: How) -> bool {
        let cell = Cell::new(*progress);
        let source = self.enter(|_, shared| shared.arenas().next().and_then(Parking::source_of_enrolled));
        let is_done = source.is_some_and(|source| source.tell(Notice::CollectNext { how, progress: &cell }));
        *progress = cell.get();
        is_done
    }

    /// Asks the arenas that cannot be collected now to do it themselves; tells how many there are.
    fn ask_arenas(&self) -> u32 {
        self.enter_first(|_, shared| {
            let mut asked = 0;
            for arena in shared.arenas().filter(|arena| !arena.is_parked()) {
                arena.ask(Asked::Collect);
                asked += 1;
            }
            asked
        })
    }

    /// Collects the generations up to this one in all arenas that are parked, now: those of [`Generation::Old`] move what can be
    /// moved and give the heap what is free then. Of those that are entered, a full collection asks for one at their next safe point.
    /// Destructors and finalisers wait for [`Cx::poll`](crate::Cx::poll).
    ///
    /// From any thread or core; not from interrupts nor from GC handlers, where it does nothing. O(live objects).
    ///
    /// Source: `ICLRGCManager::Collect` (seed `001_f38423a55030a0f1.txt`), whose -1 is [`Generation::Old`].
    pub fn collect(&self, generation: Generation) -> Collected {
        self.collect_all(generation, CollectionCause::Asked)
    }

    pub(super) fn collect_all(&self, generation: Generation, cause: CollectionCause) -> Collected {
        let mut result = Collected::default();
        if C::in_interrupt() || self.is_barred() {
            return result;
        }
        if generation == Generation::Old {
            result.asked = self.ask_arenas();
        }
        let mut progress = 0;
        while self.collect_next(&mut progress, How::Now(generation, cause)) {
            result.collected += 1;
        }
        if generation == Generation::Old {
            self.settle();
        }
        result
    }
}

impl Shared {
    /// The arenas.
    pub(super) fn arenas(&self) -> impl Iterator<Item = &'static Parking> + use<> {
        // SAFETY: only what lives for good is listed.
        let at = |arena: *const Parking| unsafe { arena.as_ref() };
        core::iter::successors(at(self.arenas), move |arena| at(arena.next.load(Ordering::Relaxed)))
    }

    /// Tells all arenas how soon to collect.
    pub(super) fn set_pace(&mut self, pace: Pace) {
        self.pace = pace;
        self.arenas().for_each(|arena| arena.set_pace(pace));
    }
}

/// Everything, for whoever asks for a full collection.
const _: () = assert!(Generation::Old as u8 == Collector::ALL);
