//! The poll: what is due is done here, in order, and nowhere else.
//!
//! ```text
//!   posts --> collections of parked arenas --> finalisers and destructors --> low-memory callbacks, trim --> events --> host
//! ```
//!
//! Each step is counted against a budget. Where that ends, the poll does; what is left stays due, and the next poll goes on with it.

use lock_api::RawMutex;

use super::load::Follow;
use super::{All, Heap, Shared};
use crate::arena::finalizers::Finalizers;
use crate::base::core_id::CoreId;
use crate::gc::event::CollectionCause;
use crate::gc::generation::Generation;
use crate::gc::parking::{Asked, Pace};
use crate::gc::source::How;
use crate::notify::budget::Budget;
use crate::notify::event::{Event, Sink};
use crate::notify::post::{Posted, Posting};
use crate::notify::{Cause, LowMemory, Pressure};

/// What a poll did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[must_use]
#[non_exhaustive]
pub struct Polled {
    /// Collections of parked arenas.
    pub collections: u32,
    /// Finalisers and destructors that were run.
    pub finalizers: u32,
    /// Low-memory callbacks that were run, and futures that were woken.
    pub callbacks: u32,
    /// Events that were given to the sink, or dropped because there is none.
    pub events: u32,
    /// Whether something is waiting for another poll: the budget was spent, it came up meanwhile, or a poll was under way already.
    pub more: bool,
}

/// One poll.
struct Poll {
    polled: Polled,
    budget: Budget,
    sink: Option<Sink>,
}

impl Poll {
    /// Whether one more step may be done; if not, more is waiting.
    fn may_step(&mut self) -> bool {
        let may = self.budget.take();
        self.polled.more |= !may;
        may
    }

    fn tell(&mut self, event: Event) {
        self.polled.events += 1;
        if let Some(sink) = self.sink {
            sink(&event);
        }
    }
}

impl<L: RawMutex, C: CoreId, const CONTEXTS: usize> Heap<L, C, CONTEXTS> {
    /// Does what is due: takes the host's post, collects parked arenas, runs the low-memory callbacks, gives the sink its events.
    /// After low memory the caches are given back to the buckets as well. What is free of a host's memory is given back to the host.
    ///
    /// To be called from the main loop, an idle task or an executor; never from an interrupt, as callbacks run in it.
    /// They may allocate, free, register, remove and post. A poll inside of them does nothing and says `more`, and so does one in a GC
    /// handler.
    /// O(spans) if nothing is due. Finalisers and destructors need the arena: see [`Heap::poll_with`].
    pub fn poll(&self) -> Polled {
        self.poll_with(Budget::UNLIMITED, &mut ())
    }

    /// As [`Heap::poll`], within a budget, and with the finalisers and destructors of an arena, or of several: in order, the post,
    /// collections, finalisers and destructors, low-memory callbacks, events. Where the budget ends the poll says `more`, and the next
    /// one goes on.
    ///
    /// # Examples
    /// ```
    /// use terrace::*;
    ///
    /// static HEAP: CriticalSectionHeap = CriticalSectionHeap::new();
    /// terrace::init!(HEAP, 64 * 1024).unwrap();
    /// let mut arena = Arena::new(&HEAP).unwrap();
    /// arena.enter(|cx| {
    ///     for _ in 0..3 {
    ///         cx.new::<Plain<String>>(|_| Plain("needs a destructor".into())).unwrap();
    ///     }
    /// });
    /// HEAP.post(Pressure::Moderate); // so the arena is collected
    /// let first = HEAP.poll_with(Budget::steps(3), &mut arena); // the post is told, a collection, a destructor
    /// assert_eq!((first.collections, first.finalizers, first.more), (1, 1, true));
    /// assert!(!HEAP.poll_with(Budget::UNLIMITED, &mut arena).more);
    /// ```
    pub fn poll_with<F: Finalizers + ?Sized>(&self, budget: Budget, arenas: &mut F) -> Polled {
        let mut poll = Poll {
            polled: Polled::default(),
            budget,
            sink: None,
        };
        if CONTEXTS == 1 && !arenas.is_waiting() && !self.has_news() {
            return poll.polled;
        }
        // What runs around a collection is no place for callbacks.
        let is_barred = self.enter(|_, shared| shared.pool.is_barred()) && self.is_barred();
        let Some(follow) = (!is_barred).then(|| self.begin_poll(&mut poll)).flatten() else {
            poll.polled.more = true;
            return poll.polled;
        };
        let guard = EndPoll { heap: self };
        if let Some(follow) = follow {
            // SAFETY: it is this heap's; no lock is held here.
            unsafe { follow(core::ptr::from_ref(self).cast()) };
            self.enter_all(|all, shared| self.gather(all, shared, &mut poll));
        }
        let is_done = self.poll_posts(&mut poll)
            && self.poll_collections(&mut poll)
            && Self::poll_finalizers(&mut poll, arenas)
            && self.poll_low_memory(&mut poll)
            && self.poll_events(&mut poll)
            && self.poll_host(&mut poll);
        drop(guard);
        if !is_done {
            self.enter(|_, shared| shared.has_news = true);
        }
        poll.polled
    }

