//! The watch over the load: watermarks with hysteresis.
//!
//! ```text
//!   used
//!   high  - - - - - - -*- - - - - - - -*- -     * raised
//!                    / | \            /
//!   low   - - - - - / -|- \o- - - - -/- - -     o armed again
//!                  /        \_______/
//!          armed      disarmed   armed
//! ```
//!
//! The callbacks become due once when the use reaches the high watermark, and not again before it has been at or below
//! the low one.

use core::fmt;

use super::{Cause, LowMemory, Pressure, load::Load};

/// A limit of the use of a heap.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Threshold {
    /// Percent of the capacity in use: 0 to 100.
    Percent(u8),
    /// Bytes left; at most the capacity.
    BytesFree(usize),
}

impl Threshold {
    /// The use in bytes at which the limit is reached.
    #[inline(never)]
    fn used(self, capacity: usize) -> Option<usize> {
        match self {
            // In two steps, as the product of both need not fit a word.
            Threshold::Percent(percent) if percent <= 100 => {
                let percent = usize::from(percent);
                Some(capacity / 100 * percent + (capacity % 100 * percent).div_ceil(100))
            }
            Threshold::Percent(_) => None,
            Threshold::BytesFree(bytes) => capacity.checked_sub(bytes),
        }
    }
}

/// The two limits between which the watch swings.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Watermarks {
    /// Reached from below: the callbacks become due.
    pub high: Threshold,
    /// Reached from above: the watch is armed again.
    pub low: Threshold,
}

impl Watermarks {
    /// 85 % and 75 %.
    pub const DEFAULT: Watermarks = Watermarks {
        high: Threshold::Percent(85),
        low: Threshold::Percent(75),
    };
}

impl Default for Watermarks {
    fn default() -> Self {
        Watermarks::DEFAULT
    }
}

/// Why watermarks were refused. The old ones stay.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum WatermarkError {
    /// A limit is not within the heap: above 100 percent, or more bytes than the capacity.
    OutOfRange {
        /// The limit.
        threshold: Threshold,
        /// The heap's capacity in bytes.
        capacity: usize,
    },
    /// The low one is not below the high one.
    Crossed {
        /// The high limit, as bytes in use.
        high: usize,
        /// The low limit, as bytes in use.
        low: usize,
    },
}

impl fmt::Display for WatermarkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WatermarkError::OutOfRange { threshold, capacity } => {
                write!(f, "{threshold:?} is out of range for a heap of {capacity} bytes")
            }
            WatermarkError::Crossed { high, low } => {
                write!(
                    f,
                    "the low watermark ({low} bytes used) is not below the high one ({high})"
                )
            }
        }
    }
}

impl core::error::Error for WatermarkError {}

/// The watch of one heap.
pub(crate) struct Watch {
    /// The watermarks, if they are not the default.
    own: Watermarks,
    has_own: bool,
    /// The watermarks as bytes in use; 0 while there is no memory to watch.
    high: usize,
    low: usize,
    disarmed: bool,
    /// What the callbacks are due for; [`Pressure::None`] if they are not.
    due: Pressure,
    cause: Cause,
    /// The use when it became due.
    used_at: usize,
    count: u32,
    /// The level that callbacks are being told, or were told last.
    level: Pressure,
    told_count: u32,
}

impl Watch {
    /// A watch over nothing. All of it is zero, so that a static heap lies in `.bss`.
    pub(crate) const NEW: Watch = Watch {
        own: Watermarks {
            high: Threshold::Percent(0),
            low: Threshold::Percent(0),
        },
        has_own: false,
        high: 0,
        low: 0,
        disarmed: false,
        due: Pressure::None,
        cause: Cause::Watermark,
        used_at: 0,
        count: 0,
        level: Pressure::None,
        told_count: 0,
    };

    /// Sets the watermarks for a heap of `capacity` bytes.
    ///
    /// # Errors
    /// `OutOfRange`, `Crossed`.
    pub(crate) fn set(&mut self, watermarks: Watermarks, capacity: usize) -> Result<(), WatermarkError> {
        let used = |threshold: Threshold| {
            threshold
                .used(capacity)
                .ok_or(WatermarkError::OutOfRange { threshold, capacity })
        };
        let (high, low) = (used(watermarks.high)?, used(watermarks.low)?);
        if low >= high {
            return Err(WatermarkError::Crossed { high, low });
        }
        (self.high, self.low) = (high, low);
        (self.own, self.has_own) = (watermarks, true);
        Ok(())
    }

    /// Follows a change of the capacity. Watermarks in bytes that no longer fit are replaced by the default.
    pub(crate) fn resize(&mut self, capacity: usize) {
        if !self.place(capacity) {
            self.has_own = false;
            self.place(capacity);
        }
    }

    /// Puts the watermarks in force where they belong in a heap of `capacity` bytes, if they can be there.
    #[inline(never)]
    fn place(&mut self, capacity: usize) -> bool {
        let watermarks = self.watermarks();
        let (high, low) = (watermarks.high.used(capacity), watermarks.low.used(capacity));
        let is_possible = low < high && low.is_some();
        (self.high, self.low) = if is_possible {
            (high.unwrap_or(0), low.unwrap_or(0))
        } else {
            (0, 0)
        };
        is_possible
    }

