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
use crate::base::granule::GRANULE;

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

/// What watermarks are measured against; in bytes, if nothing else is said.
#[derive(Clone, Copy)]
pub(crate) struct Scale {
    /// All there is, or may come to be.
    pub capacity: usize,
    /// The use at the soft limit; `usize::MAX` if there is none.
    pub ceiling: usize,
    /// What is in use outside of the heap, which counts as use.
    pub external: usize,
    /// Granules that the heap has now.
    pub granules: usize,
}

/// What a watch waits for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// The high watermark.
    Armed,
    /// The low one.
    Disarmed,
    /// A measured load at the high watermark; nothing that the heap sees.
    Measured,
    /// One at the low watermark.
    MeasuredHigh,
}

impl State {
    fn is_measured(self) -> bool {
        matches!(self, State::Measured | State::MeasuredHigh)
    }
}

/// The watch of one heap.
pub(crate) struct Watch {
    /// The watermarks, if they are not the default.
    own: Watermarks,
    has_own: bool,
    /// The watermark that the watch waits for, as free granules of the heap: the use is at the high one, or above the low one, while
    /// fewer are free. Then the other one.
    levels: [usize; 2],
    state: State,
    /// What the callbacks are due for; [`Pressure::None`] if they are not.
    due: Pressure,
    cause: Cause,
    /// The use when it became due.
    used_at: usize,
    count: u32,
    /// The level that callbacks are being told, or were told last.
    level: Pressure,
}

impl Watch {
    /// A watch over nothing. All of it is zero, so that a static heap lies in `.bss`.
    pub(crate) const NEW: Watch = Watch {
        own: Watermarks {
            high: Threshold::Percent(0),
            low: Threshold::Percent(0),
        },
        has_own: false,
        levels: [0; 2],
        state: State::Armed,
        due: Pressure::None,
        cause: Cause::Watermark,
        used_at: 0,
        count: 0,
        level: Pressure::None,
    };

    /// Sets the watermarks. They are to be placed then.
    ///
    /// # Errors
    /// `OutOfRange`, `Crossed`.
    pub(crate) fn set(&mut self, watermarks: Watermarks, scale: Scale) -> Result<(), WatermarkError> {
        let capacity = scale.capacity;
        let used = |threshold: Threshold| {
            threshold
                .used(capacity)
                .ok_or(WatermarkError::OutOfRange { threshold, capacity })
        };
        let (high, low) = (used(watermarks.high)?, used(watermarks.low)?);
        if low >= high {
            return Err(WatermarkError::Crossed { high, low });
        }
        (self.own, self.has_own) = (watermarks, true);
        Ok(())
    }

    /// Puts the watermarks in force where they belong, but not above the soft limit. Those in bytes that no longer fit are replaced
    /// by the default.
    #[inline(never)]
    pub(crate) fn place(&mut self, scale: Scale) {
        let (mut high, mut low) = self.marks(scale.capacity).unwrap_or_else(|| {
            self.has_own = false;
            self.marks(scale.capacity).unwrap_or((0, 0))
        });
        if high > scale.ceiling {
            (high, low) = (scale.ceiling, low.min(scale.ceiling - (scale.ceiling / 8).max(1)));
        }
        // What is in use elsewhere leaves less of either. Without memory to watch, or if somebody else measures the load, there is
        // no high watermark.
        let Scale { external, granules, .. } = scale;
        self.levels = if high == 0 || self.is_measured() {
            [0; 2]
        } else {
            let until_high = high.saturating_sub(external).div_ceil(GRANULE);
            let above_low = low.checked_sub(external).map_or(0, |low| low / GRANULE + 1);
            let level = |taken| (granules + 1).saturating_sub(taken);
            [level(until_high), level(above_low)]
        };
        if self.is_disarmed() {
            self.levels.reverse();
        }
    }

    /// As [`Watch::place`], with the default watermarks, neither a limit nor anything in use elsewhere, and `reserved` granules that
    /// there may come to be.
    pub(crate) fn place_default(&mut self, granules: usize, reserved: usize) {
        // A test tells that this is where the general rule puts them.
        let until_high = reserved - reserved * 3 / 20;
        let above_low = reserved - reserved.div_ceil(4) + 1;
        self.levels = [
            (granules + 1).saturating_sub(until_high),
            (granules + 1).saturating_sub(above_low),
        ];
    }

