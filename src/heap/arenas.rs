//! The arenas of a heap: which there are, and collecting them while they are parked.
//!
//! ```text
//!   a request that fails ----> Rescuer ----------.
//!   Heap::collect, pressure ----------------------+--> claim, under the lock --> collect, outside --> the arena is parked again
//!   Heap::poll -----------------------------------'
//! ```
//!
//! An arena that is entered can't be collected by others; it is asked to do so itself at its next safe point.

use core::alloc::Layout;
use core::ptr;
use core::sync::atomic::Ordering;

use lock_api::RawMutex;

use super::rescue::{Rescuer, Work};
use super::{Heap, Shared};
use crate::base::core_id::CoreId;
use crate::gc::Collector;
use crate::gc::event::CollectionCause;
use crate::gc::generation::Generation;
use crate::gc::parking::{Asked, Pace, Parking};
use crate::gc::source::{How, Notice};
use crate::native::context::Context;

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
            shared.rescuer = shared.rescuer.or(Some(Self::BY_ARENAS));
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

    /// What an arena tells.
    pub(super) fn hear(&self, notice: Notice<'_>) -> u32 {
        match notice {
            Notice::IsLoaded => self.enter_first(|_, shared| {
                if shared.watch.is_high() {
                    shared.watch.count()
                } else {
                    0
                }
            }),
            Notice::Due => {
                self.enter_first(|_, shared| {
                    shared.has_news = true;
                    shared.is_due = true;
                });
                0
            }
            Notice::CollectNext { how, progress } => self.collect_next(progress, how),
            _ => {
                if let Some(hear) = self.enter_first(|_, shared| shared.rescuer.and_then(|rescuer| rescuer.hear)) {
                    // SAFETY: it is set for this heap only; no lock is held here.
                    unsafe { hear(ptr::from_ref(self).cast(), notice) };
                }
                0
            }
        }
    }

    /// Collects the next arena that can be collected and is worth it, `progress` being 0 the first time; returns what it is the next time,
    /// or 0 if there was none.
    pub(super) fn collect_next(&self, mut progress: u32, how: How) -> u32 {
        loop {
            // Claimed under the lock: so what is listed stays there until the claim ends.
            let claimed = self.enter_first(|_, shared| {
                let mut arenas = shared.arenas().zip(1..).skip(progress as usize);
                arenas.find(|(arena, _)| arena.claim())
            });
            let Some((arena, number)) = claimed else { return 0 };
            progress = number;
            // SAFETY: it was claimed just now.
            if unsafe { arena.collect_as(how) } {
                return progress;
            }
        }
    }

    /// As [`Heap::collect_next`], by way of an arena, so that a program without one does not link what collects them.
    pub(super) fn collect_next_of(&self, progress: u32, how: How) -> u32 {
        let source = self.enter(|_, shared| shared.arenas().next().and_then(Parking::source_of_enrolled));
        source.map_or(0, |source| source.tell(Notice::CollectNext { how, progress }))
    }

    /// What can be done for a request where there are arenas, but no host's side.
    const BY_ARENAS: &'static Rescuer = &Rescuer {
        serve: Self::serve_collecting,
        enlarge: Self::enlarge_collecting,
        take: None,
        hear: None,
    };

    /// # Safety
    /// The pointer is that of a heap of this type; no lock is held.
    unsafe fn serve_collecting(heap: *const (), layout: Layout) -> *mut u8 {
        // SAFETY: the caller's.
        let heap = unsafe { &*heap.cast::<Self>() };
        let mut attempt = |context: &mut Context, shared: &mut Shared| shared.take(context, layout);
        heap.collect_for(layout, &mut attempt)
    }

    /// # Safety
    /// The pointer is that of a heap of this type; no lock is held. The rest as for [`Heap::move_rescued`].
    unsafe fn enlarge_collecting(heap: *const (), block: *mut u8, old: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: the caller's.
        unsafe {
            let heap = &*heap.cast::<Self>();
            heap.move_rescued(block, old, new_size, |layout, attempt| {
                heap.collect_for(layout, attempt)
            })
        }
    }

    /// Attempts something that needs memory of this layout, and for which there was no room, after the collection of one parked arena
    /// after the other.
    fn collect_for(&self, layout: Layout, work: Work<'_>) -> *mut u8 {
        let mut progress = 0;
        while !C::in_interrupt() {
            progress = self.collect_next(progress, How::FOR_NATIVE);
            if progress == 0 {
                break;
            }
            let block = self.run(ptr::null_mut(), |context, shared| work.attempt(context, shared));
            if !block.is_null() {
                return block;
            }
        }
        self.enter(|context, shared| shared.fail(context, layout.size()));
        ptr::null_mut()
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
        loop {
            progress = self.collect_next(progress, How::now(generation, cause));
            if progress == 0 {
                break;
            }
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
