//! Waiting for low memory in an async task.

use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context as TaskContext, Poll, Waker};

use lock_api::RawMutex;

use super::{Heap, Shared};
use crate::base::core_id::CoreId;
use crate::notify::LowMemory;
use crate::notify::waker::{WAITERS, Wakers};

/// Why a task can't wait for low memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum WaitError {
    /// As many are waiting as can.
    Full {
        /// How many.
        capacity: usize,
    },
    /// The heap has no memory for the table.
    OutOfMemory,
}

impl fmt::Display for WaitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WaitError::Full { capacity } => write!(f, "{capacity} are waiting already"),
            WaitError::OutOfMemory => f.write_str("no memory for the table of wakers"),
        }
    }
}

impl core::error::Error for WaitError {}

/// Waits for low memory: see [`Heap::low_memory`].
#[must_use = "futures do nothing unless polled"]
pub struct WhenLow<'a, L: RawMutex, C: CoreId, const CONTEXTS: usize> {
    heap: &'a Heap<L, C, CONTEXTS>,
    /// The count of low memory when the wait began.
    seen: u32,
    place: usize,
}

impl<L: RawMutex, C: CoreId, const CONTEXTS: usize> Heap<L, C, CONTEXTS> {
    /// A future that is ready when the low-memory callbacks have run the next time: a [`Heap::poll`] wakes it. Someone has to poll, so
    /// one task of the executor does that now and then. Nothing is allocated for a waker; the first wait takes a block for the table.
    /// [`WAITERS`](crate::WAITERS) can wait at a time. Not for interrupts.
    ///
    /// # Errors
    /// `Full`, `OutOfMemory`.
    ///
    /// # Examples
    /// ```
    /// use terrace::{CriticalSectionHeap, WaitError};
    ///
    /// static HEAP: CriticalSectionHeap = CriticalSectionHeap::new();
    ///
    /// async fn janitor(cache: &mut Vec<u8>) -> Result<(), WaitError> {
    ///     loop {
    ///         let event = HEAP.low_memory()?.await;
    ///         println!("low memory: {:?} at {}", event.cause, event.load);
    ///         *cache = Vec::new();
    ///     }
    /// }
    /// ```
    pub fn low_memory(&self) -> Result<WhenLow<'_, L, C, CONTEXTS>, WaitError> {
        self.enter(|context, shared| {
            let side = shared.side(context, Self::BY_ALL).ok_or(WaitError::OutOfMemory)?;
            let seen = side.told_count;
            let place = side.wakers.take().ok_or(WaitError::Full { capacity: WAITERS })?;
            Ok(WhenLow {
                heap: self,
                seen,
                place,
            })
        })
    }

    fn with_wakers<R>(&self, work: impl FnOnce(&mut Wakers) -> Option<R>) -> Option<R> {
        self.enter(|_, shared| shared.side_if_any().and_then(|side| work(&mut side.wakers)))
    }

    /// Wakes who waits; tells how many there were.
    pub(super) fn wake(&self, event: &LowMemory) -> u32 {
        self.enter(|_, shared| {
            if let Some(side) = shared.side_if_any() {
                side.told_count = event.count;
            }
        });
        let mut count = 0;
        while let Some(waker) = self.with_wakers(Wakers::next) {
            waker.wake();
            count += 1;
        }
        count
    }
}

impl<L: RawMutex, C: CoreId, const CONTEXTS: usize> Future for WhenLow<'_, L, C, CONTEXTS> {
    type Output = LowMemory;

    fn poll(self: Pin<&mut Self>, context: &mut TaskContext<'_>) -> Poll<LowMemory> {
        // Made and dropped outside of the lock: both are code of the executor's.
        let mut waker: Option<Waker> = Some(context.waker().clone());
        let (seen, place) = (self.seen, self.place);
        let event = self.heap.enter(|_, shared| {
            let event = shared.low_memory_since(seen);
            if event.is_none()
                && let (Some(new), Some(side)) = (waker.take(), shared.side_if_any())
            {
                waker = side.wakers.set(place, new);
            }
            event
        });
        drop(waker);
        event.map_or(Poll::Pending, Poll::Ready)
    }
}

impl<L: RawMutex, C: CoreId, const CONTEXTS: usize> Drop for WhenLow<'_, L, C, CONTEXTS> {
    fn drop(&mut self) {
        let place = self.place;
        drop(self.heap.with_wakers(|wakers| wakers.give(place)));
    }
}

impl Shared {
    /// The low memory that callbacks were told of last, if that was after the one of this number.
    fn low_memory_since(&mut self, seen: u32) -> Option<LowMemory> {
        let capacity = self.scale().capacity;
        let told_count = self.side_if_any().map_or(seen, |side| side.told_count);
        (told_count != seen).then(|| self.watch.told(capacity))
    }
}
