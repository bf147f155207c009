//! What an arena may take of its heap: limits, and how critical its requests are.

use core::fmt;

use super::brand::Brand;
use super::cx::Cx;
use crate::base::criticality::Criticality;
use crate::base::limits::{LimitError, Limits};
use crate::gc::source::Source;

impl<A: Brand> Cx<A> {
    /// Sets the limits of what the arena holds in segments, in bytes; its tables are not among them.
    ///
    /// Beyond the **hard** limit no segment is taken: what there is no room for otherwise gets collections, and then
    /// [`OutOfMemory`](crate::OutOfMemory). When the **soft** one is reached a full collection is due, at the next safe point,
    /// once, and again after less has been held.
    ///
    /// They hold at once; if more is held than a limit permits, it stays. O(1).
    ///
    /// # Errors
    /// `OutOfRange`, for 0 and for more than the heap's first span has; `Crossed`. The old ones stay.
    ///
    /// # Examples
    /// ```
    /// # use terrace::*;
    /// # static HEAP: CriticalSectionHeap = CriticalSectionHeap::new();
    /// # terrace::init!(HEAP, 64 * 1024).unwrap();
    /// # let mut arena = Arena::new(&HEAP).unwrap();
    /// arena.enter(|cx| {
    ///     let hard = Some(16 * 1024);
    ///     cx.set_limits(Limits { hard, ..Limits::NONE }).unwrap();
    ///     let mut kept = vec![];
    ///     while let Ok(object) = cx.new_slice::<u64>(100, |_, _| 0) {
    ///         kept.push(object);
    ///     }
    ///     assert!(cx.stats().held <= 16 * 1024);
    ///     kept.clear();
    ///     assert!(cx.new_slice::<u64>(100, |_, _| 0).is_ok());
    /// });
    /// ```
    pub fn set_limits(&mut self, limits: Limits) -> Result<(), LimitError> {
        let collector = self.collector_mut();
        limits.check(collector.source.span().map_or(0, |(_, bytes)| bytes))?;
        collector.set_limits(limits);
        Ok(())
    }

    /// The limits in force.
    pub fn limits(&self) -> Limits {
        self.collector().limits.get()
    }

    /// Sets how critical the arena's requests for segments and tables are: how much of the heap's reserves they may use. The
    /// default is the heap's. An arena over [`Heap::at`](crate::Heap::at) is of that criticality from the first request on.
    ///
    /// `heap` is the one that the arena is in. O(1), but that a heap makes room for it the first time.
    ///
    /// # Errors
    /// It is another heap; or there is no memory to keep it in.
    ///
    /// # Examples
    /// ```
    /// # use terrace::*;
    /// # static HEAP: CriticalSectionHeap = CriticalSectionHeap::new();
    /// # terrace::init!(HEAP, 64 * 1024).unwrap();
    /// # let mut arena = Arena::new(&HEAP).unwrap();
    /// HEAP.set_reserve(Criticality::Process, 16 * 1024).unwrap();
    /// arena.enter(|cx| cx.set_criticality(&HEAP, Criticality::Task)).unwrap();
    /// ```
    pub fn set_criticality<S: Source>(
        &mut self,
        heap: &'static S,
        criticality: Criticality,
    ) -> Result<(), CriticalityError> {
        let collector = self.collector_mut();
        // A span is one heap's.
        if heap.span() != collector.source.span() {
            return Err(CriticalityError::OtherHeap);
        }
        collector.source = heap.door(criticality).ok_or(CriticalityError::OutOfMemory)?;
        Ok(())
    }
}

/// Why an arena's criticality was not set. The old one stays.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum CriticalityError {
    /// The arena is in another heap.
    OtherHeap,
    /// The heap has no memory to keep it in, some 250 bytes.
    OutOfMemory,
}

impl fmt::Display for CriticalityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            CriticalityError::OtherHeap => "the arena is in another heap",
            CriticalityError::OutOfMemory => "the heap has no memory to keep the criticality in",
        })
    }
}

impl core::error::Error for CriticalityError {}