    /// The watermarks in force as bytes in use, if they can be there.
    fn marks(&self, capacity: usize) -> Option<(usize, usize)> {
        let Watermarks { high, low } = self.watermarks();
        let (high, low) = (high.used(capacity)?, low.used(capacity)?);
        (low < high).then_some((high, low))
    }

    /// The watermarks in force.
    pub(crate) fn watermarks(&self) -> Watermarks {
        if self.has_own { self.own } else { Watermarks::DEFAULT }
    }

    /// The free granules below which the use is at the high watermark, or while the watch is disarmed, above the low one.
    #[inline(always)]
    pub(crate) fn alarm(&self) -> usize {
        self.levels[0]
    }

    /// Arms the watch, for new watermarks.
    pub(crate) fn arm(&mut self) {
        self.set_measured(self.state.is_measured());
    }

    /// Whether a fall of the load to the low watermark must be seen.
    #[inline(always)]
    pub(crate) fn is_disarmed(&self) -> bool {
        self.state == State::Disarmed
    }

    /// Whether the load is high: it has been at the high watermark, and not at the low one since.
    pub(crate) fn is_high(&self) -> bool {
        matches!(self.state, State::Disarmed | State::MeasuredHigh)
    }

    /// Arms the watch, for [`Watch::observe_measured`] or for what it sees itself. The watermarks are to be placed anew.
    pub(crate) fn set_measured(&mut self, is_measured: bool) {
        self.state = if is_measured { State::Measured } else { State::Armed };
    }

    /// Whether somebody else measures the load.
    pub(crate) fn is_measured(&self) -> bool {
        self.state.is_measured()
    }

    /// Takes note that the use has passed the watermark that the watch waits for: now it waits for the other one. If that was the high
    /// one, low memory is to be raised.
    #[inline(always)]
    pub(crate) fn turn(&mut self) {
        self.state = if self.is_disarmed() {
            State::Armed
        } else {
            State::Disarmed
        };
        self.levels.reverse();
    }

    /// Takes note of a load that somebody else has measured, with `used` bytes in use of the heap; true if that was a turn.
    pub(crate) fn observe_measured(&mut self, percent: u8, available: usize, used: usize) -> bool {
        let Watermarks { high, low } = self.watermarks();
        let is_high = match high {
            Threshold::Percent(mark) => percent >= mark,
            Threshold::BytesFree(mark) => available <= mark,
        };
        let is_low = match low {
            Threshold::Percent(mark) => percent <= mark,
            Threshold::BytesFree(mark) => available >= mark,
        };
        match self.state {
            State::Measured if is_high => {
                self.state = State::MeasuredHigh;
                self.raise(Pressure::Moderate, Cause::Watermark, used);
                true
            }
            State::MeasuredHigh if is_low => {
                self.state = State::Measured;
                true
            }
            _ => false,
        }
    }

    /// Makes the callbacks due, unless they are due at this level already.
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

    const SCALE: Scale = Scale {
        capacity: 1000 * GRANULE,
        ceiling: usize::MAX,
        external: 0,
        granules: 1000,
    };

    fn watch(high: Threshold, low: Threshold) -> Watch {
        let mut watch = Watch::NEW;
        watch.set(Watermarks { high, low }, SCALE).unwrap();
        watch.place(SCALE);
        watch
    }

    /// Shows the watch so many granules in use, as the heap does.
    fn observe(watch: &mut Watch, used: usize, granules: usize) {
        if (granules - used < watch.alarm()) != watch.is_disarmed() {
            watch.turn();
            if watch.is_disarmed() {
                watch.raise(Pressure::Moderate, Cause::Watermark, used * GRANULE);
            }
        }
    }