    /// The watermarks in force.
    pub(crate) fn watermarks(&self) -> Watermarks {
        if self.has_own { self.own } else { Watermarks::DEFAULT }
    }

    /// The high watermark, as bytes in use; 0 while there is no memory to watch.
    pub(crate) fn high(&self) -> usize {
        self.high
    }

    /// The low watermark, as bytes in use.
    pub(crate) fn low(&self) -> usize {
        self.low
    }

    /// Arms the watch, for new watermarks.
    pub(crate) fn arm(&mut self) {
        self.disarmed = false;
    }

    /// Whether a fall of the load to the low watermark must be seen.
    #[inline(always)]
    pub(crate) fn is_disarmed(&self) -> bool {
        self.disarmed
    }

    /// Takes note of the bytes in use; true if the watch was armed or disarmed by it.
    pub(crate) fn observe(&mut self, used: usize) -> bool {
        if !self.disarmed && self.high != 0 && used >= self.high {
            self.disarmed = true;
            self.raise(Pressure::Moderate, Cause::Watermark, used);
            true
        } else if self.disarmed && used <= self.low {
            self.disarmed = false;
            true
        } else {
            false
        }
    }

    /// Makes the callbacks due, unless they are due at this level already.
    #[inline(never)]
    pub(crate) fn raise(&mut self, level: Pressure, cause: Cause, used: usize) {
        if self.due == Pressure::None {
            self.count = self.count.wrapping_add(1);
        }
        if self.due < level {
            (self.due, self.cause, self.used_at) = (level, cause, used);
        }
    }

    /// Resets the flag, for [`Watch::told`]; tells whether it was set.
    pub(crate) fn begin(&mut self) -> bool {
        let level = core::mem::take(&mut self.due);
        if level != Pressure::None {
            self.level = level;
        }
        level != Pressure::None
    }

    /// What the callbacks are to be told, since the flag was reset last.
    pub(crate) fn told(&self, capacity: usize) -> LowMemory {
        LowMemory {
            level: self.level,
            cause: self.cause,
            load: Load {
                used: self.used_at,
                capacity,
            },
            count: self.count,
        }
    }

    /// Takes note that all callbacks have been told of the event of this number.
    pub(crate) fn note_told(&mut self, count: u32) {
        self.told_count = count;
    }

    /// The number of the last event that all callbacks have been told of.
    pub(crate) fn told_count(&self) -> u32 {
        self.told_count
    }

    /// The bytes in use when the callbacks became due last; 0 if they never did.
    pub(crate) fn used_at(&self) -> usize {
        self.used_at
    }

    /// How often the callbacks became due; wraps.
    pub(crate) fn count(&self) -> u32 {
        self.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watch(high: Threshold, low: Threshold) -> Watch {
        let mut watch = Watch::NEW;
        watch.set(Watermarks { high, low }, 1000).unwrap();
        watch
    }

    #[test]
    fn a4_once_per_rising_edge_with_hysteresis() {
        let mut watch = watch(Threshold::Percent(80), Threshold::BytesFree(400));
        for (used, due) in [
            (799, false),
            (800, true),
            (900, false),
            (601, false),
            (800, false),
            (600, false),
            (799, false),
            (801, true),
        ] {
            watch.observe(used);
            assert_eq!(watch.begin(), due, "at {used}");
        }
        assert_eq!(watch.count(), 2);
    }

    #[test]
    fn a7_bad_watermarks_are_refused_and_change_nothing() {
        let mut watch = watch(Threshold::Percent(80), Threshold::Percent(60));
        let old = watch.watermarks();
        let mut set = |high, low| watch.set(Watermarks { high, low }, 1000).unwrap_err();
        use Threshold::*;
        assert!(matches!(
            set(Percent(101), Percent(1)),
            WatermarkError::OutOfRange {
                threshold: Percent(101),
                ..
            }
        ));
        assert!(matches!(
            set(Percent(80), BytesFree(1001)),
            WatermarkError::OutOfRange { .. }
        ));
        assert!(matches!(
            set(Percent(50), Percent(50)),
            WatermarkError::Crossed { high: 500, low: 500 }
        ));
        assert_eq!(watch.watermarks(), old);
        assert_eq!((watch.high, watch.low), (800, 600));
    }

    #[test]
    fn a2_the_worst_cause_is_told_and_counted_once() {
        let mut watch = watch(Threshold::Percent(80), Threshold::Percent(60));
        watch.observe(850);
        watch.raise(Pressure::Critical, Cause::Failure { bytes: 300 }, 870);
        watch.raise(Pressure::Moderate, Cause::Posted, 880);
        assert!(watch.begin());
        let event = watch.told(1000);
        assert_eq!(
            (event.level, event.cause),
            (Pressure::Critical, Cause::Failure { bytes: 300 })
        );
        assert_eq!((event.load.used, event.count), (870, 1));
        assert!(!watch.begin());
    }
}