    /// Whether a poll has anything to do, with one context.
    #[inline(always)]
    fn has_news(&self) -> bool {
        let slot = &self.slots[0];
        slot.lock.lock();
        // SAFETY: the slot is locked, and guards the shared part; nothing else uses it meanwhile.
        unsafe {
            let shared = &mut *self.shared.get();
            let has_news =
                shared.has_news || shared.polling || self.posted.is_new(shared.post_seen) || shared.hosting().is_some();
            slot.lock.unlock();
            has_news
        }
    }

    /// Collects what is due, unless the host is to be asked for the load before, and how; nothing if a poll is under way.
    #[inline(never)]
    fn begin_poll(&self, poll: &mut Poll) -> Option<Option<Follow>> {
        self.enter_all(|all, shared| {
            if shared.polling {
                return None;
            }
            (shared.polling, shared.has_news) = (true, false);
            let follow = shared.side_if_any().and_then(|side| side.follow);
            if follow.is_none() {
                self.gather(all, shared, poll);
            }
            Some(follow)
        })
    }

    /// Collects what is due.
    #[inline(never)]
    fn gather(&self, all: &mut All<'_, L, CONTEXTS>, shared: &mut Shared, poll: &mut Poll) {
        let idle = all.idle();
        shared.observe(idle);
        all.each(|context| shared.pool.settle(context));
        if let Some(level) = self.posted.take(&mut shared.post_seen) {
            shared.is_post_untold = true;
            let used = shared.watched(idle);
            shared.follow_post(level, used);
        }
        if !shared.table.is_pending() && shared.watch.begin() {
            shared.table.start();
            shared.is_low_untold = true;
            shared.want_collections();
        }
        poll.sink = shared.journal.sink;
    }

    fn poll_posts(&self, poll: &mut Poll) -> bool {
        let untold = |shared: &mut Shared| shared.is_post_untold.then(|| Posted::last(shared.post_seen));
        let Some(posted) = self.enter(|_, shared| untold(shared)) else {
            return true;
        };
        if !poll.may_step() {
            return false;
        }
        self.enter(|_, shared| shared.is_post_untold = false);
        poll.tell(Event::of_post(posted));
        true
    }

    fn poll_collections(&self, poll: &mut Poll) -> bool {
        let (is_asked, is_due) = self.enter(|_, shared| (shared.is_collecting, shared.is_due));
        let hows = [
            (is_asked, How::now(Generation::Old, CollectionCause::Pressure)),
            (is_due, How::DUE),
        ];
        for (_, how) in hows.into_iter().filter(|(is_wanted, _)| *is_wanted) {
            let mut progress = 0;
            loop {
                if !poll.may_step() {
                    return false;
                }
                progress = self.collect_next_of(progress, how);
                if progress == 0 {
                    poll.budget.give_back();
                    break;
                }
                poll.polled.collections += 1;
            }
        }
        self.enter(|_, shared| (shared.is_collecting, shared.is_due) = (false, false));
        true
    }

