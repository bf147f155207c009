//! Sinks and clocks: who is told of collections, and who says how long they took.

use core::ptr::NonNull;

use super::brand::Brand;
use super::cx::Cx;
use super::error::OutOfMemory;
use crate::gc::Collector;
use crate::gc::event::{ArenaEvent, ArenaSink, Clock, Moment, Observer};

impl<A: Brand> Cx<A> {
    /// Makes [`Cx::poll`] tell `sink` of the collections that there were since the last poll, 8 at most; of any before
    /// them, how many. Nothing is told that was not told when the arena is dropped.
    ///
    /// The sink runs outside of everything, so it may allocate from the heap and drop handles. It has no token, so it
    /// cannot use the arena.
    ///
    /// # Errors
    /// There is no memory to remember collections: about 600 bytes, taken when a sink or a clock is first set.
    ///
    /// # Examples
    /// ```
    /// # use terrace::*;
    /// # static HEAP: CriticalSectionHeap = CriticalSectionHeap::new();
    /// # terrace::init!(HEAP, 64 * 1024).unwrap();
    /// # let mut arena = Arena::new(&HEAP).unwrap();
    /// arena.enter(|cx| {
    ///     cx.set_sink(Some(|event| println!("{event}")))?;
    ///     let kept = cx.new_str("kept")?;
    ///     cx.collect(Generation::Young);
    ///     cx.poll();
    ///     # drop(kept);
    ///     Ok::<(), OutOfMemory>(())
    /// }).unwrap();
    /// ```
    /// prints
    /// ```text
    /// collection of young (asked) at 0
    /// 16 bytes live, 2032 dead; 0 cards
    /// sweep, nothing would move; 1 plugs, 1 gaps, 0 bytes to move
    /// 16 bytes promoted to middle
    /// 2048 bytes of segments taken, 0 given back
    /// ended after 0 ticks, 2048 bytes held
    /// ```
    pub fn set_sink(&mut self, sink: Option<ArenaSink>) -> Result<(), OutOfMemory> {
        self.with_observer(|observer| {
            observer.sink = sink;
            if sink.is_none() {
                observer.forget();
            }
        })
    }

    /// Sets the clock that collections are timed by, such as a counter of processor cycles; see `last_pause` and
    /// `largest_pause` of the [statistics](crate::ArenaStats). There is none by default.
    ///
    /// The clock is called within collections, when the arena cannot be used. A handle that it drops is never given up.
    ///
    /// # Errors
    /// As for [`Cx::set_sink`].
    ///
    /// # Examples
    /// ```
    /// # use terrace::*;
    /// # static HEAP: CriticalSectionHeap = CriticalSectionHeap::new();
    /// # terrace::init!(HEAP, 64 * 1024).unwrap();
    /// # let mut arena = Arena::new(&HEAP).unwrap();
    /// use std::sync::LazyLock;
    /// use std::time::Instant;
    ///
    /// static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    ///
    /// arena.enter(|cx| {
    ///     cx.set_clock(Some(|| START.elapsed().as_nanos() as u32))?;
    ///     cx.collect(Generation::Old);
    ///     assert_eq!(cx.stats().last_pause, cx.stats().largest_pause);
    ///     Ok::<(), OutOfMemory>(())
    /// }).unwrap();
    /// ```
    pub fn set_clock(&mut self, clock: Option<Clock>) -> Result<(), OutOfMemory> {
        self.with_observer(|observer| observer.clock = clock)
    }

    fn with_observer(&mut self, change: impl FnOnce(&mut Observer)) -> Result<(), OutOfMemory> {
        let requested = size_of::<Observer>();
        let observer = self.collector_mut().hire(work::<A>);
        observer.map(change).ok_or(OutOfMemory { requested })
    }
}

/// What the observer of an arena does: see [`Moment`].
///
/// # Safety
/// The collector is that of the brand's arena and has an observer; nobody else uses a reference to it meanwhile.
unsafe fn work<A: Brand>(mut collector: NonNull<Collector>, moment: Moment<'_>) {
    // SAFETY: the caller's. No reference is held while the clock or the sink runs.
    unsafe {
        match moment {
            Moment::Told => tell(collector),
            Moment::Dismissed => collector.as_mut().dismiss(),
            Moment::Planned(plan) => collector.as_mut().note_plan(plan),
            Moment::End => {
                let ticks = ticks::<A>(collector);
                collector.as_mut().note_end(ticks);
            }
            Moment::Begin(order) => {
                let ticks = ticks::<A>(collector);
                collector.as_mut().note_begin(order, ticks);
            }
        }
    }
}

/// What the clock says, within a collection; 0 without one.
///
/// # Safety
/// As for [`work`].
unsafe fn ticks<A: Brand>(collector: NonNull<Collector>) -> u32 {
    // SAFETY: the caller's.
    let clock = unsafe { collector.as_ref().observer().and_then(|observer| observer.clock) };
    // The collector is at work, so whatever the clock does must not reach it.
    clock.map_or(0, |clock| A::state().parking.while_busy(clock))
}

/// Makes events of what is remembered.
///
/// # Safety
/// As for [`work`].
unsafe fn tell(mut collector: NonNull<Collector>) {
    // SAFETY: the caller's; the borrow ends with each call.
    let mut with = |take: fn(&mut Observer) -> _| unsafe { collector.as_mut().observer_mut().and_then(take) };
    let mut next = || with(|observer| Some((observer.sink?, observer.take_lost(), observer.take())));
    while let Some((sink, lost, record)) = next() {
        if lost != 0 {
            sink(&ArenaEvent::Lost { collections: lost });
        }
        let Some(record) = record else { return };
        record.events().for_each(|event| sink(&event));
    }
}

/// A sink that logs events by defmt: lost ones as warnings, the rest as information. Feature `defmt`.
#[cfg(feature = "defmt")]
pub fn arena_defmt_sink(event: &ArenaEvent) {
    match event {
        ArenaEvent::Lost { .. } => defmt::warn!("{}", event),
        _ => defmt::info!("{}", event),
    }
}
