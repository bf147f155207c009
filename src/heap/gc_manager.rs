//! What a host can ask about collections and set for them: statistics of all arenas, limits that are set once.

use core::fmt;

use lock_api::RawMutex;

use super::Heap;
use crate::base::core_id::CoreId;
use crate::gc::source::StartupLimits;

/// What the arenas of a heap have done: of those that there are now. Counts wrap.
///
/// Source: `COR_GC_STATS` of CLR hosting (seed `001_f38423a55030a0f1.txt`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct GcStats {
    /// Arenas.
    pub arenas: usize,
    /// Collections, by the oldest generation that each was about.
    pub collections: [u32; 3],
    /// Those that moved objects.
    pub compactions: u32,
    /// Those for requests that the native heap, or another arena, had no room for.
    pub for_others: u32,
    /// Requests of GC handlers and hooks to the heap, which were refused.
    pub refused: u32,
}

/// Why limits were not set. Those in force stay.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum StartupError {
    /// They were set before; that is done once.
    AlreadySet,
    /// A size is not possible.
    OutOfRange {
        /// The size, in bytes.
        bytes: usize,
        /// The smallest and the largest that are.
        least: usize,
        /// See `least`.
        most: usize,
    },
    /// The heap has no memory to remember them.
    OutOfMemory,
}

impl fmt::Display for StartupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            StartupError::AlreadySet => f.write_str("the limits were set before"),
            StartupError::OutOfRange { bytes, least, most } => {
                write!(f, "{bytes} bytes; {least} to {most} are possible")
            }
            StartupError::OutOfMemory => f.write_str("no memory to remember the limits"),
        }
    }
}

impl core::error::Error for StartupError {}

/// The least bytes of a segment and of generation 0, and the most.
const LEAST: usize = 1 << 10;
const MOST: usize = 1 << 30;

impl<L: RawMutex, C: CoreId, const CONTEXTS: usize> Heap<L, C, CONTEXTS> {
    /// What the arenas have done. O(arenas). From any thread or core; from interrupts as the lock permits.
    pub fn gc_stats(&self) -> GcStats {
        self.enter(|_, shared| {
            let mut stats = GcStats::default();
            let add = |sum: &mut u32, count: u32| *sum = sum.wrapping_add(count);
            for arena in shared.arenas() {
                let [young, middle, old, compactions, for_others] = arena.counts();
                stats.arenas += 1;
                (stats.collections.iter_mut().zip([young, middle, old])).for_each(|(sum, count)| add(sum, count));
                add(&mut stats.compactions, compactions);
                add(&mut stats.for_others, for_others);
            }
            stats.refused = shared.side_if_any().map_or(0, |side| side.refused);
            stats
        })
    }

    /// Sets, once, the bytes of a segment and those that generation 0 may take between collections at most, for all arenas that are made
    /// from now on: both from 1 KiB to 1 GiB, the former rounded down to 512 bytes. Without this, both follow the size of the heap's
    /// first span. Not for interrupts.
    ///
    /// Source: `ICLRGCManager::SetGCStartupLimits` (seed `001_f38423a55030a0f1.txt`): "may only be specified once and will not change if
    /// called later".
    ///
    /// # Errors
    /// `AlreadySet` the second time, which changes nothing; `OutOfRange`, `OutOfMemory`.
    pub fn set_startup_limits(&self, segment: usize, young: usize) -> Result<(), StartupError> {
        for bytes in [segment, young] {
            if !(LEAST..=MOST).contains(&bytes) {
                return Err(StartupError::OutOfRange {
                    bytes,
                    least: LEAST,
                    most: MOST,
                });
            }
        }
        self.enter(|context, shared| {
            let side = shared.side(context, Self::BY_ALL).ok_or(StartupError::OutOfMemory)?;
            if side.limits.is_some() {
                return Err(StartupError::AlreadySet);
            }
            side.limits = Some(StartupLimits { segment, young });
            Ok(())
        })
    }
}