    #[test]
    fn a4_once_per_rising_edge_with_hysteresis() {
        let mut watch = watch(Threshold::Percent(80), Threshold::BytesFree(400 * GRANULE));
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
            observe(&mut watch, used, 1000);
            assert_eq!(watch.begin(), due, "at {used}");
        }
        assert_eq!(watch.count(), 2);
    }

    #[test]
    fn a7_bad_watermarks_are_refused_and_change_nothing() {
        let mut watch = watch(Threshold::Percent(80), Threshold::Percent(60));
        let old = watch.watermarks();
        let mut set = |high, low| watch.set(Watermarks { high, low }, SCALE).unwrap_err();
        use Threshold::*;
        assert!(matches!(
            set(Percent(101), Percent(1)),
            WatermarkError::OutOfRange {
                threshold: Percent(101),
                ..
            }
        ));
        assert!(matches!(
            set(Percent(80), BytesFree(1000 * GRANULE + 1)),
            WatermarkError::OutOfRange { .. }
        ));
        assert!(matches!(
            set(Percent(50), Percent(50)),
            WatermarkError::Crossed { high: 4000, low: 4000 }
        ));
        assert_eq!(watch.watermarks(), old);
        watch.place(SCALE);
        assert_eq!(watch.levels, [201, 400]);
    }

    #[test]
    fn a2_the_worst_cause_is_told_and_counted_once() {
        let mut watch = watch(Threshold::Percent(80), Threshold::Percent(60));
        observe(&mut watch, 850, 1000);
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

    #[test]
    fn b10_the_soft_limit_is_the_high_watermark_if_that_is_higher() {
        let mut watch = watch(Threshold::Percent(80), Threshold::Percent(60));
        let ceiling = 400 * GRANULE;
        watch.place(Scale { ceiling, ..SCALE });
        for (used, due) in [
            (399, false),
            (400, true),
            (351, false),
            (400, false),
            (350, false),
            (400, true),
        ] {
            observe(&mut watch, used, 1000);
            assert_eq!(watch.begin(), due, "at {used}");
        }
        watch.place(Scale {
            ceiling: 900 * GRANULE,
            ..SCALE
        });
        assert_eq!(watch.levels, [400, 201]); // it waits for the low one
    }

    #[test]
    fn b5_a_measured_load_turns_the_watch_at_its_own_thresholds() {
        let mut watch = watch(Threshold::Percent(80), Threshold::BytesFree(500 * GRANULE));
        watch.set_measured(true);
        watch.place(SCALE);
        observe(&mut watch, 999, 1000);
        assert!(!watch.begin());
        for (percent, available, due) in [
            (79, 0, false),
            (80, 0, true),
            (99, 0, false),
            (0, 499, false),
            (90, 500, false),
            (90, 500, true),
        ] {
            watch.observe_measured(percent, available * GRANULE, 7);
            assert_eq!(watch.begin(), due, "{percent} %, {available} bytes");
            assert!(!due || watch.told(1000).load.used == 7);
        }
    }

    #[test]
    fn a7_the_default_is_where_the_general_rule_puts_it() {
        for reserved in (1..3000).chain([1 << 20, (1 << 28) - 3]) {
            for granules in [reserved, reserved / 2, 0] {
                let (mut general, mut short) = (Watch::NEW, Watch::NEW);
                general.place(Scale {
                    capacity: reserved * GRANULE,
                    granules,
                    ..SCALE
                });
                short.place_default(granules, reserved);
                assert_eq!(general.levels, short.levels, "{granules} of {reserved}");
            }
        }
    }

    #[test]
    fn b9_what_is_in_use_elsewhere_counts() {
        let used = |external: usize| {
            let mut watch = watch(Threshold::Percent(80), Threshold::Percent(60));
            watch.place(Scale { external, ..SCALE });
            let until_high = (0..=1000).find(|used| 1000 - used < watch.alarm());
            watch.turn();
            let until_low = (0..=1000).rev().find(|used| 1000 - used >= watch.alarm());
            (until_high, until_low)
        };
        assert_eq!(used(0), (Some(800), Some(600)));
        assert_eq!(used(100 * GRANULE), (Some(700), Some(500)));
        assert_eq!(used(100 * GRANULE + 1), (Some(700), Some(499)));
        assert_eq!(used(600 * GRANULE), (Some(200), Some(0)));
        assert_eq!(used(601 * GRANULE), (Some(199), None));
        assert_eq!(used(9000 * GRANULE), (Some(0), None));
    }
}