    fn poll_finalizers<F: Finalizers + ?Sized>(poll: &mut Poll, arenas: &mut F) -> bool {
        // Those that become due meanwhile wait for the next poll, or a finaliser that resurrects could keep this one for ever.
        let mut left = arenas.waiting();
        while left != 0 {
            if !poll.may_step() {
                return false;
            }
            let count = arenas.run_one();
            poll.polled.finalizers += u32::from(count);
            left = if count { left - 1 } else { 0 };
        }
        poll.polled.more |= arenas.is_waiting();
        true
    }

    fn poll_low_memory(&self, poll: &mut Poll) -> bool {
        let Some((event, is_untold)) = self.enter_all(|_, shared| shared.low_memory_under_way()) else {
            return true;
        };
        if is_untold {
            if !poll.may_step() {
                return false;
            }
            self.enter(|_, shared| shared.is_low_untold = false);
            poll.tell(Event::LowMemory(event));
        }
        while self.enter(|_, shared| shared.table.is_pending()) {
            if !poll.may_step() {
                return false;
            }
            if let Some(callback) = self.enter(|_, shared| shared.table.next()) {
                poll.polled.callbacks += 1;
                callback.call(&event);
            }
        }
        poll.polled.callbacks += self.wake(&event);
        self.trim();
        true
    }

    fn poll_events(&self, poll: &mut Poll) -> bool {
        loop {
            if self.enter(|_, shared| shared.journal.is_empty()) {
                return true;
            }
            if !poll.may_step() {
                return false;
            }
            if let Some(event) = self.next_event() {
                poll.tell(event);
            }
        }
    }

    /// Gives back what is free of a host's memory.
    fn poll_host(&self, poll: &mut Poll) -> bool {
        if !self.is_hosted() {
            return true;
        }
        if !poll.may_step() {
            return false;
        }
        if !self.give_back_idle() {
            poll.budget.give_back();
        }
        true
    }

    fn next_event(&self) -> Option<Event> {
        self.enter_all(|all, shared| {
            let load = shared.load(all.idle());
            shared.journal.next(load)
        })
    }
}

/// Lets the next poll in, also when a callback unwinds.
struct EndPoll<'a, L: RawMutex, C: CoreId, const CONTEXTS: usize> {
    heap: &'a Heap<L, C, CONTEXTS>,
}

impl<L: RawMutex, C: CoreId, const CONTEXTS: usize> Drop for EndPoll<'_, L, C, CONTEXTS> {
    fn drop(&mut self) {
        self.heap.enter(|_, shared| {
            shared.polling = false;
            shared.has_news |= shared.has_unfinished() || shared.watch.is_measured();
        });
    }
}

impl Shared {
    /// Does what a post asks for, but for telling of it.
    fn follow_post(&mut self, level: Posting, used: usize) {
        let pace = match level {
            Posting::Pressure(Pressure::None) => Pace::Neutral,
            Posting::Pressure(level) => {
                self.watch.raise(level, Cause::Posted, used);
                Pace::Often
            }
            Posting::Plenty => Pace::Seldom,
        };
        self.set_pace(pace);
    }

    /// Has arenas collected: those that are parked by this poll, the others by themselves.
    fn want_collections(&mut self) {
        self.is_collecting = !self.arenas.is_null();
        self.arenas()
            .filter(|arena| !arena.is_parked())
            .for_each(|arena| arena.ask(Asked::Collect));
    }

    /// The low memory that callbacks are being told of, and whether the sink was not told yet.
    fn low_memory_under_way(&mut self) -> Option<(LowMemory, bool)> {
        let is_under_way = self.is_low_untold || self.table.is_pending();
        let capacity = self.scale().capacity;
        is_under_way.then(|| (self.watch.told(capacity), self.is_low_untold))
    }

    fn has_unfinished(&self) -> bool {
        self.is_post_untold || self.is_low_untold || self.table.is_pending()
    }
}
